-- The checks of expectations/tables/posts.json and of the contract, written by hand: an aggregate for the duplicates, a
-- walk for reshares in a circle (each circle has a post that is not later than what it reshares), one scan for the rest.

CREATE VIEW feed AS
SELECT *, filename AS file, file_row_number AS place
FROM read_parquet('data/snapshot/posts/*.parquet', filename = true, file_row_number = true);

CREATE TEMP TABLE whole AS
SELECT
    count(*) AS rows,
    max(posted_at) AS newest,
    max(strlen(post_id)) + max(strlen(product_id)) + max(strlen(creator_id)) + max(strlen(parent_post_id))
        + max(strlen(platform)) + max(strlen(text)) + max(strlen(image_uri)) AS text_is_read
FROM feed;

CREATE TEMP TABLE twice AS
WITH suspects AS (SELECT hash(post_id) AS h FROM feed GROUP BY h HAVING count(*) > 1)
SELECT post_id FROM feed WHERE hash(post_id) IN (SELECT h FROM suspects) GROUP BY post_id HAVING count(*) > 1;

CREATE TEMP TABLE late AS
SELECT DISTINCT c.post_id AS origin, c.parent_post_id AS reached
FROM feed AS c JOIN feed AS p ON c.parent_post_id = p.post_id
WHERE NOT coalesce(p.posted_at < c.posted_at, false);

CREATE TEMP TABLE circles AS
WITH RECURSIVE walk AS (
    FROM late
    UNION
    SELECT origin, parent_post_id FROM walk JOIN feed ON post_id = reached WHERE parent_post_id IS NOT NULL
)
SELECT DISTINCT reached AS post_id FROM walk WHERE origin IN (SELECT origin FROM walk WHERE origin = reached);

CREATE TEMP TABLE broken AS
WITH known AS (
    SELECT product_id, max(launched_at) AS launched_at
    FROM read_parquet('data/snapshot/products/*.parquet')
    GROUP BY product_id
), people AS (
    SELECT DISTINCT creator_id FROM read_parquet('data/snapshot/creators/*.parquet')
), sources AS (
    SELECT post_id, max(posted_at) AS posted_at FROM feed GROUP BY post_id
), checked AS (
    SELECT
        file, place, f.post_id, f.posted_at, f.product_id, f.creator_id, f.parent_post_id, f.platform,
        list_filter([
            CASE WHEN f.post_id IN (FROM twice) THEN 'the key occurs more than once' END,
            CASE WHEN f.post_id IS NULL THEN 'post_id is null' END,
            CASE WHEN f.posted_at IS NULL THEN 'posted_at is null' END,
            CASE WHEN f.product_id IS NULL THEN 'product_id is null' END,
            CASE WHEN f.creator_id IS NULL THEN 'creator_id is null' END,
            CASE WHEN f.platform IS NULL THEN 'platform is null' END,
            CASE WHEN f.product_id IS NOT NULL AND k.product_id IS NULL THEN 'product_id is unknown' END,
            CASE WHEN f.creator_id IS NOT NULL AND c.creator_id IS NULL THEN 'creator_id is unknown' END,
            CASE WHEN f.posted_at < DATE '1980-01-01' OR f.posted_at >= DATE '{as_of}' THEN 'posted_at is absurd' END,
            CASE WHEN f.posted_at < k.launched_at THEN 'posted before its launch' END,
            CASE WHEN f.posted_at < s.posted_at THEN 'reshared before it was posted' END,
            CASE WHEN f.post_id IN (FROM circles) THEN 'reshares in a circle' END
        ], lambda reason: reason IS NOT NULL) AS reasons,
        f.parent_post_id IS NOT NULL AND s.post_id IS NULL AS lost
    FROM feed AS f
    LEFT JOIN known AS k USING (product_id)
    LEFT JOIN people AS c USING (creator_id)
    LEFT JOIN sources AS s ON f.parent_post_id = s.post_id
)
FROM checked WHERE len(reasons) > 0 OR lost;

CREATE TEMP TABLE lost AS
SELECT count(*) AS rows FROM broken WHERE lost;

DELETE FROM broken WHERE len(reasons) = 0;

CREATE TEMP TABLE counts AS
SELECT reason, count(*) AS rows
FROM (SELECT unnest(reasons) AS reason FROM broken)
GROUP BY reason;

CREATE TEMP TABLE examples AS
SELECT reason, post_id, posted_at, product_id, creator_id, parent_post_id, platform
FROM (SELECT *, unnest(reasons) AS reason FROM broken)
QUALIFY row_number() OVER (PARTITION BY reason ORDER BY file, place) <= 5;

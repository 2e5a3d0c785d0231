-- What the newest four weeks look like: posts a day, how often each platform was, and how many different texts there were.

CREATE TEMP TABLE recent AS
SELECT posted_at, product_id, creator_id, parent_post_id, platform, text, image_uri
FROM feed
WHERE posted_at >= DATE '{as_of}' - 28 AND posted_at < DATE '{as_of}';

CREATE TEMP TABLE days AS
SELECT CAST(posted_at AS DATE) AS day, count(*) AS rows FROM recent GROUP BY day ORDER BY day;

CREATE TEMP TABLE distinct_texts AS
SELECT
    approx_count_distinct(product_id) AS product_id, approx_count_distinct(creator_id) AS creator_id,
    approx_count_distinct(parent_post_id) AS parent_post_id, approx_count_distinct(platform) AS platform,
    approx_count_distinct(text) AS text, approx_count_distinct(image_uri) AS image_uri
FROM recent;

CREATE TEMP TABLE shares AS
SELECT platform, count(*) / sum(count(*)) OVER () AS share FROM recent GROUP BY platform ORDER BY platform;

-- The checks of expectations/tables/searches.json and of the contract, written by hand: two scans of the table, one for
-- numbers about the whole, one for the rows that break a rule (an aggregate for the duplicates goes before it).

CREATE VIEW results AS
SELECT *, filename AS file, file_row_number AS place
FROM read_parquet('data/snapshot/searches/*.parquet', filename = true, file_row_number = true);

CREATE TEMP TABLE whole AS
SELECT
    count(*) AS rows,
    max(searched_at) AS newest,
    max(strlen(search_id)) + max(strlen(customer_id)) + max(strlen(query)) + max(strlen(modality)) + max(strlen(product_id))
        AS text_is_read
FROM results;

CREATE TEMP TABLE twice AS
WITH suspects AS (SELECT hash(search_id, position) AS h FROM results GROUP BY h HAVING count(*) > 1)
SELECT search_id, position
FROM results
WHERE hash(search_id, position) IN (SELECT h FROM suspects)
GROUP BY ALL
HAVING count(*) > 1;

CREATE TEMP TABLE broken AS
WITH known AS (
    SELECT product_id, max(launched_at) AS launched_at
    FROM read_parquet('data/snapshot/products/*.parquet')
    GROUP BY product_id
), checked AS (
    SELECT
        file, place, search_id, position, searched_at, query, modality, r.product_id, engaged, purchased,
        list_filter([
            CASE WHEN (search_id, position) IN (FROM twice) THEN 'the key occurs more than once' END,
            CASE WHEN search_id IS NULL THEN 'search_id is null' END,
            CASE WHEN position IS NULL THEN 'position is null' END,
            CASE WHEN searched_at IS NULL THEN 'searched_at is null' END,
            CASE WHEN query IS NULL THEN 'query is null' END,
            CASE WHEN modality IS NULL THEN 'modality is null' END,
            CASE WHEN r.product_id IS NULL THEN 'product_id is null' END,
            CASE WHEN engaged IS NULL THEN 'engaged is null' END,
            CASE WHEN purchased IS NULL THEN 'purchased is null' END,
            CASE WHEN r.product_id IS NOT NULL AND k.product_id IS NULL THEN 'product_id is unknown' END,
            CASE WHEN position NOT BETWEEN 1 AND 10000 THEN 'position is absurd' END,
            CASE WHEN modality NOT IN ('voice', 'screen') THEN 'modality is unknown' END,
            CASE WHEN purchased AND NOT engaged THEN 'bought without engagement' END,
            CASE WHEN regexp_full_match(query, '[\s\p{{Z}}\p{{C}}]*') THEN 'query is blank' END,
            CASE WHEN length(query) > 1000 THEN 'query is endless' END,
            CASE WHEN searched_at < DATE '1980-01-01' OR searched_at >= DATE '{as_of}' THEN 'searched_at is absurd' END,
            CASE WHEN searched_at < k.launched_at THEN 'shown before its launch' END
        ], lambda reason: reason IS NOT NULL) AS reasons
    FROM results AS r
    LEFT JOIN known AS k USING (product_id)
)
FROM checked WHERE len(reasons) > 0;

CREATE TEMP TABLE counts AS
SELECT reason, count(*) AS rows
FROM (SELECT unnest(reasons) AS reason FROM broken)
GROUP BY reason;

CREATE TEMP TABLE examples AS
SELECT reason, search_id, position, searched_at, query, modality, product_id, engaged, purchased
FROM (SELECT *, unnest(reasons) AS reason FROM broken)
QUALIFY row_number() OVER (PARTITION BY reason ORDER BY file, place) <= 5;

-- The checks of expectations/tables/order_lines.json and of the contract, written by hand: two scans of the table, one for
-- numbers about the whole, one for the rows that break a rule (an aggregate for the duplicates goes before it).

CREATE VIEW lines AS
SELECT *, filename AS file, file_row_number AS place
FROM read_parquet('data/snapshot/order_lines/*.parquet', filename = true, file_row_number = true);

CREATE TEMP TABLE whole AS
SELECT
    count(*) AS rows,
    max(ordered_at) AS newest,
    greatest(10000, 1000 * quantile_disc(abs(quantity), 0.5) FILTER (WHERE place % {every} = 0 AND isfinite(quantity)))
        AS most,
    max(strlen(order_id)) + max(strlen(customer_id)) + max(strlen(product_id)) AS text_is_read
FROM lines;

CREATE TEMP TABLE twice AS
WITH suspects AS (SELECT hash(order_id, line_no) AS h FROM lines GROUP BY h HAVING count(*) > 1)
SELECT order_id, line_no
FROM lines
WHERE hash(order_id, line_no) IN (SELECT h FROM suspects)
GROUP BY ALL
HAVING count(*) > 1;

CREATE TEMP TABLE broken AS
WITH known AS (
    SELECT product_id, max(launched_at) AS launched_at
    FROM read_parquet('data/snapshot/products/*.parquet')
    GROUP BY product_id
), checked AS (
    SELECT
        file, place, order_id, line_no, ordered_at, l.product_id, quantity, unit_price,
        list_filter([
            CASE WHEN (order_id, line_no) IN (FROM twice) THEN 'the key occurs more than once' END,
            CASE WHEN order_id IS NULL THEN 'order_id is null' END,
            CASE WHEN line_no IS NULL THEN 'line_no is null' END,
            CASE WHEN ordered_at IS NULL THEN 'ordered_at is null' END,
            CASE WHEN l.product_id IS NULL THEN 'product_id is null' END,
            CASE WHEN quantity IS NULL THEN 'quantity is null' END,
            CASE WHEN unit_price IS NULL THEN 'unit_price is null' END,
            CASE WHEN l.product_id IS NOT NULL AND k.product_id IS NULL THEN 'product_id is unknown' END,
            CASE WHEN unit_price NOT BETWEEN 0 AND 1000000 THEN 'unit_price is absurd' END,
            CASE WHEN quantity NOT BETWEEN -most AND most THEN 'quantity is absurd' END,
            CASE WHEN quantity = 0 THEN 'quantity is zero' END,
            CASE WHEN ordered_at < DATE '1980-01-01' OR ordered_at >= DATE '{as_of}' THEN 'ordered_at is absurd' END,
            CASE WHEN ordered_at < k.launched_at THEN 'sold before its launch' END
        ], lambda reason: reason IS NOT NULL) AS reasons
    FROM lines AS l
    LEFT JOIN known AS k USING (product_id)
    CROSS JOIN whole
)
FROM checked WHERE len(reasons) > 0;

CREATE TEMP TABLE counts AS
SELECT reason, count(*) AS rows
FROM (SELECT unnest(reasons) AS reason FROM broken)
GROUP BY reason;

CREATE TEMP TABLE examples AS
SELECT reason, order_id, line_no, ordered_at, product_id, quantity, unit_price
FROM (SELECT *, unnest(reasons) AS reason FROM broken)
QUALIFY row_number() OVER (PARTITION BY reason ORDER BY file, place) <= 5;

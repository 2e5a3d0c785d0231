-- What the newest four weeks look like: rows a day, and the distribution of each column that is not of the key.

CREATE TEMP TABLE recent AS
SELECT ordered_at, customer_id, product_id, quantity, unit_price
FROM lines
WHERE ordered_at >= DATE '{as_of}' - 28 AND ordered_at < DATE '{as_of}';

CREATE TEMP TABLE days AS
SELECT CAST(ordered_at AS DATE) AS day, count(*) AS rows FROM recent GROUP BY day ORDER BY day;

CREATE TEMP TABLE deciles AS
SELECT
    quantile_disc(quantity, {deciles}) FILTER (WHERE isfinite(quantity)) AS quantity,
    quantile_disc(unit_price, {deciles}) FILTER (WHERE isfinite(unit_price)) AS unit_price
FROM recent;

CREATE TEMP TABLE bins AS
WITH edges AS (
    SELECT list_sort(list_distinct(quantity)) AS quantity, list_sort(list_distinct(unit_price)) AS unit_price FROM deciles
)
SELECT 'quantity' AS name, len(list_filter(e.quantity, lambda edge: edge < r.quantity)) AS bin, count(*) AS rows
FROM recent AS r CROSS JOIN edges AS e WHERE r.quantity IS NOT NULL GROUP BY bin
UNION ALL
SELECT 'unit_price', len(list_filter(e.unit_price, lambda edge: edge < r.unit_price)) AS bin, count(*)
FROM recent AS r CROSS JOIN edges AS e WHERE r.unit_price IS NOT NULL GROUP BY bin;

CREATE TEMP TABLE distinct_texts AS
SELECT approx_count_distinct(customer_id) AS customer_id, approx_count_distinct(product_id) AS product_id FROM recent;

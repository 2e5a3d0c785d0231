-- What the newest four weeks look like: rows a day, how often each modality was, and how many different texts there were.

CREATE TEMP TABLE recent AS
SELECT searched_at, customer_id, query, modality, product_id
FROM results
WHERE searched_at >= DATE '{as_of}' - 28 AND searched_at < DATE '{as_of}';

CREATE TEMP TABLE days AS
SELECT CAST(searched_at AS DATE) AS day, count(*) AS rows FROM recent GROUP BY day ORDER BY day;

CREATE TEMP TABLE distinct_texts AS
SELECT
    approx_count_distinct(customer_id) AS customer_id, approx_count_distinct(query) AS query,
    approx_count_distinct(modality) AS modality, approx_count_distinct(product_id) AS product_id
FROM recent;

CREATE TEMP TABLE shares AS
SELECT modality, count(*) / sum(count(*)) OVER () AS share FROM recent GROUP BY modality ORDER BY modality;

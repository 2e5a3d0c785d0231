-- The feature table of the family relevance_fusion, written by hand: what was known of each candidate of each query when a
-- period began, and (under the empty query) of each product. Step -1 ends at the origin, step 0 begins there.

CREATE TEMP MACRO step_of(moment) AS (CAST(moment AS DATE) - (DATE '{as_of}' - {history_days})) // {period_days} - {periods};

CREATE TEMP MACRO normal(said, longest) AS
    substr(lower(trim(regexp_replace(said, '[ \t\r\n]+', ' ', 'g'), E' \t\n\r\x0b\x0c')), 1, longest);

CREATE TEMP MACRO words_of(said) AS
    list_filter(string_split_regex(said, '[^\p{{L}}\p{{N}}]+'), lambda word: word <> '');

CREATE TEMP MACRO groups_of(said) AS
    list_distinct(list_transform(range(1, length(said) + 1), lambda place: substr(' ' || said || ' ', place, 3)));

CREATE TEMP TABLE steps AS SELECT step, CAST(floor(step / 6) AS BIGINT) * 6 AS renewed FROM range(-{periods}, 1) AS r(step);

CREATE TEMP TABLE items AS
SELECT
    product_id, price, launched_at, title, description, category, brand,
    CASE WHEN launched_at >= DATE '{as_of}' - {history_days} THEN step_of(launched_at) + 1 ELSE -{periods} END AS since,
    normal(title, 256) AS heading,
    words_of(normal(title, 256) || ' ' || normal(coalesce(brand, ''), 256) || ' ' || normal(category, 256)) AS words,
    words_of(normal(coalesce(description, ''), 2000)) AS prose
FROM read_parquet('data/validated/products/*.parquet')
WHERE launched_at IS NULL OR launched_at < DATE '{as_of}';

-- Sales, ranks and prices of each product at each step.
CREATE TEMP TABLE shelf AS
WITH sold AS (
    SELECT product_id, step_of(ordered_at) AS past, sum(quantity) AS units
    FROM read_parquet('data/validated/order_lines/*.parquet')
    WHERE ordered_at >= DATE '{as_of}' - {history_days} AND ordered_at < DATE '{as_of}'
    GROUP BY ALL
), summed AS (
    SELECT
        i.product_id, i.category, i.price, i.launched_at, i.since, step,
        coalesce(sum(units) FILTER (WHERE step - past <= 1), 0) AS units_1,
        coalesce(sum(units) FILTER (WHERE step - past <= 3), 0) AS units_3,
        coalesce(sum(units), 0) AS units_13
    FROM items AS i
    CROSS JOIN steps
    LEFT JOIN sold AS s ON s.product_id = i.product_id AND step > past AND step <= past + 13
    GROUP BY ALL
)
SELECT
    *,
    DATE '{as_of}' + CAST(step * {period_days} AS INTEGER) AS day,
    CASE
        WHEN price > 0 AND median(price) FILTER (WHERE since <= step) OVER peers > 0
        THEN price / median(price) FILTER (WHERE since <= step) OVER peers
    END AS price_in_category,
    DATE '{as_of}' + CAST(step * {period_days} AS INTEGER) - CAST(launched_at AS DATE) AS age_days,
    CASE WHEN since <= step THEN percent_rank() OVER (PARTITION BY step, since <= step ORDER BY units_3) ELSE 0 END
        AS popularity,
    CASE WHEN since <= step THEN percent_rank() OVER (PARTITION BY step, category, since <= step ORDER BY units_3) ELSE 0 END
        AS popularity_in_category,
    sum(units_3) OVER peers AS category_units
FROM summed
WINDOW peers AS (PARTITION BY step, category);

-- What is bought with what, counted anew every six steps.
CREATE TEMP TABLE baskets AS
SELECT * FROM (
    SELECT *, count(*) OVER (PARTITION BY order_id) AS size
    FROM (
        SELECT DISTINCT order_id, product_id, -((-step_of(ordered_at) - 1) // 6 * 6) AS since
        FROM read_parquet('data/validated/order_lines/*.parquet')
        WHERE quantity > 0 AND ordered_at >= DATE '{as_of}' - {history_days} AND ordered_at < DATE '{as_of}'
    )
) WHERE size BETWEEN 2 AND 50;

CREATE TEMP TABLE pairs_bought AS
SELECT a.product_id, b.product_id AS other, a.since, count(*) AS orders_of_both
FROM baskets AS a JOIN baskets AS b USING (order_id)
WHERE a.product_id < b.product_id
GROUP BY a.product_id, b.product_id, a.since
QUALIFY sum(count(*)) OVER (PARTITION BY a.product_id, b.product_id) >= 2;

CREATE TEMP TABLE nearest AS
WITH renewals AS (
    SELECT DISTINCT renewed FROM steps
), until AS (
    SELECT product_id, other, renewed, sum(orders_of_both) AS orders_of_both
    FROM pairs_bought JOIN renewals ON since <= renewed
    GROUP BY ALL
    HAVING sum(orders_of_both) >= 2
), mirrored AS (
    SELECT product_id, other, renewed, orders_of_both FROM until
    UNION ALL
    SELECT other, product_id, renewed, orders_of_both FROM until
), orders AS (
    SELECT product_id, renewed, count(*) AS orders FROM baskets JOIN renewals ON since <= renewed GROUP BY ALL
), shared AS (
    SELECT
        m.product_id, m.other, m.renewed,
        round(orders_of_both / sqrt(CAST(one.orders * two.orders AS DOUBLE)), 6) AS share
    FROM mirrored AS m
    JOIN orders AS one ON one.product_id = m.product_id AND one.renewed = m.renewed
    JOIN orders AS two ON two.product_id = m.other AND two.renewed = m.renewed
)
SELECT *, row_number() OVER (PARTITION BY product_id, renewed ORDER BY share DESC, other) AS place
FROM shared
QUALIFY place <= 20;

-- What was shown, and what became of it.
CREATE TEMP TABLE listed AS
SELECT
    query, product_id, modality, step,
    CAST(count(*) FILTER (WHERE place = 1) AS INTEGER) AS shown_1,
    CAST(count(*) FILTER (WHERE place = 2) AS INTEGER) AS shown_2,
    CAST(count(*) FILTER (WHERE place = 3) AS INTEGER) AS shown_3,
    CAST(count(*) FILTER (WHERE place = 4) AS INTEGER) AS shown_4,
    CAST(count(*) FILTER (WHERE place = 5) AS INTEGER) AS shown_5,
    CAST(count(*) FILTER (WHERE place = 6) AS INTEGER) AS shown_6,
    CAST(count(*) FILTER (WHERE place = 7) AS INTEGER) AS shown_7,
    CAST(count(*) FILTER (WHERE place = 8) AS INTEGER) AS shown_8,
    CAST(count(*) FILTER (WHERE place = 9) AS INTEGER) AS shown_9,
    CAST(count(*) FILTER (WHERE place = 10) AS INTEGER) AS shown_10,
    CAST(count(*) FILTER (WHERE place = 11) AS INTEGER) AS shown_11,
    CAST(count(*) FILTER (WHERE place = 1 AND (engaged OR purchased)) AS INTEGER) AS engaged_1,
    CAST(count(*) FILTER (WHERE place = 2 AND (engaged OR purchased)) AS INTEGER) AS engaged_2,
    CAST(count(*) FILTER (WHERE place = 3 AND (engaged OR purchased)) AS INTEGER) AS engaged_3,
    CAST(count(*) FILTER (WHERE place = 4 AND (engaged OR purchased)) AS INTEGER) AS engaged_4,
    CAST(count(*) FILTER (WHERE place = 5 AND (engaged OR purchased)) AS INTEGER) AS engaged_5,
    CAST(count(*) FILTER (WHERE place = 6 AND (engaged OR purchased)) AS INTEGER) AS engaged_6,
    CAST(count(*) FILTER (WHERE place = 7 AND (engaged OR purchased)) AS INTEGER) AS engaged_7,
    CAST(count(*) FILTER (WHERE place = 8 AND (engaged OR purchased)) AS INTEGER) AS engaged_8,
    CAST(count(*) FILTER (WHERE place = 9 AND (engaged OR purchased)) AS INTEGER) AS engaged_9,
    CAST(count(*) FILTER (WHERE place = 10 AND (engaged OR purchased)) AS INTEGER) AS engaged_10,
    CAST(count(*) FILTER (WHERE place = 11 AND (engaged OR purchased)) AS INTEGER) AS engaged_11,
    CAST(count(*) FILTER (WHERE place = 1 AND purchased) AS INTEGER) AS purchased_1,
    CAST(count(*) FILTER (WHERE place = 2 AND purchased) AS INTEGER) AS purchased_2,
    CAST(count(*) FILTER (WHERE place = 3 AND purchased) AS INTEGER) AS purchased_3,
    CAST(count(*) FILTER (WHERE place = 4 AND purchased) AS INTEGER) AS purchased_4,
    CAST(count(*) FILTER (WHERE place = 5 AND purchased) AS INTEGER) AS purchased_5,
    CAST(count(*) FILTER (WHERE place = 6 AND purchased) AS INTEGER) AS purchased_6,
    CAST(count(*) FILTER (WHERE place = 7 AND purchased) AS INTEGER) AS purchased_7,
    CAST(count(*) FILTER (WHERE place = 8 AND purchased) AS INTEGER) AS purchased_8,
    CAST(count(*) FILTER (WHERE place = 9 AND purchased) AS INTEGER) AS purchased_9,
    CAST(count(*) FILTER (WHERE place = 10 AND purchased) AS INTEGER) AS purchased_10,
    CAST(count(*) FILTER (WHERE place = 11 AND purchased) AS INTEGER) AS purchased_11
FROM (
    SELECT
        normal(query, 256) AS query, product_id, modality, step_of(searched_at) AS step,
        greatest(least(position, 11), 1) AS place, engaged, purchased
    FROM read_parquet('data/validated/searches/*.parquet')
    WHERE searched_at >= DATE '{as_of}' - {history_days} AND searched_at < DATE '{as_of}'
)
WHERE query <> ''
GROUP BY query, product_id, modality, step;

CREATE TEMP TABLE judged AS
SELECT
    normal(query, 256) AS query, product_id,
    CASE
        WHEN judged_at < DATE '{as_of}' - {history_days} THEN -{periods} - 1 ELSE step_of(judged_at)
    END AS step,
    sum(grade) AS points, count(*) AS annotators, max(judged_at) AS judged_at
FROM read_parquet('data/validated/judgements/*.parquet') AS j
WHERE j.judged_at < DATE '{as_of}' AND normal(j.query, 256) <> ''
GROUP BY ALL;

CREATE TEMP TABLE graded AS
SELECT
    query, product_id, sum(points) / sum(annotators) AS grade, sum(annotators) AS annotators,
    CAST(max(judged_at) AS DATE) AS judged_day
FROM judged GROUP BY ALL;

CREATE TEMP TABLE candidates AS
SELECT query, product_id, modality, step FROM listed SEMI JOIN items USING (product_id)
UNION
SELECT query, product_id, modality, 0 FROM listed SEMI JOIN items USING (product_id) WHERE step >= -{recent_periods}
UNION
SELECT query, product_id, 'screen', s.step FROM judged AS j SEMI JOIN items USING (product_id)
JOIN steps AS s ON s.step >= j.step AND s.step > -({windows} + {window_periods});

CREATE TEMP TABLE pairs AS SELECT DISTINCT query, product_id, step FROM candidates;

-- How well words and spelling match.
CREATE TEMP TABLE asked AS
SELECT query, word, 1 AS one FROM (
    SELECT DISTINCT query, unnest(words_of(query)) AS word FROM (SELECT DISTINCT query FROM pairs)
);

CREATE TEMP TABLE said AS
SELECT product_id, since, word, count(*) AS times, any_value(n) AS n
FROM (SELECT product_id, since, unnest(words) AS word, len(words) AS n FROM items)
GROUP BY ALL;

CREATE TEMP TABLE weights AS
WITH shops AS (
    SELECT step, count(product_id) AS products, greatest(coalesce(sum(len(words)), 0) / greatest(count(product_id), 1), 1) AS mean
    FROM steps LEFT JOIN (FROM items WHERE len(words) > 0) ON since <= step
    GROUP BY step
), having_word AS (
    SELECT word, step, count(*) AS n FROM said SEMI JOIN asked USING (word) JOIN steps ON since <= step GROUP BY ALL
)
SELECT
    query, step, a.word, mean,
    ln(1 + (products - coalesce(n, 0) + 0.5) / (coalesce(n, 0) + 0.5)) AS idf
FROM asked AS a
JOIN (SELECT DISTINCT query, step FROM pairs) USING (query)
JOIN shops USING (step)
LEFT JOIN having_word USING (word, step);

CREATE TEMP TABLE scored AS
SELECT
    query, product_id, step,
    sum(CAST(round(1000000 * (idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * n / mean)))) AS BIGINT)) / 1000000 AS bm25
FROM pairs JOIN weights USING (query, step) JOIN said USING (product_id, word)
GROUP BY ALL;

CREATE TEMP TABLE shares AS
WITH texts AS (
    SELECT
        query, list_distinct(words_of(query)) AS asked, groups_of(query) AS spelt
    FROM (SELECT DISTINCT query FROM pairs)
), told AS (
    SELECT
        product_id, list_distinct(words_of(heading)) AS title, list_distinct(prose) AS prose, groups_of(heading) AS groups
    FROM items
)
SELECT
    query, product_id,
    len(list_intersect(asked, title)) / greatest(len(asked), 1) AS overlap_query,
    len(list_intersect(asked, title)) / greatest(len(title), 1) AS overlap_title,
    len(list_intersect(asked, prose)) / greatest(len(asked), 1) AS overlap_description,
    len(list_intersect(spelt, groups)) / greatest(len(spelt), 1) AS ngrams
FROM (SELECT DISTINCT query, product_id FROM pairs) JOIN texts USING (query) JOIN told USING (product_id);

CREATE TEMP TABLE matched AS
WITH rarity AS (
    SELECT query, step, count(*) AS n, sum(CAST(round(idf * 1000000) AS BIGINT)) / 1000000 / count(*) AS specificity
    FROM weights GROUP BY ALL
)
SELECT
    p.*, s.* EXCLUDE (query, product_id),
    coalesce(bm25, 0) AS bm25,
    CASE WHEN best > 0 THEN coalesce(bm25, 0) / best ELSE 0 END AS bm25_share,
    coalesce(n, 0) AS query_words, coalesce(specificity, 0) AS specificity
FROM pairs AS p
JOIN shares AS s USING (query, product_id)
LEFT JOIN scored USING (query, product_id, step)
LEFT JOIN (SELECT query, step, max(bm25) AS best FROM scored GROUP BY ALL) USING (query, step)
LEFT JOIN rarity USING (query, step);

-- The best matches and the relevant products of each query, and how the others stand to them.
CREATE TEMP TABLE anchors AS
SELECT query, step, 'matches' AS kind, product_id AS anchor,
    row_number() OVER (PARTITION BY query, step ORDER BY bm25 DESC, product_id) AS place
FROM matched WHERE bm25 > 0 QUALIFY place <= 4
UNION ALL
SELECT query, s.step, 'relevant' AS kind, product_id AS anchor,
    row_number() OVER (PARTITION BY query, s.step ORDER BY sum(points) / sum(annotators) DESC, product_id) AS place
FROM judged AS j JOIN steps AS s ON j.step < s.step
GROUP BY query, s.step, product_id
HAVING sum(points) / sum(annotators) >= 2
QUALIFY place <= 4;

CREATE TEMP TABLE compared AS
SELECT
    p.query, p.product_id, p.step, kind,
    exp(sum(CAST(round(CASE WHEN one.price > 0 AND two.price > 0 THEN ln(one.price / two.price) END * 1000000) AS BIGINT))
        / 1000000 / greatest(count(*) FILTER (WHERE one.price > 0 AND two.price > 0), 1)) AS price_to,
    max(coalesce(share, 0)) AS bought_with,
    count(*) FILTER (WHERE one.category = two.category) / count(*) AS category_of
FROM pairs AS p
JOIN steps AS s ON s.step = p.step
JOIN anchors AS a ON a.query = p.query AND a.step = p.step AND a.anchor <> p.product_id
JOIN items AS one ON one.product_id = p.product_id
JOIN items AS two ON two.product_id = a.anchor
LEFT JOIN nearest AS t ON t.product_id = a.anchor AND t.other = p.product_id AND t.renewed = s.renewed
GROUP BY ALL;

CREATE TEMP TABLE beside AS
SELECT
    product_id, renewed, string_agg(other, chr(9) ORDER BY place) AS others,
    string_agg(CAST(share AS VARCHAR), chr(9) ORDER BY place) AS percents
FROM nearest GROUP BY ALL;

CREATE TEMP TABLE named AS
SELECT query, step, kind, string_agg(anchor, chr(9) ORDER BY place) AS names FROM anchors GROUP BY ALL;

-- The rest step by step: joins so wide, and the sort beside all these tables, do not fit into the memory of a stage.
CREATE TEMP TABLE told AS
SELECT
    p.*, m.price_to AS price_to_matches, r.price_to AS price_to_relevant, m.category_of AS category_of_matches,
    m.bought_with AS bought_with_matches, r.bought_with AS bought_with_relevant, mn.names AS matches, rn.names AS relevant
FROM matched AS p
LEFT JOIN (FROM compared WHERE kind = 'matches') AS m USING (query, product_id, step)
LEFT JOIN (FROM compared WHERE kind = 'relevant') AS r USING (query, product_id, step)
LEFT JOIN (FROM named WHERE kind = 'matches') AS mn USING (query, step)
LEFT JOIN (FROM named WHERE kind = 'relevant') AS rn USING (query, step);

DROP TABLE matched;
DROP TABLE compared;
DROP TABLE scored;
DROP TABLE shares;
DROP TABLE weights;

CREATE TEMP TABLE answers AS
SELECT
    c.query, c.product_id, c.modality, day,
    CAST(NULL AS VARCHAR) AS title, CAST(NULL AS VARCHAR) AS description, category, CAST(NULL AS VARCHAR) AS brand,
    CAST(bm25 AS FLOAT) AS bm25,
    CAST(bm25_share AS FLOAT) AS bm25_share,
    CAST(overlap_query AS FLOAT) AS overlap_query,
    CAST(overlap_title AS FLOAT) AS overlap_title,
    CAST(overlap_description AS FLOAT) AS overlap_description,
    CAST(ngrams AS FLOAT) AS ngrams,
    CAST(length(c.query) AS FLOAT) AS query_chars,
    CAST(query_words AS FLOAT) AS query_words,
    CAST(specificity AS FLOAT) AS specificity,
    CAST(c.modality = 'voice' AS FLOAT) AS voice,
    CAST(price AS FLOAT) AS price,
    CAST(price_in_category AS FLOAT) AS price_in_category,
    CAST(age_days AS FLOAT) AS age_days,
    CAST(units_1 AS FLOAT) AS units_1,
    CAST(units_3 AS FLOAT) AS units_3,
    CAST(units_13 AS FLOAT) AS units_13,
    CAST(popularity AS FLOAT) AS popularity,
    CAST(popularity_in_category AS FLOAT) AS popularity_in_category,
    CAST(category_units AS FLOAT) AS category_units,
    CAST(price_to_matches AS FLOAT) AS price_to_matches,
    CAST(price_to_relevant AS FLOAT) AS price_to_relevant,
    CAST(category_of_matches AS FLOAT) AS category_of_matches,
    CAST(bought_with_matches AS FLOAT) AS bought_with_matches,
    CAST(bought_with_relevant AS FLOAT) AS bought_with_relevant,
    matches, relevant,
    CAST(NULL AS VARCHAR) AS bought_with, CAST(NULL AS VARCHAR) AS bought_with_share,
    CAST(grade AS FLOAT) AS grade, CAST(annotators AS INTEGER) AS annotators, judged_day,
    CASE WHEN step < 0 THEN coalesce(l.shown_1, 0) END AS shown_1,
    CASE WHEN step < 0 THEN coalesce(l.shown_2, 0) END AS shown_2,
    CASE WHEN step < 0 THEN coalesce(l.shown_3, 0) END AS shown_3,
    CASE WHEN step < 0 THEN coalesce(l.shown_4, 0) END AS shown_4,
    CASE WHEN step < 0 THEN coalesce(l.shown_5, 0) END AS shown_5,
    CASE WHEN step < 0 THEN coalesce(l.shown_6, 0) END AS shown_6,
    CASE WHEN step < 0 THEN coalesce(l.shown_7, 0) END AS shown_7,
    CASE WHEN step < 0 THEN coalesce(l.shown_8, 0) END AS shown_8,
    CASE WHEN step < 0 THEN coalesce(l.shown_9, 0) END AS shown_9,
    CASE WHEN step < 0 THEN coalesce(l.shown_10, 0) END AS shown_10,
    CASE WHEN step < 0 THEN coalesce(l.shown_11, 0) END AS shown_11,
    CASE WHEN step < 0 THEN coalesce(l.engaged_1, 0) END AS engaged_1,
    CASE WHEN step < 0 THEN coalesce(l.engaged_2, 0) END AS engaged_2,
    CASE WHEN step < 0 THEN coalesce(l.engaged_3, 0) END AS engaged_3,
    CASE WHEN step < 0 THEN coalesce(l.engaged_4, 0) END AS engaged_4,
    CASE WHEN step < 0 THEN coalesce(l.engaged_5, 0) END AS engaged_5,
    CASE WHEN step < 0 THEN coalesce(l.engaged_6, 0) END AS engaged_6,
    CASE WHEN step < 0 THEN coalesce(l.engaged_7, 0) END AS engaged_7,
    CASE WHEN step < 0 THEN coalesce(l.engaged_8, 0) END AS engaged_8,
    CASE WHEN step < 0 THEN coalesce(l.engaged_9, 0) END AS engaged_9,
    CASE WHEN step < 0 THEN coalesce(l.engaged_10, 0) END AS engaged_10,
    CASE WHEN step < 0 THEN coalesce(l.engaged_11, 0) END AS engaged_11,
    CASE WHEN step < 0 THEN coalesce(l.purchased_1, 0) END AS purchased_1,
    CASE WHEN step < 0 THEN coalesce(l.purchased_2, 0) END AS purchased_2,
    CASE WHEN step < 0 THEN coalesce(l.purchased_3, 0) END AS purchased_3,
    CASE WHEN step < 0 THEN coalesce(l.purchased_4, 0) END AS purchased_4,
    CASE WHEN step < 0 THEN coalesce(l.purchased_5, 0) END AS purchased_5,
    CASE WHEN step < 0 THEN coalesce(l.purchased_6, 0) END AS purchased_6,
    CASE WHEN step < 0 THEN coalesce(l.purchased_7, 0) END AS purchased_7,
    CASE WHEN step < 0 THEN coalesce(l.purchased_8, 0) END AS purchased_8,
    CASE WHEN step < 0 THEN coalesce(l.purchased_9, 0) END AS purchased_9,
    CASE WHEN step < 0 THEN coalesce(l.purchased_10, 0) END AS purchased_10,
    CASE WHEN step < 0 THEN coalesce(l.purchased_11, 0) END AS purchased_11
FROM candidates AS c
JOIN told USING (query, product_id, step)
JOIN shelf USING (product_id, step)
LEFT JOIN listed AS l USING (query, product_id, modality, step)
LEFT JOIN graded USING (query, product_id);

DROP TABLE told;

COPY (
    FROM answers
    UNION ALL
    SELECT
        '' AS query, product_id, '' AS modality, day, title, description, i.category, brand,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        CAST(s.price AS FLOAT), CAST(price_in_category AS FLOAT), CAST(age_days AS FLOAT), CAST(units_1 AS FLOAT),
        CAST(units_3 AS FLOAT), CAST(units_13 AS FLOAT), CAST(popularity AS FLOAT), CAST(popularity_in_category AS FLOAT),
        CAST(category_units AS FLOAT), NULL, NULL, NULL, NULL, NULL, NULL, NULL, others, percents, NULL, NULL, NULL,
        CAST(NULL AS INTEGER) AS shown_1,
        CAST(NULL AS INTEGER) AS shown_2,
        CAST(NULL AS INTEGER) AS shown_3,
        CAST(NULL AS INTEGER) AS shown_4,
        CAST(NULL AS INTEGER) AS shown_5,
        CAST(NULL AS INTEGER) AS shown_6,
        CAST(NULL AS INTEGER) AS shown_7,
        CAST(NULL AS INTEGER) AS shown_8,
        CAST(NULL AS INTEGER) AS shown_9,
        CAST(NULL AS INTEGER) AS shown_10,
        CAST(NULL AS INTEGER) AS shown_11,
        CAST(NULL AS INTEGER) AS engaged_1,
        CAST(NULL AS INTEGER) AS engaged_2,
        CAST(NULL AS INTEGER) AS engaged_3,
        CAST(NULL AS INTEGER) AS engaged_4,
        CAST(NULL AS INTEGER) AS engaged_5,
        CAST(NULL AS INTEGER) AS engaged_6,
        CAST(NULL AS INTEGER) AS engaged_7,
        CAST(NULL AS INTEGER) AS engaged_8,
        CAST(NULL AS INTEGER) AS engaged_9,
        CAST(NULL AS INTEGER) AS engaged_10,
        CAST(NULL AS INTEGER) AS engaged_11,
        CAST(NULL AS INTEGER) AS purchased_1,
        CAST(NULL AS INTEGER) AS purchased_2,
        CAST(NULL AS INTEGER) AS purchased_3,
        CAST(NULL AS INTEGER) AS purchased_4,
        CAST(NULL AS INTEGER) AS purchased_5,
        CAST(NULL AS INTEGER) AS purchased_6,
        CAST(NULL AS INTEGER) AS purchased_7,
        CAST(NULL AS INTEGER) AS purchased_8,
        CAST(NULL AS INTEGER) AS purchased_9,
        CAST(NULL AS INTEGER) AS purchased_10,
        CAST(NULL AS INTEGER) AS purchased_11
    FROM shelf AS s
    JOIN items AS i USING (product_id)
    JOIN steps USING (step)
    LEFT JOIN beside AS b ON b.product_id = s.product_id AND b.renewed = steps.renewed
    WHERE s.since <= step
) TO 'data/by-hand/spill/unsorted.parquet' (FORMAT parquet);

DROP TABLE answers;
DROP TABLE listed;
DROP TABLE candidates;
DROP TABLE pairs;
DROP TABLE judged;
DROP TABLE shelf;
DROP TABLE nearest;
DROP TABLE beside;
DROP TABLE pairs_bought;
DROP TABLE baskets;

COPY (FROM 'data/by-hand/spill/unsorted.parquet' ORDER BY query, product_id, modality, day)
TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880);

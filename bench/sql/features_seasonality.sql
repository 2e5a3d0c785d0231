-- The feature table of the family seasonality for daily data, written by hand.
-- One row per product and day, from the first sale or launch to the end of the horizon. A window ends before its row.

-- A history column is known up to the origin.
CREATE TEMP MACRO known(step, value) AS CAST(CASE WHEN step <= 0 THEN value END AS FLOAT);

-- What was sold; a bulk order is tamed by what the product sold before.
CREATE TEMP TABLE daily AS
WITH summed AS (
    SELECT
        product_id,
        CAST(ordered_at AS DATE) - DATE '{as_of}' AS step,
        greatest(sum(quantity), 0) AS units,
        count(*) FILTER (WHERE quantity > 0) AS lines,
        greatest(sum(quantity * unit_price), 0) AS revenue
    FROM read_parquet('data/validated/order_lines/*.parquet')
    WHERE ordered_at < DATE '{as_of}' AND ordered_at >= DATE '{as_of}' - {history_days}
    GROUP BY ALL
)
SELECT
    *,
    least(
        units,
        20 + 8 * pow((coalesce(sum(sqrt(units)) OVER past, 0) + 6) / (count(*) OVER past + 3), 2)
    ) AS tamed
FROM summed
WINDOW past AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);

CREATE TEMP TABLE shelf AS
WITH seen AS (
    SELECT product_id, min(step) AS sold_first, max(step) AS sold_last FROM daily GROUP BY product_id
), known AS (
    SELECT
        product_id, coalesce(title, '') AS title, coalesce(category, '') AS category, price, sold_first,
        CAST(launched_at AS DATE) - DATE '{as_of}' AS launch,
        coalesce(sold_last, launch, 0) AS active
    FROM read_parquet('data/validated/products/*.parquet') LEFT JOIN seen USING (product_id)
    WHERE launched_at IS NULL OR launched_at < DATE '{as_of}'
)
SELECT
    product_id, title, category, price,
    ntile(5) OVER (PARTITION BY category ORDER BY price, product_id) AS band,
    greatest(coalesce(least(sold_first, launch), 0), -{history_days}) AS first,
    CASE WHEN active < -{discontinued_after} THEN least(active + {discontinued_after}, -1) ELSE {horizon} - 1 END AS last
FROM known;

CREATE TEMP TABLE deals AS
WITH each AS (
    SELECT
        product_id, kind, coalesce(discount_pct, 0) AS discount,
        unnest(range(
            greatest(start_day - DATE '{as_of}', -{history_days}), least(end_day - DATE '{as_of}', {horizon} - 1) + 1
        )) AS step
    FROM read_parquet('data/validated/promotions/*.parquet')
)
SELECT
    product_id, step, max(discount) AS promo_discount,
    max(CAST(kind = 'homepage' AS INTEGER)) AS promo_homepage,
    max(CAST(kind = 'email' AS INTEGER)) AS promo_email,
    max(CAST(kind = 'feature' AS INTEGER)) AS promo_feature,
    max(CAST(kind = 'display' AS INTEGER)) AS promo_display
FROM each
GROUP BY ALL;

-- Products present and tamed units, per category and price band (peers), category, and store; windows over them.

CREATE TEMP TABLE peer_days AS
WITH spans AS (
    SELECT category, band, unnest(range(min(first), {horizon})) AS step FROM shelf GROUP BY category, band
), changes AS (
    SELECT category, band, step, sum(change) AS change
    FROM (
        SELECT category, band, first AS step, 1 AS change FROM shelf
        UNION ALL
        SELECT category, band, last + 1, -1 FROM shelf
    )
    GROUP BY ALL
), sold AS (
    SELECT category, band, step, sum(tamed) AS tamed FROM daily JOIN shelf USING (product_id) GROUP BY ALL
)
SELECT
    category, band, step, coalesce(tamed, 0) AS tamed,
    sum(coalesce(change, 0)) OVER (PARTITION BY category, band ORDER BY step) AS products
FROM spans
LEFT JOIN changes USING (category, band, step)
LEFT JOIN sold USING (category, band, step);

CREATE TEMP TABLE category_days AS
SELECT category, step, sum(tamed) AS tamed, sum(products) AS products FROM peer_days GROUP BY ALL;

CREATE TEMP TABLE peers AS
SELECT
    category, band, step,
    sum(tamed) OVER last_28 / nullif(sum(products) OVER last_28, 0) AS peer_28,
    sum(tamed) OVER last_84 / nullif(sum(products) OVER last_84, 0) AS peer_84
FROM peer_days
WINDOW
    last_28 AS (PARTITION BY category, band ORDER BY step ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING),
    last_84 AS (PARTITION BY category, band ORDER BY step ROWS BETWEEN 84 PRECEDING AND 1 PRECEDING);

CREATE TEMP TABLE categories AS
SELECT
    category, step,
    sum(tamed) OVER last_28 / nullif(sum(products) OVER last_28, 0) AS category_28,
    sum(tamed) OVER last_84 / nullif(sum(products) OVER last_84, 0) AS category_84,
    sum(tamed) OVER last_364 / nullif(sum(products) OVER last_364, 0) AS category_364,
    sum(tamed) OVER year_ago / nullif(sum(products) OVER year_ago, 0)
        / CASE WHEN sum(products) OVER usual > 0
            THEN greatest(sum(tamed) OVER usual / sum(products) OVER usual, 0.01) END AS category_year_ago_lift
FROM category_days
WINDOW
    last_28 AS (PARTITION BY category ORDER BY step ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING),
    last_84 AS (PARTITION BY category ORDER BY step ROWS BETWEEN 84 PRECEDING AND 1 PRECEDING),
    last_364 AS (PARTITION BY category ORDER BY step ROWS BETWEEN 364 PRECEDING AND 1 PRECEDING),
    year_ago AS (PARTITION BY category ORDER BY step ROWS BETWEEN 367 PRECEDING AND 361 PRECEDING),
    usual AS (PARTITION BY category ORDER BY step ROWS BETWEEN 451 PRECEDING AND 368 PRECEDING);

CREATE TEMP TABLE store AS
SELECT
    step,
    sum(tamed) OVER last_7 / nullif(sum(products) OVER last_7, 0) AS store_7,
    sum(tamed) OVER last_28 / nullif(sum(products) OVER last_28, 0) AS store_28,
    sum(tamed) OVER last_84 / nullif(sum(products) OVER last_84, 0) AS store_84
FROM (SELECT step, sum(tamed) AS tamed, sum(products) AS products FROM category_days GROUP BY step)
WINDOW
    last_7 AS (ORDER BY step ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
    last_28 AS (ORDER BY step ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING),
    last_84 AS (ORDER BY step ROWS BETWEEN 84 PRECEDING AND 1 PRECEDING);

-- Events per category, what the same event did to the category before, and where each day stands to them.

CREATE TEMP TABLE occasions AS
SELECT
    name, c.category, start_day - DATE '{as_of}' AS begins, end_day - DATE '{as_of}' AS ends
FROM read_parquet('data/validated/events/*.parquet') AS e
JOIN (SELECT DISTINCT category FROM shelf) AS c ON e.category IS NULL OR e.category = c.category
WHERE ends >= -{history_days};

CREATE TEMP TABLE lifts AS
WITH pairs AS (
    SELECT
        o.name, o.category, o.begins, max(p.begins) AS earlier_begins, arg_max(p.ends, p.begins) AS earlier_ends
    FROM occasions AS o
    JOIN occasions AS p ON o.name = p.name AND o.category = p.category AND p.ends < o.begins - {horizon}
    GROUP BY ALL
    HAVING earlier_ends < 0
), summed AS (
    SELECT
        name, category, begins,
        sum(tamed) FILTER (WHERE step >= earlier_begins) AS sold,
        sum(products) FILTER (WHERE step >= earlier_begins) AS there,
        sum(tamed) FILTER (WHERE step < earlier_begins) AS usual,
        sum(products) FILTER (WHERE step < earlier_begins) AS usually
    FROM pairs
    JOIN category_days USING (category)
    WHERE step BETWEEN earlier_begins - 84 AND earlier_ends
    GROUP BY name, category, begins
)
SELECT name, category, begins, (sold / there) / (usual / usually) AS lift
FROM summed
WHERE there > 0 AND usually > 0 AND usual > 0;

CREATE TEMP TABLE near AS
WITH each AS (
    SELECT
        category, begins, ends, lift, unnest(range(begins - 60, least(ends + 60, {horizon} - 1) + 1)) AS step,
        step BETWEEN begins AND ends AS runs
    FROM occasions LEFT JOIN lifts USING (name, category, begins)
)
SELECT
    category, step,
    max(CAST(runs AS INTEGER)) AS event_now,
    min(step - begins) FILTER (WHERE runs) AS event_day,
    min(begins - step) FILTER (WHERE begins > step) AS event_days_to,
    min(step - ends) FILTER (WHERE ends < step) AS event_days_since,
    max(lift) FILTER (WHERE runs) AS event_lift_before
FROM each
GROUP BY ALL;

CREATE TEMP TABLE discounts AS
SELECT d.category, d.step, d.discounts / greatest(c.products, 1) AS category_discount
FROM (
    SELECT category, step, sum(promo_discount) AS discounts
    FROM deals JOIN shelf USING (product_id)
    WHERE step BETWEEN shelf.first AND shelf.last
    GROUP BY ALL
) AS d
JOIN category_days AS c USING (category, step);

CREATE TEMP TABLE calendar AS
SELECT
    step, DATE '{as_of}' + CAST(step AS INTEGER) AS day,
    isodow(day) - 1 AS weekday, dayofmonth(day) AS month_day, dayofyear(day) AS year_day,
    month(day) = 12 AND month_day <= 24 AS festive
FROM (SELECT unnest(range(-{history_days}, {horizon})) AS step);

COPY (
    WITH steps AS (
        SELECT product_id, first, unnest(range(first, last + 1)) AS step FROM shelf
    ), panel AS (
        SELECT
            product_id, first, step,
            coalesce(units, 0) AS units, coalesce(tamed, 0) AS tamed, coalesce(lines, 0) AS lines,
            coalesce(revenue, 0) AS revenue, CAST(coalesce(units, 0) > 0 AS INTEGER) AS sold,
            CAST(promo_discount IS NOT NULL AS INTEGER) AS promoted,
            coalesce(promo_discount, 0) AS promo_discount, coalesce(promo_homepage, 0) AS promo_homepage,
            coalesce(promo_email, 0) AS promo_email, coalesce(promo_feature, 0) AS promo_feature,
            coalesce(promo_display, 0) AS promo_display
        FROM steps
        LEFT JOIN daily USING (product_id, step)
        LEFT JOIN deals USING (product_id, step)
    ), windows AS (
        SELECT
            *,
            sum(units) OVER last_28 AS units_28,
            sum(units) OVER last_84 AS units_84,
            sum(units) OVER last_364 AS units_364,
            sum(tamed) OVER last_7 AS tamed_7,
            sum(tamed) OVER last_14 AS tamed_14,
            sum(tamed) OVER last_28 AS tamed_28,
            sum(tamed) OVER last_84 AS tamed_84,
            sum(tamed) OVER last_182 AS tamed_182,
            sum(tamed) OVER last_364 AS tamed_364,
            sum(tamed) OVER before_28 AS tamed_28_before_28,
            sum(tamed) OVER before_56 AS tamed_28_before_56,
            sum(lines) OVER last_7 AS lines_7,
            sum(lines) OVER last_14 AS lines_14,
            sum(lines) OVER last_28 AS lines_28,
            sum(lines) OVER last_84 AS lines_84,
            sum(lines) OVER last_182 AS lines_182,
            sum(lines) OVER last_364 AS lines_364,
            sum(ln(tamed + 1)) OVER last_28 AS logs_28,
            sum(ln(tamed + 1)) OVER last_84 AS logs_84,
            sum(sold) OVER last_7 AS sold_7,
            sum(sold) OVER last_14 AS sold_14,
            sum(sold) OVER last_28 AS sold_28,
            sum(sold) OVER last_84 AS sold_84,
            sum(sold) OVER last_182 AS sold_182,
            sum(sold) OVER last_364 AS sold_364,
            sum(revenue) OVER last_28 AS revenue_28,
            sum(revenue) OVER last_84 AS revenue_84,
            sum(revenue) OVER last_364 AS revenue_364,
            sum(sold * (1 - promoted)) OVER last_84 AS plain_84,
            sum(sold * (1 - promoted)) OVER last_364 AS plain_364,
            sum(sold * (1 - promoted) * ln(units + 1)) OVER last_84 AS plain_logs_84,
            sum(sold * (1 - promoted) * ln(units + 1)) OVER last_364 AS plain_logs_364,
            sum(sold * promoted) OVER last_364 AS deals_364,
            sum(sold * promoted * ln(units + 1)) OVER last_364 AS deal_logs_364,
            sum(CASE WHEN festive THEN tamed ELSE 0 END) OVER last_364 AS festive_364,
            sum(promoted) OVER last_28 AS promoted_28,
            step - min(CASE WHEN sold = 1 THEN step END) OVER past AS selling_days,
            step - max(CASE WHEN sold = 1 THEN step END) OVER past AS days_since_sale,
            lag(promo_discount, 1, 0) OVER ordered AS promo_discount_before,
            CASE WHEN step - first >= 367 THEN sum(tamed) OVER year_ago END AS year_ago_7,
            CASE WHEN step - first >= 367 THEN coalesce(sum(tamed) OVER usual, 0) END AS year_ago_84
        FROM panel JOIN calendar USING (step)
        WINDOW
            ordered AS (PARTITION BY product_id ORDER BY step),
            past AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
            last_7 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
            last_14 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 14 PRECEDING AND 1 PRECEDING),
            last_28 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING),
            last_84 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 84 PRECEDING AND 1 PRECEDING),
            last_182 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 182 PRECEDING AND 1 PRECEDING),
            last_364 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 364 PRECEDING AND 1 PRECEDING),
            before_28 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 56 PRECEDING AND 29 PRECEDING),
            before_56 AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 84 PRECEDING AND 57 PRECEDING),
            year_ago AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 367 PRECEDING AND 361 PRECEDING),
            usual AS (PARTITION BY product_id ORDER BY step ROWS BETWEEN 451 PRECEDING AND 368 PRECEDING)
    )
    SELECT
        product_id, day, title, category, price, 1 AS step_days,
        CASE WHEN step < 0 THEN units END AS units,
        known(step, coalesce(units_28, 0)) AS units_28,
        known(step, coalesce(units_84, 0)) AS units_84,
        known(step, coalesce(units_364, 0)) AS units_364,
        known(step, coalesce(tamed_7, 0)) AS tamed_7,
        known(step, coalesce(tamed_14, 0)) AS tamed_14,
        known(step, coalesce(tamed_28, 0)) AS tamed_28,
        known(step, coalesce(tamed_84, 0)) AS tamed_84,
        known(step, coalesce(tamed_182, 0)) AS tamed_182,
        known(step, coalesce(tamed_364, 0)) AS tamed_364,
        known(step, coalesce(tamed_28_before_28, 0)) AS tamed_28_before_28,
        known(step, coalesce(tamed_28_before_56, 0)) AS tamed_28_before_56,
        known(step, coalesce(lines_7, 0)) AS lines_7,
        known(step, coalesce(lines_14, 0)) AS lines_14,
        known(step, coalesce(lines_28, 0)) AS lines_28,
        known(step, coalesce(lines_84, 0)) AS lines_84,
        known(step, coalesce(lines_182, 0)) AS lines_182,
        known(step, coalesce(lines_364, 0)) AS lines_364,
        known(step, coalesce(logs_28, 0)) AS logs_28,
        known(step, coalesce(logs_84, 0)) AS logs_84,
        known(step, coalesce(sold_7, 0)) AS sold_7,
        known(step, coalesce(sold_14, 0)) AS sold_14,
        known(step, coalesce(sold_28, 0)) AS sold_28,
        known(step, coalesce(sold_84, 0)) AS sold_84,
        known(step, coalesce(sold_182, 0)) AS sold_182,
        known(step, coalesce(sold_364, 0)) AS sold_364,
        known(step, coalesce(revenue_28, 0)) AS revenue_28,
        known(step, coalesce(revenue_84, 0)) AS revenue_84,
        known(step, coalesce(revenue_364, 0)) AS revenue_364,
        known(step, coalesce(plain_84, 0)) AS plain_84,
        known(step, coalesce(plain_364, 0)) AS plain_364,
        known(step, coalesce(plain_logs_84, 0)) AS plain_logs_84,
        known(step, coalesce(plain_logs_364, 0)) AS plain_logs_364,
        known(step, coalesce(deals_364, 0)) AS deals_364,
        known(step, coalesce(deal_logs_364, 0)) AS deal_logs_364,
        known(step, coalesce(festive_364, 0)) AS festive_364,
        known(step, coalesce(promoted_28, 0)) AS promoted_28,
        known(step, selling_days) AS selling_days,
        known(step, days_since_sale) AS days_since_sale,
        known(step, category_28) AS category_28,
        known(step, category_84) AS category_84,
        known(step, category_364) AS category_364,
        known(step, peer_28) AS peer_28,
        known(step, peer_84) AS peer_84,
        known(step, store_7) AS store_7,
        known(step, store_28) AS store_28,
        known(step, store_84) AS store_84,
        CAST(step - windows.first AS FLOAT) AS age_days,
        CAST(promo_discount AS FLOAT) AS promo_discount,
        CAST(promo_discount_before AS FLOAT) AS promo_discount_before,
        CAST(coalesce(category_discount, 0) AS FLOAT) AS category_discount,
        CAST(promo_homepage AS FLOAT) AS promo_homepage,
        CAST(promo_email AS FLOAT) AS promo_email,
        CAST(promo_feature AS FLOAT) AS promo_feature,
        CAST(promo_display AS FLOAT) AS promo_display,
        CAST(event_now AS FLOAT) AS event_now,
        CAST(event_day AS FLOAT) AS event_day,
        CAST(event_days_to AS FLOAT) AS event_days_to,
        CAST(event_days_since AS FLOAT) AS event_days_since,
        CAST(event_lift_before AS FLOAT) AS event_lift_before,
        CAST(year_ago_7 AS FLOAT) AS year_ago_7,
        CAST(year_ago_84 AS FLOAT) AS year_ago_84,
        CAST(category_year_ago_lift AS FLOAT) AS category_year_ago_lift,
        CAST(weekday AS FLOAT) AS weekday,
        CAST(month_day AS FLOAT) AS month_day,
        CAST(year_day AS FLOAT) AS year_day
    FROM windows
    JOIN shelf USING (product_id)
    JOIN categories USING (category, step)
    JOIN peers USING (category, band, step)
    JOIN store USING (step)
    LEFT JOIN discounts USING (category, step)
    LEFT JOIN near USING (category, step)
    ORDER BY product_id, day
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880);

-- The feature table of the family viral, written by hand: one row per cascade and moment at which it is looked at. What an
-- image looks like is left out (`image_score` is null): no SQL sees pictures.

CREATE TEMP MACRO hours(later, earlier) AS epoch_us(later - earlier) / 3.6e9;

CREATE TEMP MACRO logged(amount, ground) AS ln(greatest(CAST(amount AS DOUBLE), 0.0) + ground);

CREATE TEMP MACRO thousandths(size) AS round(log2(CAST(size AS DOUBLE)) * 1000);

CREATE TEMP TABLE feed AS
SELECT post_id, posted_at AS stamp, product_id, creator_id, parent_post_id, platform, length(text) AS letters
FROM read_parquet('data/validated/posts/*.parquet')
WHERE posted_at < DATE '{as_of}';

-- Every post under the first one of its cascade. A cascade whose first post is missing goes by its name.
CREATE TEMP TABLE placed AS
WITH RECURSIVE down AS (
    SELECT post_id, coalesce(parent_post_id, post_id) AS cascade_id, CAST(parent_post_id IS NOT NULL AS BIGINT) AS depth
    FROM feed ANTI JOIN (SELECT post_id AS known FROM feed) ON parent_post_id = known
    UNION ALL
    SELECT f.post_id, d.cascade_id, d.depth + 1 FROM feed AS f JOIN down AS d ON f.parent_post_id = d.post_id
    WHERE d.depth < 64
)
SELECT
    post_id, stamp, product_id, creator_id, platform, letters, cascade_id, depth,
    row_number() OVER mine AS rank,
    first_value(stamp) OVER mine AS started,
    hours(stamp, first_value(stamp) OVER mine) AS age,
    hours(stamp, lag(stamp) OVER mine) AS gap,
    hours(lead(stamp) OVER mine, first_value(stamp) OVER mine) AS next_age,
    row_number() OVER (PARTITION BY platform ORDER BY stamp, post_id) AS seq
FROM feed JOIN down USING (post_id)
WINDOW mine AS (PARTITION BY cascade_id ORDER BY stamp, post_id);

-- When a cascade is looked at: as certain posts come, and certain hours after its start.
CREATE TEMP TABLE seen AS
SELECT
    cascade_id, 'post-' || rank AS point, 'post' AS kind, product_id, platform, started, stamp AS observed_at, rank AS posts,
    post_id
FROM placed WHERE rank = {fewest} OR (rank > {fewest} AND rank IN {posts})
UNION ALL
SELECT
    cascade_id, 'hour-' || span, 'hour', product_id, platform, started, started + to_hours(span), rank, post_id
FROM placed JOIN (SELECT unnest({hours}) AS span) ON age <= span AND (next_age IS NULL OR next_age > span)
WHERE rank >= {fewest} AND started + to_hours(span) < DATE '{as_of}';

-- Each creator's account: posts, and what came of the cascades joined early, at the moments at which it was known.
CREATE TEMP TABLE marks AS
SELECT cascade_id, stamp, post_id, rank FROM placed
WHERE rank IN ({fewest}, 2 * {fewest}) OR rank IN (SELECT CAST(power(2, p) AS BIGINT) FROM range(2, 31) AS r(p));

CREATE TEMP TABLE quiet AS
SELECT cascade_id, min(rank) AS size, min(stamp) + to_hours({quiet_hours}) AS stamp, arg_min(post_id, rank) AS post_id
FROM placed
WHERE next_age - age > {quiet_hours} OR (next_age IS NULL AND stamp + to_hours({quiet_hours}) < DATE '{as_of}')
GROUP BY cascade_id;

CREATE TEMP TABLE account AS
SELECT
    creator_id, stamp, 0 AS turn, post_id, 1 AS posts, thousandths(rank) AS ranks, 0 AS trials, 0 AS hits, 0 AS credits,
    0 AS ended, 0.0 AS ended_size, 0 AS ended_trials, 0 AS ended_hits
FROM placed
UNION ALL
SELECT
    p.creator_id, m.stamp, 1, m.post_id, 0, 0,
    CAST(m.rank = {fewest} AND p.rank <= {fewest} AS INTEGER), CAST(m.rank = 2 * {fewest} AND p.rank <= {fewest} AS INTEGER),
    CAST(m.rank IN (SELECT CAST(power(2, p) AS BIGINT) FROM range(2, 31) AS r(p)) AND p.rank <= m.rank / 2 AS INTEGER),
    0, 0.0, 0, 0
FROM marks AS m JOIN placed AS p USING (cascade_id)
WHERE p.rank <= least(m.rank, greatest({fewest}, m.rank / 2))
UNION ALL
SELECT
    p.creator_id, q.stamp, 1, q.post_id, 0, 0, 0, 0, 0, 1, thousandths(size),
    CAST(rank <= {fewest} AND size >= {fewest} AS INTEGER), CAST(rank <= {fewest} AND size >= 2 * {fewest} AS INTEGER)
FROM quiet AS q JOIN placed AS p USING (cascade_id)
WHERE rank <= size;

CREATE TEMP TABLE past AS
WITH summed AS (
    SELECT
        creator_id, stamp, turn, post_id, sum(posts) OVER mine - 1 AS n, sum(ranks) OVER mine - ranks AS ranks,
        sum(trials) OVER mine AS trials, sum(hits) OVER mine AS hits, sum(credits) OVER mine AS credits,
        sum(ended) OVER mine AS ended, sum(ended_size) OVER mine AS ended_size,
        sum(ended_trials) OVER mine AS ended_trials, sum(ended_hits) OVER mine AS ended_hits,
        first_value(stamp) OVER mine AS first,
        max(CASE WHEN turn = 0 THEN stamp END) OVER (
            PARTITION BY creator_id ORDER BY stamp, turn, post_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS previous
    FROM account
    WINDOW mine AS (
        PARTITION BY creator_id ORDER BY stamp, turn, post_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
SELECT
    post_id, n = 0 AS newcomer,
    CASE WHEN n > 0 THEN logged(hours(stamp, previous), 0.01) END AS since,
    logged((n + 1) / (hours(stamp, first) + 24), 0.001) AS pace,
    (ranks / 1000 + 4.0) / (n + 2) AS usual_rank,
    (hits + 1.0) / (trials + 2.0) AS hit_rate,
    ln((hits + 1.0) / (trials - hits + 1.0)) AS hit_odds,
    (credits + 1.0) / (n + 2.0) AS credit,
    (ended_size / 1000 + 6.6) / (ended + 2) AS ended_size,
    (ended_hits + 1.0) / (ended_trials + 2.0) AS ended_hit_rate
FROM summed WHERE turn = 0;

-- What all posts up to an observation say together.
CREATE TEMP TABLE course AS
WITH known AS (
    SELECT p.*, h.* EXCLUDE (post_id), coalesce(followers, 0) AS followers, logged(gap, 0.001) AS step
    FROM placed AS p JOIN past AS h USING (post_id)
    LEFT JOIN read_parquet('data/validated/creators/*.parquet') AS c USING (creator_id)
)
SELECT
    s.cascade_id, s.point, max(age) AS age_posts,
    max(age) FILTER (WHERE rank = (posts + 1) // 2) AS age_middle,
    max(step) AS gap_longest, avg(step) AS gap_typical, avg(step * step) AS gap_squares,
    max(step) FILTER (WHERE rank = posts) AS gap_1, max(step) FILTER (WHERE rank = posts - 1) AS gap_2,
    max(step) FILTER (WHERE rank = posts - 2) AS gap_3, max(step) FILTER (WHERE rank = posts - 3) AS gap_4,
    min(seq) AS seq_first, max(seq) AS seq_last, max(seq) FILTER (WHERE rank = posts - 1) AS seq_before,
    max(depth) AS depth_most, avg(depth) AS depth_typical, avg(CAST(depth = 1 AS INTEGER)) AS breadth,
    sum(exp(-hours(observed_at, stamp) / 1)) AS alive_1, sum(exp(-hours(observed_at, stamp) / 24)) AS alive_24,
    sum(exp(-hours(observed_at, stamp) / 168)) AS alive_168,
    sum(followers) AS followers, max(followers) AS followers_most, avg(CAST(newcomer AS INTEGER)) AS newcomers,
    avg(since) AS since_mean, max(since) AS since_most, min(since) AS since_least,
    max(since) FILTER (WHERE rank = 1) AS since_first, max(since) FILTER (WHERE rank = posts) AS since_last,
    avg(pace) AS pace_mean, max(pace) AS pace_most, min(pace) AS pace_least,
    max(pace) FILTER (WHERE rank = 1) AS pace_first, max(pace) FILTER (WHERE rank = posts) AS pace_last,
    avg(usual_rank) AS usual_rank_mean, max(usual_rank) AS usual_rank_most, min(usual_rank) AS usual_rank_least,
    max(usual_rank) FILTER (WHERE rank = 1) AS usual_rank_first, max(usual_rank) FILTER (WHERE rank = posts) AS usual_rank_last,
    avg(hit_rate) AS hit_rate_mean, max(hit_rate) AS hit_rate_most, min(hit_rate) AS hit_rate_least,
    max(hit_rate) FILTER (WHERE rank = 1) AS hit_rate_first, max(hit_rate) FILTER (WHERE rank = posts) AS hit_rate_last,
    avg(hit_odds) AS hit_odds_mean, max(hit_odds) AS hit_odds_most, min(hit_odds) AS hit_odds_least,
    max(hit_odds) FILTER (WHERE rank = 1) AS hit_odds_first, max(hit_odds) FILTER (WHERE rank = posts) AS hit_odds_last,
    avg(credit) AS credit_mean, max(credit) AS credit_most, min(credit) AS credit_least,
    max(credit) FILTER (WHERE rank = 1) AS credit_first, max(credit) FILTER (WHERE rank = posts) AS credit_last,
    avg(ended_size) AS ended_size_mean, max(ended_size) AS ended_size_most, min(ended_size) AS ended_size_least,
    max(ended_size) FILTER (WHERE rank = 1) AS ended_size_first, max(ended_size) FILTER (WHERE rank = posts) AS ended_size_last,
    avg(ended_hit_rate) AS ended_hit_rate_mean, max(ended_hit_rate) AS ended_hit_rate_most,
    min(ended_hit_rate) AS ended_hit_rate_least, max(ended_hit_rate) FILTER (WHERE rank = 1) AS ended_hit_rate_first,
    max(ended_hit_rate) FILTER (WHERE rank = posts) AS ended_hit_rate_last
FROM seen AS s JOIN known AS k ON s.cascade_id = k.cascade_id AND k.rank <= s.posts
GROUP BY s.cascade_id, s.point;

-- How busy the platform was up to each post.
CREATE TEMP TABLE busy AS
SELECT
    post_id, logged(count(*) OVER hour, 1.0) AS busy_1, logged(count(*) OVER day, 1.0) AS busy_24,
    logged(count(*) OVER week, 1.0) AS busy_168, logged(count(*) OVER month, 1.0) AS busy_720
FROM placed
WINDOW
    hour AS (PARTITION BY platform ORDER BY stamp RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW),
    day AS (PARTITION BY platform ORDER BY stamp RANGE BETWEEN INTERVAL 24 HOUR PRECEDING AND CURRENT ROW),
    week AS (PARTITION BY platform ORDER BY stamp RANGE BETWEEN INTERVAL 168 HOUR PRECEDING AND CURRENT ROW),
    month AS (PARTITION BY platform ORDER BY stamp RANGE BETWEEN INTERVAL 720 HOUR PRECEDING AND CURRENT ROW);

-- What was known of the product when the cascade began.
CREATE TEMP TABLE product AS
SELECT
    cascade_id, logged(coalesce(letters, 0), 1.0) AS text_length, logged(price, 1.0) AS price,
    logged(product_posts, 1.0) AS product_posts, logged(hours(stamp, previous), 0.01) AS product_since,
    logged(coalesce(best, 0), 1.0) AS product_best
FROM (
    SELECT
        *, count(*) OVER before AS product_posts, max(stamp) OVER before AS previous, max(rank) OVER before AS best
    FROM placed
    WINDOW before AS (PARTITION BY product_id ORDER BY stamp, post_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    QUALIFY rank = 1
)
LEFT JOIN read_parquet('data/validated/products/*.parquet') USING (product_id);

-- Units sold in the week before an observation, and in the three weeks before that one, from running sums.
CREATE TEMP TABLE selling AS
WITH running AS (
    SELECT
        product_id, ordered_at,
        sum(quantity) OVER (PARTITION BY product_id ORDER BY ordered_at RANGE UNBOUNDED PRECEDING) AS units
    FROM read_parquet('data/validated/order_lines/*.parquet')
    WHERE quantity > 0
), asked AS (
    SELECT cascade_id, point, product_id, back, observed_at - to_days(back) AS moment
    FROM seen CROSS JOIN (SELECT unnest([0, 7, 28]) AS back)
), found AS (
    SELECT a.cascade_id, a.point, a.back, coalesce(r.units, 0) AS units
    FROM asked AS a ASOF LEFT JOIN running AS r ON a.product_id = r.product_id AND a.moment > r.ordered_at
), spans AS (
    SELECT
        cascade_id, point,
        max(units) FILTER (WHERE back = 0) AS now, max(units) FILTER (WHERE back = 7) AS week,
        max(units) FILTER (WHERE back = 28) AS month
    FROM found GROUP BY cascade_id, point
)
SELECT cascade_id, point, logged((now - week) / 7, 0.1) - logged((week - month) / 21, 0.1) AS selling
FROM spans WHERE now > month;

-- What came of it, as of each of the days at which earlier models are fitted.
CREATE TEMP TABLE days AS
WITH asked AS (
    SELECT epoch(started)::BIGINT AS second FROM placed WHERE rank = {fewest}
), levels AS (
    SELECT
        floor(quantile_cont(second, 1 - {holdout} * 3) / 86400) AS one, floor(quantile_cont(second, 1 - {holdout} * 2) / 86400) AS two,
        floor(quantile_cont(second, 1 - {holdout}) / 86400) AS three, DATE '{as_of}' - DATE '1970-01-01' AS latest
    FROM asked
)
SELECT
    DATE '1970-01-01' + least(three, latest - 1)::INTEGER AS day_3,
    DATE '1970-01-01' + least(two, least(three, latest - 1) - 1)::INTEGER AS day_2,
    DATE '1970-01-01' + least(one, least(two, least(three, latest - 1) - 1) - 1)::INTEGER AS day_1
FROM levels;

CREATE TEMP TABLE outcomes AS
SELECT
    cascade_id, count(*) AS size, count(*) FILTER (WHERE stamp < day_1) AS size_1,
    count(*) FILTER (WHERE stamp < day_2) AS size_2, count(*) FILTER (WHERE stamp < day_3) AS size_3, max(stamp) AS last_at,
    arg_min(middle, span) FILTER (WHERE span IS NOT NULL) AS peak_at
FROM (
    SELECT cascade_id, stamp, hours(lead(stamp, 9) OVER mine, stamp) AS span, lead(stamp, 5) OVER mine AS middle
    FROM placed
    WINDOW mine AS (PARTITION BY cascade_id ORDER BY stamp, post_id)
) CROSS JOIN days
GROUP BY cascade_id;

COPY (
    SELECT
        cascade_id, point, kind, product_id, platform, started, observed_at, posts,
        logged(posts, 0.001)::FLOAT AS log_posts,
        logged(hours(observed_at, started), 0.001)::FLOAT AS age,
        logged(hours(observed_at, started) - age_posts, 0.001)::FLOAT AS idle,
        gap_1::FLOAT AS gap_1, gap_2::FLOAT AS gap_2, gap_3::FLOAT AS gap_3, gap_4::FLOAT AS gap_4,
        gap_longest::FLOAT AS gap_longest, gap_typical::FLOAT AS gap_typical,
        sqrt(greatest(gap_squares - gap_typical * gap_typical, 0.0))::FLOAT AS gap_spread,
        (logged(age_posts - greatest(age_middle, 0), 0.01) - logged(greatest(age_middle, 0), 0.01))::FLOAT AS halves,
        (logged(posts, 0.001) - logged(hours(observed_at, started), 1.0))::FLOAT AS velocity,
        (hour(observed_at) + minute(observed_at) / 60)::FLOAT AS hour,
        (isodow(observed_at) - 1)::FLOAT AS weekday,
        (hour(started) + minute(started) / 60)::FLOAT AS start_hour,
        (logged(seq_last - seq_first, 0.001) - busy_168)::FLOAT AS passed,
        (logged(seq_last - seq_before, 0.001) - busy_168)::FLOAT AS passed_1,
        busy_1::FLOAT AS busy_1, busy_24::FLOAT AS busy_24, busy_168::FLOAT AS busy_168, busy_720::FLOAT AS busy_720,
        (busy_1 - busy_24)::FLOAT AS trend_hour, (busy_24 - busy_168)::FLOAT AS trend_day,
        (busy_168 - busy_720)::FLOAT AS trend_week,
        depth_most::FLOAT AS depth_most, depth_typical::FLOAT AS depth_typical, breadth::FLOAT AS breadth,
        least((posts - 1) / greatest(posts - alive_1, 0.01), 20)::FLOAT AS branching_1,
        least((posts - 1) / greatest(posts - alive_24, 0.01), 20)::FLOAT AS branching_24,
        least((posts - 1) / greatest(posts - alive_168, 0.01), 20)::FLOAT AS branching_168,
        alive_1::FLOAT AS alive_1, alive_24::FLOAT AS alive_24, alive_168::FLOAT AS alive_168,
        logged(followers, 1.0)::FLOAT AS reach, logged(followers_most, 1.0)::FLOAT AS reach_most,
        newcomers::FLOAT AS newcomers,
        COLUMNS('^(since|pace|usual_rank|hit_rate|hit_odds|credit|ended_size|ended_hit_rate)_(mean|most|least|first|last)$')::FLOAT,
        text_length::FLOAT AS text_length, price::FLOAT AS price, product_posts::FLOAT AS product_posts,
        product_since::FLOAT AS product_since, product_best::FLOAT AS product_best, selling::FLOAT AS selling,
        NULL::FLOAT AS image_score,
        row_number() OVER (PARTITION BY cascade_id ORDER BY observed_at DESC, posts DESC, point) = 1
            AND last_at + to_hours({quiet_hours}) >= DATE '{as_of}' AS open,
        size, size_1, size_2, size_3, last_at, peak_at
    FROM seen
    JOIN course USING (cascade_id, point)
    JOIN outcomes USING (cascade_id)
    JOIN busy USING (post_id)
    JOIN product USING (cascade_id)
    LEFT JOIN selling USING (cascade_id, point)
    ORDER BY cascade_id, point
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)

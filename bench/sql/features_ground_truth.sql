-- The feature table of the family ground_truth, written by hand: one row for each turn of a customer with the answers to it,
-- what both are like and what annotators and feedback said of either, as it was known when {as_of} began.

CREATE TEMP MACRO words_of(said) AS
    list_distinct(list_filter(string_split_regex(substr(lower(said), 1, 3200), '[^\p{{L}}\p{{N}}]+'), lambda word: word <> ''));

CREATE TEMP MACRO alike(a, b) AS CASE
    WHEN len(a) + len(b) - len(list_intersect(a, b)) > 0
    THEN len(list_intersect(a, b)) / (len(a) + len(b) - len(list_intersect(a, b)))
    WHEN a IS NOT NULL AND b IS NOT NULL THEN 0.0
END;

CREATE TEMP TABLE said AS
SELECT *, sum(CAST(speaker = 'user' AS BIGINT)) OVER (PARTITION BY dialogue_id ORDER BY turn_idx) AS exchange
FROM read_parquet('data/validated/turns/*.parquet')
WHERE said_at < DATE '{as_of}';

CREATE TEMP TABLE votes AS
SELECT
    dialogue_id, exchange, kind, max(annotated_at) AS labelled_at,
    string_agg(annotator_id || chr(9) || label, chr(10) ORDER BY annotator_id, label) AS votes
FROM read_parquet('data/validated/annotations/*.parquet')
JOIN (SELECT dialogue_id, turn_idx, exchange FROM said WHERE exchange > 0) USING (dialogue_id, turn_idx)
WHERE annotated_at < DATE '{as_of}'
GROUP BY ALL;

CREATE TEMP TABLE told AS
SELECT
    dialogue_id, exchange,
    sum(value) FILTER (kind = 'explicit') AS explicit, sum(value) FILTER (kind = 'barge_in') AS barge_in,
    sum(value) FILTER (kind = 'rephrase') AS rephrase, sum(value) FILTER (kind = 'abandon') AS abandon
FROM read_parquet('data/validated/feedback/*.parquet')
JOIN (SELECT dialogue_id, turn_idx, exchange FROM said WHERE exchange > 0) USING (dialogue_id, turn_idx)
WHERE given_at < DATE '{as_of}'
GROUP BY ALL;

CREATE TEMP TABLE exchanges AS
SELECT
    dialogue_id, exchange, min(turn_idx) AS turn_idx, max(turn_idx) AS last_idx,
    any_value(begun) AS begun, any_value(ended) AS ended, min(said_at) FILTER (speaker = 'user') AS said_at,
    coalesce(max(text) FILTER (speaker = 'user'), '') AS text,
    coalesce(string_agg(text, ' ' ORDER BY turn_idx) FILTER (speaker <> 'user'), '') AS answer,
    coalesce(string_agg(action, ' ' ORDER BY turn_idx) FILTER (speaker <> 'user'), '') AS action,
    coalesce(max(domain), '') AS domain,
    min(asr_confidence) FILTER (speaker = 'user') AS asr_confidence,
    min(nlu_confidence) FILTER (speaker = 'user') AS nlu_confidence,
    max(CAST(barge_in AS DOUBLE)) FILTER (speaker = 'user') AS barge_in
FROM said
JOIN (SELECT dialogue_id, CAST(min(said_at) AS DATE) AS begun, max(said_at) AS ended FROM said GROUP BY ALL) USING (dialogue_id)
WHERE exchange > 0
GROUP BY dialogue_id, exchange;

CREATE TEMP TABLE near AS
SELECT
    *, lag(own) OVER w AS own_before, lead(own) OVER w AS own_after, lag(replied) OVER w AS replied_before,
    lag(short) OVER w AS short_before, lag(said_at) OVER w AS said_before, lead(said_at) OVER w AS said_after,
    count(*) OVER (PARTITION BY dialogue_id) AS exchanges
FROM (SELECT *, words_of(text) AS own, words_of(answer) AS replied, substr(lower(text), 1, 120) AS short FROM exchanges)
WINDOW w AS (PARTITION BY dialogue_id ORDER BY exchange);

COPY (
    SELECT
        dialogue_id, turn_idx, last_idx, begun, ended, said_at, text, answer, action, domain,
        CASE WHEN exchange = 1 THEN coalesce(opening, '') ELSE '' END AS opening,
        b.votes AS goal_boundary_votes, b.labelled_at AS goal_boundary_labelled_at,
        g.votes AS goal_success_votes, g.labelled_at AS goal_success_labelled_at,
        s.votes AS satisfaction_votes, s.labelled_at AS satisfaction_labelled_at,
        i.votes AS intent_votes, i.labelled_at AS intent_labelled_at,
        exchanges, asr_confidence, nlu_confidence, n.barge_in,
        CAST(exchange - 1 AS DOUBLE) AS place, CAST(exchanges - exchange AS DOUBLE) AS "left",
        epoch(said_at) - epoch(said_before) AS pause,
        epoch(said_after) - epoch(said_at) AS wait,
        CAST(len(own) AS DOUBLE) AS words, CAST(len(replied) AS DOUBLE) AS answer_words,
        CAST(alike(own, own_before) AS DOUBLE) AS same_words,
        CAST(1 - levenshtein(short, short_before) / greatest(length(short), length(short_before), 1) AS DOUBLE) AS same_letters,
        CAST(alike(own, own_after) AS DOUBLE) AS said_again,
        CAST(alike(replied, replied_before) AS DOUBLE) AS answered_again,
        CAST(alike(own, replied) AS DOUBLE) AS echo,
        CAST(alike(own, replied_before) AS DOUBLE) AS followed,
        t.explicit AS feedback_explicit, t.barge_in AS feedback_barge_in,
        t.rephrase AS feedback_rephrase, t.abandon AS feedback_abandon
    FROM near AS n
    LEFT JOIN told AS t USING (dialogue_id, exchange)
    LEFT JOIN (
        SELECT dialogue_id, string_agg(text, ' ' ORDER BY turn_idx) AS opening FROM said WHERE exchange = 0 GROUP BY ALL
    ) USING (dialogue_id)
    LEFT JOIN (FROM votes WHERE kind = 'goal_boundary') AS b USING (dialogue_id, exchange)
    LEFT JOIN (FROM votes WHERE kind = 'goal_success') AS g USING (dialogue_id, exchange)
    LEFT JOIN (FROM votes WHERE kind = 'satisfaction') AS s USING (dialogue_id, exchange)
    LEFT JOIN (FROM votes WHERE kind = 'intent') AS i USING (dialogue_id, exchange)
    ORDER BY dialogue_id, turn_idx
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880);

"""Searches and judgements of a world show what its truth says, and nothing else."""

from __future__ import annotations

from collections import Counter

import duckdb
import numpy as np
import pytest

from ml.world import World
from ml.world.blueprint import blueprint
from ml.world.catalogue import build
from ml.world.rows import names_of
from ml.world.search.annotators import JUDGEMENT_DIRT_KINDS
from ml.world.search.dirt import SEARCH_DIRT_KINDS
from ml.world.search.part import search_tables
from ml.world.search.queries import draw_queries
from ml.world.search.sessions import _ROWS
from ml.world.sizes import SIZES

CLEAN = "(from searches anti join (select search_id from true_dirty_searches) using (search_id))"


def test_a_deed_is_as_frequent_as_examination_and_want_make_it(sql: duckdb.DuckDBPyConnection) -> None:
    """At every position: engagements and purchases over their expectation under the truth."""
    rows = sql.execute(
        f"""select modality, position, sum(engaged::int), sum(probability * engage),
                   sum(purchased::int), sum(probability * purchase)
            from {CLEAN} join true_outcomes using (query, product_id, modality)
            join true_examination using (modality, position) group by all"""
    ).fetchall()
    assert len(rows) == 11
    for _, _, engaged, engage, bought, purchase in rows:
        assert abs(engaged - engage) < 4.5 * np.sqrt(engage)
        assert abs(bought - purchase) < 4.5 * np.sqrt(purchase)


def test_every_clean_result_is_a_candidate_on_sale_at_consecutive_positions(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    rows, candidates, launched = sql.execute(
        f"""select count(*), count(grade), count(*) filter (launched_at is null or launched_at < searched_at)
            from {CLEAN} left join true_relevance using (query, product_id) join products using (product_id)"""
    ).fetchall()[0]
    assert rows == candidates == launched
    holes = sql.execute(
        f"""select count(*) from (select search_id from {CLEAN} group by search_id
            having max(position) <> count(*) or count(distinct product_id) <> count(*)
                or count(distinct query) > 1 or (max(position) > 1 and min(modality) = 'voice'))"""
    ).fetchall()
    assert holes == [(0,)]


def test_results_are_bought_only_by_those_who_engage(sql: duckdb.DuckDBPyConnection) -> None:
    stray, engaged, bought = sql.execute(
        f"""select count(*) filter (purchased and not engaged), avg(engaged::int), avg(purchased::int)
            from {CLEAN}"""
    ).fetchall()[0]
    assert stray == 0
    assert 0.05 < bought < engaged < 0.25


def test_raw_engagement_falls_faster_than_examination(sql: duckdb.DuckDBPyConnection) -> None:
    first, last = sql.execute(
        f"""select avg(engaged::int) filter (position = 1), avg(engaged::int) filter (position >= 9)
            from {CLEAN} where modality = 'screen'"""
    ).fetchall()[0]
    assert last / first < 0.75 * (0.07 / 0.68)


def test_the_same_pair_is_seen_at_several_positions(sql: duckdb.DuckDBPyConnection) -> None:
    share = sql.execute(
        f"""select avg((n > 1)::int) from (select count(distinct position) as n from {CLEAN}
            where modality = 'screen' group by query, product_id having count(*) >= 10)"""
    ).fetchall()[0][0]
    assert share > 0.9


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("category in ('Toys', 'Electronics')", "category in ('Beauty', 'Confectionery')"),
        ("len(string_split(query, ' ')) in (1) or len(string_split(query, ' ')) >= 7",
         "len(string_split(query, ' ')) between 2 and 6"),
        ("price < usual / 1.5", "price > usual * 1.5"),
        ("popular > 0.8", "popular < 0.2"),
    ],
)  # fmt: skip
def test_irrelevant_results_are_wanted_in_the_directions_of_the_study(
    sql: duckdb.DuckDBPyConnection, more: str, less: str
) -> None:
    ratio = sql.execute(
        f"""with sold as (select product_id, percent_rank() over (order by sum(quantity)) as popular
                          from order_lines where quantity between 0 and 100 group by product_id),
                 usual as (select query, median(price) as usual from true_relevance join products using (product_id)
                           where grade >= 2 group by query)
            select avg(purchase) filter ({more}) / avg(purchase) filter ({less})
            from true_outcomes join true_relevance using (query, product_id) join products using (product_id)
            join sold using (product_id) join usual using (query) where grade = 0 and modality = 'screen'"""
    ).fetchall()[0][0]
    assert ratio > 1.3


def test_irrelevant_results_bought_with_relevant_ones_are_wanted_more(sql: duckdb.DuckDBPyConnection) -> None:
    """Co-purchase as the baskets show it, not as the truth says."""
    ratio = sql.execute(
        """with pairs as (select a.product_id, b.product_id as other, count(*) as n
                          from order_lines a join order_lines b using (order_id)
                          where a.product_id <> b.product_id group by all),
                company as (select r.query, p.other as product_id, max(n) as n from true_relevance r
                            join pairs p using (product_id) where grade = 3 group by all)
           select avg(purchase) filter (n > 40) / avg(purchase) filter (coalesce(n, 0) < 10)
           from true_outcomes join true_relevance using (query, product_id)
           left join company using (query, product_id) where grade = 0 and modality = 'screen'"""
    ).fetchall()[0][0]
    assert ratio > 1.5


def test_many_purchases_are_of_irrelevant_results_but_relevance_counts_most(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    share = sql.execute(
        f"""select avg((grade = 0)::int) from {CLEAN} join true_relevance using (query, product_id) where purchased"""
    ).fetchall()[0][0]
    assert 0.1 < share < 0.4
    by_grade = sql.execute(
        """select avg(purchase) from true_outcomes join true_relevance using (query, product_id)
           group by grade order by grade"""
    ).fetchnumpy()["avg(purchase)"]
    assert by_grade[3] > 2 * by_grade[0]


def test_annotators_are_right_as_often_as_their_quality_says(sql: duckdb.DuckDBPyConnection) -> None:
    """A guess is right by chance too, so the careless are right a little more often."""
    rows = sql.execute(
        """select quality, avg((j.grade = r.grade)::int) as right, count(*) as n
           from judgements j join true_relevance r using (query, product_id)
           join true_annotators using (annotator_id) group by annotator_id, quality"""
    ).fetchnumpy()
    error = 0.07 * (1 - rows["quality"]) + 4 * np.sqrt(0.25 / rows["n"])
    assert (abs(rows["right"] - rows["quality"]) < error).all()
    assert rows["quality"].min() < 0.45 and rows["quality"].max() > 0.8


def test_some_pairs_have_several_judges_and_some_one(sql: duckdb.DuckDBPyConnection) -> None:
    one, several = sql.execute(
        """select avg((n = 1)::int), avg((n >= 3)::int)
           from (select count(distinct annotator_id) as n from judgements group by query, product_id)"""
    ).fetchall()[0]
    assert 0.1 < one < 0.5 < several + one
    assert several > 0.3


def test_each_kind_of_dirty_search_is_there_and_counted(sql: duckdb.DuckDBPyConnection, world: World) -> None:
    told = Counter(world.truth["dirty_searches"]["kind"].to_pylist())
    found = {
        "unengaged_purchase": "purchased and not engaged",
        "endless_query": "len(query) = 10000",
        "blank_query": "trim(query) = ''",
        "unknown_product": "product_id not in (select product_id from products)",
        "doubled_position": """(search_id, position) in (select (search_id, position) from searches group by all
                               having count(*) > 1)""",
    }
    for kind, condition in found.items():
        counted = sql.execute(f"select count(*) from searches where {condition}").fetchall()
        assert counted == [(told[kind],)], kind
    assert set(told) == set(SEARCH_DIRT_KINDS)


def test_each_kind_of_dirty_judgement_is_there_and_counted(
    sql: duckdb.DuckDBPyConnection, world: World
) -> None:
    told = Counter(world.truth["dirty_judgements"]["kind"].to_pylist())
    found = {
        "off_scale": "grade not between 0 and 3",
        "unknown_product": "product_id not in (select product_id from products)",
        "judged_twice": """(query, product_id, annotator_id) in (select (query, product_id, annotator_id)
                           from judgements group by all having count(*) > 1)""",
    }
    for kind, condition in found.items():
        counted = sql.execute(f"select count(*) from judgements where {condition}").fetchall()[0][0]
        assert counted == told[kind] * (2 if kind == "judged_twice" else 1), kind
    assert set(told) == set(JUDGEMENT_DIRT_KINDS)


def test_products_that_go_together_share_baskets(sql: duckdb.DuckDBPyConnection) -> None:
    """Pairs of one set are bought together many times as often as others of the same frequency."""
    goes_with = build(SIZES["small"], 7).goes_with
    names = [f"P{number:07d}" for number in range(len(goes_with))]
    sets = {"product_id": np.array(names), "goes_with": goes_with}
    sql.register("sets", {key: values for key, values in sets.items()})
    rows = sql.execute(
        """with pairs as (select x.goes_with = y.goes_with as same, a.product_id as one, b.product_id as other
                          from order_lines a join order_lines b using (order_id)
                          join sets x on x.product_id = a.product_id join sets y on y.product_id = b.product_id
                          where a.product_id < b.product_id and a.line_no <> b.line_no)
           select same, count(*) / count(distinct (one, other)) as times from pairs group by same order by same"""
    ).fetchnumpy()
    assert rows["times"][1] > 4 * rows["times"][0]


def test_queries_are_of_all_lengths_and_scripts() -> None:
    queries = draw_queries(build(SIZES["medium"], 7), 1_600, 7)
    words = Counter(min(len(text.split()), 8) for text in queries.texts)
    assert len(set(queries.texts)) == len(queries) == 1_600
    assert words[1] > 50 and words[2] > 300 and words[3] > 100 and words[8] > 20
    assert any(ord(letter) > 0x1F000 for text in queries.texts for letter in text)
    assert any(0x590 <= ord(letter) < 0x700 for text in queries.texts for letter in text)
    head = queries.weight[:16].sum()
    assert 0.05 < head < 0.5


def test_the_log_comes_in_bounded_pieces() -> None:
    plan = blueprint("10m", days=40)
    sizes = [batch.num_rows for batch in search_tables(plan, names_of(plan))["searches"]]
    assert sum(sizes) > 400_000
    assert max(sizes) < _ROWS + 40_000

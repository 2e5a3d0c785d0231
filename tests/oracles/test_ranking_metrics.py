"""NDCG against scikit-learn, BM25 and the other matches against references written by hand."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

import ibis
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import ndcg_score
from small_shop import END, opened, shop

from ml.families.relevance_fusion import lexicon
from ml.families.relevance_fusion.cases import cases_of
from ml.families.relevance_fusion.clock import clock
from ml.families.relevance_fusion.features import features
from ml.families.relevance_fusion.matching import matching
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.shelf import bought_together, products

PARAMS = RelevanceFusionParams()
RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("exponential", [True, False])
def test_ndcg_of_cases_is_scikit_learns(k: int, exponential: bool) -> None:
    sizes = [5, 12, 30]
    names = np.repeat(["a", "b", "c"], sizes)
    grade = RANDOM.integers(0, 4, sum(sizes)).astype(float)
    gain = 2**grade - 1 if exponential else grade
    score = RANDOM.permutation(sum(sizes)).astype(float)
    found = cases_of(names).ndcg(gain, score, k)
    asked = [ndcg_score([gain[names == name]], [score[names == name]], k=k) for name in "abc"]
    np.testing.assert_allclose(found, asked, rtol=1e-12)


def bm25(query: str, title: list[str], titles: list[list[str]]) -> float:
    """As in the textbook, one word after the other."""
    mean = sum(map(len, titles)) / len(titles)
    total = 0.0
    for word in set(words(query)):
        having = sum(word in other for other in titles)
        idf = math.log(1 + (len(titles) - having + 0.5) / (having + 0.5))
        times = title.count(word)
        total += idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(title) / mean))
    return total


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text)


def texts() -> list[list[str]]:
    rows = shop()["products"].select(["title", "category"]).to_pylist()
    return [words(f"{row['title']} {row['category']}") for row in rows]


@pytest.mark.parametrize("query", ["red garden", "thing", "a vintage thing for the toys", "nothing alike"])
def test_bm25_is_the_textbooks(query: str) -> None:
    rows = shop()["products"].to_pylist()
    of = lexicon.documents(rows)
    found = lexicon.match(query, np.arange(len(rows)), of, lexicon.rarity(of))["bm25"]
    titles = texts()
    asked = [bm25(query, title, titles) for title in titles]
    np.testing.assert_allclose(found, asked, atol=1e-5)


def test_an_index_for_one_query_matches_it_as_the_whole_index_does() -> None:
    rows = shop()["products"].to_pylist()
    whole = lexicon.documents(rows)
    rare, places = lexicon.rarity(whole), np.arange(len(rows))
    for query in ("red garden", "toy", "", "😀 vintage"):
        asked = lexicon.match(query, places, lexicon.documents(rows, query), rare)
        for name, values in lexicon.match(query, places, whole, rare).items():
            np.testing.assert_array_equal(asked[name], values, err_msg=name)


def test_expression_and_service_match_alike() -> None:
    tables = opened(shop())
    time = clock(END, PARAMS)
    items = products(tables, time)
    queries = ibis.memtable(pa.table({"query": ["red garden", "שלום", "a thing, please", "😀 vintage"]}))
    tables["products"].get_backend().con.register("asked", queries.to_pyarrow())
    asked = tables["products"].get_backend().table("asked")
    pairs = asked.cross_join(items.select("product_id")).mutate(step=ibis.literal(0, "int64"))
    table = matching(pairs, items, time).order_by("query", "product_id").to_pyarrow()
    rows = sorted(shop()["products"].to_pylist(), key=lambda row: row["product_id"])
    of = lexicon.documents(rows)
    for query in ("red garden", "שלום", "a thing, please", "😀 vintage"):
        some = table.filter(pa.array([name == query for name in table.column("query").to_pylist()]))
        for name, values in lexicon.match(query, np.arange(len(rows)), of, lexicon.rarity(of)).items():
            np.testing.assert_allclose(some.column(name).to_numpy(), values, atol=2e-6, err_msg=name)


def test_bought_together_against_counting_by_hand() -> None:
    day = datetime(2025, 3, 1)
    baskets = {"o1": "ab", "o2": "ab", "o3": "abc", "o4": "c", "o5": "ac"}
    lines = [
        {"order_id": order, "line_no": number, "ordered_at": day, "product_id": product, "quantity": 1.0}
        for order, some in baskets.items()
        for number, product in enumerate(some)
    ]  # fmt: skip
    tables = opened({"order_lines": pa.Table.from_pylist(lines)})
    found = bought_together(tables, clock(date(2025, 11, 1), PARAMS))
    now = found.filter(found.step == 0).to_pyarrow().to_pylist()
    shares = {(row["product_id"], row["other"]): row["share"] for row in now}
    together = {"ab": 3 / math.sqrt(4 * 3), "ac": 2 / math.sqrt(4 * 2)}
    both_ways = {(one[0], one[1]): share for pair, share in together.items() for one in (pair, pair[::-1])}
    assert shares == pytest.approx(both_ways, abs=1e-6)
    assert found.filter(found.step < -12).count().to_pyarrow().as_py() == 0


def test_what_was_shown_is_counted_by_place() -> None:
    made = features(opened(shop()), END, PARAMS)
    summed = made.aggregate(
        **{name: made[name].sum() for name in ("shown_1", "shown_8", "engaged_1", "purchased_2")}
    )
    found = summed.to_pyarrow().to_pylist()[0]
    log = shop()["searches"].to_pylist()
    assert found["shown_1"] == sum(row["position"] == 1 for row in log)
    assert found["shown_8"] == sum(row["position"] == 8 for row in log)
    assert found["engaged_1"] == sum(row["position"] == 1 and row["engaged"] for row in log)
    assert found["purchased_2"] == sum(row["position"] == 2 and row["purchased"] for row in log)

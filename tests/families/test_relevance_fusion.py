"""Relevance fusion: known truth of the small shop, its two fusions, its service, its study, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_search import EXAMINED
from small_shop import END, materialised, opened, shop

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.families.relevance_fusion import FAMILY, fusing, lexicon, rankers, study
from ml.families.relevance_fusion.cases import cases_of
from ml.families.relevance_fusion.examination import Examination
from ml.families.relevance_fusion.fusing import Point, Units, choose, hypervolume
from ml.families.relevance_fusion.model import Model, _prepared, load, save
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.publications import examination
from ml.families.relevance_fusion.rankers import pages
from ml.families.relevance_fusion.serving import EXPLAINED, answer
from ml.families.relevance_fusion.sheet import Sheet
from ml.families.relevance_fusion.worth import _prior, board, posterior

PARAMS = RelevanceFusionParams(rounds=12, text_components=4, mixes=(0.5,), nthread=1)


def matrix_of(tables: Mapping[str, pa.Table]) -> ibis.Table:
    return materialised(FAMILY.features(opened(tables), END, PARAMS), FAMILY.key)


@cache
def matrix() -> ibis.Table:
    return matrix_of(shop())


@cache
def model() -> Model:
    fitted: Model = FAMILY.fit(matrix(), END, PARAMS)
    return fitted


def without(*names: str) -> dict[str, pa.Table]:
    return {**shop(), **{name: arrow_schema(TABLES[name]).empty_table() for name in names}}


def test_customers_look_as_far_as_they_do() -> None:
    found = np.asarray(model().examination.curves["screen"])[: len(EXAMINED)]
    np.testing.assert_allclose(found, EXAMINED / EXAMINED[0], rtol=0.25)
    assert model().examination.curves["voice"][0] == 1.0


def test_table_and_service_give_the_same_scores_to_the_last_bit(tmp_path: Path) -> None:
    save(model(), tmp_path)
    scored = FAMILY.score(model(), matrix(), END)
    answered = answer(load(tmp_path), scored.select(["query", "product_id", "modality"]))
    both = scored.join(answered, ["query", "product_id", "modality"], right_suffix="_served")
    assert len(both) == len(scored) == len(answered)
    for name in ("score", "relevance", "engagement", "purchase"):
        assert both.column(name).equals(both.column(f"{name}_served")), name


def test_answers_are_ranked_and_the_first_have_reasons() -> None:
    products = model().catalogue.products.column("product_id").to_pylist()
    request = pa.table({"query": [" Red   GARDEN "] * len(products), "product_id": products})
    made = answer(model(), request)
    assert made.column("rank").to_pylist() == list(range(1, len(products) + 1))
    assert made.column("score").to_pylist() == sorted(made.column("score").to_pylist(), reverse=True)
    reasons = made.column("reason").to_pylist()
    assert all(reasons[:EXPLAINED])
    assert not any(reasons[EXPLAINED:])
    place = products.index(made.column("product_id")[0].as_py())
    assert {"red", "garden"} <= set(model().catalogue.products.column("title")[place].as_py().split())


@pytest.mark.parametrize(
    "query", ["🎁", "שלום עולם", "x" * 10_000, "", "   ", "garden' OR 1=1 --", "\\d+.*["]
)
def test_any_query_is_answered(query: str) -> None:
    request = pa.table({"query": [query] * 2, "product_id": ["p001", "nobody knows it"]})
    made = answer(model(), request)
    assert len(made) == 2
    assert np.isfinite(made.column("score").to_numpy()).all()


def test_without_searches_relevance_alone_is_learned() -> None:
    bare = matrix_of(without("searches", "order_lines"))
    fitted = FAMILY.fit(bare, END, PARAMS)
    assert set(fitted.boosters) == {"relevance"}
    assert fitted.fusion.point == Point(fusing.SCORES, 1.0)
    fold = FAMILY.folds(bare, END, PARAMS)[-1]
    judged = FAMILY.fit(fold.train, fold.as_of, PARAMS)
    found = FAMILY.metrics(FAMILY.score(judged, fold.test, fold.as_of), fold.truth.to_pyarrow())
    assert found["ndcg_relevance"] > 0.7
    assert np.isnan(found["purchase_at_1"])
    assert all(
        isinstance(rows, pa.Table) for rows in FAMILY.publications(fitted, bare, {}, END, PARAMS).values()
    )


def test_without_judgements_what_is_wanted_is_learned() -> None:
    fitted = FAMILY.fit(matrix_of(without("judgements")), END, PARAMS)
    assert set(fitted.boosters) == {"engagement", "purchase"}


def test_unbiased_lambdamart_is_the_second_method() -> None:
    fitted = FAMILY.fit(matrix(), END, PARAMS.model_copy(update={"debias": "lambdarank_unbiased"}))
    made = FAMILY.score(fitted, matrix(), END)
    assert (
        fitted.boosters["engagement"].attr("scale") == fitted.boosters["purchase"].attr("scale") == "margin"
    )
    weighed = FAMILY.score(model(), matrix(), END).column("engagement").to_numpy()
    both = np.corrcoef(made.column("engagement").to_numpy(), weighed)[0, 1]
    assert 0.3 < both < 0.999  # the same log says the same of most, by another way
    assert set(fitted.boosters) == {"relevance", "engagement", "purchase", "mix_50"}


def test_what_clipping_costs_is_published_by_place() -> None:
    params = PARAMS.model_copy(update={"clip": 0.3})
    rows = examination(model(), params).to_pylist()
    screen = {row["position"]: row for row in rows if row["modality"] == "screen"}
    assert screen[1]["weight"] == screen[1]["counted"] == 1.0
    low = screen[len(EXAMINED)]
    assert low["weight"] == pytest.approx(1 / 0.3)
    assert low["counted"] == pytest.approx(low["probability"] / 0.3)
    assert low["counted"] < 0.9


def test_engagements_are_weighed_by_the_chance_to_be_looked_at() -> None:
    """One result, engaged with once at each of two places: weights 1 and 1 / 0.2, or 1 / clip."""
    counts = {f"{what}_{place}": [0] for what in ("shown", "engaged", "purchased") for place in range(1, 12)}
    rows = ibis.memtable(pa.table(counts | {"modality": ["screen"], "engaged_1": [1], "engaged_2": [1]}))
    curve = Examination({"screen": (1.0, 0.2, *(0.1,) * 9)})
    for clip, asked in ((0.05, 1 + 5), (0.5, 1 + 2)):
        found = rows.select(sum=curve.inverse(rows, "engaged", clip)).to_pyarrow()["sum"][0].as_py()
        assert found == pytest.approx(asked)


def test_pages_are_put_together_by_place() -> None:
    counts = {f"{what}_{place}": [0.0] * 3 for what in ("shown", "engaged") for place in range(1, 12)}
    counts |= {"shown_1": [5.0, 1.0, 0.0], "shown_2": [1.0, 0.0, 4.0], "engaged_1": [4.0, 1.0, 0.0]}
    keys = {"query": ["q"] * 3, "modality": ["screen"] * 3, "day": pa.array([END] * 3)}
    row, label, page = pages(Sheet(pa.table({**keys, **counts}), np.zeros((3, 0), np.float32)), "engaged")
    assert row.tolist() == [0, 2, 1, 0]
    assert label.tolist() == [0.8, 0.0, 1.0, 0.0]
    assert page.tolist() == [0, 0, 1, 1]


def candidates() -> pa.Table:
    return pa.table(
        {
            "query": ["a"] * 3 + ["b"] * 3, "product_id": list("xyzxyz"), "modality": ["screen"] * 6,
            "day": [END] * 6,
            "grade": [3.0, 0.0, 1.0, 3.0, 3.0, 0.0], "exposure": [1000.0] * 6,
            "engaged": [100.0, 300, 200, 100, 100, 900],
            "purchased": [10.0, 90.0, 20.0, 10.0, 5.0, 300.0],
        }
    )  # fmt: skip


def test_the_policy_takes_the_most_purchases_above_the_floor() -> None:
    of = board(candidates())
    chances = {
        "relevance": np.array([0.9, 0.1, 0.4, 0.9, 0.8, 0.1]), "engagement": np.zeros(6),
        "purchase": np.array([0.1, 0.9, 0.2, 0.1, 0.05, 0.3]),
    }  # fmt: skip
    units = Units(1.0, 1.0, 1.0, share=0.0)
    chosen = {}
    for floor in (1.0, 0.4, 0.0):
        params = PARAMS.model_copy(update={"relevance_floor": floor, "weights": 100})
        scored = fusing.sweep(chances, {}, units, params)
        chosen[floor] = of.at_first(scored[choose(of, scored, params)])
    assert chosen[1.0]["relevance"] == 1.0
    assert chosen[0.4]["relevance"] == 0.5
    assert chosen[0.0]["relevance"] == 0.0
    assert chosen[1.0]["purchase"] < chosen[0.4]["purchase"] < chosen[0.0]["purchase"] == of.best("purchase")


def test_hypervolume_on_paper() -> None:
    assert hypervolume([(1.0, 0.5), (0.5, 1.0)]) == pytest.approx(0.5 + 0.25)
    assert hypervolume([(1.0, 0.5), (0.5, 0.4)]) == pytest.approx(0.5)
    assert hypervolume([]) == 0.0


def test_of_equals_the_first_is_ahead() -> None:
    cases = cases_of(np.array(["a", "a", "b", "b"]))
    assert cases.best(np.array([1.0, 1.0, 0.0, 2.0])).tolist() == [0, 3]
    assert cases.ranks(np.array([1.0, 1.0, 0.0, 2.0])).tolist() == [0, 1, 1, 0]


def test_strategies_on_paper() -> None:
    rows = (
        study.strategies(candidates(), draws=50, seed=1)
        .filter(pc.field("aim") == "purchase")
        .filter(pc.field("modality") == "all")
    )
    found = dict(zip(rows.column("strategy").to_pylist(), rows.column("ratio").to_pylist(), strict=True))
    assert found["Optimal"] == 1.0
    assert found["Relevant"] == pytest.approx((10 + 7.5) / (90 + 300), rel=0.02)
    assert found["Irrelevant"] == pytest.approx(1.0, rel=0.02)
    assert found["Worst"] == pytest.approx((10 + 5) / 390, rel=0.05)


def test_factors_are_found_that_were_put_in() -> None:
    random = np.random.default_rng(7)
    count = 3000
    cheap, popular = random.random(count) < 0.5, random.random(count)
    looks = np.full(count, 40.0)
    rows = pa.table(
        {
            "query": [f"q{number % 300}" for number in range(count)],
            "category": random.choice(["toys", "food"], count),
            "grade": np.zeros(count), "exposure": looks, "engaged": random.binomial(40, 0.2, count).astype(float),
            "purchased": random.binomial(40, np.where(cheap, 0.10, 0.05)).astype(float), "popularity": popular,
            "price_to_relevant": np.where(cheap, 0.5, 2.0), "query_words": random.integers(1, 9, count),
            "bought_with_relevant": np.zeros(count), "like_relevant": random.random(count),
        }
    )  # fmt: skip
    found = {
        row["factor"]: row for row in study.factors(rows, 200, 7).to_pylist() if row["aim"] == "purchase"
    }
    assert found["cheaper"]["low"] < 2.0 < found["cheaper"]["high"]
    assert found["cheaper"]["adjusted_low"] > 1.7
    assert found["popular"]["low"] < 1.0 < found["popular"]["high"]
    assert np.isnan(found["bought together"]["effect"])


def test_losses_have_the_slices_of_the_design() -> None:
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    rows = FAMILY.losses(FAMILY.score(model(), matrix(), END).slice(0, 0), fold.truth.to_pyarrow())
    assert {"slice_modality", "slice_words", "slice_volume", "slice_category"} < set(rows.column_names)


def test_the_loss_is_of_purchases_and_a_query_counts_once() -> None:
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    made, truth = FAMILY.score(model(), fold.test, fold.as_of), fold.truth.to_pyarrow()
    rows = FAMILY.losses(made, truth)
    weight = rows.group_by("entity").aggregate([("weight", "sum")])["weight_sum"].to_numpy()
    np.testing.assert_allclose(weight, 1.0)
    assert FAMILY.metrics(made, truth)["loss"] == pytest.approx(pc.sum(rows["loss"]).as_py() / weight.sum())
    place = truth.column_names.index("grade")
    turned = truth.set_column(place, "grade", pc.subtract(3.0, truth["grade"]))
    assert FAMILY.losses(made, turned).equals(rows)  # what annotators say is a limit, not the loss
    unsold = truth.filter(pc.equal(truth["purchased"], 0))
    assert 0 < FAMILY.metrics(made, unsold)["loss"] == pytest.approx(_mean_loss(FAMILY.losses(made, unsold)))


def _mean_loss(rows: pa.Table) -> float:
    return float(pc.sum(rows["loss"]).as_py() / pc.sum(rows["weight"]).as_py())


def test_what_is_kept_of_relevance_is_held_against_relevance_alone() -> None:
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    made, truth = FAMILY.score(model(), fold.test, fold.as_of), fold.truth.to_pyarrow()
    kept = {
        sign: FAMILY.metrics(
            made.set_column(
                made.column_names.index("score"), "score", pc.multiply(made["relevance"], float(sign))
            ),
            truth,
        )["relevance_kept"]
        for sign in (1, -1)
    }
    assert kept[1] == 1.0
    assert kept[-1] < 0.7


def test_a_window_has_several_periods_and_one_judgement_of_each_pair() -> None:
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    truth = fold.truth.to_pyarrow()
    days = sorted(set(truth["day"].to_pylist()))
    assert days == [fold.as_of + timedelta(days=28 * number) for number in range(PARAMS.window_periods)]
    assert set(truth.filter(pc.is_valid(truth["grade"]))["day"].to_pylist()) == {fold.as_of}
    assert fold.train.day.max().to_pyarrow().as_py() == fold.as_of
    assert fold.test.filter(fold.test.day >= ibis.date(fold.as_of)).shown_1.count().to_pyarrow().as_py() == 0


def test_what_is_to_be_expected_is_nearer_to_the_truth_than_what_was_counted() -> None:
    random = np.random.default_rng(7)
    looks = random.integers(1, 12, 20_000)
    wanted, becomes = random.beta(2, 4, len(looks)), random.beta(30, 70, len(looks))
    engaged = random.binomial(looks, wanted)
    purchased = random.binomial(engaged, becomes)
    rows = pa.table(
        {
            "exposure": looks.astype(float),
            "engaged": engaged.astype(float),
            "purchased": purchased.astype(float),
        }
    )
    assert _prior(engaged.astype(float), looks.astype(float), engaged.sum() / looks.sum()) == pytest.approx(
        2 + 4, rel=0.1
    )
    expected, true = posterior(rows, "purchase"), wanted * becomes
    slope = np.cov(true, expected)[0, 1] / expected.var()
    assert slope == pytest.approx(1.0, abs=0.05)  # no further apart than the truth
    counted = (purchased + 2 * purchased.sum() / looks.sum()) / (looks + 2)
    assert np.corrcoef(true, expected)[0, 1] > np.corrcoef(true, counted)[0, 1] + 0.02


def test_a_group_of_queries_is_told_relevance_without_its_judgements() -> None:
    known, _ = _prepared(matrix(), END, PARAMS)
    group = rankers.group_of(known, PARAMS)
    place = known.rows.column_names.index("grade")
    grade = known.column("grade")
    other = known.rows.set_column(
        place, "grade", pa.array(np.where(group == 1, 3 - grade, grade), from_pandas=True)
    )
    turned = Sheet(other, known.seen)
    before, after = (
        rankers.said_by(rankers.crossed(some, PARAMS, 12), some, PARAMS) for some in (known, turned)
    )
    np.testing.assert_array_equal(before[group == 1], after[group == 1])
    assert (before != after)[group != 1].any()


def test_the_hidden_groups_judgements_are_hidden() -> None:
    seen: list[set[Any]] = []
    for fold in FAMILY.folds(matrix(), END, PARAMS):
        truth = fold.truth.to_pyarrow()
        judged = set(truth.filter(pc.is_valid(truth["grade"])).column("query").to_pylist())
        known = fold.train.filter(fold.train.grade.notnull()).query.to_pyarrow().to_pylist()
        assert judged
        assert not judged & set(known)
        seen.append(judged)
    assert not seen[0] & seen[1]


def test_specificity_is_the_rarity_of_the_words() -> None:
    products = [{"title": "red mug"}, {"title": "red red cup"}, {"title": None}]
    of = lexicon.documents(products)
    rare = lexicon.rarity(of)
    assert rare.idf("mug") > rare.idf("red")
    assert lexicon.about_query("mug", rare)["specificity"] > lexicon.about_query("red", rare)["specificity"]

"""Examination curves against cases worked by hand, a regression of scikit-learn, and the world's truth."""

from __future__ import annotations

import duckdb
import numpy as np
from sklearn.linear_model import PoissonRegressor

from ml.toolkit.position_bias import Counts, click_through, examination, inverse_propensity
from ml.world.blueprint import blueprint
from ml.world.rows import names_of
from ml.world.search.examination import EXAMINATION
from ml.world.search.part import search_tables

CURVE = np.array([0.9, 0.6, 0.5, 0.2])


def counted(rows: list[tuple[int, int, int, int]]) -> Counts:
    """Counts from (result, position, shown, engaged); every result is its own query."""
    result, position, shown, engaged = np.array(rows).T
    return Counts(result, result, position, shown.astype(float), engaged.astype(float))


def simulated(seed: int, queries: int = 300, per_query: int = 4, searches: int = 60) -> Counts:
    """A log of position-based customers and of a ranker that is good but not constant."""
    rng = np.random.default_rng(seed)
    want = rng.beta(1.0, 3.0, (queries, per_query))
    query = np.repeat(np.arange(queries), searches)
    order = np.argsort(-(want[query] + rng.normal(0, 0.15, (len(query), per_query))), axis=1)
    engaged = rng.random(order.shape) < CURVE * np.take_along_axis(want[query], order, axis=1)
    result = query[:, None] * per_query + order
    position = np.broadcast_to(np.arange(1, per_query + 1), order.shape)
    keys, place = np.unique(result * 10 + position, return_inverse=True)
    shown = np.bincount(place.ravel()).astype(float)
    return Counts(
        keys // 10 // per_query, keys // 10, keys % 10, shown, np.bincount(place.ravel(), engaged.ravel())
    )


def test_one_result_at_two_positions_is_a_ratio_of_rates() -> None:
    found = examination(counted([(1, 1, 100, 30), (1, 2, 200, 30)]))
    np.testing.assert_allclose(found.relative, [1.0, 0.5])


def test_positions_are_compared_by_way_of_others() -> None:
    rows = [(1, 1, 100, 30), (1, 2, 100, 20), (2, 2, 50, 10), (2, 3, 50, 5)]
    np.testing.assert_allclose(examination(counted(rows)).relative, [1.0, 2 / 3, 1 / 3])


def test_what_is_seen_at_one_position_only_says_nothing() -> None:
    rows = [(1, 1, 100, 30), (1, 2, 100, 20), (2, 3, 50, 5), (3, 3, 50, 9), (3, 4, 50, 3)]
    found = examination(counted(rows))
    np.testing.assert_allclose(found.relative, [1.0, 2 / 3, np.nan, np.nan])
    np.testing.assert_array_equal(np.isnan(found.low), [False, False, True, True])
    np.testing.assert_array_equal(examination(counted([(1, 1, 10, 3)])).relative, [1.0])


def test_it_is_the_poisson_regression_with_an_effect_for_each_result() -> None:
    counts = simulated(3, queries=25)
    results = np.unique(counts.result, return_inverse=True)[1]
    design = np.concatenate(
        [np.eye(4)[counts.position - 1][:, 1:], np.eye(results.max() + 1)[results]], axis=1
    )
    told = np.isin(results, np.flatnonzero(np.bincount(results, counts.engaged) > 0))
    model = PoissonRegressor(alpha=1e-12, fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    model.fit(design[told], (counts.engaged / counts.shown)[told], sample_weight=counts.shown[told])
    np.testing.assert_allclose(np.log(examination(counts).relative[1:]), model.coef_[:3], atol=1e-5)


def test_the_curve_is_recovered_and_covered_where_click_through_is_too_steep() -> None:
    truth = CURVE / CURVE[0]
    found = [(examination(simulated(seed), draws=100), click_through(simulated(seed))) for seed in range(20)]
    covered = np.mean([(curve.low <= truth) & (truth <= curve.high) for curve, _ in found], axis=0)
    mean = np.mean([curve.relative for curve, _ in found], axis=0)
    assert (covered[1:] >= 0.8).all()
    np.testing.assert_allclose(mean, truth, rtol=0.03)
    assert (np.mean([naive for _, naive in found], axis=0)[1:] < 0.75 * truth[1:]).all()


def test_rare_results_do_no_harm() -> None:
    """Two showings a result: a model that estimates every result's appeal would be far off."""
    truth = CURVE / CURVE[0]
    found = [examination(simulated(seed, queries=6_000, searches=2), draws=2).relative for seed in range(5)]
    np.testing.assert_allclose(np.mean(found, axis=0), truth, rtol=0.08)


def test_the_same_counts_in_any_order_are_the_same_curve() -> None:
    counts = simulated(5)
    order = np.random.default_rng(1).permutation(len(counts.query))
    shuffled = Counts(*(getattr(counts, name)[order] for name in Counts.__slots__))
    np.testing.assert_allclose(examination(shuffled).relative, examination(counts).relative, rtol=1e-9)
    np.testing.assert_allclose(examination(shuffled).low, examination(counts).low, rtol=1e-9)


def test_weights_are_clipped() -> None:
    np.testing.assert_array_equal(
        inverse_propensity(np.array([1.0, 0.5, 0.01, np.nan, 0.0]), clip=20.0), [1.0, 2.0, 20.0, 20.0, 20.0]
    )


def test_the_worlds_examination_is_found_within_a_tenth_from_its_log_alone() -> None:
    plan = blueprint("medium", 7)
    log = search_tables(plan, names_of(plan))["searches"]
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.register("searches", log)
        rows = connection.execute(
            """select hash(query) % 1000000007 as query, hash(query, product_id) // 4 as result, position,
                      count(*) as shown, sum(engaged::int) as engaged
               from searches where modality = 'screen' group by all"""
        ).fetchnumpy()
    ints = (rows[name].astype(np.int64) for name in ("query", "result", "position"))
    counts = Counts(*ints, rows["shown"].astype(float), rows["engaged"].astype(float))
    truth = np.array(EXAMINATION["screen"]) / EXAMINATION["screen"][0]
    found = examination(counts)
    np.testing.assert_allclose(found.relative, truth, rtol=0.1)
    assert ((found.low <= truth) & (truth <= found.high)).sum() >= 7
    assert (click_through(counts)[2:] < 0.92 * truth[2:]).all()
    assert (click_through(counts)[7:] < 0.8 * truth[7:]).all()

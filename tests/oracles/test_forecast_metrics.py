"""Metrics against scikit-learn and against cases worked on paper."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error, mean_pinball_loss, ndcg_score

from ml.toolkit import metrics
from ml.toolkit.intermittent import tame, tsb, tsb_path
from ml.toolkit.intervals import bootstrap_means, per_cluster, weighted_mean
from ml.toolkit.splits import rolling_origins, training_origins

RANDOM = np.random.default_rng(7)
ACTUAL = RANDOM.gamma(1.0, 3.0, 200)
FORECAST = RANDOM.gamma(1.0, 3.0, 200)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_is_scikit_learns(level: float) -> None:
    ours = metrics.pinball(ACTUAL, FORECAST, level).mean()
    assert ours == pytest.approx(mean_pinball_loss(ACTUAL, FORECAST, alpha=level), rel=1e-12)


def test_mape_is_scikit_learns_in_percent() -> None:
    assert metrics.mape(ACTUAL, FORECAST) == pytest.approx(
        100 * mean_absolute_percentage_error(ACTUAL, FORECAST)
    )


@pytest.mark.parametrize("k", [5, 50, 200])
def test_ndcg_is_scikit_learns(k: int) -> None:
    assert metrics.ndcg_at(k, ACTUAL, FORECAST) == pytest.approx(ndcg_score([ACTUAL], [FORECAST], k=k))


def test_wql_of_the_median_is_wape() -> None:
    assert metrics.wql(ACTUAL, {0.5: FORECAST}) == pytest.approx(metrics.wape(ACTUAL, FORECAST))


def test_on_paper() -> None:
    actual, forecast = np.array([10.0, 0.0, 30.0]), np.array([8.0, 4.0, 30.0])
    assert metrics.wape(actual, forecast) == pytest.approx(6 / 40)
    assert metrics.mape(actual, forecast) == pytest.approx(10.0)
    assert metrics.mase(actual, forecast, np.array([2.0, 4.0, 1.0])) == pytest.approx((1 + 1 + 0) / 3)
    assert metrics.coverage(actual, np.array([10.0, 1.0, 0.0]), np.array([12.0, 2.0, 30.0])) == pytest.approx(
        2 / 3
    )
    assert metrics.rmsse(actual[None], forecast[None], np.array([5.0]))[0] == pytest.approx(
        (20 / 3 / 5) ** 0.5
    )
    assert metrics.precision_at(2, actual, forecast) == 1.0
    assert metrics.precision_at(1, actual, np.array([1.0, 0.0, 0.5])) == 0.0


def test_nothing_sold_is_not_a_number() -> None:
    assert np.isnan(metrics.wape(np.zeros(3), np.ones(3)))
    assert np.isnan(metrics.mape(np.zeros(3), np.ones(3)))


def test_tsb_on_paper() -> None:
    demand = np.array([[0.0, 4.0, 0.0, 8.0]])
    size = 4 + 0.1 * (8 - 4)
    chance = 0.3 * (1 - 0.03)
    chance += 0.03 * (1 - chance)
    assert tsb(demand)[0] == pytest.approx(size * chance)
    assert tsb_path(demand)[0, :3].tolist() == pytest.approx([0, 0, 4 * 0.3])


def test_tsb_forgets_the_dead() -> None:
    alive = np.array([[5.0] * 10 + [0.0] * 90])
    assert tsb(alive)[0] < 0.3 * tsb(alive[:, :10])[0]


def test_taming_spares_steady_sales_and_cuts_a_bulk_order() -> None:
    tamed = tame(np.array([[3.0] * 30 + [5000.0, 3.0]]))
    assert tamed[0, :30].tolist() == [3.0] * 30
    assert tamed[0, 30] < 50
    assert tamed[0, 31] == 3.0


def test_origins() -> None:
    from datetime import date

    assert rolling_origins(date(2025, 3, 1), 28, 2) == (date(2025, 1, 4), date(2025, 2, 1))
    assert training_origins(date(2025, 1, 1), date(2025, 1, 20), 7) == (
        date(2025, 1, 6), date(2025, 1, 13), date(2025, 1, 20),
    )  # fmt: skip
    assert training_origins(date(2025, 2, 1), date(2025, 1, 20), 7) == ()


def test_resampled_means_spread_as_the_standard_error_says() -> None:
    draws = bootstrap_means(ACTUAL, np.ones(200), 4_000, seed=1)
    assert draws.mean() == pytest.approx(ACTUAL.mean(), rel=0.02)
    assert draws.std() == pytest.approx(ACTUAL.std() / 200**0.5, rel=0.05)
    assert weighted_mean(ACTUAL, np.ones(200)) == pytest.approx(ACTUAL.mean())


def test_clusters_that_vary_together_spread_wider() -> None:
    shift, cluster = np.repeat(RANDOM.normal(0, 1, 20), 10), np.repeat(np.arange(20), 10)
    alone = bootstrap_means(shift, np.ones(200), 500, seed=1)
    sums, weights = per_cluster(shift, cluster), per_cluster(np.ones(200), cluster)
    together = bootstrap_means(sums, weights, 500, seed=1)
    assert together.std() > 2 * alone.std()

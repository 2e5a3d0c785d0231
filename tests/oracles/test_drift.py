"""Two-sample tests against scipy's; drift and its false alarms by simulation; cases worked on paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ml.toolkit.drift import chi_square, drift_of, drifts, ks, two_sample, worsened
from ml.toolkit.paired import spent

SMALLEST = 0.1


@pytest.mark.parametrize(("ours", "theirs"), [(30, 30), (30, 400), (100, 500)])
@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5])
def test_ks_is_scipys(ours: int, theirs: int, shift: float) -> None:
    random = np.random.default_rng(ours + theirs)
    for _ in range(20):
        sample, reference = random.normal(shift, 1, ours), random.normal(0, 1, theirs)
        found, true = ks(sample, reference), stats.ks_2samp(sample, reference, method="exact")
        assert found.distance == pytest.approx(true.statistic, abs=1e-12)
        assert found.chance == pytest.approx(true.pvalue, abs=0.02, rel=0.35)


def test_ks_with_ties_is_never_too_sure() -> None:
    random = np.random.default_rng(1)
    chances = [ks(*(random.integers(0, 4, 200).astype(float) for _ in range(2))).chance for _ in range(400)]
    assert np.mean(np.array(chances) < 0.05) <= 0.05


def test_ks_on_paper() -> None:
    assert ks(np.array([1.0, 2.0]), np.array([2.0, 3.0])).distance == 0.5
    assert ks(np.array([1.0, 2.0]), np.array([3.0, 4.0])).distance == 1.0
    assert ks(np.zeros(5), np.zeros(7)).chance == 1.0


@pytest.mark.parametrize("categories", [2, 5, 12])
def test_chi_square_is_scipys_where_no_category_is_rare(categories: int) -> None:
    random = np.random.default_rng(categories)
    for _ in range(20):
        table = random.integers(20, 200, (2, categories)).astype(float)
        true = stats.chi2_contingency(table, correction=False)
        assert chi_square(table[0], table[1]).chance == pytest.approx(true.pvalue, rel=1e-9)


def test_rare_categories_are_counted_together() -> None:
    ours, theirs = np.array([50.0, 48.0, 1.0, 1.0, 0.0]), np.array([500.0, 480.0, 5.0, 5.0, 10.0])
    merged = np.array([[50.0, 50.0], [500.0, 500.0]])
    assert chi_square(ours, theirs).chance == pytest.approx(
        stats.chi2_contingency(merged, correction=False).pvalue
    )
    assert chi_square(np.array([3.0]), np.array([9.0])).chance == 1.0


def test_the_distance_of_categories_is_total_variation() -> None:
    found = two_sample(np.array(["a", "a", "b", "b"]), np.array(["a", "b", "b", "c"]))
    assert found.distance == 0.25  # shares 1/2, 1/2, 0 against 1/4, 1/2, 1/4


def windows(random: np.random.Generator, number: int, sway: float) -> list[dict[str, np.ndarray]]:
    """Windows of 150 entities by 8 columns; what all entities have in common sways from window to window."""
    base = random.normal(0, 1, (150, 8))
    return [
        {
            f"c{place}": base[:, place] + random.normal(0, 0.5, 150) + random.normal(0, sway)
            for place in range(8)
        }
        for _ in range(number)
    ]


def alarms(found: object, level: float) -> bool:
    return any(one.distance > SMALLEST and one.chance < level for one in found)  # type: ignore[attr-defined]


def test_what_sways_as_it_always_did_raises_no_alarm() -> None:
    """Fifteen reigns of a dozen looks at windows that differ as earlier ones did, and a test that knows no sway."""
    random = np.random.default_rng(3)
    rung = plain = 0
    for _ in range(15):
        before = windows(random, 13, sway=0.5)
        looks = [drifts(now, before, 30) for now in windows(random, 12, sway=0.5)]
        rung += any(alarms(found, 0.05 * spent(number)) for number, found in enumerate(looks, start=1))
        first = windows(random, 1, sway=0.5)[0]
        plain += any(ks(first[name], before[0][name]).chance < 0.05 * spent(1) / 8 for name in first)
    assert rung <= 2
    assert plain > 5  # what a test that takes entities for independent would have cried


@pytest.mark.parametrize("shift", [2.5, -2.5])
def test_what_never_happened_before_is_found_on_the_first_look(shift: float) -> None:
    random = np.random.default_rng(4)
    found = 0
    for _ in range(20):
        now, *before = windows(random, 14, sway=0.3)
        found += alarms(drifts({**now, "c3": now["c3"] + shift}, before, 30), 0.05 * spent(1))
    assert found >= 19


def test_a_column_that_always_differs_is_never_beyond() -> None:
    """The time of the year is another in every window."""
    before = [np.full(50, float(month)) for month in range(12)]
    one = drift_of("month", np.full(50, 12.0), before)
    assert one.distance == 1.0 and one.usual == 1.0 and one.chance > 0.1


def test_columns_with_few_values_or_few_windows_are_left_out() -> None:
    random = np.random.default_rng(5)
    now = {"many": random.normal(size=50), "few": random.normal(size=5), "new": random.normal(size=50)}
    before = [{"many": random.normal(size=50), "few": random.normal(size=50)} for _ in range(3)]
    assert [one.name for one in drifts(now, before, 30)] == ["many"]
    assert drifts({}, before, 30) == ()


def test_worsened_keeps_its_level_and_finds_what_is_there() -> None:
    """Heavy-tailed losses of 200 entities; the chance is of an increase of no more than a quarter."""
    random = np.random.default_rng(6)

    def period(factor: float) -> tuple[np.ndarray, np.ndarray]:
        weight = random.lognormal(0, 1, 200)
        return factor * weight * random.lognormal(-0.5, 1, 200), weight

    chances = {
        factor: [worsened(*period(factor), *period(1.0)).chance_above(0.25) for _ in range(600)]
        for factor in (1.0, 1.25, 3.0)
    }
    assert np.mean(np.array(chances[1.0]) < 0.05) < 0.01
    assert np.mean(np.array(chances[1.25]) < 0.05) < 0.07
    assert np.mean(np.array(chances[3.0]) < 0.05) > 0.75


def test_a_loss_of_many_times_what_it_was_is_found_however_uneven_the_entities_are() -> None:
    """Sales all but ended: what is left is some ten units, and the error is some fifty times what it was."""
    random = np.random.default_rng(8)
    then = random.lognormal(1, 1, 40)
    now = random.poisson(then / 15).astype(float)
    found = worsened(np.abs(then - now), now, 0.3 * then, then)
    assert found.difference > 10 and found.chance_above(0.0) < 1e-3


def test_worsened_on_paper() -> None:
    even = np.ones(4)
    assert worsened(2 * even, even, even, even).difference == 1.0
    assert worsened(even, even, np.zeros(4), even).chance_above(0.25) == 0.0
    assert worsened(np.zeros(4), even, np.zeros(4), even).chance_above(0.25) == 1.0

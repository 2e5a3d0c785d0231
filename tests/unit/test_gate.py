"""The gate, by simulation and by cases worked on paper."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ml.toolkit.gate import BASELINE, CHALLENGER, CHAMPION, GateRules, paired_interval, verdict

RULES = GateRules(bootstrap=400)


def losses(**models: np.ndarray) -> pa.Table:
    parts = []
    for model, loss in models.items():
        rows = len(loss)
        parts.append(
            pa.table(
                {
                    "case": [f"c{i:05d}" for i in range(rows)],
                    "entity": [f"e{i // 2:05d}" for i in range(rows)],
                    "model": [model] * rows,
                    "loss": loss.astype(float),
                    "weight": np.ones(rows),
                    "slice_side": ["left" if i % 2 else "right" for i in range(rows)],
                }
            )
        )
    return pa.concat_tables(parts)


def draw(seed: int, shift: float = 0.0, size: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    common = random.gamma(2.0, 1.0, size)
    return (
        common * random.uniform(0.8, 1.2, size) * (1 + shift),
        common * random.uniform(0.8, 1.2, size),
    )


def test_equal_models_are_promoted_no_more_often_than_alpha_allows() -> None:
    promoted = 0
    for seed in range(200):
        challenger, champion = draw(seed)
        promoted += verdict(losses(**{CHALLENGER: challenger, CHAMPION: champion}), RULES).approved
    # one-sided 2.5 %: 200 draws exceed 13 with a probability below 0.1 %
    assert promoted <= 13


def test_a_truly_better_model_is_found() -> None:
    found = 0
    for seed in range(40):
        challenger, champion = draw(seed, shift=-0.05)
        found += verdict(losses(**{CHALLENGER: challenger, CHAMPION: champion}), RULES).approved
    assert found >= 36


def test_interval_covers_the_true_ratio() -> None:
    covered = 0
    for seed in range(200):
        challenger, champion = draw(seed, shift=0.1)
        low, high = paired_interval(challenger, champion, 0.95, 400, seed)
        covered += low <= 0.1 <= high
    assert covered >= 180


def test_the_baseline_judges_where_there_is_no_champion() -> None:
    challenger, baseline = draw(1, shift=-0.3)
    judged = verdict(losses(**{CHALLENGER: challenger, BASELINE: baseline}), RULES)
    assert judged.approved and judged.headline is not None and judged.headline.against == BASELINE


def test_a_slice_that_gets_much_worse_stops_a_model_that_is_better_over_all() -> None:
    challenger, champion = draw(2, shift=-0.6)
    challenger[1::2] = champion[1::2] * 1.4
    judged = verdict(losses(**{CHALLENGER: challenger, CHAMPION: champion}), RULES)
    assert judged.headline is not None and judged.headline.high < 0
    assert not judged.approved
    assert any("side = left" in reason for reason in judged.reasons)


def test_beating_the_champion_is_not_enough_when_the_baseline_is_better() -> None:
    challenger, champion = draw(3, shift=-0.3)
    judged = verdict(
        losses(**{CHALLENGER: challenger, CHAMPION: champion, BASELINE: challenger * 0.5}), RULES
    )
    assert not judged.approved
    assert any(BASELINE in reason for reason in judged.reasons)


def test_too_few_cases_decide_nothing() -> None:
    challenger, champion = draw(4, shift=-0.9, size=10)
    judged = verdict(losses(**{CHALLENGER: challenger, CHAMPION: champion}), RULES)
    assert not judged.approved and "only 10 cases" in judged.reasons[0]


def test_order_of_rows_changes_nothing() -> None:
    challenger, champion = draw(5, shift=-0.02)
    table = losses(**{CHALLENGER: challenger, CHAMPION: champion})
    mixed = table.take(np.random.default_rng(0).permutation(table.num_rows))
    assert verdict(table, RULES) == verdict(mixed, RULES)


def test_worked_on_paper() -> None:
    judged = verdict(
        losses(**{CHALLENGER: np.full(40, 3.0), CHAMPION: np.full(40, 4.0)}), GateRules(minimum_effect=0.3)
    )
    assert judged.headline is not None
    assert judged.headline.difference == pytest.approx(-0.25)
    assert (judged.headline.low, judged.headline.high) == pytest.approx((-0.25, -0.25))
    assert not judged.approved

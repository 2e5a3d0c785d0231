"""On the simulated world, where ten people of known quality annotate: as right as one of them, and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from small_shop import materialised, opened

from bench.labelling import QUEUE, RANDOM, Pool, pool_of
from bench.labelling import simulate as simulate_answers
from ml.families.ground_truth import FAMILY
from ml.toolkit.calibration import expected_calibration_error
from ml.world import DEFAULT_END as END
from ml.world import simulate

PARAMS = FAMILY.params(rounds=60, folds=3, encoder="")  # with one, meaning is found not to help here


@dataclass(frozen=True)
class HoldOut:
    """Predictions for all dialogues of the hold-out, what people said of some, and what truly was, goal by goal."""

    predictions: pa.Table
    said: pa.Table
    goals: pa.Table


@cache
def matrix() -> ibis.Table:
    """Dialogues that validation would put aside are left out."""
    world = simulate("small", 7)
    dirty = pa.chunked_array([world.truth["dirty_turns"]["dialogue_id"].combine_chunks().unique()])
    tables = {}
    for name in FAMILY.tables:
        rows = world.tables[name]
        rows = rows.filter(pc.invert(pc.is_in(rows["dialogue_id"], dirty)))
        tables[name] = rows.filter(pc.not_equal(rows["label"], "perhaps")) if name == "annotations" else rows
    return materialised(FAMILY.features(opened(tables), END, PARAMS), FAMILY.key)


@cache
def hold_out() -> HoldOut:
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    model = FAMILY.fit(fold.train, fold.as_of, PARAMS)
    predictions = FAMILY.score(model, fold.test, fold.as_of)
    return HoldOut(predictions, fold.truth.to_pyarrow(), simulate("small", 7).truth["goals"])


@cache
def judged() -> Mapping[str, float]:
    return FAMILY.metrics(hold_out().predictions, hold_out().said)


def of_goals(place: str, *columns: str) -> pa.Table:
    """Predictions of each goal's first or last turn of the customer beside the goal's truth."""
    turns = hold_out().predictions.select(["dialogue_id", "turn_idx", *columns])
    both = turns.join(hold_out().goals, "dialogue_id", join_type="inner", right_suffix="_true")
    inside = both.filter(
        pc.and_(
            pc.greater_equal(both["turn_idx"], both["first_turn"]),
            pc.less_equal(both["turn_idx"], both["last_turn"]),
        )
    )
    chosen = inside.group_by(["dialogue_id", "goal_idx"]).aggregate([("turn_idx", place)])
    return inside.join(
        chosen.rename_columns(["dialogue_id", "goal_idx", "turn_idx"]),
        ["dialogue_id", "goal_idx", "turn_idx"], join_type="inner",
    )  # fmt: skip


def test_goals_and_their_success_are_found_as_well_as_by_one_person_at_full_coverage() -> None:
    for kind in ("boundary", "success"):
        assert judged()[f"{kind}_accuracy"] > judged()[f"{kind}_human_precision"], kind
        assert judged()[f"{kind}_coverage_at_human"] == 1.0


def test_defects_are_named_as_rightly_as_by_one_person_on_half_of_the_turns_and_more() -> None:
    assert judged()["defect_labelled"] >= 0.5
    assert judged()["defect_labelled_precision"] > judged()["defect_human_precision"]


def test_confidence_is_how_often_the_truth_is_met() -> None:
    """By the world's truth, of all goals: people's answers are as uncertain as the model's."""
    ends, starts = of_goals("max", "success"), of_goals("min", "intent", "intent_confidence")
    happened = ends["success_true"].cast(pa.float64()).to_numpy()
    right = pc.equal(starts["intent"], starts["intent_true"]).cast(pa.float64()).to_numpy()
    assert len(happened) == len(right) > 500
    assert expected_calibration_error(ends["success"].to_numpy(), happened) < 0.04
    assert expected_calibration_error(starts["intent_confidence"].to_numpy(), right) < 0.04


def test_questions_in_the_order_of_the_queue_teach_more_than_any() -> None:
    """As `bench.labelling` measures it, over the annotated dialogues alone; the same first answers, twice."""
    pool = pool_of(matrix().to_pyarrow(), END)
    kept = pc.is_in(pool.rows["dialogue_id"], value_set=annotated_dialogues(pool))
    answers = {kind: given.filter(kept) for kind, given in pool.answers.items()}
    fast = pool.params.model_copy(update={"rounds": 30, "coherence": False, "word_bits": 14, "nthread": 1})
    pool = replace(pool, rows=pool.rows.filter(kept), answers=answers, params=fast)
    found = list(simulate_answers(pool, rounds=2, answers=300, seeds=(1, 2)))
    last = max(row["answers"] for row in found)
    loss = {way: np.mean([row["loss"] for row in found if row["way"] == way and row["answers"] == last])
            for way in (QUEUE, RANDOM)}  # fmt: skip
    assert loss[QUEUE] < loss[RANDOM]


def annotated_dialogues(pool: Pool) -> pa.Array:
    spoken = pc.or_(*(pc.is_valid(given) for given in pool.answers.values()))
    return pool.rows["dialogue_id"].filter(spoken).combine_chunks().unique()

"""The dialogue part of a world: its tables, and the truth about them.

goals             dialogue_id, goal_idx, first_turn, last_turn, intent, product_id, success, failing_component (the
                  first to fail in the goal's last attempt; none where it succeeded), abandoned
turn_truth        dialogue_id, turn_idx, defect, satisfaction (1 to 5), intent (of requests), failed (the component, or
                  none), and of requests the probability of each component to fail: p_recognition, p_understanding,
                  p_entity, p_result; every turn of a user
raters            annotator_id, kind, coverage (their share of annotated dialogues), accuracy (mean over labels)
rater_confusion   annotator_id, kind, true, chosen, probability
dirty_turns       dialogue_id, turn_idx, kind: every row of a dirty dialogue, see `dirt`
dirty_feedback    dialogue_id, turn_idx, kind (of the feedback), wrong
dirty_annotations dialogue_id, turn_idx, kind (of the annotation), annotator_id, wrong
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world.blueprint import Blueprint
from ml.world.dialogues.days import Stage, Talk, all_days, spoken, stage_of
from ml.world.dialogues.dirt import dirty_annotations, dirty_feedback, dirty_talks, spoiled
from ml.world.dialogues.plot import COMPONENTS, NONE
from ml.world.dialogues.raters import LABELS
from ml.world.dialogues.rows import AnnotationRow, FeedbackRow, annotation_rows, feedback_rows, turn_rows
from ml.world.dialogues.wording import INTENTS
from ml.world.orders import midnight
from ml.world.rows import Names
from ml.world.seeds import Stream

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"
_ROWS = 20_000
_TEXT, _WHOLE, _SHARE, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()

GOALS = pa.schema(
    {
        "dialogue_id": _TEXT, "goal_idx": _WHOLE, "first_turn": _WHOLE, "last_turn": _WHOLE, "intent": _TEXT,
        "product_id": _TEXT, "success": _FLAG, "failing_component": _TEXT, "abandoned": _FLAG,
    }
)  # fmt: skip
TURN_TRUTH = pa.schema(
    {
        "dialogue_id": _TEXT, "turn_idx": _WHOLE, "defect": _FLAG, "satisfaction": _WHOLE, "intent": _TEXT,
        "failed": _TEXT, **{f"p_{name}": _SHARE for name in COMPONENTS},
    }
)  # fmt: skip
DIRTY_TURNS = pa.schema({"dialogue_id": _TEXT, "turn_idx": _WHOLE, "kind": _TEXT})
DIRTY_FEEDBACK = pa.schema({"dialogue_id": _TEXT, "turn_idx": _WHOLE, "kind": _TEXT, "wrong": _TEXT})
DIRTY_ANNOTATIONS = pa.schema(
    {"dialogue_id": _TEXT, "turn_idx": _WHOLE, "kind": _TEXT, "annotator_id": _TEXT, "wrong": _TEXT}
)

Day = Callable[[Stage, int, list[Talk]], list[Any]]


def dialogue_tables(plan: Blueprint, names: Names) -> Mapping[str, Rows]:
    """`turns`, `feedback` and `annotations`, each a stream."""
    stage = stage_of(plan)
    days: Mapping[str, Day] = {
        "turns": _turns,
        "feedback": lambda *day: _clean(_feedback(*day)),
        "annotations": lambda *day: _clean(_annotations(*day)),
    }
    return {name: _stream(stage, arrow_schema(TABLES[name]), rows) for name, rows in days.items()}


def dialogue_truth(plan: Blueprint, names: Names) -> Mapping[str, Rows]:
    """See the module's docstring."""
    stage, codes = stage_of(plan), [code.tobytes().decode() for code in names.products]
    return {
        "goals": _stream(
            stage, GOALS, lambda _, __, said: [row for talk in said for row in _goals(talk, codes)]
        ),
        "turn_truth": _stream(
            stage, TURN_TRUTH, lambda _, __, said: [row for talk in said for row in _true(talk)]
        ),
        "raters": _raters(stage),
        "rater_confusion": _confusion(stage),
        "dirty_turns": _stream(stage, DIRTY_TURNS, _dirty_turns),
        "dirty_feedback": _stream(stage, DIRTY_FEEDBACK, lambda *day: _wrong(_feedback(*day))),
        "dirty_annotations": _stream(stage, DIRTY_ANNOTATIONS, lambda *day: _wrong(_annotations(*day))),
    }


def _stream(stage: Stage, schema: pa.Schema, rows_of: Day) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(schema, _batches(stage, schema, rows_of))


def _batches(stage: Stage, schema: pa.Schema, rows_of: Day) -> Iterator[pa.RecordBatch]:
    pile = list[Any]()
    for day, said in all_days(stage):
        pile += rows_of(stage, day, said)
        if len(pile) >= _ROWS:
            yield _batch(pile, schema)
            pile = []
    yield _batch(pile, schema)


def _batch(rows: list[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.RecordBatch.from_arrays(
        [_column(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _column(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


def _turns(stage: Stage, day: int, said: list[Talk]) -> list[Any]:
    """Clean turns of the day, then those of dirty dialogues."""
    words = {talk.number: text for talk, text in zip(said, spoken(stage, day, said), strict=True)}
    clean = [row for talk in said for row in turn_rows(talk, words[talk.number])]
    dirty = [
        row
        for kind, number, talk in dirty_talks(stage, day, said)
        for row in spoiled(kind, number, turn_rows(talk, words[talk.number]))
    ]
    return clean + dirty


def _dirty_turns(stage: Stage, day: int, said: list[Talk]) -> list[Any]:
    return [
        (row.dialogue_id, row.turn_idx, kind)
        for kind, number, talk in dirty_talks(stage, day, said)
        for row in spoiled(kind, number, turn_rows(talk, [""] * len(talk.times)))
    ]


Checked = list[tuple[str | None, Any]]


def _feedback(stage: Stage, day: int, said: list[Talk]) -> Checked:
    """The day's feedback before the world's end, each with what is wrong with it."""
    random, end = stage.random(Stream.FEEDBACK, day), midnight(stage.plan, stage.plan.days)
    clean: list[FeedbackRow] = [row for talk in said for row in feedback_rows(talk, random)]
    dirty = dirty_feedback(clean, random)
    return [(wrong, row) for wrong, row in [*((None, row) for row in clean), *dirty] if row.given_at < end]


def _annotations(stage: Stage, day: int, said: list[Talk]) -> Checked:
    """What is said of the day's dialogues before the world's end, each with what is wrong with it."""
    random, end = stage.random(Stream.RATINGS, day), midnight(stage.plan, stage.plan.days)
    clean: list[AnnotationRow] = [row for talk in said for row in annotation_rows(talk, stage.raters, random)]
    dirty = dirty_annotations(clean, random)
    return [
        (wrong, row) for wrong, row in [*((None, row) for row in clean), *dirty] if row.annotated_at < end
    ]


def _clean(rows: Checked) -> list[Any]:
    return [row for _, row in rows]


def _wrong(rows: Checked) -> list[Any]:
    """Key and fault of the dirty ones."""
    return [(*_key(row), wrong) for wrong, row in rows if wrong is not None]


def _key(row: Any) -> tuple[Any, ...]:
    return row[:4] if isinstance(row, AnnotationRow) else row[:3]


def _goals(talk: Talk, codes: list[str]) -> Iterator[tuple[Any, ...]]:
    for place, goal in enumerate(talk.plot.goals):
        success = goal.failed == NONE
        yield (talk.dialogue_id, place, goal.first, goal.last, INTENTS[goal.intent].name, codes[goal.item], success,
               goal.failed, goal.abandoned)  # fmt: skip


def _true(talk: Talk) -> Iterator[tuple[Any, ...]]:
    for place, turn in enumerate(talk.plot.turns):
        if turn.user:
            asked = turn.chances is not None
            intent = INTENTS[turn.intent].name if asked else None
            chances = turn.chances or (None,) * len(COMPONENTS)
            yield (talk.dialogue_id, place, turn.defect, turn.satisfaction, intent, turn.failed, *chances)


def _raters(stage: Stage) -> pa.Table:
    rows = [(one.name, kind, one.coverage, one.accuracy(kind)) for one in stage.raters for kind in LABELS]
    columns = zip(("annotator_id", "kind", "coverage", "accuracy"), zip(*rows, strict=True), strict=True)
    return pa.table(dict(columns))


def _confusion(stage: Stage) -> pa.Table:
    rows = [
        (one.name, kind, true, chosen, probability)
        for one in stage.raters
        for kind, labels in LABELS.items()
        for true, row in zip(labels, one.confusion[kind], strict=True)
        for chosen, probability in zip(labels, row, strict=True)
    ]
    columns = zip(
        ("annotator_id", "kind", "true", "chosen", "probability"), zip(*rows, strict=True), strict=True
    )
    return pa.table(dict(columns))

"""From a model and a matrix to predictions: of every exchange of the dialogues that nobody annotated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.ground_truth.columns import KEY, KINDS, votes
from ml.families.ground_truth.exchanges import (
    Exchanges,
    exchanges_of,
    read_batches,
    read_exchanges,
)
from ml.families.ground_truth.grading import NOTHING_SAID, grades
from ml.families.ground_truth.model import (
    BOUNDARY,
    DISSATISFIED,
    FAILURE,
    SATISFIED,
    Model,
    Said,
    confidence,
    say,
)  # fmt: skip

if TYPE_CHECKING:
    from ml.families.ground_truth.deep.model import DeepModel

BATCH = 20_000
SCHEMA = pa.schema(
    [
        ("dialogue_id", pa.string()), ("turn_idx", pa.int64()),
        ("boundary", pa.float64()), ("begins", pa.bool_()), ("boundary_sure", pa.bool_()),
        ("success", pa.float64()), ("succeeded", pa.bool_()), ("success_sure", pa.bool_()),
        ("defect", pa.float64()), ("defective", pa.bool_()), ("defect_sure", pa.bool_()),
        ("satisfied", pa.float64()), ("grade", pa.string()),
        ("intent", pa.string()), ("intent_confidence", pa.float64()), ("intent_sure", pa.bool_()),
    ]
)  # fmt: skip
"""A probability of NOTHING_SAID: the model has no head for it, as nobody annotated such labels."""


def score(model: Model | DeepModel, matrix: ibis.Table, as_of: date) -> pa.Table:
    """Predictions of every exchange of the dialogues without any annotation, sorted by key; read a part at a time."""
    quiet = (unannotated(some) for some in read_batches(matrix, BATCH))
    return _together(prediction_rows(model, some, say(model, some)) for some in quiet if len(some))


def unannotated(every: Exchanges) -> Exchanges:
    """The dialogues of which nobody said anything."""
    spoken_of = np.zeros(every.dialogue.max(initial=-1) + 1, dtype=bool)
    for kind in KINDS:
        valid = every.rows.column(votes(kind)).is_valid().to_numpy(zero_copy_only=False)
        spoken_of[every.dialogue[valid]] = True
    return every.of_dialogues(~spoken_of)


def predictions(model: Model | DeepModel, exchanges: Exchanges) -> pa.Table:
    """Predictions of all of these exchanges, some dialogues at a time so that memory is bounded."""
    return _together(prediction_rows(model, some, say(model, some)) for some in exchanges.batches(BATCH))


def _together(parts: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables([SCHEMA.empty_table(), *parts]).combine_chunks()


def prediction_rows(model: Model | DeepModel, exchanges: Exchanges, said: Said) -> pa.Table:
    """What was said in the columns of SCHEMA."""
    count = len(exchanges)
    defect, satisfied = (
        said.probabilities.get(name, np.full(count, NOTHING_SAID)) for name in (DISSATISFIED, SATISFIED)
    )
    failure = said.probabilities.get(FAILURE)
    boundary = said.probabilities.get(BOUNDARY)
    failed = _reaches(model, FAILURE, failure, count)
    defective = _reaches(model, DISSATISFIED, defect, count)
    columns = {
        **{name: exchanges.rows.column(name) for name in KEY},
        "boundary": _or_nothing(boundary, count), "begins": said.begins,
        "boundary_sure": _sure(model, BOUNDARY, boundary, said.begins),
        "success": np.full(count, NOTHING_SAID) if failure is None else 1 - failure, "succeeded": ~failed,
        "success_sure": _sure(model, FAILURE, failure, failed),
        "defect": defect, "defective": defective, "defect_sure": _sure(model, DISSATISFIED, defect, defective),
        "satisfied": satisfied, "grade": grades(defect, satisfied, model.grading),
        "intent": said.intent, "intent_confidence": said.intent_confidence,
        "intent_sure": said.intent_confidence >= (model.intents.sure if model.intents else np.inf),
    }  # fmt: skip
    return pa.table({name: pa.array(columns[name], kind) if isinstance(columns[name], np.ndarray) else columns[name]
                     for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)}).cast(SCHEMA)  # fmt: skip


def _or_nothing(probability: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    return np.full(count, NOTHING_SAID) if probability is None else probability


def _reaches(
    model: Model | DeepModel, head: str, probability: NDArray[np.float64] | None, count: int
) -> NDArray[np.bool_]:
    if head not in model.heads or probability is None:
        return np.zeros(count, dtype=bool)
    return np.asarray(probability >= model.heads[head].threshold)


def _sure(
    model: Model | DeepModel, head: str, probability: NDArray[np.float64] | None, said: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Where the answer's confidence is above the threshold at which it beats a single annotator."""
    if head not in model.heads or probability is None:
        return np.zeros(len(said), dtype=bool)
    sure = np.where(said, model.heads[head].sure_yes, model.heads[head].sure_no)
    return np.asarray(confidence(probability, said) >= sure)


def rows_of(matrix: ibis.Table, keys: pa.Table) -> Exchanges:
    """The exchanges of the dialogues in `keys`."""
    every = read_exchanges(matrix)
    wanted = pc.is_in(every.rows.column("dialogue_id"), keys.column("dialogue_id"))
    return exchanges_of(every.rows.filter(wanted))

"""Why a label was given, in words: exact contributions of the trees; of the deep model integrated gradients."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth import reading
from ml.families.ground_truth.binary import READINGS, Asked, Head
from ml.families.ground_truth.columns import KEY, SIGNALS
from ml.families.ground_truth.design import COHERENCE, exchange_cases
from ml.families.ground_truth.exchanges import Exchanges, Places, read_exchanges
from ml.families.ground_truth.model import BOUNDARY, DISSATISFIED, Model, say
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.scoring import unannotated
from ml.toolkit import boosting

if TYPE_CHECKING:
    from ml.families.ground_truth.deep.model import DeepModel

Floats = NDArray[np.float64]
MOST = 2_000
SCHEMA = pa.schema(
    [
        ("dialogue_id", pa.string()), ("turn_idx", pa.int64()), ("feature", pa.string()), ("words", pa.string()),
        ("value", pa.float64()), ("contribution", pa.float64()),
    ]
)  # fmt: skip
WORDING, SPELLING, MEANING = READINGS
_OTHERS = {
    WORDING: "the wording of the turn and of what surrounds it",
    SPELLING: "how the turn and the answers around it are worded, letter by letter",
    MEANING: "what the turn and those around it mean",
    COHERENCE: "how well the answer fits what was said",
    "like_said_before": "how like the turn before it is",
    "like_answered_before": "how much it takes up of the answer before",
    "like_said_after": "how like the customer's next turn is",
    "answer_like_before": "how like the answer before this answer is",
    "answer_like_said": "how like the answer is to what was said",
    "past_like_coming": "how much of the topic goes on",
    "said_": "what the customer's words are about",
    "answered_": "what the answer is about",
}
_WHERE = {
    "-2": ", two turns before",
    "-1": ", one turn before",
    "+1": ", one turn later",
    "+2": ", two turns later",
}


def explain(model: Model | DeepModel, matrix: ibis.Table, as_of: date, params: GroundTruthParams) -> pa.Table:
    """Contributions to the log odds of a defect (of a beginning where nothing is known of defects), by feature."""
    exchanges = unannotated(read_exchanges(matrix))
    first = exchanges.of_dialogues(np.arange(exchanges.dialogue.max(initial=-1) + 1) < _dialogues(exchanges))
    name = next((name for name in (DISSATISFIED, BOUNDARY) if name in model.heads), None)
    if name is None or not len(first):
        return _likeliest_intents(model, first)
    return _rows(first, *told(model, first, name, np.arange(len(first))))


def _dialogues(exchanges: Exchanges) -> int:
    """How many dialogues hold about MOST exchanges."""
    return int(exchanges.dialogue[min(MOST, len(exchanges)) - 1]) + 1 if len(exchanges) else 0


def told(
    model: Model | DeepModel, exchanges: Exchanges, name: str, places: Places
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Features, contributions and values (places x features) of a head's answers to the exchanges at these places."""
    if not isinstance(model, Model):
        from ml.families.ground_truth.deep import explaining as deep

        return deep.NAMES, *deep.contributions(model, exchanges, name, places)
    read = reading.read(model.reader, exchanges)
    cases = exchange_cases(model.reader, read, model.coherence.score(read) if model.coherence else None)
    head = model.heads[name]
    return head.names, *contributions(head, cases, places)


def contributions(head: Head, cases: Asked, places: Places) -> tuple[Floats, Floats]:
    """Contributions and values of the cases at these places: places x features."""
    table = head.table(cases)[places]
    return boosting.contributions(head.trees, head.names, table.astype(np.float32))[:, :-1], table


def words(feature: str) -> str:
    """A feature in words."""
    bare, offset = re.match(r"(.*?)([+-]\d)?$", feature).groups()  # type: ignore[union-attr]
    known = {**_OTHERS, **SIGNALS}
    stem = bare if bare in known else re.sub(r"\d+$", "", bare)
    return f"{known.get(stem, bare)}{_WHERE.get(offset or '', '')}"


def _rows(exchanges: Exchanges, names: tuple[str, ...], made: Floats, values: Floats) -> pa.Table:
    count = len(exchanges)
    keys = {
        name: exchanges.rows.column(name).take(pa.array(np.repeat(np.arange(count), len(names))))
        for name in KEY
    }
    named = {"feature": list(names) * count, "words": [words(name) for name in names] * count}
    return pa.table({**keys, **named, "value": values.ravel(), "contribution": made.ravel()}).cast(SCHEMA)


def _likeliest_intents(model: Model | DeepModel, exchanges: Exchanges) -> pa.Table:
    """Where intents alone are known: how far the wording speaks for the intent given."""
    if not len(exchanges) or model.intents is None:
        return SCHEMA.empty_table()
    said = say(model, exchanges)
    labels, sure = said.intent, said.intent_confidence
    made = {
        "feature": [WORDING] * len(exchanges),
        "words": [f"the wording is that of {label}" for label in labels],
    }
    keys = {name: exchanges.rows.column(name) for name in KEY}
    return pa.table({**keys, **made, "value": sure, "contribution": sure}).cast(SCHEMA)

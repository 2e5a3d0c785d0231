"""What customers' systems read: labels with confidence where they are sure, and what people should be asked next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.ground_truth.columns import KINDS
from ml.families.ground_truth.exchanges import Exchanges, read_exchanges
from ml.families.ground_truth.explaining import told, words
from ml.families.ground_truth.judge import NAME, SURE
from ml.families.ground_truth.model import BOUNDARY, DISSATISFIED, FAILURE, Model
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.scoring import predictions
from ml.families.ground_truth.votes import Consensus, agreed, consensus, votes_of
from ml.families.record import Tables

if TYPE_CHECKING:
    from ml.families.ground_truth.deep.model import DeepModel

LABELS = pa.schema(
    [
        ("dialogue_id", pa.string()), ("turn_idx", pa.int64()), ("kind", pa.string()), ("label", pa.string()),
        ("confidence", pa.float64()), ("source", pa.string()), ("reason", pa.string()), ("model_version", pa.string()),
    ]
)  # fmt: skip
"""`model_version` is filled in where labels are published: a model does not know what it will be called."""
QUEUE = pa.schema(
    [
        ("rank", pa.int64()), ("dialogue_id", pa.string()), ("turn_idx", pa.int64()), ("kind", pa.string()),
        ("label", pa.string()), ("confidence", pa.float64()), ("information", pa.float64()), ("text", pa.string()),
        ("answer", pa.string()), ("reason", pa.string()),
    ]
)  # fmt: skip
SHOWN = pa.schema(
    [
        ("section", pa.string()), ("place", pa.int64()), ("dialogue_id", pa.string()), ("turn_idx", pa.int64()),
        ("said_at", pa.timestamp("us")), ("speaker", pa.string()), ("text", pa.string()),
    ]
)  # fmt: skip
PER_SECTION = 12
ASKED, LET_DOWN, SERVED = "What people are asked first", "Where customers were let down", "Where it went well"
HEAD_OF = {"goal_boundary": BOUNDARY, "goal_success": FAILURE, "satisfaction": DISSATISFIED}
_REASONS = 3
MOST = 2_000


def publications(
    model: Model | DeepModel, matrix: ibis.Table, tables: Tables, as_of: date, params: GroundTruthParams
) -> Mapping[str, pa.Table]:
    """`labels`: what people agree on, and the model's labels where it is as sure as a person is right.

    `annotation_queue`: the labels that it is not sure of, the most informative first.
    `dialogues_shown`: the turns of some dialogues that a page shows with both.
    """
    exchanges = read_exchanges(matrix)
    made = predictions(model, exchanges)
    found = [_labels(model, exchanges, made, kind) for kind in KINDS if _knows(model, kind)]
    labels = pa.concat_tables(found) if found else LABELS.empty_table()
    labels = labels.sort_by([(name, "ascending") for name in ("dialogue_id", "turn_idx", "kind")])
    queue = annotation_queue(model, exchanges, made, params.queue)
    return {
        "labels": labels,
        "annotation_queue": queue,
        "dialogues_shown": _shown(labels, queue, tables, as_of),
    }


def annotation_queue(model: Model | DeepModel, exchanges: Exchanges, made: pa.Table, most: int) -> pa.Table:
    """At most `most` labels that nobody gave and that the model, which said `made`, is not sure of.

    Kinds take turns, each with the label whose answer is expected to tell most (of equal ones any, by lot), and at
    most one is of each dialogue: its turns tell much the same. In order of information alone all questions would be of
    the kind that is least known, and what else there is to learn would wait (decision 046).
    """
    asked = [_asked(exchanges, made, kind) for kind in KINDS if _knows(model, kind)]
    if not asked:
        return QUEUE.empty_table()
    turn = np.concatenate([np.arange(len(some.places)) for some in asked])
    which = np.repeat(np.arange(len(asked)), [len(some.places) for some in asked])
    information = np.concatenate([some.information for some in asked])
    order = np.lexsort((which, -information, turn))
    dialogue = exchanges.dialogue[np.concatenate([some.places for some in asked])]
    kept = order[np.sort(np.unique(dialogue[order], return_index=True)[1])][:most]
    tables = [
        _questions(exchanges, some, turn[kept][which[kept] == number]) for number, some in enumerate(asked)
    ]
    position = np.argsort(np.argsort(which[kept], kind="stable"), kind="stable")
    queue = pa.concat_tables(tables).take(pa.array(position))
    return queue.set_column(0, "rank", pa.array(np.arange(1, len(kept) + 1)))


def _shown(labels: pa.Table, queue: pa.Table, tables: Tables, as_of: date) -> pa.Table:
    """The turns of the dialogues with the first questions, the surest bad labels and the surest good ones."""
    surest = labels.filter(pc.field("source") == "model").sort_by(
        [("confidence", "descending"), ("dialogue_id", "ascending"), ("turn_idx", "ascending")]
    )
    bad = (pc.field("kind") == "defect") & (pc.field("label") == "yes")
    bad |= (pc.field("kind") == "success") & (pc.field("label") == "no")
    good = (pc.field("kind") == "success") & (pc.field("label") == "yes")
    by_section = {ASKED: queue, LET_DOWN: surest.filter(bad), SERVED: surest.filter(good)}
    seen: dict[str, str] = {}
    for section, rows in by_section.items():
        fresh = [one for one in rows.column("dialogue_id").unique().to_pylist() if one not in seen]
        seen |= dict.fromkeys(fresh[:PER_SECTION], section)
    turns = tables["turns"]
    said = turns.filter(turns.dialogue_id.isin(list(seen)) & (turns.said_at < ibis.timestamp(str(as_of))))
    found = said.select("dialogue_id", "turn_idx", "said_at", "speaker", "text").to_pyarrow()
    names, place = found.column("dialogue_id").to_pylist(), {name: number for number, name in enumerate(seen)}
    found = found.append_column("section", pa.array([seen[name] for name in names], pa.string()))
    found = found.append_column("place", pa.array([place[name] for name in names], pa.int64()))
    return found.select(SHOWN.names).cast(SHOWN).sort_by([("place", "ascending"), ("turn_idx", "ascending")])


def _knows(model: Model | DeepModel, kind: str) -> bool:
    return model.intents is not None if kind == "intent" else HEAD_OF[kind] in model.heads


def _said(made: pa.Table, kind: str) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """The model's label of every exchange, and how sure it is."""
    if kind == "intent":
        return np.asarray(made.column("intent").to_pylist(), dtype=str), made.column(
            "intent_confidence"
        ).to_numpy()
    decided, chance = {"goal_boundary": ("begins", "boundary"), "goal_success": ("succeeded", "success"),
                       "satisfaction": ("defective", "defect")}[kind]  # fmt: skip
    yes = made.column(decided).to_numpy(zero_copy_only=False).astype(bool)
    probability = made.column(chance).to_numpy()
    return np.where(yes, "yes", "no"), np.where(yes, probability, 1 - probability)


def _places(exchanges: Exchanges, made: pa.Table, kind: str) -> NDArray[np.bool_]:
    """Where a label of the kind belongs: success on the last exchange of a goal, everything else on all."""
    if kind != "goal_success":
        return np.ones(len(exchanges), dtype=bool)
    begins = made.column("begins").to_numpy(zero_copy_only=False).astype(bool)
    after = exchanges.step(1)
    last: NDArray[np.bool_] = (after < 0) | begins[np.maximum(after, 0)]
    return last


def _heard(exchanges: Exchanges, kind: str) -> Consensus:
    """What people agree on; where their errors leave it open, what most of them said: it is not asked again."""
    said = votes_of(exchanges.rows, kind)
    weighed, plain = agreed(said, exchanges.dialogue, kind), consensus(said, kind)
    labels = np.where(weighed.known, weighed.labels, plain.labels)
    return Consensus(labels, plain.voters, np.where(weighed.known, weighed.agreement, plain.agreement))


def _labels(model: Model | DeepModel, exchanges: Exchanges, made: pa.Table, kind: str) -> pa.Table:
    heard = _heard(exchanges, kind)
    labels, confidence = _said(made, kind)
    sure = made.column(SURE[kind]).to_numpy(zero_copy_only=False).astype(bool) & _places(
        exchanges, made, kind
    )
    human = np.where(heard.labels == "dissatisfied", "yes", "no") if kind == "satisfaction" else heard.labels
    kept = np.flatnonzero(heard.known | sure)
    by_people = heard.known[kept]
    rows = exchanges.rows.take(pa.array(kept))
    return pa.table(
        {
            "dialogue_id": rows.column("dialogue_id"),
            "turn_idx": rows.column("last_idx" if kind == "goal_success" else "turn_idx"),
            "kind": [NAME[kind]] * len(kept),
            "label": np.where(by_people, human[kept], labels[kept]).tolist(),
            "confidence": np.where(by_people, heard.agreement[kept], confidence[kept]),
            "source": np.where(by_people, "people", "model").tolist(),
            "reason": _reasons_of_labels(model, exchanges, kind, kept, labels, by_people),
            "model_version": pa.nulls(len(kept), pa.string()),
        }
    ).cast(LABELS)


def _reasons_of_labels(
    model: Model | DeepModel, exchanges: Exchanges, kind: str, kept: NDArray[np.int64], labels: NDArray[np.str_],
    by_people: NDArray[np.bool_],
) -> list[str]:  # fmt: skip
    """People's own are theirs; of the model's, the trees' reasons for what is out of the ordinary (the first MOST)."""
    first = (exchanges.step(-1) < 0)[kept] & (kind == "goal_boundary")
    out = ["people said so" if human else _FIRST if begins else ""
           for human, begins in zip(by_people, first, strict=True)]  # fmt: skip
    unusual = (labels[kept] == ("no" if kind == "goal_success" else "yes")) & ~first
    asked = np.flatnonzero(~by_people & unusual)[:MOST] if kind != "intent" else np.zeros(0, dtype=np.int64)
    for place, reason in zip(asked.tolist(), reasons(model, exchanges, kind, kept[asked]), strict=True):
        out[place] = reason
    return out


def reasons(
    model: Model | DeepModel, exchanges: Exchanges, kind: str, places: NDArray[np.int64]
) -> list[str]:
    """The strongest contributions to a label of these exchanges, in words."""
    if kind in ("intent", "goal_success") or not len(places):
        return [_PLAIN[kind] for _ in places] if kind in _PLAIN else ["" for _ in places]
    wanted = np.zeros(exchanges.dialogue.max(initial=-1) + 1, dtype=bool)
    wanted[exchanges.dialogue[places]] = True
    some = exchanges.of_dialogues(wanted)
    within = np.cumsum(wanted[exchanges.dialogue]) - 1
    names, made, values = told(model, some, HEAD_OF[kind], within[places])
    return [_in_words(names, row, seen) for row, seen in zip(made, values, strict=True)]


_FIRST = "a dialogue's first turn begins a goal"
_PLAIN = {"intent": "by the wording", "goal_success": "by how the goal went and ended"}


def _in_words(names: tuple[str, ...], contribution: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    strongest = [
        place for place in np.argsort(-np.abs(contribution), kind="stable") if not np.isnan(values[place])
    ]
    said = [
        f"{words(names[place])} ({'for' if contribution[place] > 0 else 'against'})" for place in strongest
    ]
    return "; ".join(list(dict.fromkeys(said))[:_REASONS])


@dataclass(frozen=True, slots=True)
class _Asked:
    """Labels of a kind that people may be asked for: of which exchanges, what the model says; the best first."""

    kind: str
    places: NDArray[np.int64]
    labels: NDArray[np.str_]
    confidence: NDArray[np.float64]
    information: NDArray[np.float64]


def _asked(exchanges: Exchanges, made: pa.Table, kind: str) -> _Asked:
    """Labels that nobody gave and the model is not sure of, the one whose answer is expected to tell most first."""
    labels, confidence = _said(made, kind)
    sure = made.column(SURE[kind]).to_numpy(zero_copy_only=False).astype(bool)
    first = exchanges.step(-1) < 0
    asked = ~_heard(exchanges, kind).known & ~sure & _places(exchanges, made, kind)
    places = np.flatnonzero(asked & ~(first & (kind == "goal_boundary")))
    lot, information = np.random.default_rng(0).permutation(len(places)), entropy(confidence[places])
    order = np.lexsort((lot, -information))
    places = places[order]
    return _Asked(kind, places, labels[places], confidence[places], information[order])


def _questions(exchanges: Exchanges, asked: _Asked, chosen: NDArray[np.int64]) -> pa.Table:
    """Rows of QUEUE, without their ranks."""
    rows = exchanges.rows.take(pa.array(asked.places[chosen]))
    labels, confidence = asked.labels[chosen].tolist(), asked.confidence[chosen]
    pairs = zip(labels, confidence.tolist(), strict=True)
    why = [f"the model says {label} and is {sure:.0%} sure" for label, sure in pairs]
    return pa.table(
        {
            "rank": np.zeros(len(chosen), dtype=np.int64),
            "dialogue_id": rows.column("dialogue_id"),
            "turn_idx": rows.column("last_idx" if asked.kind == "goal_success" else "turn_idx"),
            "kind": pa.array([asked.kind] * len(chosen), pa.string()), "label": pa.array(labels, pa.string()),
            "confidence": confidence, "information": asked.information[chosen],
            "text": rows.column("text"), "answer": rows.column("answer"),
            "reason": pa.array(why, pa.string()),
        }
    ).cast(QUEUE)  # fmt: skip


def entropy(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits of a yes-or-no of this probability: what its answer is expected to tell (Shannon 1948)."""
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(-inside * np.log2(inside) - (1 - inside) * np.log2(1 - inside), dtype=np.float64)

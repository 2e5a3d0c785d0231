"""Dialogues as the pages show them: what was said, which labels its turns have, how sure they are, and why.

Read from `labels` and `annotation_queue` (what is labelled, what people are asked) and from `dialogues_shown` (the
turns of the dialogues that a page shows, and where on it). Any family may publish the three. The words come from
customers and are hostile: nothing here trusts them; escaping is the templates' job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ml.publishing.catalogue import conform, text

_KEY = [
    pa.field("dialogue_id", pa.string(), nullable=False),
    pa.field("turn_idx", pa.int64(), nullable=False),
]
LABELS = pa.schema(
    [
        *_KEY, pa.field("kind", pa.string(), nullable=False), pa.field("label", pa.string()),
        pa.field("confidence", pa.float64()), pa.field("source", pa.string()), pa.field("reason", pa.string()),
    ]
)  # fmt: skip
QUEUE = pa.schema(
    [pa.field("rank", pa.int64(), nullable=False), *(field for field in LABELS if field.name != "source")]
)
SHOWN = pa.schema(
    [
        pa.field("section", pa.string(), nullable=False), pa.field("place", pa.int64(), nullable=False), *_KEY,
        pa.field("said_at", pa.timestamp("us")), pa.field("speaker", pa.string()), pa.field("text", pa.string()),
    ]
)  # fmt: skip
SCHEMAS = {"labels": LABELS, "annotation_queue": QUEUE, "dialogues_shown": SHOWN}
"""The publications that are shown together."""
_ASKED = "asked"
_NAMES = {
    "boundary": "New goal", "goal_boundary": "New goal", "success": "Goal reached", "goal_success": "Goal reached",
    "defect": "Dissatisfied", "satisfaction": "Dissatisfied", "intent": "Wanted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a turn. `source`: people, model, or asked (people are asked; the label is the model's guess)."""

    name: str
    label: str
    confidence: float | None
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said, and what is said of it."""

    speaker: str
    text: str
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue, whole."""

    dialogue_id: str
    begun: datetime | None
    turns: tuple[Turn, ...]

    @property
    def opening(self) -> str:
        """The customer's first words."""
        return next((turn.text for turn in self.turns if turn.speaker == "user"), "")

    def count(self, source: str) -> int:
        """How many labels it has from a source."""
        return sum(label.source == source for turn in self.turns for label in turn.labels)


@dataclass(frozen=True, slots=True)
class Section:
    """Dialogues that belong together, in order."""

    title: str
    dialogues: tuple[Dialogue, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many labels of a kind there are by source."""

    name: str
    people: int
    model: int
    asked: int


def has_dialogues(publications: Mapping[str, pa.Table]) -> bool:
    """Whether a family's publications can be shown as dialogues."""
    return SCHEMAS.keys() <= publications.keys()


def read_dialogues(publications: Mapping[str, pa.Table]) -> tuple[Section, ...]:
    """The sections in the order of their dialogues' places. Raises DataRejected where a table breaks its schema."""
    tables = {name: conform(publications[name], name, schema) for name, schema in SCHEMAS.items()}
    shown = tables["dialogues_shown"]
    labels = _labels_by_turn(tables, shown)
    turns: dict[tuple[int, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in shown.to_pylist():
        turns[row["place"], row["section"], row["dialogue_id"]].append(row)
    sections: dict[str, list[Dialogue]] = defaultdict(list)
    for key in sorted(turns):
        sections[text(key[1])].append(_dialogue(turns[key], labels))
    return tuple(Section(title, tuple(found)) for title, found in sections.items())


def tallies(publications: Mapping[str, pa.Table]) -> tuple[Tally, ...]:
    """Labels of each kind by source, over all dialogues."""
    tables = {
        name: conform(publications[name], name, SCHEMAS[name]) for name in ("labels", "annotation_queue")
    }
    counted: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in tables["labels"].group_by(["kind", "source"]).aggregate([([], "count_all")]).to_pylist():
        counted[_named(row["kind"])][row["source"] or ""] += row["count_all"]
    for row in tables["annotation_queue"].group_by("kind").aggregate([([], "count_all")]).to_pylist():
        counted[_named(row["kind"])][_ASKED] += row["count_all"]
    return tuple(
        Tally(name, found["people"], found["model"], found[_ASKED]) for name, found in sorted(counted.items())
    )


def _labels_by_turn(tables: Mapping[str, pa.Table], shown: pa.Table) -> dict[tuple[str, int], list[Label]]:
    found: dict[tuple[str, int], list[Label]] = defaultdict(list)
    wanted = shown.column("dialogue_id").unique()
    for name in ("labels", "annotation_queue"):
        table = tables[name]
        rows = table.filter(pc.is_in(table.column("dialogue_id"), wanted)).sort_by("kind")
        for row in rows.to_pylist():
            found[row["dialogue_id"], row["turn_idx"]].append(_label(row))
    return found


def _label(row: Mapping[str, Any]) -> Label:
    return Label(
        _named(row["kind"]),
        text(row["label"]),
        row["confidence"],
        text(row.get("source", _ASKED)),
        text(row["reason"]),
    )


def _named(kind: str) -> str:
    return _NAMES.get(kind, text(kind))


def _dialogue(rows: Iterable[Mapping[str, Any]], labels: Mapping[tuple[str, int], list[Label]]) -> Dialogue:
    ordered = sorted(rows, key=lambda row: row["turn_idx"])
    turns = (
        Turn(
            text(row["speaker"]),
            text(row["text"]),
            tuple(labels.get((row["dialogue_id"], row["turn_idx"]), ())),
        )
        for row in ordered
    )
    return Dialogue(text(ordered[0]["dialogue_id"]), ordered[0]["said_at"], tuple(turns))

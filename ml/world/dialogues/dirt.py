"""The dialogues, feedback and annotations that should not be there, as every log has them; each is in the truth.

All are extra rows beside the clean ones. A dirty dialogue is a copy of a clean one, under a number of its own, with one
thing wrong; dirty feedback and annotations speak of turns that nobody said, or in words that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from ml.world.dialogues.days import PER_DAY, Stage, Talk, dialogue_id
from ml.world.dialogues.rows import AnnotationRow, FeedbackRow, TurnRow
from ml.world.seeds import Stream

LONGEST = 50_000  # characters of a text that went wrong
_SHARE = 0.0015  # of a day's dialogues (or annotated ones, or feedback), for each kind
_NOWHERE = 10_000  # added to a turn's place: no dialogue is so long

Spoil = Callable[[list[TurnRow], Random], list[TurnRow]]


def _one(rows: list[TurnRow], random: Random, **wrong: object) -> list[TurnRow]:
    place = int(random.random() * len(rows))
    return [row._replace(**wrong) if at == place else row for at, row in enumerate(rows)]  # type: ignore[arg-type]


def _missing_turns(rows: list[TurnRow], random: Random) -> list[TurnRow]:
    gone = 1 + int(random.random() * (len(rows) - 2)) if len(rows) > 2 else 0
    return rows[:gone] + rows[gone + 1 :]


def _out_of_order(rows: list[TurnRow], _: Random) -> list[TurnRow]:
    first, last = rows[0], rows[-1]
    return [first._replace(said_at=last.said_at), *rows[1:-1], last._replace(said_at=first.said_at)]


def _swapped_speakers(rows: list[TurnRow], _: Random) -> list[TurnRow]:
    other = {"user": "assistant", "assistant": "user"}
    return [row._replace(speaker=other[row.speaker]) for row in rows]


def _empty_text(rows: list[TurnRow], random: Random) -> list[TurnRow]:
    return _one(rows, random, text=" " * int(random.random() * 3))


def _endless_text(rows: list[TurnRow], random: Random) -> list[TurnRow]:
    return _one(rows, random, text=("la " * LONGEST)[:LONGEST])


def _unknown_speaker(rows: list[TurnRow], random: Random) -> list[TurnRow]:
    return _one(rows, random, speaker="bot")


def _impossible_confidence(rows: list[TurnRow], random: Random) -> list[TurnRow]:
    return _one(rows, random, nlu_confidence=1.7)


_SPOIL: Mapping[str, Spoil] = MappingProxyType(
    {
        "missing_turns": _missing_turns,
        "out_of_order": _out_of_order,
        "swapped_speakers": _swapped_speakers,
        "empty_text": _empty_text,
        "endless_text": _endless_text,
        "unknown_speaker": _unknown_speaker,
        "impossible_confidence": _impossible_confidence,
    }
)
KINDS = tuple(_SPOIL)
ANNOTATION_KINDS = ("unknown_turn", "unknown_dialogue", "unknown_label")
FEEDBACK_KINDS = ("unknown_turn", "unknown_kind")


def dirty_talks(stage: Stage, day: int, said: list[Talk]) -> list[tuple[str, int, Talk]]:
    """(kind, number of the dirty dialogue, the clean one it is a copy of) of one day."""
    random = stage.random(Stream.TALK_DIRT, day)
    numbers = iter(range(stage.plan.date_of(day).toordinal() * PER_DAY + PER_DAY * 9 // 10, 1 << 62))
    return [(kind, next(numbers), talk) for kind in KINDS for talk in said if random.random() < _SHARE]


def spoiled(kind: str, number: int, rows: list[TurnRow]) -> list[TurnRow]:
    """The rows of a dirty dialogue, from those of the clean one."""
    renamed = [row._replace(dialogue_id=dialogue_id(number)) for row in rows]
    return _SPOIL[kind](renamed, Random(number))


def dirty_annotations(rows: list[AnnotationRow], random: Random) -> list[tuple[str, AnnotationRow]]:
    """(kind, row) beside a day's clean annotations, made from some of them."""
    found = []
    for kind in ANNOTATION_KINDS:
        for row in rows:
            if random.random() < _SHARE / 10:
                found.append((kind, _wrong_annotation(kind, row)))
    return found


def _wrong_annotation(kind: str, row: AnnotationRow) -> AnnotationRow:
    if kind == "unknown_turn":
        return row._replace(turn_idx=row.turn_idx + _NOWHERE)
    if kind == "unknown_dialogue":
        return row._replace(dialogue_id="X" + row.dialogue_id[1:])
    return row._replace(annotator_id="R99", kind="goal_success", label="perhaps")


def dirty_feedback(rows: list[FeedbackRow], random: Random) -> list[tuple[str, FeedbackRow]]:
    """(kind, row) beside a day's clean feedback, made from some of it."""
    found = []
    for kind in FEEDBACK_KINDS:
        for row in rows:
            if random.random() < _SHARE:
                wrong = (
                    {"turn_idx": row.turn_idx + _NOWHERE} if kind == "unknown_turn" else {"kind": "applause"}
                )
                found.append((kind, row._replace(**wrong)))
    return found

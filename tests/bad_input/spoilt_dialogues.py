"""Clean dialogues with feedback and annotations, written as the snapshots of one day; tests spoil them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from spoilt_shop import AS_OF, DAYS, Rows, Shop, table_of

TURNS = 6
PEOPLE = ("ann", "bob", "cas")
SAID = ("find me a mug", "Here is Mug 3.", "no, the blue one", "Mug 4 is blue.", "add it", "Done.")


def turns(per_day: int = 5) -> Rows:
    """Dialogues of six turns, the user first."""
    first = datetime(AS_OF.year, AS_OF.month, AS_OF.day) - timedelta(days=DAYS)
    return [
        {
            "dialogue_id": f"d{day * per_day + place:04d}",
            "turn_idx": turn,
            "said_at": first + timedelta(days=day, hours=place, seconds=10 * turn),
            "speaker": "assistant" if turn % 2 else "user",
            "text": SAID[turn],
            "asr_confidence": None if turn % 2 else 0.9,
            "nlu_confidence": None if turn % 2 else 0.8,
            "barge_in": None if turn % 2 else False,
        }
        for day in range(DAYS)
        for place in range(per_day)
        for turn in range(TURNS)
    ]


def feedback(said: Rows) -> Rows:
    """Every third dialogue is told to have helped, two of three of them."""
    return [
        {**_place(row), "kind": "explicit", "given_at": row["said_at"], "value": float(number % 9 > 0)}
        for number, row in enumerate(said)
        if row["turn_idx"] == 4 and number % 3 == 1
    ]


def annotations(said: Rows) -> Rows:
    """Three people on every tenth dialogue: satisfaction and boundaries of the user's turns, success at the end."""
    return [
        {**_place(row), "kind": kind, "annotator_id": person, "annotated_at": row["said_at"], "label": label}
        for row in said
        if int(row["dialogue_id"][1:]) % 10 == 0
        for place, person in enumerate(PEOPLE)
        for kind, label in _labels(row, place)
    ]


def _labels(row: dict[str, Any], place: int) -> list[tuple[str, str]]:
    number = int(row["dialogue_id"][1:]) // 10 + place
    if row["turn_idx"] == TURNS - 1:
        return [("goal_success", "no" if number % 4 == 0 else "yes")]
    if row["speaker"] == "assistant":
        return []
    return [("satisfaction", str(2 + number % 3)), ("goal_boundary", "no" if row["turn_idx"] else "yes")]


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {"dialogue_id": row["dialogue_id"], "turn_idx": row["turn_idx"]}


class Log(Shop):
    """A run's workspace with the snapshots of turns, feedback and annotations."""

    def __init__(self, shop: Shop) -> None:
        self.folder = shop.folder
        self.turns = turns()
        self.feedback, self.annotations = feedback(self.turns), annotations(self.turns)

    def validate(self, name: str = "turns") -> dict[str, Any]:
        """Validate `name`; its result.json."""
        for table in ("turns", "feedback", "annotations"):
            self.put(table, table_of(table, getattr(self, table)))
        return self.validate_as_is(name)

    def rejected(self, name: str = "turns") -> str:
        """What the user reads when validating `name` is refused."""
        return super().rejected(name)

    def dialogue(self, number: int) -> Rows:
        """The rows of one dialogue, to be spoilt."""
        return [row for row in self.turns if row["dialogue_id"] == f"d{number:04d}"]

    def aside(self, name: str = "turns") -> dict[tuple[str, int], list[str]]:
        """Rows put aside: (dialogue, turn) -> reasons."""
        rows = self.quarantined(name).to_pylist()
        return {(row["dialogue_id"], row["turn_idx"]): row["reasons"] for row in rows}

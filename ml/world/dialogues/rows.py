"""From dialogues to rows of the contract tables; rows are tuples in the order of the contract's columns."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from ml.world.arrays import US_PER_DAY, US_PER_SECOND
from ml.world.dialogues.days import Talk
from ml.world.dialogues.plot import NONE, Turn
from ml.world.dialogues.raters import Rater
from ml.world.dialogues.wording import INTENTS

_ACTIONS = {
    "done": "answer", "failed": "refuse", "not_heard": "reprompt", "no_match": "refuse", "ask_detail": "ask",
    "followed": "answer", "not_followed": "answer", "apology": "apologise", "ask_help": "ask",
}  # fmt: skip
_LABELLED = 0.3  # share of dialogues that anybody annotates
_NOTICED = 0.8  # share of rephrases that the assistant notices
_IMAGINED = 0.03  # share of other requests that it takes for one
_GONE = 0.9  # share of abandoned dialogues that it notices
_TIMED_OUT = 0.04  # share of other dialogues that it takes for abandoned


class TurnRow(NamedTuple):
    """A row of `turns`; times in microseconds."""

    dialogue_id: str
    turn_idx: int
    said_at: int
    speaker: str
    text: str
    asr_confidence: float | None
    nlu_confidence: float | None
    domain: str | None
    intent: str | None
    action: str | None
    barge_in: bool | None


class FeedbackRow(NamedTuple):
    """A row of `feedback`."""

    dialogue_id: str
    turn_idx: int
    kind: str
    given_at: int
    value: float


class AnnotationRow(NamedTuple):
    """A row of `annotations`."""

    dialogue_id: str
    turn_idx: int
    kind: str
    annotator_id: str
    annotated_at: int
    label: str


def turn_rows(talk: Talk, words: list[str]) -> list[TurnRow]:
    """What was said, and what the assistant made of it."""
    name = talk.dialogue_id
    return [
        _turn_row(name, place, said_at, turn, text)
        for place, (turn, said_at, text) in enumerate(zip(talk.plot.turns, talk.times, words, strict=True))
    ]


def _turn_row(name: str, place: int, said_at: int, turn: Turn, text: str) -> TurnRow:
    if not turn.user:
        action = _ACTIONS.get(turn.move, "chat")
        return TurnRow(name, place, said_at, "assistant", text, None, None, None, None, action, None)
    guess = None if turn.guess is None else INTENTS[turn.guess]
    domain, intent = (guess.domain, guess.name) if guess else (None, None)
    return TurnRow(
        name, place, said_at, "user", text, turn.asr, turn.nlu, domain, intent, None, turn.barge_in
    )


def feedback_rows(talk: Talk, random: Random) -> list[FeedbackRow]:
    """What customers let the assistant know; rephrases and departures as it noticed them, which is not always right."""
    found = [
        FeedbackRow(
            talk.dialogue_id, place, kind, talk.times[place] + int(random.random() * US_PER_SECOND), value
        )
        for place, turn in enumerate(talk.plot.turns)
        if turn.user
        for kind, value in _signs(turn, place, random)
    ]
    left = talk.plot.goals[-1].abandoned
    last = max(place for place, turn in enumerate(talk.plot.turns) if turn.user)
    if random.random() < (_GONE if left else _TIMED_OUT):
        found.append(FeedbackRow(talk.dialogue_id, last, "abandon", talk.times[-1] + 60 * US_PER_SECOND, 1.0))
    return found


def _signs(turn: Turn, place: int, random: Random) -> list[tuple[str, float]]:
    signs = [("barge_in", 1.0)] if turn.barge_in else []
    if turn.move in ("helped", "not_helped"):
        signs.append(("explicit", float(turn.move == "helped")))
    noticed = _NOTICED if turn.move == "rephrase" else _IMAGINED if place and turn.move == "request" else 0.0
    return [*signs, ("rephrase", 1.0)] if random.random() < noticed else signs


def annotation_rows(talk: Talk, raters: tuple[Rater, ...], random: Random) -> list[AnnotationRow]:
    """What each of the people who took the dialogue says of it, one to four days later."""
    if random.random() >= _LABELLED:
        return []
    facts = labels_of(talk)
    found = []
    for rater in raters:
        if random.random() < rater.coverage:
            at = talk.times[-1] + int((1 + 3 * random.random()) * US_PER_DAY)
            found += [
                AnnotationRow(talk.dialogue_id, place, kind, rater.name, at, rater.says(kind, true, random))
                for place, kind, true in facts
            ]
    return found


def labels_of(talk: Talk) -> list[tuple[int, str, str]]:
    """The true labels of a dialogue: (turn, kind, label)."""
    begins = {goal.first for goal in talk.plot.goals}
    facts = []
    for place, turn in enumerate(talk.plot.turns):
        if turn.user:
            facts.append((place, "satisfaction", str(turn.satisfaction)))
            facts.append((place, "goal_boundary", "yes" if place in begins else "no"))
            if turn.chances is not None:
                facts.append((place, "intent", INTENTS[turn.intent].name))
    for goal in talk.plot.goals:
        facts.append((goal.last, "goal_success", "yes" if goal.failed == NONE else "no"))
        if goal.failed != NONE:
            facts.append((goal.last, "failure_point", goal.failed))
    return facts

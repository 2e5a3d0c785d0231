"""Who does what in a dialogue, without a word: goals, attempts, what fails and why, and how the customer takes it.

An attempt passes four components in a row; each fails with a probability that depends on what can be observed, and the
first to fail decides what happens:

    recognition    .01 + .5 * noise ** 2            noise (0 to 1) lowers asr_confidence
    understanding  .02 + .3 if the wording is loose  a loose wording lowers nlu_confidence
    entity         .01 + .3 * rarity ** 3            rare products are asked for by hardly anybody
    result         .05, or .1 for orders             a wish that cannot be met

A turn of the user is a defect if what the assistant did with it left the user unserved, or if the user only complains.
A goal succeeds if its last attempt does; where it does not, the goal's failing component is that of its last attempt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from ml.world.dialogues.wants import Wants, next_want
from ml.world.dialogues.wording import INTENTS

COMPONENTS = ("recognition", "understanding", "entity", "result")
NONE = "none"
MEAN_TURNS = 9.6  # of a dialogue, measured; so many dialogues make the turns of a size
_SECONDS = (2.0, 14.0)  # between two turns
_AT_ONCE = (0.4, 1.2)  # before a user who barges in


class Chances(NamedTuple):
    """The probability of each component to fail, if those before it did not."""

    recognition: float
    understanding: float
    entity: float
    result: float


class Turn(NamedTuple):
    """One turn. `move` says what it does; `intent` and `item` what it is about (or is taken for).

    `heard`: whether the words are as they were said. `satisfaction` 1 to 5 and `defect` are of turns of the user;
    `chances` and `failed` of those that ask for something.
    """

    user: bool
    move: str
    intent: int
    item: int
    goal: int
    seconds: float
    loose: bool = False
    heard: bool = True
    noise: float = 0.0
    asr: float | None = None
    nlu: float | None = None
    guess: int | None = None
    barge_in: bool | None = None
    defect: bool | None = None
    satisfaction: int | None = None
    chances: Chances | None = None
    failed: str = NONE


class Goal(NamedTuple):
    """One task: its turns are `first` to `last`; `failed` is NONE where it succeeded."""

    intent: int
    item: int
    first: int
    last: int
    failed: str
    abandoned: bool
    helped: bool | None


@dataclass(slots=True)
class Plot:
    """A dialogue as it unfolds."""

    random: Random
    wants: Wants
    day: int
    turns: list[Turn] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    noise: float = 0.0
    patience: int = 2
    loose: float = 0.2
    quiet: float = 0.1
    polite: float = 0.3
    trouble: int = 0

    def roll(self, chance: float) -> bool:
        """True with that probability."""
        return self.random.random() < chance


def unfold(random: Random, wants: Wants, day: int) -> Plot:
    """A dialogue of one goal or more with one customer."""
    plot = Plot(random, wants, day)
    _customer(plot)
    if plot.roll(0.08):
        _aside(plot, "greeting", "welcome", 4 if plot.roll(0.3) else 3)
    want: tuple[int, int] | None = None
    for _ in range(1 + min(6, int(random.expovariate(0.5)))):
        want = next_want(wants, random, day, want)
        if _pursue(plot, want):
            return plot
    if plot.roll(0.3):
        _closing(plot, "farewell", "parting", 3)
    return plot


def _customer(plot: Plot) -> None:
    draw = plot.random.random
    spread = (0.25, 0.6, 1.0)[(draw() > 0.6) + (draw() > 0.8)]
    plot.noise = draw() * spread
    plot.patience = 1 + min(3, int(plot.random.expovariate(0.7)))
    plot.loose, plot.quiet, plot.polite = 0.4 * draw(), 0.3 * draw(), 0.6 * draw()


def _pursue(plot: Plot, want: tuple[int, int]) -> bool:
    """One goal to its end; true where the customer walks away from the dialogue."""
    first, number = (0 if not plot.goals else len(plot.turns)), len(plot.goals)
    plot.trouble = 0
    failed = _attempts(plot, want, number)
    abandoned = failed != NONE and plot.roll(0.45)
    helped = None
    if not abandoned:
        if failed == NONE:
            _follow_ups(plot, want, number)
        helped = _aftermath(plot, number, failed == NONE)
    plot.goals.append(Goal(*want, first, len(plot.turns) - 1, failed, abandoned, helped))
    return abandoned


def _attempts(plot: Plot, want: tuple[int, int], number: int) -> str:
    """Ask until it works or patience is out; the component that failed in the last attempt."""
    cut_in = False
    for attempt in range(plot.patience):
        failed = _attempt(plot, want, number, attempt, cut_in)
        if failed == NONE:
            return NONE
        plot.trouble += 1
        if plot.roll(plot.quiet):
            return failed
        cut_in = plot.roll(0.3)
        if attempt + 1 < plot.patience and plot.roll(0.25):
            _complain(plot, want, number, cut_in)
            cut_in = False
    if plot.roll(0.3):
        _complain(plot, want, number, cut_in)
    return failed


def chances_of(plot: Plot, want: tuple[int, int], noise: float, loose: bool) -> Chances:
    """See the module's docstring."""
    orders = INTENTS[want[0]].domain == "orders"
    rarity = plot.wants.rarity[want[1]]
    return Chances(0.01 + 0.5 * noise**2, 0.02 + 0.3 * loose, 0.01 + 0.3 * rarity**3, 0.1 if orders else 0.05)


def _attempt(plot: Plot, want: tuple[int, int], number: int, attempt: int, cut_in: bool) -> str:
    noise = min(1.0, max(0.0, plot.noise * 0.8 ** min(attempt, 2) + plot.random.gauss(0, 0.06)))
    loose = plot.roll(plot.loose * 0.5 ** min(attempt, 2))
    chances = chances_of(plot, want, noise, loose)
    failed = next((name for name, chance in zip(COMPONENTS, chances, strict=True) if plot.roll(chance)), NONE)
    guess = (
        _other(plot, want[0])
        if failed == "understanding" or (failed == "recognition" and plot.roll(0.5))
        else want[0]
    )
    _say(plot, "rephrase" if attempt else "request", want, number, noise=noise, loose=loose,
         heard=failed != "recognition", guess=guess, chances=chances, failed=failed, cut_in=cut_in or plot.roll(0.03),
         defect=failed != NONE, satisfaction=_satisfaction(plot, failed != NONE))  # fmt: skip
    if failed == NONE and plot.roll(0.15):
        _answer(plot, "ask_detail", want, number)
        _say(plot, "detail", want, number, guess=want[0], satisfaction=_satisfaction(plot, False))
    _react(plot, want, number, failed, guess)
    return failed


def _react(plot: Plot, want: tuple[int, int], number: int, failed: str, guess: int) -> None:
    """What the assistant does: it does not know that it is wrong, or it says so."""
    intent, item = want
    if failed == NONE:
        _answer(plot, "done", want, number)
    elif failed == "result":
        _answer(plot, "failed", want, number)
    elif failed == "entity":
        blind = plot.roll(0.3)
        _answer(
            plot, "no_match" if blind else "done", (intent, item if blind else _stray(plot, item)), number
        )
    elif plot.roll(0.45 if failed == "recognition" else 0.25):
        _answer(plot, "not_heard", want, number)
    else:
        heard = _stray(plot, item) if failed == "recognition" else item
        _answer(plot, "failed" if plot.roll(0.15) else "done", (guess, heard), number)


def _follow_ups(plot: Plot, want: tuple[int, int], number: int) -> None:
    while plot.roll(0.22):
        unanswered = plot.roll(0.12)
        _say(plot, "follow_up", want, number, guess=want[0], defect=unanswered,
             satisfaction=_satisfaction(plot, unanswered), cut_in=plot.roll(0.04))  # fmt: skip
        _answer(plot, "not_followed" if unanswered else "followed", want, number)


def _aftermath(plot: Plot, number: int, success: bool) -> bool | None:
    """Thanks, and now and then the question whether that helped; the answer given."""
    if plot.roll(plot.polite if success else plot.polite * 0.35):
        _closing(
            plot,
            "thanks" if success else "thanks_anyway",
            "pleasure",
            (5 if plot.roll(0.5) else 4) if success else 2,
        )
    if not plot.roll(0.12):
        return None
    helped = plot.roll(0.93 if success else 0.2)
    _answer(plot, "ask_help", (0, 0), number)
    _say(
        plot, "helped" if helped else "not_helped", (0, 0), number, satisfaction=3 + success if helped else 2
    )
    _answer(plot, "noted", (0, 0), number)
    return helped


def _closing(plot: Plot, move: str, answer: str, satisfaction: int) -> None:
    number = len(plot.goals) - (move == "farewell")
    _say(plot, move, (0, 0), number, satisfaction=satisfaction)
    _answer(plot, answer, (0, 0), number)
    if move == "farewell":
        plot.goals[-1] = plot.goals[-1]._replace(last=len(plot.turns) - 1)


def _aside(plot: Plot, move: str, answer: str, satisfaction: int) -> None:
    _say(plot, move, (0, 0), 0, satisfaction=satisfaction)
    _answer(plot, answer, (0, 0), 0)


def _complain(plot: Plot, want: tuple[int, int], number: int, cut_in: bool) -> None:
    plot.trouble += 1
    _say(plot, "complaint", want, number, defect=True, cut_in=cut_in, satisfaction=_satisfaction(plot, True))
    _answer(plot, "apology", want, number)


def _satisfaction(plot: Plot, defect: bool) -> int:
    """The true grade: 1 or 2 where it is a defect, worse with every trouble; 3 or better where not."""
    if defect:
        return 1 if plot.roll(0.15 + 0.25 * plot.trouble) else 2
    return 4 if plot.roll(0.35 - 0.1 * min(plot.trouble, 3)) else 3


def _say(
    plot: Plot, move: str, want: tuple[int, int], number: int, *, noise: float | None = None, loose: bool = False,
    heard: bool = True, guess: int | None = None, chances: Chances | None = None, failed: str = NONE,
    cut_in: bool = False, defect: bool = False, satisfaction: int = 3,
) -> None:  # fmt: skip
    near = plot.noise if noise is None else noise
    gauss = plot.random.gauss
    asr = 0.96 - 0.5 * near - 0.1 * (not heard) + gauss(0, 0.06)
    nlu = 0.92 - 0.3 * loose - 0.15 * (not heard) - 0.1 * (failed == "understanding") + gauss(0, 0.09)
    plot.turns.append(
        Turn(True, move, *want, number, _pause(plot, cut_in), loose, heard, near, _share(asr), _share(nlu), guess,
             cut_in, defect, satisfaction, chances, failed)
    )  # fmt: skip


def _answer(plot: Plot, move: str, want: tuple[int, int], number: int) -> None:
    plot.turns.append(Turn(False, move, *want, number, _pause(plot, False)))


def _pause(plot: Plot, cut_in: bool) -> float:
    low, high = _AT_ONCE if cut_in else _SECONDS
    return low + (high - low) * plot.random.random()


def _share(value: float) -> float:
    return math.floor(min(0.999, max(0.02, value)) * 1_000) / 1_000


def _other(plot: Plot, intent: int) -> int:
    return (intent + 1 + int(plot.random.random() * (len(INTENTS) - 1))) % len(INTENTS)


def _stray(plot: Plot, item: int) -> int:
    """Another product, which the assistant took it for."""
    found = plot.wants.product(plot.random, plot.day)
    return (
        found
        if found != item
        else plot.wants.order[(plot.wants.order.index(item) + 1) % len(plot.wants.order)]
    )

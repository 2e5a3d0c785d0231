"""A world's dialogues, day by day, in order of time: what happens in them, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from ml.world.arrays import US_PER_SECOND
from ml.world.blueprint import Blueprint
from ml.world.dialogues.plot import MEAN_TURNS, Plot, unfold
from ml.world.dialogues.raters import Rater, raters
from ml.world.dialogues.speech import Products, words_of
from ml.world.dialogues.wants import Wants, wants_of
from ml.world.orders import midnight
from ml.world.seeds import Stream, generator

_SMALL = 250_000  # turns of a world whose dialogues are kept from one table to the next
PER_DAY = 100_000  # numbers of dialogues in a day; those of dirty ones begin at nine tenths
_EARLIEST, _LATEST = 6 * 3600, 23 * 3600  # seconds of the day, so that no dialogue crosses midnight


@dataclass(frozen=True, slots=True)
class Stage:
    """What is settled of a world before the first word; `kept`: the days of a small one, so that they unfold once."""

    plan: Blueprint
    wants: Wants
    products: Products
    raters: tuple[Rater, ...]
    kept: dict[int, list[Talk]] = field(default_factory=dict)

    def random(self, stream: Stream, day: int) -> Random:
        """The stream's own chance on that day."""
        return Random(
            int(generator(self.plan.seed, stream, self.plan.date_of(day).toordinal()).integers(1 << 62))
        )


def stage_of(plan: Blueprint) -> Stage:
    """Settle the dialogues of a world."""
    return Stage(plan, wants_of(plan), Products.of(plan.catalogue), raters(plan.seed))


@dataclass(frozen=True, slots=True)
class Talk:
    """One dialogue; its number is unique in the world, times are microseconds, one a turn."""

    number: int
    plot: Plot
    times: tuple[int, ...]

    @property
    def dialogue_id(self) -> str:
        """Its id in the tables."""
        return dialogue_id(self.number)


def dialogue_id(number: int) -> str:
    """Numbers of dialogues as text."""
    return f"D{number:011d}"


def talks(stage: Stage, day: int) -> list[Talk]:
    """The dialogues of one day, in order of time."""
    random = stage.random(Stream.PLOTS, day)
    seconds = sorted(
        _EARLIEST + (_LATEST - _EARLIEST) * random.random() for _ in range(_how_many(stage, day))
    )
    first = stage.plan.date_of(day).toordinal() * PER_DAY
    return [_talk(stage, day, first + place, begun, random) for place, begun in enumerate(seconds)]


def _how_many(stage: Stage, day: int) -> int:
    mean = stage.plan.size.turns / stage.plan.size.days / MEAN_TURNS
    rng = generator(stage.plan.seed, Stream.TALKS, stage.plan.date_of(day).toordinal())
    return min(int(rng.poisson(mean)), PER_DAY * 9 // 10)


def _talk(stage: Stage, day: int, number: int, begun: float, random: Random) -> Talk:
    plot = unfold(random, stage.wants, day)
    now, times = midnight(stage.plan, day) + int(begun * US_PER_SECOND), []
    for turn in plot.turns:
        now += int(turn.seconds * 1_000) * 1_000
        times.append(now)
    return Talk(number, plot, tuple(times))


def spoken(stage: Stage, day: int, said: list[Talk]) -> list[list[str]]:
    """The words of a day's dialogues, turn by turn."""
    random = stage.random(Stream.SPEECH, day)
    return [words_of(talk.plot, stage.products, random) for talk in said]


def all_days(stage: Stage) -> Iterator[tuple[int, list[Talk]]]:
    """Every day of the world with its dialogues."""
    small = stage.plan.size.turns <= _SMALL
    for day in range(stage.plan.days):
        said = stage.kept.get(day) or talks(stage, day)
        if small:
            stage.kept[day] = said
        yield day, said

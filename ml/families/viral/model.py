"""The model: trees and linear models side by side, for doubling, growth and lead time; its files.

Trees find who matters; linear models keep their heads where there are a few hundred cascades, or where the days to come
are unlike those learned from. Some members see everything, some only what does not drift with the calendar, some only
a cascade's own timing, with a line of its own for each point. They are averaged (the trees that see everything count
twice), in log-odds or in powers of two.

Cascades that were seen shortly before the day of fitting have had no time to grow. All members are told how long each
had (`exposure`). They are asked about an exposure that three quarters of the past did not reach; or about the time
until the day that the question names (`until`, in a backtest), where that is shorter. No longer: the longest exposures
are those of the oldest cascades, and say as much of those as of time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.errors import DataRejected
from ml.families.viral.columns import FEATURES, PREFIX, STEADY
from ml.families.viral.design import Floats, Past, features_of, moments, past, predictions, waiting
from ml.families.viral.params import ViralParams
from ml.toolkit import boosting
from ml.toolkit.standardised import Linear, logistic, ridge

if TYPE_CHECKING:
    import xgboost as xgb

TASKS = {"doubles": "binary:logistic", "growth": "reg:squarederror", "lead": "reg:squarederror"}
COLUMNS = (*FEATURES, "exposure")
_FEWEST_ROWS = 20
_ENOUGH = 50  # observations at a point for a line of its own
_ASKED = 0.75
_EVERYWHERE = ""  # the key of the line for points that have none of their own
_PLACE = MappingProxyType({name: number for number, name in enumerate(COLUMNS)})


@dataclass(frozen=True, slots=True)
class Member:
    """One of those that are averaged: what it sees, how much it counts; penalties of lines (doubling, others)."""

    columns: tuple[str, ...]
    share: float
    penalties: tuple[float, float] = (0.0, 0.0)
    by_point: bool = False

    @property
    def places(self) -> list[int]:
        """Where its columns are among COLUMNS."""
        return [_PLACE[name] for name in self.columns]

    @property
    def ends(self) -> NDArray[np.intp]:
        """Where its contributions belong: its columns, and the start last."""
        return np.array([*self.places, len(COLUMNS)])


TREES: Mapping[str, Member] = MappingProxyType(
    {"trees": Member(COLUMNS, 2 / 6), "steady-trees": Member((*STEADY, "exposure"), 1 / 6)}
)
LINES: Mapping[str, Member] = MappingProxyType(
    {
        "line": Member(COLUMNS, 1 / 6, (50.0, 200.0)),
        "steady-lines": Member((*STEADY, "exposure"), 1 / 6, (50.0, 200.0), by_point=True),
        "timing-lines": Member((*PREFIX, "exposure"), 1 / 6, (10.0, 40.0), by_point=True),
    }
)


@dataclass(frozen=True, slots=True)
class Model:
    """Per task a booster for each of TREES, and for each of LINES one linear model a point; the usual exposure."""

    boosters: dict[str, dict[str, xgb.Booster]]
    lines: dict[str, dict[str, dict[str, Linear]]]
    exposure: float


@dataclass(frozen=True, slots=True)
class Seen:
    """n observations: COLUMNS as numbers (n x columns), and the point of each."""

    columns: NDArray[np.float32]
    points: NDArray[np.str_]

    def of(self, some: NDArray[np.bool_]) -> Seen:
        """Some of them."""
        return Seen(self.columns[some], self.points[some])


def _seen(rows: pa.Table, features: NDArray[np.float32], exposure: Floats | float) -> Seen:
    told = np.broadcast_to(np.asarray(exposure, dtype=np.float32), len(rows))
    points = np.asarray(rows.column("point").to_pylist(), dtype=str)
    return Seen(np.column_stack([features, told]), points)


def fit(matrix: ibis.Table, as_of: date, params: ViralParams) -> Model:
    """Learn from observations before `as_of`, and from what had come of them by then.

    Raises DataRejected where there are none.
    """
    known = past(matrix, as_of, params)
    if not len(known.rows):
        raise DataRejected(
            f"table posts: no cascade reached {params.fewest} posts before {as_of}, so there is nothing to learn from",
            found="0 cascades",
            expected=f"posts that reshare others (parent_post_id), {params.fewest} or more to a first post",
            next_step="load an older part of posts, or lower families.viral.params.fewest in params.yaml",
        )
    boosters, lines = dict[str, dict[str, "xgb.Booster"]](), dict[str, dict[str, dict[str, Linear]]]()
    for task in TASKS:
        seen, label = _learned_from(task, known)
        boosters[task] = {name: _trees(member, task, seen, label, params) for name, member in TREES.items()}
        lines[task] = {name: _lines(member, task, seen, label) for name, member in LINES.items()}
    return Model(boosters, lines, float(np.quantile(known.exposure, _ASKED)))


def _learned_from(task: str, known: Past) -> tuple[Seen, Floats]:
    label = {"doubles": known.doubled, "growth": known.growth, "lead": known.lead}[task]
    seen = _seen(known.rows, known.features, known.exposure)
    some = np.isfinite(label)
    if some.sum() < _FEWEST_ROWS:  # too few peaks are known: everything peaks now
        return seen, np.nan_to_num(label)
    return seen.of(some), label[some]


def _trees(member: Member, task: str, seen: Seen, label: Floats, params: ViralParams) -> xgb.Booster:
    mean = float(label.mean())
    recipe = boosting.Recipe(
        TASKS[task], params.rounds, learning_rate=0.03, depth=4, minimum_weight=5.0, rows=0.7, columns=0.3,
        seed=params.seed, nthread=params.nthread,
        options={"base_score": min(max(mean, 0.01), 0.99) if task == "doubles" else mean},
    )  # fmt: skip
    table = boosting.Table.of(member.columns, seen.columns[:, member.places], recipe)
    return boosting.grow(recipe, table, label)


def _lines(member: Member, task: str, seen: Seen, label: Floats) -> dict[str, Linear]:
    """One line through all, and one for each point with enough observations where the member is `by_point`."""
    learn, penalty = (logistic, member.penalties[0]) if task == "doubles" else (ridge, member.penalties[1])
    made = {_EVERYWHERE: learn(seen.columns[:, member.places], label, penalty)}
    points, counts = np.unique(seen.points, return_counts=True)
    for point in points[counts >= _ENOUGH].tolist() if member.by_point else ():
        here = seen.points == point
        made[point] = learn(seen.columns[here][:, member.places], label[here], penalty)
    return made


def asked(model: Model, rows: pa.Table) -> Seen:
    """Rows as the members see them, with the usual exposure, or the time until `until` where that is shorter."""
    exposure: Floats | float = model.exposure
    if "until" in rows.column_names:
        hours = (moments(rows, "until") - moments(rows, "observed_at")) / 3.6e9
        exposure = np.minimum(np.log1p(np.maximum(hours, 0.0)), exposure)
    return _seen(rows, features_of(rows), exposure)


def raw(model: Model, task: str, seen: Seen) -> Floats:
    """The average of all members: log-odds of doubling, or the value itself."""
    total = np.zeros(len(seen.points))
    for name, member in TREES.items():
        made = boosting.predict(model.boosters[task][name], member.columns, seen.columns[:, member.places])
        total += member.share * (np.log(made / (1 - made)) if task == "doubles" else made)
    for name, member in LINES.items():
        for line, here in _by_line(model.lines[task][name], seen.points):
            total[here] += member.share * line.raw(seen.columns[here][:, member.places])
    return total


def contributions(model: Model, task: str, seen: Seen) -> Floats:
    """n x (features + 2): what each feature adds to `raw`; the last columns are the exposure and the start."""
    total = np.zeros((len(seen.points), len(COLUMNS) + 1))
    for name, member in TREES.items():
        booster, columns = model.boosters[task][name], seen.columns[:, member.places]
        parts = boosting.contributions(booster, member.columns, columns)
        total[:, member.ends] += member.share * parts
    for name, member in LINES.items():
        for line, here in _by_line(model.lines[task][name], seen.points):
            parts = line.contributions(seen.columns[here][:, member.places])
            total[np.ix_(here, member.ends)] += member.share * parts
    return total


def _by_line(
    lines: Mapping[str, Linear], points: NDArray[np.str_]
) -> Iterator[tuple[Linear, NDArray[np.intp]]]:
    """Each line with the positions of the observations that it is for."""
    whose = np.where(np.isin(points, list(lines)), points, _EVERYWHERE)
    for point in np.unique(whose).tolist():
        yield lines[point], np.flatnonzero(whose == point)


def score(model: Model, matrix: ibis.Table, as_of: date) -> pa.Table:
    """Chance of doubling, log2 of the final size and hours until the peak of every open observation."""
    rows = waiting(matrix)
    seen = asked(model, rows)
    odds, growth, lead = (raw(model, task, seen) for task in TASKS)
    return predictions(rows, 1 / (1 + np.exp(-odds)), growth, lead)


def save(model: Model, folder: Path) -> None:
    """Write the boosters as UBJSON and the linear models as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, boosters in model.boosters.items():
        for name, booster in boosters.items():
            boosting.write(booster, folder / f"{task}-{name}")
    plain = {
        task: {name: {point: line.plain() for point, line in each.items()} for name, each in lines.items()}
        for task, lines in model.lines.items()
    }
    rest = {"lines": plain, "exposure": model.exposure}
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    rest = json.loads((folder / "model.json").read_text())
    boosters = {task: {name: boosting.read(folder / f"{task}-{name}") for name in TREES} for task in TASKS}
    lines = {
        task: {name: {point: Linear.of(line) for point, line in each.items()} for name, each in lines.items()}
        for task, lines in rest["lines"].items()
    }
    return Model(boosters, lines, rest["exposure"])

"""What a look at a champion measures, each as a finding with its limit (see `ml.actions.monitor`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.config import MonitorParams, from_yaml, settings
from ml.contracts import TABLES
from ml.contracts.base import event_time
from ml.families.loading import load_model
from ml.seams import versioning
from ml.seams.ledger import Champion, Ledger
from ml.seams.ledger.models import Run, now
from ml.seams.quality import fresh_since
from ml.toolkit.drift import Change, Drift, drifts, worsened
from ml.toolkit.gate import CHALLENGER
from ml.toolkit.paired import Paired, compare
from ml.toolkit.spans import columns_in, spans

if TYPE_CHECKING:
    from ml.families.record import Family

Floats = npt.NDArray[np.float64]
_FEWEST_DAYS = 7  # shorter than a week, weekdays differ


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured.

    kind: inputs, scores, realised (these are tested), age (of the champion), freshness (of the data). `limit`: what the
    statistic must not exceed. `chance`: the p-value, corrected for the number of columns. None: not measured.
    """

    kind: str
    name: str
    test: str
    statistic: float | None
    limit: float | None
    chance: float | None
    cases: int
    breached: bool
    why: str


@dataclass(frozen=True, slots=True)
class Watched:
    """All that a look needs: a champion, what it learnt from, and the newest tables."""

    record: Family
    champion: Champion
    learnt: Run
    run: Run
    own: Any
    rules: MonitorParams
    level: float


def inputs(watched: Watched, matrix: ibis.Table) -> Iterator[Finding]:
    """What the champion is asked since it learnt, against what it was asked in the year before that."""
    record, rules, (since, until) = watched.record, watched.rules, (watched.learnt.as_of, watched.run.as_of)
    if record.asked is None or (until - since).days < _FEWEST_DAYS:
        return
    present, past = spans(since, until, rules.window_days, rules.windows)
    newest, *earlier = columns_in(
        record.asked(matrix), [present, *past], entity=record.key[0], moment="asked_at", leave=record.key,
        most=rules.entities,
    )  # fmt: skip
    found = drifts(newest, earlier, rules.minimum_cases)
    yield from (_of_drift("inputs", one, len(found), watched) for one in found)


def _of_drift(kind: str, one: Drift, columns: int, watched: Watched) -> Finding:
    rules = watched.rules
    limit = max(one.limit(watched.level / columns), rules.smallest)
    breached = one.distance > rules.smallest and one.chance < watched.level
    why = (
        f"{one.name}: {one.distance:.2f} from earlier windows, which lay up to {one.usual:.2f} apart"
        f" ({one.test}, {one.cases} cases, a chance of {one.chance:.2g})"
    )
    return Finding(kind, one.name, one.test, one.distance, limit, one.chance, one.cases, breached, why)


def scores(watched: Watched, matrix: ibis.Table, model: Path) -> Iterator[Finding]:
    """What the champion says of what it is asked since it learnt, against what it says of the year before that."""
    record, rules, (since, until) = watched.record, watched.rules, (watched.learnt.as_of, watched.run.as_of)
    if record.asked_between is None or (until - since).days < _FEWEST_DAYS:
        return
    present, past = spans(since, until, rules.window_days, rules.windows)
    loaded = load_model(record, model, "final")
    try:
        newest, *earlier = (
            record.score(loaded, *record.asked_between(matrix, span.start, span.end, rules.score_entities))
            for span in (present, *past)
        )
    except (KeyError, ValueError, TypeError) as error:
        why = f"the champion cannot score today's features: {error}"
        yield Finding("age", "model", "scores", None, None, None, 0, True, why)
        return
    said = [_by_entity(rows, record.key) for rows in earlier]
    found = drifts(_by_entity(newest, record.key), said, rules.minimum_cases)
    yield from (_of_drift("scores", one, len(found), watched) for one in found)


def _by_entity(rows: pa.Table, key: Sequence[str]) -> Mapping[str, Floats]:
    """Each number that is predicted, averaged over the rows of an entity."""
    names = [f.name for f in rows.schema if pa.types.is_floating(f.type) and f.name not in key]
    table = rows.group_by(key[0]).aggregate([(name, "mean") for name in names])
    values = {name: table.column(f"{name}_mean").to_numpy().astype(np.float64) for name in names}
    return {name: column[np.isfinite(column)] for name, column in values.items()}


def realised(watched: Watched, ledger: Ledger, matrix: ibis.Table, folder: Path) -> Iterator[Finding]:
    """The errors of what was published, once they are known: of the newest such publication of the present champion."""
    realised = watched.record.realised
    if realised is None:
        return
    latest = watched.run.as_of - timedelta(days=realised.days)
    older = [run for run in ledger.publish_runs(watched.record.name, latest) if _same(watched, ledger, run)]
    for number, run in enumerate(_spread(older, latest, realised.days)):
        published = _published(folder, run, number)
        losses = realised.losses(published, matrix, run.as_of, watched.run.as_of, watched.own)
        if losses is not None and losses.num_rows >= watched.rules.minimum_cases:
            yield _turned_out(watched, ledger, losses, run, folder)
            return


def _same(watched: Watched, ledger: Ledger, run: Run) -> bool:
    """Whether it published what the present champion says of the same shop."""
    shop = ledger.run(watched.run.notes["ingest"]).notes["shop"]
    ours = run.notes.get("version") == watched.champion.version and "publications" in run.notes
    return ours and ledger.run(run.notes["ingest"]).notes["shop"] == shop


def _spread(runs: Sequence[Run], latest: date, days: int) -> Iterator[Run]:
    """The newest, and those that had a month, two, … more to turn out (each is fetched: few are tried)."""
    for back in range(4):
        found = [run for run in runs if run.as_of <= latest - timedelta(days=back * max(days, 7))]
        if found:
            yield found[0]


def _published(folder: Path, run: Run, number: int) -> dict[str, pa.Table]:
    name = f"data/published-{number}"
    digest = from_yaml(run.notes["publications"])["outs"][0]["md5"]
    target = _bring(folder, name, digest)
    return {file.stem: pq.read_table(file) for file in sorted(target.glob("*.parquet"))}


def _bring(folder: Path, name: str, digest: str) -> Path:
    (folder / f"{name}.dvc").write_text(versioning.pointer(Path(name).name, digest))
    versioning.pull(folder, [f"{name}.dvc"])
    return folder / name


def _turned_out(watched: Watched, ledger: Ledger, losses: pa.Table, run: Run, folder: Path) -> Finding:
    rules = watched.rules
    found: Paired | Change
    if "expected" in losses.column_names:
        sums = _sums(losses, ("loss", "expected", "weight"))
        found, promised = compare(sums["loss"], sums["expected"]), "what it said of itself"
        expected = float(sums["expected"].sum() / sums["weight"].sum())
    else:
        sums = _sums(losses, ("loss", "weight"))
        window, then = _worst_window(watched, folder)
        found, promised = worsened(sums["loss"], sums["weight"], then["loss"], then["weight"]), window
        expected = float(then["loss"].sum() / then["weight"].sum())
    return _judged(
        watched,
        losses,
        run,
        found,
        expected,
        float(sums["loss"].sum() / sums["weight"].sum()),
        promised,
        rules,
    )


def _judged(
    watched: Watched, losses: pa.Table, run: Run, found: Paired | Change, expected: float, actual: float, promised: str,
    rules: MonitorParams,
) -> Finding:  # fmt: skip
    chance = found.chance_above(0.0)
    breached = found.difference > rules.worse_by and chance < watched.level
    also = [
        f"{name.removeprefix('also_').replace('_', ' ')} {float(np.nanmean(losses.column(name).to_numpy())):.3g}"
        for name in losses.column_names
        if name.startswith("also_")
    ]
    why = (
        f"published as of {run.as_of}: an error of {actual:.3f} against {expected:.3f} of {promised}"
        f" ({found.difference:+.0%}, {losses.num_rows} cases, a chance of {chance:.2g} if it were no worse)"
    )
    return Finding(
        "realised", watched.record.headline if "expected" not in losses.column_names else "calibration",
        "two losses, clustered", actual, expected * (1 + rules.worse_by), chance, losses.num_rows, breached,
        "; ".join([why, *also]),
    )  # fmt: skip


def _sums(losses: pa.Table, names: Sequence[str]) -> dict[str, Floats]:
    """Sums per entity, in one order."""
    table = losses.group_by("entity", use_threads=False).aggregate([(name, "sum") for name in names])
    return {name: table.column(f"{name}_sum").to_numpy().astype(np.float64) for name in names}


def _worst_window(watched: Watched, folder: Path) -> tuple[str, dict[str, Floats]]:
    """The window of the champion's backtest in which its own losses were highest, and these."""
    family, lock = watched.record.name, versioning.parse_lock(watched.learnt.lock)
    digest = versioning.digest_of(lock, f"evaluate@{family}", f"data/evaluation/{family}")
    losses = pq.read_table(_bring(folder, "data/backtest", digest) / "losses.parquet")
    mine = losses.filter(pc.equal(losses.column("model"), CHALLENGER))
    windows = {
        fold: _sums(mine.filter(pc.equal(mine.column("fold"), fold)), ("loss", "weight"))
        for fold in sorted(set(mine.column("fold").to_pylist()))
    }
    worst = max(
        windows, key=lambda fold: windows[fold]["loss"].sum() / max(windows[fold]["weight"].sum(), 1e-300)
    )
    return f"its worst window of the backtest ({worst})", windows[worst]


def freshness(watched: Watched, ledger: Ledger, tables: Mapping[str, ibis.Table]) -> Iterator[Finding]:
    """How old the newest row of each table is, and how long ago tables were sealed."""
    until, rules = watched.run.as_of, watched.rules
    for name, rows in tables.items():
        when = event_time(TABLES[name])
        since = fresh_since(TABLES[name], settings().project / f"expectations/tables/{name}.json", until)
        if when is None or since is None:
            continue
        newest = rows.aggregate(newest=rows[when].max()).to_pyarrow().column("newest")[0].as_py()
        age = math.inf if newest is None else (until - newest.date()).days
        allowed = (until - since.date()).days
        why = f"{name}: the newest row is {age} days older than {until}; {allowed} are allowed"
        yield Finding("freshness", name, "days", finite(age), allowed, None, 0, age > allowed, why)
    sealed = max(
        one.sealed_at for one in ledger.sealed_by(watched.run.notes["ingest"], watched.record.tables)
    )
    days = (now() - sealed).total_seconds() / 86400
    why = f"tables were last sealed {days:.1f} days ago; {rules.ingest_days} are allowed"
    yield Finding(
        "freshness", "ingest", "days", days, rules.ingest_days, None, 0, days > rules.ingest_days, why
    )


def finite(value: float) -> float | None:
    """The number, or None in place of what JSON has no word for."""
    return value if math.isfinite(value) else None


def age(watched: Watched) -> Finding:
    """How long ago the champion learnt."""
    days = (watched.run.as_of - watched.learnt.as_of).days
    limit = watched.rules.champion_days
    why = f"the champion learnt {days} days before the newest tables; {limit} are allowed"
    return Finding("age", "champion", "days", days, limit, None, 0, days > limit, why)

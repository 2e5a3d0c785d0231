"""The season shifts, and a retrain is asked for; nothing shifts, and it is not: judged with a real model.

What a champion said four weeks ago is held against what was sold since, once as the world goes on and once with the
sales of half a year earlier in their place. DVC and the warehouse are left out (test_monitor.py has them).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_shop import materialised, opened

from ml.actions import findings, monitor
from ml.actions.findings import Watched
from ml.config import MonitorParams
from ml.families import family
from ml.families.loading import ABOUT, digests
from ml.seams.ledger import PROMOTE, Ledger, migrate
from ml.seams.ledger.models import Look, Run
from ml.toolkit.paired import spent
from ml.world import DEFAULT_END, simulate

LEARNT, NOW = DEFAULT_END - timedelta(days=28), DEFAULT_END
HALF_A_YEAR = timedelta(days=196)  # whole weeks: the weekdays stay
FAMILY = family("seasonality")
PARAMS = FAMILY.params.model_validate(
    {"rounds": 30, "text_components": 2, "autoets_series": 0, "training_days": 100, "nthread": 1}
)
RULES = MonitorParams()


@dataclass(frozen=True)
class World:
    """A champion, what it published, its backtest, and the matrices of four weeks later."""

    published: dict[str, pa.Table]
    backtest: pa.Table
    as_foreseen: ibis.Table
    shifted: ibis.Table
    fallen: ibis.Table
    model: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    tables = dict(simulate("small", 7, days=430).tables)
    some = tables["products"].column("product_id").slice(0, 200)
    for name in ("products", "order_lines", "promotions"):
        tables[name] = tables[name].filter(pc.is_in(tables[name].column("product_id"), some))
    lines = tables["order_lines"]
    past, future = between(lines, date.min, LEARNT), between(lines, LEARNT, NOW)
    other = moved(between(lines, LEARNT - HALF_A_YEAR, NOW - HALF_A_YEAR))
    known = matrix_of({**tables, "order_lines": past}, LEARNT)
    fold = FAMILY.folds(known, LEARNT, PARAMS)[-1]
    judged = FAMILY.score(FAMILY.fit(fold.train, fold.as_of, PARAMS), fold.test, fold.as_of)
    champion = FAMILY.fit(known, LEARNT, PARAMS)
    folder = tmp_path_factory.mktemp("champion")
    FAMILY.save(champion, folder / "final")
    (folder / ABOUT).write_text(json.dumps({"files": digests(folder)}))
    forecasts = FAMILY.score(champion, known, LEARNT)
    eighth = future.filter(np.arange(len(future)) % 8 == 0)
    return World(
        published={"forecasts": forecasts},
        backtest=FAMILY.losses(judged, fold.truth.to_pyarrow()),
        as_foreseen=matrix_of({**tables, "order_lines": pa.concat_tables([past, future])}, NOW),
        shifted=matrix_of({**tables, "order_lines": pa.concat_tables([past, other])}, NOW),
        fallen=matrix_of({**tables, "order_lines": pa.concat_tables([past, eighth])}, NOW),
        model=folder,
    )


def matrix_of(tables: dict[str, pa.Table], as_of: date) -> ibis.Table:
    return materialised(FAMILY.features(opened(tables), as_of, PARAMS), FAMILY.key)


def between(lines: pa.Table, start: date, end: date) -> pa.Table:
    when = lines.column("ordered_at")
    first, last = (pa.scalar(datetime.combine(day, time()), when.type) for day in (start, end))
    return lines.filter(pc.and_(pc.greater_equal(when, first), pc.less(when, last)))


def moved(lines: pa.Table) -> pa.Table:
    """The same sales half a year later."""
    later = pc.add(lines.column("ordered_at"), pa.scalar(HALF_A_YEAR))
    place = lines.column_names.index("ordered_at")
    return lines.set_column(place, "ordered_at", later).cast(lines.schema)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.db"
    migrate(url)
    kept = Ledger(url)
    kept.open_run(Run(run_id="i", kind="ingest", as_of=NOW, notes={"shop": "s"}))
    kept.open_run(run("learnt", "retrain", LEARNT))
    kept.open_run(run("said", "publish", LEARNT, publications="a pointer", version="1"))
    kept.update_run("said", status="published")
    kept.decide(
        FAMILY.name, after=0, action=PROMOTE, run_id="learnt", version="1", actor="t", why="w", verdict={}
    )
    yield kept


def run(name: str, kind: str, as_of: date, **notes: Any) -> Run:
    return Run(run_id=name, kind=kind, family=FAMILY.name, as_of=as_of, notes={"ingest": "i", **notes})


def watched(ledger: Ledger, number: int, as_of: date = NOW) -> Watched:
    champion = ledger.champion(FAMILY.name)
    assert champion is not None
    opened_run = ledger.open_run(run(f"monitor-{number}", "monitor", as_of))
    level = (1 - RULES.confidence) * spent(1) / 3
    return Watched(FAMILY, champion, ledger.run("learnt"), opened_run, PARAMS, RULES, level)


def looked(
    ledger: Ledger, world: World, matrix: ibis.Table, monkeypatch: pytest.MonkeyPatch, of: Watched
) -> Look:
    sums = findings._sums(world.backtest, ("loss", "weight"))
    monkeypatch.setattr(findings, "_published", lambda *_: world.published)
    monkeypatch.setattr(findings, "_worst_window", lambda *_: ("its backtest", sums))
    found = [*findings.inputs(of, matrix), *findings.realised(of, ledger, matrix, Path()), findings.age(of)]
    return ledger.record_look(monitor._row(ledger, of, found, ask=True))


def test_nothing_is_asked_for_where_nothing_changed(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = looked(ledger, world, world.as_foreseen, monkeypatch, watched(ledger, 1))
    assert {one["kind"] for one in seen.findings} == {"inputs", "realised", "age"}
    assert not seen.breached and not seen.asked, seen.why


def test_a_retrain_is_asked_for_after_the_season_shifted_and_then_not_before_the_cool_down(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = looked(ledger, world, world.shifted, monkeypatch, watched(ledger, 1))
    error = next(one for one in first.findings if one["kind"] == "realised")
    assert first.asked and error["breached"]
    assert f"published as of {LEARNT}" in first.why
    unheard = looked(ledger, world, world.shifted, monkeypatch, watched(ledger, 2))
    assert unheard.asked  # nobody opened a retrain: events may be lost
    ledger.open_run(run("answer", "retrain", NOW))
    held = looked(ledger, world, world.shifted, monkeypatch, watched(ledger, 3))
    assert held.breached and not held.asked and "a retrain was asked for" in held.why
    late = NOW + timedelta(days=RULES.cool_down_days)
    again = looked(ledger, world, world.shifted, monkeypatch, watched(ledger, 4, late))
    assert again.asked
    assert [one.asked for one in ledger.monitoring(FAMILY.name)] == [True, False, True, True]


def test_what_is_not_to_ask_only_tells(ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    of = replace(watched(ledger, 1), rules=MonitorParams(asks=("age",)))
    seen = looked(ledger, world, world.shifted, monkeypatch, of)
    assert seen.breached and not seen.asked


def test_scores_have_drifted_only_where_the_shop_is_another(ledger: Ledger, world: World) -> None:
    """Four weeks with an eighth of their sales: the forecasts of the next four are unlike any of the year before."""
    of = watched(ledger, 1)
    usual, fallen = (
        {one.name: one for one in findings.scores(of, matrix, world.model)}
        for matrix in (world.as_foreseen, world.fallen)
    )
    assert set(usual) == {"mean", "q10", "q50", "q90"}
    assert not any(one.breached for one in usual.values())
    assert fallen["mean"].breached and "earlier windows" in fallen["mean"].why
    early = replace(of, learnt=run("learnt", "retrain", NOW - timedelta(days=3)))
    assert list(findings.scores(early, world.as_foreseen, world.model)) == []  # weekdays differ


def test_a_champion_that_cannot_score_is_said(ledger: Ledger, world: World) -> None:
    (said,) = findings.scores(watched(ledger, 1), world.as_foreseen.drop("units_28"), world.model)
    assert said.breached and "cannot score today's features" in said.why


def test_a_forecast_is_not_judged_before_its_horizon_is_over(world: World) -> None:
    assert FAMILY.realised is not None
    early = NOW - timedelta(days=1)
    assert FAMILY.realised.losses(world.published, world.as_foreseen, LEARNT, early, PARAMS) is None
    losses = FAMILY.realised.losses(world.published, world.as_foreseen, LEARNT, NOW, PARAMS)
    assert losses is not None and losses.num_rows > 100


def test_forecast_and_sales_are_those_of_the_tables(world: World) -> None:
    """The realised error against one computed by hand from forecasts and the matrix's own units."""
    assert FAMILY.realised is not None
    losses = FAMILY.realised.losses(world.published, world.as_foreseen, LEARNT, NOW, PARAMS)
    assert losses is not None
    forecast: dict[str, float] = {}
    for row in world.published["forecasts"].to_pylist():
        forecast[row["product_id"]] = forecast.get(row["product_id"], 0.0) + row["mean"]
    rows = world.as_foreseen.filter(world.as_foreseen.day >= ibis.date(LEARNT)).filter(
        lambda t: t.day < ibis.date(NOW)
    )
    sold = dict(rows.group_by("product_id").aggregate(units=rows.units.sum()).to_pyarrow().to_pandas().values)
    for row in losses.to_pylist():
        expected = abs(sold.get(row["entity"], 0.0) - forecast.get(row["entity"], 0.0))
        assert row["loss"] == pytest.approx(expected, rel=1e-5, abs=1e-4)

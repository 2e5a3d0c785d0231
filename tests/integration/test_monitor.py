"""Looks at a champion, whole: real ledger, workspaces and matrices of a shop that goes on, shifts, or falls silent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
import tiny_shop
import yaml
from tiny_shop import AS_OF, NAME, ONE, ROOT, retrain, seal, tiny

from ml.actions.monitor import look, ready
from ml.actions.publish import publish
from ml.actions.retrain import approve, promote
from ml.config import settings
from ml.errors import UsageError
from ml.families import _template
from ml.families.record import Realised
from ml.seams.ledger import Ledger, migrate
from ml.seams.ledger.models import Look
from ml.toolkit.spans import some

pytestmark = pytest.mark.integration
DAYS, WEEK = 110, timedelta(days=7)
NOW = AS_OF + WEEK
RULES = {"window_days": 7, "windows": 8, "minimum_cases": 20, "score_entities": 30}


def lines(as_of: date, *, last_week: float = 1.0) -> pa.Table:
    """Forty products' sales of the days before `as_of`; those since AS_OF times `last_week`."""
    random = np.random.default_rng(3)
    usual = random.lognormal(1.5, 0.8, 40)
    first = datetime.combine(AS_OF, datetime.min.time()) - timedelta(days=DAYS)
    ids, times, units = [], [], []
    for day in (first + timedelta(days=number) for number in range((as_of - AS_OF).days + DAYS)):
        sold = random.poisson(usual * (last_week if day.date() >= AS_OF else 1.0))
        ids += [f"p{number:02}" for number in range(40)]
        times += [day] * 40
        units += sold.tolist()
    counted = {"ordered_at": pa.array(times, pa.timestamp("us")), "quantity": pa.array(units, pa.float64())}
    return pa.table({"product_id": ids, **counted})


def asked_between(matrix: ibis.Table, start: date, end: date, most: int) -> tuple[ibis.Table, date]:
    """As the template, about some of the products."""
    rows, end = _template.asked_between(matrix, start, end, most)
    return some(rows, ("product_id",), most), end


def losses(published: Any, matrix: ibis.Table, as_of: date, now: date, params: Any) -> pa.Table | None:
    """What was sold on the day that was foretold."""
    truth = matrix.filter(matrix.day == ibis.date(as_of)).select("product_id", "day", "units", "category")
    return _template.losses(published["expected_units"], truth.to_pyarrow())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Version 1 is in service since AS_OF, and was published then."""
    with tiny(tmp_path):
        module: Any = sys.modules[f"ml.families.{NAME}"]
        module.FAMILY = replace(
            module.FAMILY, realised=Realised(days=7, losses=losses), asked_between=asked_between
        )
        monkeypatch.setattr(tiny_shop, "_lines", lines)
        params = settings().project / "params.yaml"
        params.write_text(params.read_text() + yaml.safe_dump({"monitor": RULES}))
        for name in ("products", "order_lines"):
            suite = settings().project / f"expectations/tables/{name}.json"
            suite.parent.mkdir(exist_ok=True)
            suite.write_bytes((ROOT / f"expectations/tables/{name}.json").read_bytes())
        migrate(settings().ledger)
        seal("ingest-1", AS_OF)
        retrain(ONE, share=1.0)
        assert approve(ONE)
        promote(ONE)
        publish(NAME, "publish-1")
        yield


def sealed_later(monkeypatch: pytest.MonkeyPatch, *, as_of: date = NOW, last_week: float = 1.0) -> None:
    until = min(as_of, NOW)
    monkeypatch.setattr(tiny_shop, "_lines", lambda _: lines(until, last_week=last_week))
    seal("ingest-2", as_of)


def kinds(seen: Look, *, breached: bool | None = None) -> set[str]:
    return {one["kind"] for one in seen.findings if breached is None or one["breached"] == breached}


def test_a_shop_that_goes_on_is_looked_at_and_left_alone(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed_later(monkeypatch)
    assert ready() == (NAME,)
    seen = look(NAME, "look-1", ask=True)
    assert kinds(seen) == {"inputs", "scores", "realised", "freshness", "age"}
    assert not seen.breached and not seen.asked, seen.why
    cases = {one["kind"]: one["cases"] for one in seen.findings}
    assert cases["inputs"] == 40 and 20 <= cases["scores"] < 40  # the champion is asked about fewer
    assert (seen.version, seen.champion_run, seen.as_of) == ("1", ONE, NOW)
    report = json.loads((settings().reports / f"monitoring/{NAME}.json").read_text())
    assert report["findings"] == seen.findings and report["breached"] is False
    assert not (settings().runs / "look-1").exists()  # a look leaves nothing behind


def test_a_retry_finds_the_look_that_was_kept(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed_later(monkeypatch)
    first = look(NAME, "look-1", ask=True)
    assert look(NAME, "look-1", ask=True).looked_at == first.looked_at
    assert len(Ledger(settings().ledger).monitoring(NAME)) == 1


@pytest.mark.parametrize(("last_week", "beyond"), [(30.0, {"inputs", "scores"}), (0.02, {"realised"})])
def test_a_shop_that_became_another_asks_for_a_retrain(
    shop: None, monkeypatch: pytest.MonkeyPatch, last_week: float, beyond: set[str]
) -> None:
    """What it is asked and says is new when sales rise thirtyfold; what it said is wrong when they all but end."""
    sealed_later(monkeypatch, last_week=last_week)
    seen = look(NAME, "look-1", ask=True)
    assert kinds(seen, breached=True) == beyond
    assert seen.asked and ("recent" if "inputs" in beyond else f"published as of {AS_OF}") in seen.why
    assert not look(NAME, "look-2", ask=False).asked  # nobody would hear it


def test_a_shop_that_fell_silent_is_told(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rows alone ask for nothing: a retrain on them would learn nothing new."""
    sealed_later(monkeypatch, as_of=NOW + timedelta(days=60))
    seen = look(NAME, "look-1", ask=True)
    stale = [one for one in seen.findings if one["kind"] == "freshness" and one["breached"]]
    assert [one["name"] for one in stale] == ["order_lines"]
    assert "the newest row is 61 days older" in stale[0]["why"] and stale[0]["why"] in seen.why


def test_there_is_nothing_to_look_at_before_a_champion(tmp_path: Path) -> None:
    with tiny(tmp_path):
        migrate(settings().ledger)
        assert ready() == ()
        with pytest.raises(UsageError, match="has no champion yet"):
            look(NAME, "look-1", ask=True)

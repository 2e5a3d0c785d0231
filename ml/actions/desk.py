"""The desk's data: what an engineer looks at in the morning, as frozen records, read from the ledger alone.

MLflow is asked for pictures only: a page is whole, and as fast, while MLflow is away.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from ml.actions.desk_card import ADDRESSABLE, card, log_of, version_of, web
from ml.actions.desk_details import details
from ml.actions.desk_notices import notices
from ml.actions.govern import JUDGED, known
from ml.actions.judged import NOTE
from ml.config import Settings, load_params, settings
from ml.errors import SeamUnavailable, UsageError
from ml.publishing.desk import FamilyPage, Overview
from ml.seams.ledger import Ledger
from ml.seams.ledger.desk import DeskRows, RunRow, mlflow_run_of, read_desk, run_of
from ml.seams.ledger.models import now as present
from ml.seams.tracking import Tracking

LAST, LOGGED = 40, 20
"""Versions of a family that a page looks back on, and lines of the log on the first page."""
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST, _KEPT, _PAUSE = 8_000_000, 64, 30.0


class Desk:
    """Reads the pages' data. `clock` gives the present as naive UTC. Keeps the pictures it was asked for last."""

    def __init__(self, clock: Callable[[], datetime] = present) -> None:
        self._clock = clock
        self._pictures: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = 0.0

    def overview(self) -> Overview:
        """Every family of params.yaml, what there is to do, and the last decisions."""
        at = settings()
        entries = load_params(at.project / "params.yaml").families
        rows = read_desk(Ledger(at.ledger), tuple(entries), LAST, JUDGED)
        now = self._clock()
        return Overview(
            now=now,
            notices=tuple(notices(rows, entries, now)),
            cards=tuple(card(at, rows, family, entry) for family, entry in entries.items()),
            log=log_of(rows.decisions)[:LOGGED],
            mlflow=web(at.mlflow),
        )

    def family(self, family: str, version: str | None = None) -> FamilyPage:
        """One family, with one version in detail (without `version`: the newest that was judged).

        Raises UsageError for a family or a version that there is not.
        """
        at = settings()
        entries = load_params(at.project / "params.yaml").families
        ledger, entry = Ledger(at.ledger), entries[known(family)]
        also = run_of(ledger, family, _named(version)) if version is not None else None
        rows = read_desk(ledger, (family,), LAST, JUDGED, also)
        run = _chosen(rows, family, version, also)
        now = self._clock()
        return FamilyPage(
            now=now,
            card=card(at, rows, family, entry),
            version=version_of(at, rows, run) if run else None,
            details=details(run) if run else None,
            notices=tuple(notices(rows, {family: entry}, now)),
            log=log_of(rows.decisions),
            mlflow=web(at.mlflow),
            families=tuple(entries),
        )

    def picture(self, family: str, version: str, plot: str) -> bytes:
        """A plot of a version as PNG, from MLflow; what was logged never changes, so it is fetched once.

        Raises UsageError where there is none, SeamUnavailable while MLflow is away (it is not asked again at once).
        """
        at = settings()
        ledger = Ledger(at.ledger)
        run_id = self._run_of(ledger, known(family), _named(version))
        recorded = mlflow_run_of(ledger, run_id)
        if recorded is None:
            raise UsageError(f"run {run_id} was not recorded in MLflow")
        key = recorded, _named(plot)
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
        found = self._fetched(at, *key)
        with self._lock:
            self._pictures[key] = found
            while len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
        return found

    def _run_of(self, ledger: Ledger, family: str, version: str) -> str:
        decided = run_of(ledger, family, version)
        if decided is not None:
            return decided
        rows = read_desk(ledger, (family,), 1, JUDGED)
        for run in rows.runs.values():
            if run.notes.get("version") == version:
                return run.run_id
        raise _no_version(family, version)

    def _fetched(self, at: Settings, mlflow_run_id: str, plot: str) -> bytes:
        if time.monotonic() < self._away_until:
            raise SeamUnavailable(
                "MLflow was away a moment ago", next_step="reload the page in half a minute"
            )
        try:
            found = Tracking(at.mlflow).artifact(mlflow_run_id, f"plots/{plot}.png")
        except SeamUnavailable:
            self._away_until = time.monotonic() + _PAUSE
            raise
        if not found.startswith(_PNG) or len(found) > _LARGEST:
            raise UsageError(f"plot {plot} of run {mlflow_run_id} is no PNG of at most {_LARGEST} bytes")
        return found


def _named(name: str) -> str:
    if not ADDRESSABLE.fullmatch(name):
        raise UsageError("no such version or plot", expected="letters, digits, _ and -, at most 64 of them")
    return name


def _no_version(family: str, version: str) -> UsageError:
    return UsageError(
        f"the ledger knows no version {version} of {family}", next_step=f"`bellwether history {family}`"
    )


def _chosen(rows: DeskRows, family: str, version: str | None, run_id: str | None) -> RunRow | None:
    if version is None:
        newest = sorted(rows.runs.values(), key=lambda run: run.opened_at, reverse=True)
        return next((run for run in newest if run.family == family and NOTE in run.notes), None)
    for run in rows.runs.values():
        if run.run_id == run_id or run.notes.get("version") == version:
            return run
    raise _no_version(family, version)

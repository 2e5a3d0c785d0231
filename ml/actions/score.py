"""Score contract tables given as Parquet with a registered version: no warehouse, no Airflow."""

from __future__ import annotations

import logging
import re
import tempfile
from datetime import date, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.actions.retrain import check_model
from ml.config import load_params, settings
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, event_time
from ml.errors import DataRejected, UsageError, usable
from ml.families import family as family_of
from ml.families.loading import load_model
from ml.seams.conform import known_before
from ml.seams.engine import open_engine
from ml.seams.ledger import Ledger
from ml.seams.quality import fresh_since
from ml.seams.tables import read_folder
from ml.seams.tracking import CHAMPION, Tracking
from ml.stages.family_params import params_of

_SPEC = re.compile(r"(?P<family>[a-z][a-z0-9_]*)(?:@(?P<alias>[\w-]+)|:(?P<version>\d+))?")

log = logging.getLogger(__name__)
_OTHER_FILE = "name another file: --out FILE"


def score(spec: str, tables: Path, as_of: date, out: Path) -> int:
    """Write the predictions of `family[@alias|:version]` for the tables in a folder; returns the number of rows.

    Rows at or after `as_of` (plans apart) are not looked at. Raises UsageError for an unknown version, DataRejected
    for tables that break their contract, or where nothing had happened before `as_of`; warns where the newest row
    is older than the table's suite calls fresh.
    """
    family, version = resolve(spec)
    with usable(out, _OTHER_FILE):
        out.parent.mkdir(parents=True, exist_ok=True)
    at = settings()
    params = load_params(at.project / "params.yaml")
    record = family_of(family)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _lay_out(record.tables, tables, as_of, folder)
        with open_engine(params.features, folder / "scratch") as engine:
            opened = {name: engine.table(name, folder / name) for name in record.tables}
            engine.write(
                record.features(opened, as_of, params_of(record, params)), folder / "matrix", record.key
            )
            matrix = engine.table("matrix", folder / "matrix")
            model = load_model(record, _downloaded(family, version), "final")
            predictions = record.score(model, matrix, as_of)
    with usable(out, _OTHER_FILE):
        pq.write_table(predictions, out)
    return int(predictions.num_rows)


def _downloaded(family: str, version: str) -> Path:
    """The model folder of a version; where the ledger knows the version, it is the one that the ledger recorded."""
    at = settings()
    folder = Tracking(at.mlflow).download(family, version)
    run = Ledger(at.ledger).find_version(family, version)
    if run is not None:
        check_model(folder, run)
    return folder


def resolve(spec: str) -> tuple[str, str]:
    """Family and version of `family`, `family@alias` or `family:version`; no suffix means the champion."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise UsageError(f"cannot read {spec!r}", expected="FAMILY, FAMILY@alias or FAMILY:version")
    family, at = match["family"], settings()
    load_params(at.project / "params.yaml").entry(family)
    if match["version"]:
        Tracking(at.mlflow).version_tags(family, match["version"])
        return family, match["version"]
    alias = match["alias"] or CHAMPION
    version = _champion(family) if alias == CHAMPION else Tracking(at.mlflow).version_of(family, alias)
    if version is None:
        raise UsageError(
            f"{family} has no version @{alias}",
            expected=f"a registered version in {at.mlflow}",
            next_step=f"`bellwether run {family}`, or name one: {family}:1",
        )
    return family, version


def _champion(family: str) -> str | None:
    at = settings()
    champion = Ledger(at.ledger).champion(family)
    return champion.version if champion else Tracking(at.mlflow).version_of(family)


def _lay_out(names: tuple[str, ...], source: Path, as_of: date, target: Path) -> None:
    given = read_folder(source)
    missing = [name for name in names if name not in given and name not in ("promotions", "events")]
    if missing:
        raise UsageError(
            f"{source} has no table {', '.join(missing)}",
            found=", ".join(sorted(given)) or "nothing",
            expected="one Parquet file a table: " + ", ".join(f"{name}.parquet" for name in names),
        )
    known = {
        name: known_before(TABLES[name], given.get(name, arrow_schema(TABLES[name]).empty_table()), as_of)
        for name in names
    }
    _check_dates(names[0], given[names[0]], known[names[0]], as_of)
    for name, rows in known.items():
        (target / name).mkdir()
        pq.write_table(rows, target / name / "part-000.parquet")


def _check_dates(name: str, given: pa.Table, known: pa.Table, as_of: date) -> None:
    """The events that a family learns from (its first table) have to reach up to `as_of`, or nearly."""
    first, last = _span(name, given)
    _, newest = _span(name, known)
    if newest is None:
        raise DataRejected(
            f"table {name}: nothing happened before {as_of}",
            found=f"rows from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
            if first and last
            else "no row with a time",
            expected=f"rows before {as_of}: what is predicted rests on them",
            next_step="choose a later --as-of, or give tables that go further back",
        )
    wanted = fresh_since(TABLES[name], settings().project / f"expectations/tables/{name}.json", as_of)
    if wanted is not None and newest < wanted:
        days = (datetime.combine(as_of, time()) - newest).days
        words = "table %s: its newest row before %s is of %s, %d days earlier; what is predicted rests on old data"
        log.warning(words, name, as_of, newest.date(), days)


def _span(name: str, rows: pa.Table) -> tuple[datetime | None, datetime | None]:
    """First and last time of the rows' events."""
    found = pc.min_max(rows.column(event_time(TABLES[name]))).as_py()
    return found["min"], found["max"]

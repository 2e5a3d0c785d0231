"""Checks one table, or one family's features, from suite to verdict."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, key
from ml.errors import BellwetherError
from ml.seams.quality import contract as contracts
from ml.seams.quality.believable import believable
from ml.seams.quality.decided import Repairs, accept, with_repairs
from ml.seams.quality.predicates import broken_by, is_row_level, quoted
from ml.seams.quality.preparing import prepare
from ml.seams.quality.profile import facts, profile, read_history
from ml.seams.quality.result import Finding, QualityResult, finding, skipped
from ml.seams.quality.rows import FILE, NUMBER, Database, Limits, Shards, database
from ml.seams.quality.run import Outcome, run_suite
from ml.seams.quality.split import find_broken, rows_in, swap_in, write_parts
from ml.seams.quality.suites import Suite, fill, read_suite
from ml.seams.quality.words import requirement

NO_HISTORY = "no snapshot of this table has been accepted before"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the parts of a checked table go."""

    validated: Path
    quarantine: Path
    report: Path


@dataclass(frozen=True, slots=True)
class TableCheck:
    """All that is needed to check one table; `others` are the snapshots of the tables that it refers to.

    decided: the folder of what people decided about single rows (`ml.seams.quality.decided`).
    """

    contract: Table
    snapshot: Path
    others: Mapping[str, Path]
    suite: Path
    history: Path | None
    outputs: Outputs
    as_of: date
    limits: Limits = field(default_factory=Limits)
    examples: int = 5
    decided: Path | None = None

    @property
    def shards(self) -> Shards:
        """The rows to check."""
        return Shards(self.contract.name, self.snapshot)


def check_table(check: TableCheck) -> QualityResult:
    """Check a snapshot and split it; the report is written in any case, the parts only if the table is accepted.

    Raises DataRejected when the contract or a critical expectation is broken, or too many rows are.
    """
    shards = check.shards
    contracts.check_columns(check.contract, shards)
    with database(check.limits) as opened, _explained(shards), _repaired(opened, check) as (check, repairs):
        shards = check.shards
        _open_views(opened, check)
        suite = _filled(opened, check)
        contracts.read_all_text(opened, check.contract)
        prepare(opened, check.contract.name, suite.expectations)
        findings = _findings(opened, check, suite)
        result = QualityResult(check.contract.name, shards.rows, findings)
        if not result.accepted:
            result.write(check.outputs.report / "result.json")
            raise result.rejection(_next_step(check))
        return _accept(opened, check, suite, result, repairs)


@contextmanager
def _repaired(opened: Database, check: TableCheck) -> Iterator[tuple[TableCheck, Repairs]]:
    """The same check, of a snapshot in which what people repaired stands in for what was wrong."""
    if check.decided is None:
        yield check, Repairs()
        return
    room = check.outputs.validated.parent
    with with_repairs(opened, check.contract, check.snapshot, check.decided, room) as (snapshot, repairs):
        yield replace(check, snapshot=snapshot), repairs


def _filled(opened: Database, check: TableCheck) -> Suite:
    suite = read_suite(check.suite)
    own = contracts.expectations_of(check.contract, suite.meta.get("tolerated", 0.0), check.others)
    history = read_history(check.history, check.as_of)
    values = facts(check.contract, suite.meta, check.as_of, history) | believable(
        opened, check.shards, suite.meta
    )
    return fill(replace(suite, expectations=(*own, *suite.expectations)), values, NO_HISTORY)


def _open_views(opened: Database, check: TableCheck) -> None:
    opened.view(check.contract.name, check.shards, arrow_schema(check.contract))
    for name, snapshot in check.others.items():
        other = Shards(name, snapshot)
        contracts.check_columns(TABLES[name], other)
        opened.view(name, other, arrow_schema(TABLES[name]))


@contextmanager
def _explained(shards: Shards) -> Iterator[None]:
    """What DuckDB cannot read is the table's fault only if its text is not UTF-8."""
    try:
        yield
    except BellwetherError:
        raise
    except Exception as error:
        rejection = contracts.unreadable_text(shards.table, shards)
        if rejection is None:
            raise
        raise rejection from error


def _findings(opened: Database, check: TableCheck, suite: Suite) -> list[Finding]:
    shutil.rmtree(check.outputs.report, ignore_errors=True)
    outcomes = run_suite(opened, suite, check.contract.name, check.as_of, check.outputs.report / "docs")
    asked = [finding(one, check.shards.rows, _examples(opened, check, one)) for one in outcomes]
    return [*asked, *(skipped(one) for one in suite.expectations if one.skipped)]


def _examples(opened: Database, check: TableCheck, outcome: Outcome) -> list[dict[str, Any]]:
    one = outcome.expectation
    if not outcome.unexpected or not is_row_level(one):
        return []
    names = dict.fromkeys([*key(check.contract), *one.column.split(", ")])
    columns = ", ".join(quoted(name) for name in names)
    at = quoted(check.contract.name + "_at")
    order = f"ORDER BY {FILE}, {NUMBER} LIMIT {check.examples}"
    return opened.records(f"SELECT {columns} FROM {at} WHERE {broken_by(one)} {order}")


def _accept(
    opened: Database, check: TableCheck, suite: Suite, result: QualityResult, repairs: Repairs
) -> QualityResult:
    reasons = {
        requirement(one.expectation): broken_by(one.expectation) for one in result.findings if one.puts_aside
    }
    broken = find_broken(opened, check.contract.name, reasons) if reasons else 0
    accepted = _accepted(opened, check) if broken else 0
    broken -= accepted
    passed, quarantined = _split(opened, check, broken)
    done = replace(
        result,
        passed=passed,
        quarantined=quarantined,
        reasons={requirement(one.expectation): one.unexpected for one in result.findings if one.puts_aside},
        decided=_decided(accepted, repairs),
    )
    described = profile(opened, check.contract, suite.meta, check.as_of)
    _write_report(check.outputs.report, done, described)
    return done


def _accepted(opened: Database, check: TableCheck) -> int:
    if check.decided is None:
        return 0
    return accept(opened, check.contract, check.decided, contracts.never_waved(check.contract, check.others))


def _decided(accepted: int, repairs: Repairs) -> dict[str, int]:
    counts = {"accepted": accepted, "repaired": repairs.repaired, "replaced": repairs.replaced}
    return counts if any(counts.values()) else {}


def _split(opened: Database, check: TableCheck, broken: int) -> tuple[int, int]:
    outputs = check.outputs
    outputs.validated.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=outputs.validated.parent, prefix=".split-") as scratch:
        passed, quarantine = Path(scratch, "passed"), Path(scratch, "quarantine")
        passed.mkdir()
        quarantine.mkdir()
        write_parts(opened, check.shards, arrow_schema(check.contract), passed, quarantine, broken)
        counts = rows_in(passed), rows_in(quarantine)
        if sum(counts) != check.shards.rows:
            raise AssertionError(f"{check.contract.name}: {check.shards.rows} rows in, {counts} out")
        swap_in([(passed, outputs.validated), (quarantine, outputs.quarantine)])
    return counts


def _write_report(folder: Path, result: QualityResult, described: Mapping[str, Any]) -> None:
    import json

    result.write(folder / "result.json")
    (folder / "profile.json").write_text(json.dumps(described, indent=1, default=str) + "\n")


def _next_step(check: TableCheck) -> str:
    return (
        f"{contracts.REPAIR}; if the rows are right, change {check.suite}. "
        f"All findings: {(check.outputs.report / 'docs' / 'index.html').absolute()}"
    )

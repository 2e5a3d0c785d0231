"""Stage `validate`: one table's snapshot in; the rows that may be used, those that may not, and the report out."""

from __future__ import annotations

import logging
from pathlib import Path

from ml.config import Params, load_params
from ml.contracts import TABLES
from ml.errors import UsageError
from ml.seams.quality import Limits, Outputs, TableCheck, check_table
from ml.stages import run_stage_main

log = logging.getLogger(__name__)


def validate(name: str) -> None:
    """Check table `name` of params.yaml. Raises DataRejected if it may not be used; says what it put aside."""
    params = load_params()
    result = check_table(_check(name, params))
    for finding in result.warnings:
        log.warning("%s: %s", name, finding.message)
    log.info("%s: %d rows, %d passed, %d put aside", name, result.rows, result.passed, result.quarantined)
    for what, rows in result.decided.items():
        log.info("%s: %d rows %s by a person's decision", name, rows, what)


def _check(name: str, params: Params) -> TableCheck:
    entry = params.tables.get(name)
    if entry is None or name not in TABLES:
        raise UsageError(f"table {name!r} is not in params.yaml", expected=", ".join(params.tables))
    data, limits = Path("data"), params.validation
    return TableCheck(
        contract=TABLES[name],
        snapshot=data / "snapshot" / name,
        others={other: data / "snapshot" / other for other in entry.checked_against if other != name},
        suite=Path("expectations/tables") / f"{name}.json",
        history=data / "inputs/history" / f"{name}.json",
        outputs=Outputs(data / "validated" / name, data / "quarantine" / name, data / "validation" / name),
        as_of=params.as_of,
        limits=Limits(limits.memory_limit, limits.threads),
        examples=limits.examples,
        decided=data / "inputs/history",
    )


if __name__ == "__main__":
    run_stage_main(validate)

"""Checks a family's feature table with the family's suite: features are made by us, so nothing is put aside."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

from ml.errors import DataRejected
from ml.seams.quality.predicates import broken_by, is_row_level, listed, quoted
from ml.seams.quality.preparing import prepare
from ml.seams.quality.result import Finding, QualityResult, finding, skipped
from ml.seams.quality.rows import Database, Limits, database
from ml.seams.quality.run import Outcome, run_suite
from ml.seams.quality.suites import Suite, fill, read_suite

VIEW = "features"
_EXAMPLES = 5


def check_features(
    parquet_glob: str, suite: Path, out: Path, *, as_of: date | None = None, limits: Limits | None = None
) -> QualityResult:
    """Check the rows of `parquet_glob`; the result is written to `out`/quality.json.

    Raises DataRejected when a critical expectation is broken; the others are in the result as warnings.
    """
    values = {"as_of": datetime.combine(as_of, time())} if as_of else {}
    read = fill(read_suite(suite), values, "its value is not known here")
    with database(limits or Limits()) as opened:
        opened.run(f"CREATE VIEW {VIEW} AS SELECT * FROM read_parquet({listed([parquet_glob])[1:-1]})")
        _check_columns(opened, read, suite)
        rows = int(opened.run(f"SELECT count(*) FROM {VIEW}")[0][0])
        result = QualityResult(
            f"{read.name} (features)", rows, _findings(opened, read, rows), quarantines=False, passed=rows
        )
    result.write(out / "quality.json")
    if not result.accepted:
        raise result.rejection(
            f"the family's features are wrong, or {suite} is; all findings: {out / 'quality.json'}"
        )
    return result


def _check_columns(opened: Database, read: Suite, suite: Path) -> None:
    found = {name for name, *_ in opened.run(f"DESCRIBE {VIEW}")}
    asked = {name for one in read.expectations for name in one.column.split(", ") if name}
    if asked - found:
        raise DataRejected(
            f"{read.name} (features): columns are missing",
            found=f"no {', '.join(sorted(asked - found))}",
            expected=f"every column that {suite} speaks of",
            next_step=f"compute the features again; if the columns were dropped on purpose, change {suite}",
        )


def _findings(opened: Database, suite: Suite, rows: int) -> list[Finding]:
    prepare(opened, VIEW, suite.expectations)
    outcomes = run_suite(opened, suite, VIEW, date.min, docs=None)
    asked = [finding(one, rows, _examples(opened, one)) for one in outcomes]
    return [*asked, *(skipped(one) for one in suite.expectations if one.skipped)]


def _examples(opened: Database, outcome: Outcome) -> list[dict[str, object]]:
    one = outcome.expectation
    if not outcome.unexpected or not is_row_level(one):
        return []
    columns = ", ".join(quoted(name) for name in one.column.split(", "))
    return opened.records(
        f"SELECT {columns} FROM {VIEW} WHERE {broken_by(one)} ORDER BY ALL LIMIT {_EXAMPLES}"
    )

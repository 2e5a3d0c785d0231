"""What was found, in words for a person and in JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.errors import DataRejected
from ml.seams.quality.predicates import is_row_level
from ml.seams.quality.run import Outcome
from ml.seams.quality.suites import Expectation, Severity
from ml.seams.quality.words import requirement, short

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation with what became of it."""

    expectation: Expectation
    success: bool
    unexpected: int
    message: str
    examples: Sequence[Record] = ()

    @property
    def critical(self) -> bool:
        """Whether it is broken and critical."""
        return not self.success and self.expectation.severity is Severity.CRITICAL

    @property
    def too_many(self) -> bool:
        """Whether more rows are broken than may be put aside."""
        return (
            not self.success
            and is_row_level(self.expectation)
            and self.expectation.severity is not Severity.INFO
        )

    @property
    def puts_aside(self) -> bool:
        """Whether its broken rows go to quarantine."""
        return (
            self.unexpected > 0
            and is_row_level(self.expectation)
            and self.expectation.severity is not Severity.INFO
        )

    def to_dict(self) -> dict[str, Any]:
        """As in result.json."""
        one = self.expectation
        return {
            "type": one.type,
            "column": one.column,
            "kwargs": dict(one.kwargs),
            "severity": one.severity.value,
            "success": self.success,
            "skipped": one.skipped,
            "unexpected_count": self.unexpected,
            "examples": [dict(example) for example in self.examples],
            "message": self.message,
            "why": one.why,
        }


@dataclass(frozen=True, slots=True)
class QualityResult:
    """The result of checking one table; `quarantines`: whether single rows of it can be put aside.

    decided: rows that came back because a person decided so (accepted, repaired), and rows taken out for them
    (replaced); empty where nobody decided anything about this table.
    """

    name: str
    rows: int
    findings: Sequence[Finding]
    quarantines: bool = True
    passed: int = 0
    quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    decided: Mapping[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether the table may be used."""
        return not self.rejections

    @property
    def rejections(self) -> list[Finding]:
        """The findings because of which the table may not be used."""
        return [one for one in self.findings if one.critical or (self.quarantines and one.too_many)]

    @property
    def warnings(self) -> list[Finding]:
        """Findings to be read by a person, though the table is used."""
        rejections = self.rejections
        return [one for one in self.findings if not one.success and one not in rejections]

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "table": self.name,
            "accepted": self.accepted,
            "rows": {
                "in": self.rows,
                "passed": self.passed,
                "quarantined": self.quarantined,
                "reasons": dict(self.reasons),
                **({"decided": dict(self.decided)} if self.decided else {}),
            },
            "expectations": [finding.to_dict() for finding in self.findings],
        }
        path.write_text(json.dumps(content, indent=1, default=str) + "\n")

    def rejection(self, next_step: str) -> DataRejected:
        """The error that a user sees."""
        broken = self.rejections
        which = "one expectation is" if len(broken) == 1 else f"{len(broken)} expectations are"
        return DataRejected(
            f"table {self.name} is rejected: {which} broken",
            found="\n    ".join(finding.message for finding in broken),
            expected="\n    ".join(dict.fromkeys(requirement(finding.expectation) for finding in broken)),
            next_step=next_step,
        )


def skipped(expectation: Expectation) -> Finding:
    """An expectation that could not be asked."""
    return Finding(expectation, True, 0, f"not asked: {expectation.skipped}")


def finding(outcome: Outcome, rows: int, examples: Sequence[Record]) -> Finding:
    """An outcome with its message."""
    one = outcome.expectation
    if is_row_level(one):
        message = _rows_message(one, outcome.unexpected, rows, examples)
    else:
        message = _table_message(one, outcome)
    return Finding(one, outcome.success, outcome.unexpected, message, examples)


def _rows_message(one: Expectation, broken: int, rows: int, examples: Sequence[Record]) -> str:
    if not broken:
        return f"{one.column}: all rows pass"
    tolerated = (1 - one.kwargs.get("mostly", 1.0)) * 100
    shown = "; ".join(
        ", ".join(f"{name}={short(value)}" for name, value in example.items()) for example in examples
    )
    share = f"{broken:,} of {rows:,} rows ({broken / rows:.2%})"
    quoted = f", e.g. {shown}" if shown else ""
    return f"column {one.column}: {share}, tolerated {tolerated:.4g} %{quoted}"


def _table_message(one: Expectation, outcome: Outcome) -> str:
    about = f"column {one.column}" if one.column else "rows"
    return f"{about}: {short(outcome.observed)}"

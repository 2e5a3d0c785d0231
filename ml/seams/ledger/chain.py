"""The chain of decisions: each carries a digest over itself and over the digest of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ml.seams.ledger.models import Decision

CHAINED = ("family", "seq", "action", "run_id", "version", "actor", "why", "verdict", "decided_at")
GENESIS = "0" * 64
_TIME = "decided_at"


def chained(previous: str, fields: Mapping[str, Any]) -> str:
    """SHA-256 over the previous decision's digest and this decision's fields: a changed row breaks the chain."""
    plain = {name: _plain(value) for name, value in fields.items()}
    body = json.dumps({"previous": previous, **plain}, sort_keys=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Times in one form, which SQLite and PostgreSQL give back alike: naive UTC, to the microsecond."""
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def is_as_written(row: Decision) -> bool:
    """Whether a decision has the digest of what it says.

    Digests of the first ledgers leave the time out. They cannot stand in for one that has it: another text is digested.
    """
    fields = {name: getattr(row, name) for name in CHAINED}
    untimed = {name: value for name, value in fields.items() if name != _TIME}
    return row.digest in (chained(row.previous, fields), chained(row.previous, untimed))


def broken(family: str, decisions: Sequence[Decision]) -> list[str]:
    """What is wrong with a family's decisions, oldest first, in words; [] for a chain without a gap or a change."""
    previous, wrong = GENESIS, []
    for number, row in enumerate(decisions, start=1):
        if row.seq != number:
            wrong.append(f"{family}: decision {number} is missing; {row.seq} follows")
            break
        if row.previous != previous or not is_as_written(row):
            wrong.append(f"{family}: decision {row.seq} is not what was written on {row.decided_at:%Y-%m-%d}")
        previous = row.digest
    return wrong

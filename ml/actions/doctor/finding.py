"""What the doctor looks at, and what it says of a disagreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ml.config import Settings
from ml.seams.ledger import Champion, Ledger
from ml.seams.ledger.models import Decision
from ml.seams.tracking import Tracking


@dataclass(frozen=True, slots=True)
class Mend:
    """What repairs a disagreement without losing anything; findings that share a name share the deed."""

    name: str
    act: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Finding:
    """Two things that disagree; without `mend`, a person has to look.

    untrusted: the ledger itself cannot be believed, and so nothing of the family may follow it.
    """

    family: str
    what: str
    found: str
    expected: str
    next_step: str
    mend: Mend | None = None
    untrusted: bool = False


@dataclass(frozen=True)
class Case:
    """One family, and where to ask about it."""

    family: str
    at: Settings
    ledger: Ledger
    tracking: Tracking

    @cached_property
    def champion(self) -> Champion | None:
        """Who is in service."""
        return self.ledger.champion(self.family)

    @cached_property
    def decisions(self) -> list[Decision]:
        """All decisions, oldest first."""
        return self.ledger.decisions(self.family)

    def finding(
        self,
        what: str,
        *,
        found: str,
        expected: str,
        next_step: str,
        mend: Mend | None = None,
        untrusted: bool = False,
    ) -> Finding:
        """A disagreement about this family."""
        return Finding(self.family, what, found, expected, next_step, mend, untrusted)

"""Do ledger, registry, data and publications agree? The ledger decides; what follows it can be mended.

    decisions     the chain of decisions; the state of the runs decided about
    registry      MLflow's alias, the versions that were in service, half-made versions
    data          objects in the cache or the remote; the champion's model byte for byte
    publications  tables in the warehouse and landing pages
    leftovers     what killed processes have left

Mending moves an alias, sets tags, publishes again, and removes what nobody works on. A broken chain, a lost decision,
lost data and a version that is gone are for people. Where the ledger was changed, nothing of the family is mended: it
would follow whoever changed it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ml.actions.doctor import data, decisions, leftovers, publications, registry
from ml.actions.doctor.finding import Case, Finding
from ml.config import load_params, settings
from ml.errors import BellwetherError
from ml.seams.ledger import Ledger
from ml.seams.tracking import Tracking

__all__ = ["Finding", "examine", "mend"]
log = logging.getLogger(__name__)
Step = Callable[[str], None]
_CHECKS = {
    "the ledger": decisions.check,
    "the registry": registry.check,
    "the data": data.check,
    "the publications": publications.check,
    "left-overs": leftovers.check,
}
_ROUNDS = 3


def examine(family: str | None = None, *, step: Step = lambda _text: None) -> list[Finding]:
    """Everything that disagrees, of one family or of all; [] where all agree.

    Raises UsageError for an unknown family, SeamUnavailable if the ledger cannot be asked.
    """
    at = settings()
    params = load_params(at.project / "params.yaml")
    if family is not None:
        params.entry(family)
    names = params.families if family is None else (family,)
    ledger, tracking = Ledger(at.ledger), Tracking(at.mlflow)
    ledger.champion(next(iter(names)))  # a ledger that does not answer is told once, not of every part
    found = [item for name in names for item in _believed(_of(Case(name, at, ledger, tracking), step))]
    return [*found, *(leftovers.anywhere(at) if family is None else ())]


def _of(case: Case, step: Step) -> Iterator[Finding]:
    for part, check in _CHECKS.items():
        step(f"{case.family}: {part}")
        try:
            yield from list(check(case))
        except BellwetherError as error:
            yield case.finding(
                f"{part} of {case.family} cannot be looked at",
                found=f"{error.what} ({error.found})" if error.found else error.what,
                expected=str(error.expected or "an answer"),
                next_step=error.next_step or "look at the log",
            )


def _believed(found: Iterable[Finding]) -> list[Finding]:
    """The findings about one family; none of them can be mended where its ledger cannot be believed."""
    items = list(found)
    if not any(item.untrusted for item in items):
        return items
    return [
        replace(item, mend=None, next_step=f"first the ledger: then {item.next_step}") if item.mend else item
        for item in items
    ]


def mend(
    found: Sequence[Finding], family: str | None = None, *, step: Step = lambda _text: None
) -> tuple[list[str], list[Finding]]:
    """Repair what is safe to repair; returns what was done, and what disagrees after that."""
    done: list[str] = []
    for _ in range(_ROUNDS):
        fresh = {item.mend.name: item for item in found if item.mend and item.mend.name not in done}
        if not fresh:
            break
        failed = [name for name, item in fresh.items() if not _mended(item, step)]
        done += [name for name in fresh if name not in failed]
        found = [_hopeless(item, failed) for item in examine(family, step=step)]
    return done, list(found)


def _mended(item: Finding, step: Step) -> bool:
    assert item.mend is not None
    step(item.mend.name)
    try:
        item.mend.act()
    except BellwetherError as error:
        log.warning("%s: %s", item.mend.name, error)
        return False
    return True


def _hopeless(item: Finding, failed: Sequence[str]) -> Finding:
    """What could not be mended is not tried again."""
    return replace(item, mend=None) if item.mend and item.mend.name in failed else item

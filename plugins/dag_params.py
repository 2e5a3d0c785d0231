"""Parameters of the DAGs, as the form of a manual run shows them."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param


def as_of(unset: str) -> Param:
    """A day, or nothing; `unset` says what nothing means."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description=f"Only what happened before 00:00 UTC of this day is known. Empty: {unset}.",
    )


def force(meaning: str) -> Param:
    """A switch."""
    return Param(False, type="boolean", title="Force", description=meaning)


def replay() -> Param:
    """Whether the newest snapshots (of `as_of`) are taken again, with what people decided about their rows."""
    return Param(
        False,
        type="boolean",
        title="Replay",
        description="Do not read the warehouse: validate the newest snapshots (of the day above, if given) again, with "
        "the rows that people released from quarantine since (`bellwether quarantine`).",
    )


def version(families: Sequence[str], unset: str) -> Param:
    """A version of one of these families, or nothing; `unset` says what nothing means."""
    return Param(
        None,
        type=["null", "string"],
        pattern=rf"^({'|'.join(families)})(@[\w-]+|:[0-9]+)?$",
        title="Version",
        description=f"FAMILY, FAMILY@alias or FAMILY:version. Empty: {unset}.",
    )

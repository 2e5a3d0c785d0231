"""What customers see against the ledger: tables in the warehouse and landing pages, of the champion and whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ml.actions.doctor.finding import Case, Finding, Mend
from ml.actions.publish import not_ready, publish_again, site_of
from ml.publishing import swap
from ml.seams.ledger.models import Publication
from ml.seams.warehouse import Label, Warehouse, connect


def check(case: Case) -> Iterator[Finding]:
    """Whatever does not agree is published again, where the newest tables fit the champion."""
    if case.champion is None:
        return
    last = case.ledger.last_publication(case.family)
    if last is None:
        if not_ready(case.family) is None:
            yield _unlike(
                case, "the champion is not published", "nothing", f"version {case.champion.version}"
            )
        return
    if last.version != case.champion.version:
        yield _unlike(
            case,
            "another version than the champion is published",
            f"version {last.version}",
            f"version {case.champion.version}",
        )
    with connect(case.at.warehouse) as warehouse:
        yield from _tables(case, warehouse, last)
    yield from _pages(case, last)


def _unlike(case: Case, what: str, found: str, expected: str) -> Finding:
    obstacle = not_ready(case.family)
    again = Mend(f"publish {case.family} again", partial(publish_again, case.family))
    return case.finding(
        what,
        found=found,
        expected=expected,
        next_step=f"{obstacle}: let retrain_{case.family} promote one"
        if obstacle
        else "`bellwether doctor --mend` publishes again; so does the DAG "
        f"publish_{case.family} when it runs next",
        mend=None if obstacle else again,
    )


def _tables(case: Case, warehouse: Warehouse, last: Publication) -> Iterator[Finding]:
    said, recorded = warehouse.label(case.family), _recorded(last)
    if said != recorded:
        yield _unlike(
            case,
            "the tables in the warehouse are not those that the ledger says are published",
            _words(said),
            _words(recorded),
        )
        return
    for name, rows in last.names.items():
        found, expected = _held(warehouse, name, rows, last.contents.get(name))
        if found != expected:
            yield _unlike(case, f"table bellwether_{name} of the warehouse was changed", found, expected)


def _held(warehouse: Warehouse, name: str, rows: int, contents: Mapping[str, Any] | None) -> tuple[str, str]:
    """What a table holds and should hold, in words: rows, then their digest where the publication kept one."""
    there = warehouse.count(name)
    if there != rows or contents is None:
        return "no such table" if there is None else f"{there:,} rows", f"{rows:,} rows"
    digest = warehouse.digest(name, contents["columns"])
    if digest is None:
        return "other columns", ", ".join(contents["columns"])
    return f"rows of digest {digest[:12]}", f"rows of digest {contents['digest'][:12]}"


def _recorded(last: Publication) -> Label:
    return Label(last.family, last.version, last.as_of, last.data_digest, last.run_id, dict(last.names))


def _words(label: Label | None) -> str:
    if label is None:
        return "tables that do not say what they are of"
    return f"version {label.version} as of {label.as_of}, data {label.data_digest[:12]}, by {label.run_id or 'unknown'}"


def _pages(case: Case, last: Publication) -> Iterator[Finding]:
    folder = site_of(case.at, case.family)
    if not last.pages:
        return
    shown = swap.shown(folder)
    if shown != last.pages:
        what = "the landing pages are not those that the ledger says are published"
        yield _unlike(case, what, shown or f"nothing at {folder}", last.pages)
    elif not swap.is_whole(folder, shown):
        what = "files of the landing pages were changed"
        yield _unlike(case, what, f"other bytes in {folder}", f"the digest in {shown}")

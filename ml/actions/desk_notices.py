"""What there is to do in the morning: answers that are awaited, versions that differ, tables that were not sealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from ml.actions.asked import answer_page
from ml.actions.desk_card import reproduction_of
from ml.actions.judged import NOTE
from ml.config import FamilyEntry
from ml.publishing import words
from ml.publishing.desk import Notice
from ml.seams.ledger.desk import DeskRows, RunRow


def notices(rows: DeskRows, entries: Mapping[str, FamilyEntry], now: datetime) -> Iterator[Notice]:
    """First what waits for an answer, then each family's, then the newest ingest's."""
    for run in rows.waiting:
        if run.notes.get(NOTE, {}).get("verdict", {}).get("approved", True):
            yield _pending(run, entries[str(run.family)].approval, now)
    for family in entries:
        yield from _of_family(rows, family, now)
    yield from _of_ingest(rows, now)


def _pending(run: RunRow, policy: str, now: datetime) -> Notice:
    page = answer_page(run.notes)
    reasons = run.notes.get(NOTE, {}).get("verdict", {}).get("reasons", ())
    answered = "" if policy == "human" else "; the policy is auto, so its run will decide if it still goes on"
    return Notice(
        "act",
        str(run.family),
        f"{run.family} version {run.notes.get('version', '?')} as of {run.as_of} waits for a decision; opened "
        f"{words.ago(run.opened_at, now)}{answered}",
        tuple(str(reason) for reason in reasons),
        address=page or "",
        link="Answer in Airflow" if page else "",
        command=f'bellwether approve {run.run_id} --why "…"',
    )


def _of_family(rows: DeskRows, family: str, now: datetime) -> Iterator[Notice]:
    champion, shown, look = rows.champions.get(family), rows.publications.get(family), rows.looks.get(family)
    if champion is None:
        yield Notice("look", family, f"{family} has no champion yet")
        return
    run = rows.runs.get(champion.run_id)
    rebuilt = reproduction_of(run) if run else None
    if rebuilt and not rebuilt.identical:
        yield Notice(
            "act",
            family,
            f"{family} version {champion.version} was rebuilt {words.ago(rebuilt.at, now)}, and differs",
            command=f"bellwether reproduce {family}:{champion.version}",
        )
    if shown is None or shown.version != champion.version:
        seen = f"version {shown.version}" if shown else "nothing yet"
        text = f"{family}: customers see {seen}, in service is version {champion.version}"
        yield Notice("look", family, text)
    if look and look.breached:
        asked = "; a retrain was asked for" if look.asked else ""
        text = f"{family} drifts, seen {words.ago(look.looked_at, now)}{asked}"
        yield Notice("look", family, text, (look.why,) if look.why else ())


def _of_ingest(rows: DeskRows, now: datetime) -> Iterator[Notice]:
    if rows.ingests and rows.ingests[0].status != "sealed":
        newest = rows.ingests[0]
        yield Notice(
            "look",
            "",
            f"the newest ingest, {newest.run_id} as of {newest.as_of}, opened {words.ago(newest.opened_at, now)}, "
            "has not been sealed: it still runs, or a table was rejected",
            address="dags/ingest",
            link="Ingest in Airflow",
        )

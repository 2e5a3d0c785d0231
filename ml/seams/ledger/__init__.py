"""The ledger: our own record of what was read, run, decided and published (PostgreSQL, or SQLite without a server).

It decides who is champion: the last promotion of a family. Everything else (MLflow's alias, the pages) follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, make_url, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from ml.config import OTHER_HOME, to_reach
from ml.errors import SeamUnavailable, StaleDecision, UsageError, usable
from ml.seams.ledger.chain import GENESIS, broken, chained
from ml.seams.ledger.models import Decision, Look, Publication, Run, Snapshot, now

PROMOTE, REJECT, ROLL_BACK = "promote", "reject", "roll back"
ENTHRONES = (PROMOTE, ROLL_BACK)
"""The decisions that put a version into service."""
DECIDED = "decision"
"""Note of a run: the number of the last decision about it."""


@dataclass(frozen=True, slots=True)
class Champion:
    """Who is in service."""

    family: str
    seq: int
    version: str
    run_id: str


def migrate(url: str) -> None:
    """Bring the ledger at `url` to the present schema (creates it where it is empty)."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with _reachable(url), _engine(url).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7204513)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        folder = Path(parsed.database).parent
        with usable(folder, OTHER_HOME):
            folder.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_pre_ping=True)
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _patient)
    return engine


def _patient(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout = 30000")
    connection.execute("PRAGMA journal_mode = WAL")


@contextmanager
def _reachable(url: str) -> Iterator[None]:
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        said = str(error.orig).strip().splitlines()[0]
        unmade = "no such table" in said or "does not exist" in said
        if isinstance(error, ProgrammingError) and not unmade:
            raise
        raise SeamUnavailable(
            "the ledger has no tables yet" if unmade else "the ledger cannot be reached",
            found=said,
            expected=f"a migrated database at {make_url(url).render_as_string(hide_password=True)}",
            next_step=to_reach(
                url, "`make up` or `bellwether run FAMILY` makes it; or set BELLWETHER_LEDGER_URL"
            ),
        ) from error


class Ledger:
    """Reads and writes the ledger at one URL. Every method is one transaction."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with (
            _reachable(self.url),
            Session(_engine(self.url), expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def open_run(self, run: Run) -> Run:
        """Write a run; opening the same run again (a retry) changes nothing. Returns it as it is in the ledger."""
        with self._session() as session:
            known = session.get(Run, run.run_id)
            if known is None:
                session.add(run)
            return known or run

    def find_run(self, run_id: str) -> Run | None:
        """The run `run_id`, or None."""
        with self._session() as session:
            return session.get(Run, run_id)

    def run(self, run_id: str) -> Run:
        """The run `run_id`. Raises UsageError if there is none."""
        found = self.find_run(run_id)
        if found is None:
            raise UsageError(
                f"no run {run_id!r} in the ledger",
                next_step="`bellwether decisions` names the runs that wait, `bellwether history FAMILY` those decided",
            )
        return found

    def update_run(self, run_id: str, *, notes: Mapping[str, Any] | None = None, **values: str) -> None:
        """Set columns of a run; `notes` are merged into those it has."""
        with self._session() as session:
            run = session.get(Run, run_id, with_for_update=True)
            if run is None:
                raise UsageError(f"no run {run_id!r} in the ledger")
            for name, value in values.items():
                setattr(run, name, value)
            run.notes = {**run.notes, **(notes or {})}

    def change_lock(self, run_id: str, change: Callable[[str], str]) -> None:
        """Replace the lock of a run by what `change` makes of it; workers that do so at once lose nothing."""
        while True:
            before = self.run(run_id).lock
            swap = update(Run).where(Run.run_id == run_id, Run.lock == before).values(lock=change(before))
            with self._session() as session:
                if session.connection().execute(swap).rowcount:
                    return

    def seal(self, snapshots: Sequence[Snapshot]) -> None:
        """Write the validated tables of an ingest, all or none; sealing again replaces what this run sealed."""
        with self._session() as session:
            for snapshot in snapshots:
                session.merge(snapshot)

    def sealed(self, tables: Sequence[str], as_of: date | None = None) -> list[Snapshot]:
        """All of `tables` from one ingest of the shop that was read last; [] if there is none.

        Of its ingests the newest one of `as_of`, or without `as_of` of the latest day: a backfill of an old day does
        not pass for news.
        """
        run_id = self.newest_ingest(tables, as_of)
        return self.sealed_by(run_id, tables) if run_id else []

    def newest_ingest(self, tables: Sequence[str] = (), as_of: date | None = None) -> str | None:
        """The ingest that `sealed` takes these tables from (none named: the newest of any table), or None."""
        complete = select(
            Snapshot.run_id, func.max(Snapshot.as_of), func.max(Snapshot.sealed_at), Snapshot.shop
        ).group_by(Snapshot.run_id, Snapshot.shop)
        if tables:
            complete = complete.where(Snapshot.table_name.in_(tables)).having(func.count() == len(tables))
        with self._session() as session:
            found = session.execute(complete).all()
        shop = max(found, key=lambda row: row[2])[3] if found else None
        fits = [row for row in found if row[3] == shop and as_of in (None, row[1])]
        return max(fits, key=lambda row: (row[1], row[2]))[0] if fits else None

    def sealed_by(self, run_id: str, tables: Sequence[str]) -> list[Snapshot]:
        """What an ingest sealed of `tables`."""
        with self._session() as session:
            rows = select(Snapshot).where(Snapshot.run_id == run_id, Snapshot.table_name.in_(tables))
            return list(session.scalars(rows.order_by(Snapshot.table_name)))

    def history(self, table: str, shop: str, before: date, limit: int = 30) -> list[dict[str, Any]]:
        """Profiles of a shop's last accepted snapshots of `table` as of earlier days: one a day, oldest first."""
        with self._session() as session:
            rows = session.scalars(
                select(Snapshot)
                .where(Snapshot.table_name == table, Snapshot.shop == shop, Snapshot.as_of < before)
                .order_by(Snapshot.as_of.desc(), Snapshot.sealed_at.desc())
                .limit(4 * limit)
            )
            newest: dict[date, dict[str, Any]] = {}
            for row in rows:
                newest.setdefault(row.as_of, row.profile)
        return [newest[day] for day in sorted(newest)[-limit:]]

    def last_decision(self, family: str) -> Decision | None:
        """The newest decision about a family."""
        with self._session() as session:
            return session.scalar(
                select(Decision).where(Decision.family == family).order_by(Decision.seq.desc()).limit(1)
            )

    def champion(self, family: str) -> Champion | None:
        """The version in service: the last one that was promoted, or rolled back to."""
        with self._session() as session:
            row = session.scalar(
                select(Decision)
                .where(Decision.family == family, Decision.action.in_(ENTHRONES))
                .order_by(Decision.seq.desc())
                .limit(1)
            )
        if row is None or row.version is None:
            return None
        return Champion(family, row.seq, row.version, row.run_id)

    def judged_before(self, run: Run) -> bool:
        """Whether another run had the same data, code and parameters, and came to a decision."""
        with self._session() as session:
            same = select(Run.run_id).where(
                Run.run_id != run.run_id,
                Run.family == run.family,
                Run.data_digest == run.data_digest,
                Run.recipe_digest == run.recipe_digest,
                Run.status.in_(("promoted", "refused")),
            )
            return session.scalar(same.limit(1)) is not None

    def decision_on(self, run_id: str, action: str) -> Decision | None:
        """The decision of this kind about a run's version, if there is one."""
        with self._session() as session:
            return session.scalar(
                select(Decision).where(Decision.run_id == run_id, Decision.action == action).limit(1)
            )

    def decide(
        self,
        family: str,
        *,
        after: int,
        action: str,
        run_id: str,
        version: str | None,
        actor: str,
        why: str,
        verdict: Mapping[str, Any],
    ) -> Decision:
        """Append a decision that was made knowing decision number `after` (0: none); its run notes its number.

        Raises StaleDecision if another one came in between.
        """
        fields = {
            "family": family,
            "seq": after + 1,
            "action": action,
            "run_id": run_id,
            "version": version,
            "actor": actor,
            "why": why,
            "verdict": dict(verdict),
            "decided_at": now(),
        }
        try:
            with self._session() as session:
                return self._append(session, after, fields)
        except IntegrityError as error:
            raise _stale(family, after) from error

    def _append(self, session: Session, after: int, fields: dict[str, Any]) -> Decision:
        family = fields["family"]
        last = session.scalar(
            select(Decision).where(Decision.family == family).order_by(Decision.seq.desc()).limit(1)
        )
        if (last.seq if last else 0) != after:
            raise _stale(family, after)
        previous = last.digest if last else GENESIS
        decision = Decision(**fields, previous=previous, digest=chained(previous, fields))
        session.add(decision)
        session.flush()
        run = session.get(Run, fields["run_id"], with_for_update=True)
        if run is not None:
            run.notes = {**run.notes, DECIDED: decision.seq}
        return decision

    def decisions(self, family: str) -> list[Decision]:
        """All decisions about a family, oldest first."""
        with self._session() as session:
            return list(
                session.scalars(select(Decision).where(Decision.family == family).order_by(Decision.seq))
            )

    def broken_chain(self, family: str) -> list[str]:
        """What is wrong with a family's chain of decisions, in words; [] for a chain without a gap or a change."""
        return broken(family, self.decisions(family))

    def runs_of(self, family: str, status: str | None = None, *, kind: str = "retrain") -> list[Run]:
        """Retrains (or another kind of runs) of a family (in one state), oldest first."""
        with self._session() as session:
            rows = select(Run).where(Run.family == family, Run.kind == kind)
            rows = rows.where(Run.status == status) if status else rows
            return list(session.scalars(rows.order_by(Run.opened_at, Run.run_id)))

    def publish_runs(self, family: str, before: date) -> list[Run]:
        """Publications of a family as of that day or earlier, newest first."""
        with self._session() as session:
            rows = select(Run).where(Run.family == family, Run.kind == "publish", Run.status == "published")
            rows = rows.where(Run.as_of <= before).order_by(Run.as_of.desc(), Run.opened_at.desc())
            return list(session.scalars(rows))

    def run_of_version(self, family: str, version: str) -> Run:
        """The retrain that made a registered version. Raises UsageError if the ledger knows of none."""
        found = self.find_version(family, version)
        if found is not None:
            return found
        raise UsageError(
            f"the ledger knows no version {version} of {family}",
            found=", ".join(run.notes["version"] for run in self.runs_of(family) if "version" in run.notes)
            or "none",
            next_step=f"`bellwether history {family}` lists them",
        )

    def find_version(self, family: str, version: str) -> Run | None:
        """The retrain that made a registered version, or None."""
        made = (run for run in reversed(self.runs_of(family)) if run.notes.get("version") == version)
        return next(made, None)

    def record_publication(self, publication: Publication) -> None:
        """Write what was published."""
        with self._session() as session:
            session.add(publication)

    def publications(self, family: str) -> list[Publication]:
        """All publications of a family, oldest first."""
        with self._session() as session:
            rows = select(Publication).where(Publication.family == family)
            return list(session.scalars(rows.order_by(Publication.publication_id)))

    def last_publication(self, family: str) -> Publication | None:
        """The newest publication of a family."""
        with self._session() as session:
            return session.scalar(
                select(Publication)
                .where(Publication.family == family)
                .order_by(Publication.publication_id.desc())
                .limit(1)
            )

    def record_look(self, look: Look) -> Look:
        """Add what the monitor saw; the same run's look again (a retry) changes nothing. Returns it as it is kept."""
        with self._session() as session:
            known = session.get(Look, (look.family, look.run_id))
            if known is None:
                session.add(look)
            return known or look

    def monitoring(self, family: str, limit: int = 90) -> list[Look]:
        """The monitor's last looks at a family, newest first."""
        with self._session() as session:
            rows = select(Look).where(Look.family == family)
            return list(
                session.scalars(rows.order_by(Look.looked_at.desc(), Look.run_id.desc()).limit(limit))
            )


def _stale(family: str, after: int) -> StaleDecision:
    return StaleDecision(
        f"{family}: another decision was made while this one was prepared",
        found="a newer decision in the ledger",
        expected=f"number {after} to be the last",
        next_step="evaluate again against the new champion (the retry does this)",
    )

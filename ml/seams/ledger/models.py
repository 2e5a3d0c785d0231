"""The ledger's tables (SQLAlchemy 2): what was read, run, decided and published, and what became of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Date, DateTime, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> datetime:
    """The present as naive UTC (the same in SQLite and PostgreSQL)."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """Root of the ledger's tables."""


class Run(Base):
    """One workspace: an ingest of all tables, or a retrain of one family."""

    __tablename__ = "runs"

    run_id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    family: Mapped[str | None] = mapped_column(Text)
    as_of: Mapped[date] = mapped_column(Date)
    opened_at: Mapped[datetime] = mapped_column(DateTime, default=now)
    status: Mapped[str] = mapped_column(Text, default="open")
    git_commit: Mapped[str] = mapped_column(Text, default="")
    code_digest: Mapped[str] = mapped_column(Text, default="")
    data_digest: Mapped[str] = mapped_column(Text, default="")
    recipe_digest: Mapped[str] = mapped_column(Text, default="")
    params: Mapped[str] = mapped_column(Text, default="")
    lock: Mapped[str] = mapped_column(Text, default="")
    notes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    __table_args__ = (Index("runs_by_family", "family", "as_of"),)


class Snapshot(Base):
    """One validated table of one ingest, with the locks of the two stages that made it."""

    __tablename__ = "snapshots"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    table_name: Mapped[str] = mapped_column(Text, primary_key=True)
    as_of: Mapped[date] = mapped_column(Date)
    shop: Mapped[str] = mapped_column(Text, default="")
    sealed_at: Mapped[datetime] = mapped_column(DateTime, default=now)
    digest: Mapped[str] = mapped_column(Text)
    rows: Mapped[int] = mapped_column(BigInteger)
    quarantined: Mapped[int] = mapped_column(BigInteger)
    lock: Mapped[dict[str, Any]] = mapped_column(JSON)
    profile: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (Index("snapshots_by_table", "table_name", "as_of", "sealed_at"),)


class Decision(Base):
    """What was decided about a version. Append-only; the primary key makes a promotion a compare-and-swap."""

    __tablename__ = "decisions"

    family: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    action: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    verdict: Mapped[dict[str, Any]] = mapped_column(JSON)
    decided_at: Mapped[datetime] = mapped_column(DateTime, default=now)
    previous: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)


class Publication(Base):
    """What was put before customers, from which version and data.

    names: rows of each publication. contents: columns and digest of each (`ml.seams.contents`), none of what was
    published before these were kept. pages: the folder that the site's link shows, which carries a digest of its files.
    """

    __tablename__ = "publications"

    publication_id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    family: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    as_of: Mapped[date] = mapped_column(Date)
    data_digest: Mapped[str] = mapped_column(Text)
    names: Mapped[dict[str, int]] = mapped_column(JSON)
    contents: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    site: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(Text, default="")
    pages: Mapped[str] = mapped_column(Text, default="")
    published_at: Mapped[datetime] = mapped_column(DateTime, default=now)


class Look(Base):
    """One look of the monitor at a champion: what was measured, whether something is beyond its limits, who was told.

    findings: rows of kind (inputs, scores, realised, freshness), name, test, statistic, limit, chance, breached, why.
    `asked`: a retrain was asked for. Rows are only ever added.
    """

    __tablename__ = "monitoring"

    family: Mapped[str] = mapped_column(Text, primary_key=True)
    run_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    champion_run: Mapped[str] = mapped_column(Text)
    ingest: Mapped[str] = mapped_column(Text)
    as_of: Mapped[date] = mapped_column(Date)
    looked_at: Mapped[datetime] = mapped_column(DateTime, default=now)
    breached: Mapped[bool] = mapped_column(Boolean)
    asked: Mapped[bool] = mapped_column(Boolean)
    why: Mapped[str] = mapped_column(Text, default="")
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)

    __table_args__ = (Index("monitoring_by_family", "family", "looked_at"),)


class RowDecision(Base):
    """What a person decided about one row that was put aside. Append-only; the newest decision about a row holds.

    action: accept, repair or drop. batch: digest of a folder in the data store that holds the row itself
    (`rows.parquet`) and, for a repair, what stands in for it (`repaired.parquet`).
    """

    __tablename__ = "row_decisions"

    decision_id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    shop: Mapped[str] = mapped_column(Text)
    table_name: Mapped[str] = mapped_column(Text)
    row_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    ingest: Mapped[str] = mapped_column(Text)
    as_of: Mapped[date] = mapped_column(Date)
    reasons: Mapped[list[str]] = mapped_column(JSON, default=list)
    batch: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(DateTime, default=now)

    __table_args__ = (Index("row_decisions_by_row", "shop", "table_name", "row_id"),)

"""What people decided about rows that were put aside, as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from ml.seams.ledger import Ledger
from ml.seams.ledger.models import RowDecision

ACCEPT, REPAIR, DROP = "accept", "repair", "drop"


def decide_rows(ledger: Ledger, decisions: Sequence[RowDecision]) -> None:
    """Append decisions, all or none."""
    with ledger._session() as session:
        session.add_all(decisions)


def standing(ledger: Ledger, shop: str, tables: Sequence[str]) -> list[RowDecision]:
    """The newest decision about each row of these tables of a shop, in the order in which they were made."""
    newest = (
        select(func.max(RowDecision.decision_id))
        .where(RowDecision.shop == shop, RowDecision.table_name.in_(tables))
        .group_by(RowDecision.table_name, RowDecision.row_id)
    )
    with ledger._session() as session:
        rows = select(RowDecision).where(RowDecision.decision_id.in_(newest))
        return list(session.scalars(rows.order_by(RowDecision.decision_id)))

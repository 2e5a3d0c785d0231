"""The warehouse contract: eleven tables, each declared once (see `base`)."""

from collections.abc import Mapping

from sqlalchemy import Table

from ml.contracts.annotations import annotations
from ml.contracts.creators import creators
from ml.contracts.events import events
from ml.contracts.feedback import feedback
from ml.contracts.judgements import judgements
from ml.contracts.order_lines import order_lines
from ml.contracts.posts import posts
from ml.contracts.products import products
from ml.contracts.promotions import promotions
from ml.contracts.searches import searches
from ml.contracts.turns import turns

TABLES: Mapping[str, Table] = {
    contract.name: contract
    for contract in (
        products,
        order_lines,
        promotions,
        events,
        posts,
        creators,
        searches,
        judgements,
        turns,
        feedback,
        annotations,
    )
}

__all__ = ["TABLES"]

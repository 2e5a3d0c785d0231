"""An expression computed once, where many others read it."""

from __future__ import annotations

import ibis
from ibis.util import gen_name


def stored(rows: ibis.Table) -> ibis.Table:
    """The rows as a temporary table of their own database, which spills to disk and goes with the connection.

    DuckDB would otherwise compute a part that ten others read ten times.
    """
    backend = rows.get_backend()
    return backend.create_table(gen_name("stored"), rows, temp=True)

"""One small world for all of these tests, and the same world as it looks four weeks later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import duckdb
import pytest

from ml.world import DEFAULT_END, SIZES, World, simulate

LATER = 28


@pytest.fixture(scope="session")
def world() -> World:
    return simulate("small", seed=7)


@pytest.fixture(scope="session")
def later_world() -> World:
    end = DEFAULT_END + timedelta(days=LATER)
    return simulate("small", seed=7, end=end, days=SIZES["small"].days + LATER)


@pytest.fixture(scope="session")
def sql(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    """The world in DuckDB: tables by name, truth as `true_<name>`, and `sold`: clean units by product and day."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        for name, table in world.tables.items():
            connection.register(name, table)
        for name, table in world.truth.items():
            connection.register(f"true_{name}", table)
        connection.execute(
            """create table sold as
               select product_id, cast(ordered_at as date) as day, count(*) as n, sum(quantity) as units,
                      sum(quantity) filter (quantity > 0) as bought
               from order_lines anti join (from true_dirty where kind <> 'duplicate_key')
               using (order_id, line_no) group by all"""
        )
        yield connection

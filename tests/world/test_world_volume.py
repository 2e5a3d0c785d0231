"""A world is made fast and in bounded memory: ratios and counts, never seconds."""

from __future__ import annotations

import time
from datetime import date
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow.dataset as ds

from ml.world import readers, write
from ml.world.chunks import _ROWS

GROWING = ("order_lines", "posts", "searches", "turns", "annotations")

BY_HAND = """copy (
  select 'O' || lpad((i // 2)::varchar, 11, '0') as order_id, 1 + i % 2 as line_no,
         timestamp '2025-01-01' + to_seconds(i) as ordered_at,
         'C' || lpad(floor(random() * 60000)::int::varchar, 7, '0') as customer_id,
         'P' || lpad(floor(random() * 3000)::int::varchar, 7, '0') as product_id,
         1 + floor(-ln(random())) as quantity, round(random() * 20, 2) as unit_price
  from range({rows}) t(i)) to '{path}' (format parquet)"""


def test_a_world_costs_little_more_than_as_many_random_rows(tmp_path: Path) -> None:
    """Processor time of a quarter of a medium world (and its truth) over DuckDB's for as many random rows alone."""
    started = time.process_time()
    write("medium", 7, tmp_path / "world", end=date(2025, 4, 1), days=200)
    spent = time.process_time() - started
    written = {name: ds.dataset(tmp_path / "world" / name).count_rows() for name in GROWING}
    rows = sum(written.values())
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        started = time.process_time()
        connection.execute(BY_HAND.format(rows=rows, path=tmp_path / "by_hand.parquet"))
        by_hand = time.process_time() - started
    assert written["order_lines"] > 700_000
    assert spent / by_hand < 10  # words cost more than numbers; row by row in Python it would be far more


def test_memory_is_bounded_by_the_batch() -> None:
    """On its busiest days a large world comes in batches that hold at most one day beyond the limit."""
    stream = readers("10m", end=date(2024, 12, 1), days=8, lines=100_000_000)["order_lines"]
    sizes = [batch.num_rows for batch in islice(stream, 3)]
    assert sum(sizes) > 900_000
    assert max(sizes) < _ROWS + 400_000

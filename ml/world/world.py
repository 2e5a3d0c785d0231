"""A simulated marketplace: the contract tables, and the truth beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from ml.world.blueprint import DEFAULT_END, blueprint
from ml.world.chunks import Chunk, chunks
from ml.world.parts import in_memory, tables_beside, truth_beside
from ml.world.rows import ORDER_LINES, names_of
from ml.world.truth import DIRTY


@dataclass(frozen=True, slots=True)
class World:
    """A world in memory. `tables` follow the contracts; `truth` is described in `ml.world.truth`.

    Everything before `end` has happened: `end` is the `as_of` to look at it from.
    """

    start: date
    end: date
    tables: Mapping[str, pa.Table]
    truth: Mapping[str, pa.Table]


def simulate(
    size: str = "small",
    seed: int = 7,
    end: date = DEFAULT_END,
    days: int | None = None,
    lines: int | None = None,
) -> World:
    """A world of that size in memory; see `blueprint` for the arguments and errors, `write` for large ones."""
    plan = blueprint(size, seed, end, days, lines)
    names = names_of(plan)
    parts = list(chunks(plan, names))
    sold = pa.Table.from_batches([part.order_lines for part in parts if part.order_lines], ORDER_LINES)
    truth = {
        "demand": pa.concat_tables([part.demand for part in parts]),
        "dirty": pa.Table.from_batches([part.dirty for part in parts], DIRTY),
        **{name: in_memory(rows) for name, rows in truth_beside(plan, names).items()},
    }
    beside = {name: in_memory(rows) for name, rows in tables_beside(plan, names).items()}
    return World(plan.start, plan.end, {"order_lines": sold, **beside}, truth)


def readers(
    size: str = "small",
    seed: int = 7,
    end: date = DEFAULT_END,
    days: int | None = None,
    lines: int | None = None,
) -> Mapping[str, pa.Table | pa.RecordBatchReader]:
    """The contract tables with what grows with the days as a stream of batches, for loading a world of any size."""
    plan = blueprint(size, seed, end, days, lines)
    names = names_of(plan)
    stream = pa.RecordBatchReader.from_batches(ORDER_LINES, _batches(chunks(plan, names)))
    return {"order_lines": stream, **tables_beside(plan, names)}


def _batches(parts: Iterator[Chunk]) -> Iterator[pa.RecordBatch]:
    return (part.order_lines for part in parts if part.order_lines is not None)

"""The parts of a world beside its sales: each adds contract tables, and the truth about them.

A part is settled by the blueprint alone, so that it is the same however the sales are cut up. A table that grows with
the days is a stream of batches; `simulate` reads it into memory, `write` puts it into shards as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from ml.world.attention.part import attention_tables, attention_truth
from ml.world.blueprint import Blueprint
from ml.world.dialogues.part import dialogue_tables, dialogue_truth
from ml.world.rows import Names
from ml.world.search.part import search_tables, search_truth
from ml.world.shelves import small_tables
from ml.world.truth import small_truth

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"


@dataclass(frozen=True, slots=True)
class Part:
    """Functions of a settled world to contract tables, and to truths by name; no two parts share a name."""

    tables: Callable[[Blueprint, Names], Mapping[str, Rows]]
    truth: Callable[[Blueprint, Names], Mapping[str, Rows]]


PARTS: tuple[Part, ...] = (
    Part(small_tables, small_truth),
    Part(attention_tables, attention_truth),
    Part(search_tables, search_truth),
    Part(dialogue_tables, dialogue_truth),
)


def tables_beside(plan: Blueprint, names: Names) -> dict[str, Rows]:
    """Every contract table but `order_lines`."""
    return dict(_merged(part.tables(plan, names) for part in PARTS))


def truth_beside(plan: Blueprint, names: Names) -> dict[str, Rows]:
    """Every truth but that of the order lines."""
    return dict(_merged(part.truth(plan, names) for part in PARTS))


def _merged(found: Iterator[Mapping[str, Rows]]) -> Iterator[tuple[str, Rows]]:
    for some in found:
        yield from some.items()


def in_memory(rows: Rows) -> pa.Table:
    """A stream read to its end; a table as it is."""
    return rows if isinstance(rows, pa.Table) else rows.read_all()

"""A world's days, one after the other, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from ml.world.blueprint import PLANNED_DAYS, Blueprint
from ml.world.demand import demand_on
from ml.world.dirt import Dirt, dirt_of
from ml.world.orders import Lines, Till, join
from ml.world.rows import Names, order_ids, order_lines_batch
from ml.world.seeds import Stream, generator
from ml.world.truth import DEMAND, DIRTY, DemandTruth

_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some days of one month: their order lines, which of these are dirty, and the true demand."""

    month: date
    order_lines: pa.RecordBatch | None
    dirty: pa.RecordBatch
    demand: pa.Table


@dataclass(slots=True)
class _Pile:
    """Days that are not handed out yet."""

    month: date
    lines: list[Lines] = field(default_factory=list)
    dirt: list[Dirt] = field(default_factory=list)
    demand: list[pa.RecordBatch] = field(default_factory=list)

    def full(self, month: date) -> bool:
        return month != self.month or sum(map(len, self.lines)) + sum(map(len, self.demand)) >= _ROWS

    def chunk(self, names: Names) -> Chunk:
        sold = order_lines_batch(join(self.lines), names) if self.lines else None
        return Chunk(self.month, sold, _dirty_rows(self.dirt), pa.Table.from_batches(self.demand, DEMAND))


def chunks(plan: Blueprint, names: Names) -> Iterator[Chunk]:
    """The whole world in order of time, then the true demand of the planned days. No chunk crosses a month."""
    till, truth = Till(plan), DemandTruth(plan, names)
    pile = _Pile(plan.start.replace(day=1))
    for day in range(plan.days + PLANNED_DAYS):
        month = plan.date_of(day).replace(day=1)
        if pile.full(month):
            yield pile.chunk(names)
            pile = _Pile(month)
        _add_day(pile, plan, till, truth, day)
    yield pile.chunk(names)


def _add_day(pile: _Pile, plan: Blueprint, till: Till, truth: DemandTruth, day: int) -> None:
    demand = demand_on(plan.conditions, day)
    pile.demand.append(truth.rows(day, demand))
    if day >= plan.days:
        return
    number = plan.date_of(day).toordinal()
    clean = till.ring_up(day, demand, generator(plan.seed, Stream.ORDERS, number))
    dirt = dirt_of(plan, day, clean, generator(plan.seed, Stream.DIRT, number))
    pile.lines += [clean, dirt.lines]
    pile.dirt.append(dirt)


def _dirty_rows(days: list[Dirt]) -> pa.RecordBatch:
    kinds = [kind for dirt in days for kind in dirt.kinds]
    if not kinds:
        return pa.RecordBatch.from_pylist([], schema=DIRTY)
    lines = join([dirt.lines for dirt in days])
    columns = [order_ids(lines.order), pa.array(lines.line_no), pa.array(kinds, pa.string())]
    return pa.RecordBatch.from_arrays(columns, schema=DIRTY)

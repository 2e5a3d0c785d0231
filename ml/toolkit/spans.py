"""A table of rows with times, looked at in spans of days of one length: what each column was like in each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Column = npt.NDArray[np.float64] | npt.NDArray[np.str_]
_CATEGORIES = 50
_PARTS = 1_000_000
_SPAN = "span__"


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `start` on, before `end`."""

    start: date
    end: date


def spans(learnt: date, now: date, days: int, count: int) -> tuple[Span, tuple[Span, ...]]:
    """The newest span since `learnt`, of `days` or as many as have gone by; and `count` of that length before `learnt`.

    Those before end `days` apart, so that thirteen of four weeks are spread over a year.
    """
    length = timedelta(days=min(days, (now - learnt).days))
    ends = [learnt - timedelta(days=days * number) for number in range(count)]
    return Span(now - length, now), tuple(Span(end - length, end) for end in ends)


def columns_in(
    rows: ibis.Table, wanted: Sequence[Span], *, entity: str, moment: str, leave: Collection[str], most: int
) -> tuple[Mapping[str, Column], ...]:
    """Each column in each span, one value per entity (of about `most` entities a span, by the hash of their name).

    Numbers: the entity's mean, floats without nulls. Texts of few different values: the last in the alphabet. Times,
    other texts and the columns `leave` are left out. The spans do not overlap; results come in their order.
    """
    day = rows[moment].cast("date")
    placed = rows.mutate(
        **{_SPAN: ibis.cases(*((_inside(day, span), number) for number, span in enumerate(wanted)), else_=-1)}
    )
    inside = some(placed.filter(placed[_SPAN] >= 0), (_SPAN, entity), most * len(wanted))
    made = dict(_summaries(inside, {entity, moment, _SPAN, *leave}))
    if not made:
        return tuple({} for _ in wanted)
    table = inside.group_by(_SPAN, entity).aggregate(**made).to_pyarrow()
    return tuple(
        _columns(table.filter(pc.equal(table[_SPAN], number)), made) for number in range(len(wanted))
    )


def _inside(day: ibis.Value, span: Span) -> ibis.Value:
    return (day >= ibis.date(span.start)) & (day < ibis.date(span.end))


def some(rows: ibis.Table, cases: Sequence[str], most: int) -> ibis.Table:
    """The rows of about `most` cases, chosen by the hash of the last of the columns that name a case."""
    *_, entity = cases
    found = rows.select(*cases).distinct().count().to_pyarrow().as_py()
    if found <= most:
        return rows
    return rows.filter(rows[entity].hash().cast("decimal(38, 0)").abs() % _PARTS < int(most / found * _PARTS))


def _summaries(rows: ibis.Table, leave: Collection[str]) -> Iterator[tuple[str, ibis.Value]]:
    texts = [name for name, kind in rows.schema().items() if kind.is_string() and name not in leave]
    few = _few_valued(rows, texts)
    for name, kind in rows.schema().items():
        if name in leave:
            continue
        if kind.is_boolean():
            yield name, rows[name].cast("int8").mean()
        elif kind.is_numeric():
            value = rows[name].cast("float64")
            yield name, value.mean(where=value.notnull() & ~value.isnan() & ~value.isinf())
        elif name in few:
            yield name, rows[name].max()


def _few_valued(rows: ibis.Table, texts: list[str]) -> set[str]:
    if not texts:
        return set()
    counted = rows.aggregate(**{name: rows[name].approx_nunique() for name in texts}).to_pyarrow()
    return {name for name in texts if counted.column(name)[0].as_py() <= _CATEGORIES}


def _columns(table: pa.Table, names: Collection[str]) -> Mapping[str, Column]:
    known = {name: table.column(name).combine_chunks().drop_null() for name in names}
    return {
        name: np.asarray(values.to_pylist(), dtype=str)
        if pa.types.is_string(values.type)
        else values.to_numpy(zero_copy_only=False).astype(np.float64)
        for name, values in known.items()
    }

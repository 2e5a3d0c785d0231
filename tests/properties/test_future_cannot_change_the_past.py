"""Whatever is sold at or after the origin, nothing that was known before it changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_shop import END, opened, shop

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.families.seasonality.backtest import as_it_stood
from ml.families.seasonality.features import features
from ml.families.seasonality.params import SeasonalityParams

PARAMS = SeasonalityParams(grain="day")
LATER = END + timedelta(days=40)


@cache
def small() -> dict[str, pa.Table]:
    return shop(products=8, days=120)


@cache
def statement(as_of: date) -> tuple[ibis.BaseBackend, str]:
    """A database with the shop's tables, and the features of all days up to END as computed at `as_of`, as SQL."""
    tables = opened(small())
    made = features(tables, as_of, PARAMS)
    chosen = made.filter(made.day <= ibis.date(END)).order_by("product_id", "day")
    return tables["products"].get_backend(), ibis.to_sql(chosen, dialect="duckdb")


def known(lines: pa.Table, as_of: date) -> pa.Table:
    backend, query = statement(as_of)
    backend.con.register("order_lines", lines)
    return backend.con.execute(query).to_arrow_table()


@cache
def before() -> pa.Table:
    return known(small()["order_lines"], END)


lines = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 39),
        st.sampled_from([-3.0, 1.0, 2.0, 40.0, 5000.0]),
        st.floats(0.5, 20.0),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(lines)
def test_later_order_lines_change_nothing_before(later: list[tuple[int, int, float, float]]) -> None:
    rows = [
        {
            "order_id": f"later{number}", "line_no": 1, "product_id": f"p{product:03d}", "quantity": quantity,
            "ordered_at": datetime.combine(END + timedelta(days=day), datetime.min.time()), "unit_price": price,
        }
        for number, (product, day, quantity, price) in enumerate(later)
    ]  # fmt: skip
    added = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["order_lines"]))
    longer = pa.concat_tables([small()["order_lines"], added])
    assert known(longer, END).equals(before())
    columns = [name for name in before().column_names if name != "units"]
    seen_later = known(longer, LATER)
    seen_later = seen_later.filter(pc.is_in(key(seen_later), key(before())))
    assert seen_later.select(columns).equals(before().select(columns))


def key(rows: pa.Table) -> pa.Array:
    days = rows.column("day").cast(pa.string())
    return pc.binary_join_element_wise(rows.column("product_id"), days, "/").combine_chunks()


def test_a_fold_hides_the_target_and_what_follows_the_origin() -> None:
    matrix = features(opened(small()), END, PARAMS)
    origin = END - timedelta(days=28)
    stood = as_it_stood(matrix, origin, 28)
    after = stood.filter(stood.day >= ibis.date(origin))
    later = stood.filter(stood.day > ibis.date(origin))
    assert after.aggregate(n=after.units.count()).to_pyarrow().column("n")[0].as_py() == 0
    assert later.aggregate(n=later.tamed_28.count()).to_pyarrow().column("n")[0].as_py() == 0
    assert stood.aggregate(last=stood.day.max()).to_pyarrow().column("last")[0].as_py() == END - timedelta(
        days=1
    )

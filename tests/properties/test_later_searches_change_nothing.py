"""Whatever is searched, judged, sold or launched at or after an origin, nothing that was known before it changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from small_search import QUERIES
from small_shop import END, opened, shop

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.families.relevance_fusion.columns import COUNTS, KEY, LABEL
from ml.families.relevance_fusion.features import features
from ml.families.relevance_fusion.params import RelevanceFusionParams

PARAMS = RelevanceFusionParams(history_days=168)
LATER = END + timedelta(days=PARAMS.period_days)


@cache
def small() -> dict[str, pa.Table]:
    return shop(products=12, days=100)


@cache
def before() -> pa.Table:
    return known(small(), END)


def known(tables: dict[str, pa.Table], as_of: date) -> pa.Table:
    made = features(opened(tables), as_of, PARAMS)
    return made.filter(made.day <= ibis.date(END)).order_by(*KEY).to_pyarrow()


def with_later(events: list[tuple[int, int, int, bool]]) -> dict[str, pa.Table]:
    """The shop, in which these things happen after END: (day, query, product, whether wanted)."""
    rows: dict[str, list[dict[str, object]]] = {
        name: [] for name in ("searches", "judgements", "order_lines", "products")
    }
    for number, (day, query, product, wanted) in enumerate(events):
        at = datetime.combine(END + timedelta(days=day), datetime.min.time()) + timedelta(hours=1)
        about = {"query": QUERIES[query], "product_id": f"p{product:03d}"}
        rows["searches"].append(
            {"search_id": f"later{number}", "position": 1, "searched_at": at, "modality": "screen", "engaged": wanted,
             "purchased": wanted, **about}
        )  # fmt: skip
        rows["judgements"].append(
            {"annotator_id": f"later{number}", "judged_at": at, "grade": 3 * int(wanted), **about}
        )
        rows["order_lines"] += [
            {"order_id": f"later{number}", "line_no": line, "product_id": f"p{(product + line) % 12:03d}",
             "ordered_at": at, "quantity": 5.0, "unit_price": 1.0}
            for line in (0, 1)
        ]  # fmt: skip
        rows["products"].append(
            {
                "product_id": f"new{number}",
                "launched_at": at,
                "title": QUERIES[query],
                "category": "garden",
                "price": 1.0,
            }
        )
    added = {
        name: pa.Table.from_pylist(some, schema=arrow_schema(TABLES[name])) for name, some in rows.items()
    }
    return {
        name: pa.concat_tables([rows, added[name]]) if name in added else rows
        for name, rows in small().items()
    }


events = st.lists(
    st.tuples(st.integers(0, 27), st.integers(0, len(QUERIES) - 1), st.integers(0, 11), st.booleans()),
    min_size=1, max_size=20,
)  # fmt: skip


@settings(
    max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
    phases=[Phase.generate],  # an example takes seconds: to shrink one would take minutes
)  # fmt: skip
@given(events)
def test_later_events_change_nothing_before(later: list[tuple[int, int, int, bool]]) -> None:
    longer = with_later(later)
    assert known(longer, END).equals(before())
    told = [
        name for name in before().column_names if name not in (*COUNTS, *LABEL) and "bought_with" not in name
    ]
    seen_later, earlier = (past(rows) for rows in (known(longer, LATER), before()))
    common = [
        seen_later.filter(pc.is_in(key(seen_later), key(earlier))),
        earlier.filter(pc.is_in(key(earlier), key(seen_later))),
    ]
    assert len(common[0]) > 0
    assert common[0].select(told).equals(common[1].select(told))


def past(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.less(rows["day"], END))


def key(rows: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(*(rows[name].cast("string") for name in KEY), "/").combine_chunks()

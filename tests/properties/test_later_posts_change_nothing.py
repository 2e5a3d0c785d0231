"""Whatever is posted or sold after an observation, nothing that was known at it changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_shop import END, opened, shop

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.families.viral.columns import ABOUT, FEATURES
from ml.families.viral.features import features
from ml.families.viral.params import ViralParams

PARAMS = ViralParams(posts=(5, 10), hours=(24, 168))
START = datetime.combine(END, datetime.min.time())
KNOWN = [*ABOUT, *FEATURES]


@cache
def small() -> dict[str, pa.Table]:
    return shop(products=8, days=120)


def matrix(tables: dict[str, pa.Table], as_of: date) -> pa.Table:
    return features(opened(tables), as_of, PARAMS).order_by("cascade_id", "point").to_pyarrow()


@cache
def before() -> pa.Table:
    return matrix(small(), END)


def observed_before(rows: pa.Table, moment: datetime) -> pa.Table:
    return rows.filter(pc.less(rows["observed_at"], pa.scalar(moment, pa.timestamp("us")))).select(KNOWN)


posts = st.lists(
    st.tuples(st.integers(0, 59), st.integers(0, 200), st.integers(0, 89), st.booleans()),
    min_size=1,
    max_size=25,
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(posts)
def test_later_posts_change_nothing_before(later: list[tuple[int, int, int, bool]]) -> None:
    rows = [
        {
            "post_id": f"later{number}", "posted_at": START + timedelta(hours=hour), "product_id": "p001",
            "creator_id": f"k{creator:02d}", "platform": "photos",
            "parent_post_id": f"c{cascade}-000" if reshared else None,
        }
        for number, (creator, hour, cascade, reshared) in enumerate(later)
    ]  # fmt: skip
    added = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["posts"]))
    longer = {**small(), "posts": pa.concat_tables([small()["posts"], added])}
    later_on = matrix(longer, END + timedelta(days=10))
    assert observed_before(later_on, START).equals(observed_before(before(), START))


def test_posts_after_the_day_are_not_looked_at() -> None:
    row = {
        "post_id": "later",
        "posted_at": START,
        "product_id": "p001",
        "creator_id": "k00",
        "platform": "photos",
    }
    added = pa.Table.from_pylist([row], schema=arrow_schema(TABLES["posts"]))
    longer = {**small(), "posts": pa.concat_tables([small()["posts"], added])}
    assert matrix(longer, END).equals(before())


def test_what_is_cut_off_in_the_middle_is_what_was_known_there() -> None:
    """The matrix of an earlier day holds the very rows that today's matrix has for the time before it."""
    day = END - timedelta(days=50)
    moment = datetime.combine(day, datetime.min.time())
    then = observed_before(matrix(small(), day), moment)
    assert then.num_rows > 30
    assert then.equals(observed_before(before(), moment))


def test_later_sales_change_nothing_before() -> None:
    lines = small()["order_lines"]
    doubled = lines.filter(
        pc.greater_equal(lines["ordered_at"], pa.scalar(START - timedelta(days=40), pa.timestamp("us")))
    )
    place = doubled.schema.get_field_index("quantity")
    more = doubled.set_column(place, doubled.schema.field(place), pc.multiply(doubled["quantity"], 100.0))
    rest = lines.filter(
        pc.less(lines["ordered_at"], pa.scalar(START - timedelta(days=40), pa.timestamp("us")))
    )
    changed = matrix({**small(), "order_lines": pa.concat_tables([rest, more])}, END)
    moment = START - timedelta(days=40)
    assert observed_before(changed, moment).equals(observed_before(before(), moment))
    assert not changed.equals(before())

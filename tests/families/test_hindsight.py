"""What was published is held against what became of it: cascades that were foreseen, labels that people gave later."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_shop import END, materialised, opened, shop

from ml.contracts import TABLES
from ml.contracts.base import event_time
from ml.families import family
from ml.families.record import Family
from ml.toolkit.paired import compare

THEN = END - timedelta(days=60)
QUICK = {"viral": {"rounds": 20, "nthread": 1}, "ground_truth": {"rounds": 20, "nthread": 1}}


def known(tables: dict[str, pa.Table], as_of: date) -> dict[str, pa.Table]:
    """The rows whose time is before that day; tables without a time are known always."""
    limit = datetime.combine(as_of, time())
    found = {}
    for name, rows in tables.items():
        when = event_time(TABLES[name])
        late = None if when is None else pc.fill_null(pc.less(rows.column(when), pa.scalar(limit)), True)
        found[name] = rows if late is None else rows.filter(late)
    return found


@cache
def history() -> dict[str, pa.Table]:
    """The small shop, in which people look at every third dialogue only a few days before END."""
    tables = shop()
    rows = tables["annotations"].to_pylist()
    for row in rows:
        if int(row["dialogue_id"][1:]) % 3 == 0:
            row["annotated_at"] = datetime.combine(END, time()) - timedelta(days=5)
    return {**tables, "annotations": pa.Table.from_pylist(rows, tables["annotations"].schema)}


@cache
def said_and_seen(name: str) -> tuple[Family, dict[str, pa.Table], ibis.Table, Any]:
    """What a model of THEN published, and the matrix of END."""
    record = family(name)
    params = record.params.model_validate(QUICK[name])
    every = {table: rows for table, rows in history().items() if table in record.tables}
    past = opened(known(every, THEN))
    matrix = materialised(record.features(past, THEN, params), record.key)
    model = record.fit(matrix, THEN, params)
    published = dict(record.publications(model, matrix, past, THEN, params))
    now = materialised(record.features(opened(every), END, params), record.key)
    return record, published, now, params


@pytest.fixture(params=["viral", "ground_truth"])
def told(request: pytest.FixtureRequest) -> Any:
    return said_and_seen(request.param)


def test_every_case_is_judged_by_what_came_true(told: Any) -> None:
    record, published, now, params = told
    losses = record.realised.losses(published, now, THEN, END, params)
    assert losses is not None and losses.num_rows > 0
    assert {"case", "entity", "loss", "weight", "expected"} <= set(losses.column_names)
    assert all(
        0 <= value < float("inf") for name in ("loss", "expected") for value in losses[name].to_pylist()
    )


def test_what_comes_true_as_it_was_said_is_no_alarm_and_the_opposite_is(told: Any) -> None:
    record, published, now, params = told
    losses = record.realised.losses(published, now, THEN, END, params)
    loss, expected = losses["loss"].to_numpy(), losses["expected"].to_numpy()
    if record.name == "ground_truth":
        name, column, other = "labels", "label", {"yes": "no", "no": "yes"}
        labels = published[name]
        turned = [other.get(label, "nothing") for label in labels[column].to_pylist()]
        wrong = labels.set_column(labels.column_names.index(column), column, pa.array(turned))
    else:
        name, rows = "cascade_forecasts", published["cascade_forecasts"]
        turned = pc.subtract(1.0, rows["doubles"])
        wrong = rows.set_column(rows.column_names.index("doubles"), "doubles", turned)
    opposite = record.realised.losses({**published, name: wrong}, now, THEN, END, params)
    assert compare(opposite["loss"].to_numpy(), expected).difference > compare(loss, expected).difference


def test_labels_are_not_judged_by_what_people_had_said_before() -> None:
    record, published, _, params = said_and_seen("ground_truth")
    every = {table: rows for table, rows in history().items() if table in record.tables}
    then = materialised(record.features(opened(known(every, THEN)), THEN, params), record.key)
    assert record.realised.losses(published, then, THEN, THEN, params).num_rows == 0

"""What attention does to demand, as the family estimates it, against the world that knows."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from small_shop import opened

from ml.families.viral.demand import Lifts, lifts
from ml.families.viral.params import ViralParams
from ml.world import DEFAULT_END, simulate

PARAMS = ViralParams()
_TRUTH = """
select sum(mean) / sum(mean / coalesce(a.lift, 1))
from (select product_id, start_day from bursts
      where (lift > 1) = {lifting} and start_day between '2023-06-01' and '2025-11-16') b
join demand d on d.product_id = b.product_id and d.day >= start_day and d.day < start_day + {days}
left join attention a on a.product_id = d.product_id and a.day = d.day
"""


@pytest.fixture(scope="module", params=[7, 11])
def known(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """The orders of a small world (without absurd quantities, as validation leaves them), and its truth."""
    made = simulate("small", request.param)
    connection = duckdb.connect()
    for name in ("bursts", "attention", "demand"):
        connection.register(name, made.truth[name])
    connection.register("order_lines", made.tables["order_lines"])
    return connection


def estimated(known: duckdb.DuckDBPyConnection, lifting: bool) -> Lifts:
    """Lifts after the days on which true bursts began."""
    burst = f"{PARAMS.fewest} as rank, start_day::timestamp as at"
    began = f"select product_id, {burst} from bursts where (lift > 1) = {lifting}"
    lines = "select * from order_lines where abs(quantity) < 1000"
    tables = opened(
        {"placed": known.execute(began).to_arrow_table(), "lines": known.execute(lines).to_arrow_table()}
    )
    return lifts(tables["placed"], tables["lines"], DEFAULT_END, PARAMS)


@pytest.mark.parametrize("lifting", [True, False])
def test_the_lift_is_that_of_the_world_and_none_after_a_placebo(
    known: duckdb.DuckDBPyConnection, lifting: bool
) -> None:
    found = estimated(known, lifting)
    after = ~found.placebo
    assert after.sum() > 50
    ((true,),) = known.execute(_TRUTH.format(lifting=lifting, days=PARAMS.lift_days)).fetchall()
    shown = float(found.sold[after].sum() / found.expected[after].sum())
    assert shown / true == pytest.approx(1, abs=0.2)
    assert (true > 1.5) == lifting
    assert (shown > 1.4) == lifting


def test_quiet_dates_before_show_nothing(known: duckdb.DuckDBPyConnection) -> None:
    found = estimated(known, True)
    quiet = found.sold[found.placebo].sum() / found.expected[found.placebo].sum()
    assert quiet == pytest.approx(1, abs=0.25)
    assert np.median(found.log_lift[~found.placebo]) > np.median(found.log_lift[found.placebo])

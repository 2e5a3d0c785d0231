"""What is said to be true of a world is what its rows show, within what chance allows."""

from __future__ import annotations

from collections import Counter
from datetime import date

import duckdb
import numpy as np
import pytest

from ml.world import World
from ml.world.calendar import RULES, easter, events_between, nth_weekday
from ml.world.catalogue import build
from ml.world.dirt import KINDS
from ml.world.sizes import SIZES

DEMAND = "from true_demand d left join sold s using (product_id, day) where d.day < date '2025-12-01'"


def test_units_sold_are_the_true_means_in_the_long_run(sql: duckdb.DuckDBPyConnection) -> None:
    bought, mean, units, net = sql.execute(
        f"select sum(bought), sum(mean), sum(units), sum(net) {DEMAND}"
    ).fetchall()[0]
    assert bought / mean == pytest.approx(1, abs=0.015)
    assert units / net == pytest.approx(1, abs=0.015)
    assert net < 0.99 * mean


def test_each_product_is_sold_at_its_true_mean(sql: duckdb.DuckDBPyConnection) -> None:
    rows = sql.execute(
        f"""select (sum(coalesce(bought, 0)) - sum(mean))
                   / sqrt(sum((coalesce(bought, 0) - mean) ** 2)) as z {DEMAND} group by product_id"""
    ).fetchnumpy()
    z = rows["z"]
    assert abs(z.mean()) < 0.3
    assert 0.8 < z.std() < 1.2
    assert abs(z).max() < 5


def test_nothing_clean_is_sold_off_sale(sql: duckdb.DuckDBPyConnection) -> None:
    stray = sql.execute(
        "select count(*) from sold s anti join true_demand d using (product_id, day) where bought > 0"
    ).fetchall()
    assert stray == [(0,)]


def test_demand_is_intermittent_and_overdispersed(sql: duckdb.DuckDBPyConnection) -> None:
    zero, spread = sql.execute(
        f"""with each as (select avg((coalesce(n, 0) = 0)::int) as zero,
                                 var_samp(coalesce(n, 0)) / nullif(avg(coalesce(n, 0)), 0) as spread
                          {DEMAND} group by product_id)
            select median(zero), median(spread) from each"""
    ).fetchall()[0]
    assert 0.4 < zero < 0.85
    assert spread > 1.2


@pytest.mark.parametrize(
    "name", ["Christmas", "Black Friday", "Halloween", "Summer Outdoors", "Back to School"]
)
def test_an_occasion_shows_the_lift_that_is_true(sql: duckdb.DuckDBPyConnection, name: str) -> None:
    """Of products lifted by half or more: units on the days of the occasion over what is ordinary then."""
    shown, true, n = sql.execute(
        f"""select sum(coalesce(bought, 0)) / sum(ordinary), sum(lift * ordinary) / sum(ordinary), count(*)
            from true_lifts l join events e using (event_id) join true_demand d
            on d.product_id = l.product_id and d.day between e.start_day and e.end_day
            left join sold s on s.product_id = d.product_id and s.day = d.day
            where l.name = '{name}' and l.lift > 1.5 and d.day < date '2025-12-01'"""
    ).fetchall()[0]
    assert n > 100
    assert true > 1.6
    assert shown / true == pytest.approx(1, abs=0.2)  # campaigns and a second occasion are in `shown` alone


def test_the_lifts_are_those_of_the_means(sql: duckdb.DuckDBPyConnection) -> None:
    """Where neither a campaign nor a second occasion meddles, mean / ordinary averages to the lift exactly."""
    worst, n = sql.execute(
        """with days as (
             select l.event_id, l.product_id, l.lift, avg(mean / ordinary) as found, count(*) as n,
                    any_value(e.end_day - e.start_day + 1) as whole
             from true_lifts l join events e using (event_id)
             join true_demand d on d.product_id = l.product_id and d.day between e.start_day and e.end_day
             where e.name in ('Halloween', 'Easter', 'Pet Week')
               and not exists (from promotions p where p.product_id = d.product_id
                               and p.start_day <= e.end_day and p.end_day >= e.start_day)
             group by all)
           select max(abs(found / lift - 1)), count(*) from days where n = whole"""
    ).fetchall()[0]
    assert n > 100
    assert worst < 1e-9


def test_a_campaign_shows_the_lift_that_is_true(sql: duckdb.DuckDBPyConnection) -> None:
    ratio, price = sql.execute(
        """select sum(coalesce(bought, 0)) / sum(mean), sum(mean / ordinary * mean) / sum(mean)
           from promotions p join true_promotions t using (promotion_id, product_id)
           join true_demand d on d.product_id = p.product_id and d.day between p.start_day and p.end_day
           left join sold s on s.product_id = d.product_id and s.day = d.day
           where d.day < date '2025-12-01'"""
    ).fetchall()[0]
    assert ratio == pytest.approx(1, abs=0.05)
    assert price > 1.4


def test_a_discount_is_paid(sql: duckdb.DuckDBPyConnection) -> None:
    """The price on a campaign's days, over the price in the week before, is 1 less the discount."""
    off = sql.execute(
        """with price as (select product_id, cast(ordered_at as date) as day, median(unit_price) as price
                          from order_lines where quantity > 0 group by all)
           select median(a.price / b.price - (1 - discount_pct / 100))
           from promotions p join price a on a.product_id = p.product_id and a.day between start_day and end_day
           join price b on b.product_id = p.product_id and b.day between start_day - 7 and start_day - 1
           where discount_pct is not null"""
    ).fetchall()[0][0]
    assert abs(off) < 0.01


def test_each_kind_of_dirt_is_there_and_counted(sql: duckdb.DuckDBPyConnection, world: World) -> None:
    told = Counter(world.truth["dirty"]["kind"].to_pylist())
    found = {
        "negative_price": "unit_price < 0",
        "absurd_quantity": "quantity >= 100000",
        "zero_quantity": "quantity = 0",
        "blank_product": "trim(product_id) = ''",
        "unknown_product": "trim(product_id) <> '' and product_id not in (select product_id from products)",
    }
    for kind, condition in found.items():
        assert sql.execute(f"select count(*) from order_lines where {condition}").fetchall() == [
            (told[kind],)
        ]
    doubled = (
        "select count(*) from (select order_id, line_no from order_lines group by all having count(*) = 2)"
    )
    assert sql.execute(doubled).fetchall() == [(told["duplicate_key"],)]
    early = "select count(*) from order_lines join products using (product_id) where ordered_at < launched_at"
    assert sql.execute(early).fetchall() == [(told["before_launch"],)]
    assert set(told) == set(KINDS)
    assert sum(told.values()) < 0.001 * world.tables["order_lines"].num_rows


def test_without_its_dirt_a_world_is_clean(sql: duckdb.DuckDBPyConnection) -> None:
    rows, keys = sql.execute(
        """with clean as (select distinct * from order_lines anti join
                          (from true_dirty where kind <> 'duplicate_key') using (order_id, line_no))
           select count(*), count(distinct (order_id, line_no)) from clean"""
    ).fetchall()[0]
    assert rows == keys


def test_words_tell_part_of_the_occasion() -> None:
    catalogue = build(SIZES["medium"], 7)
    themed = catalogue.occasion >= 0
    words = [RULES[o].words if o >= 0 else () for o in catalogue.occasion]
    said = np.array([any(w in t for w in ws) for t, ws in zip(catalogue.titles, words, strict=True)])
    assert 0.15 < themed.mean() < 0.4
    assert 0.75 < said[themed].mean() < 0.86
    decoys = [
        any(w in t for r in RULES for w in r.words)
        for t, o in zip(catalogue.titles, themed, strict=True)
        if not o
    ]
    assert 0.005 < np.mean(decoys) < 0.06


def test_knowing_the_truth_beats_repeating_the_past(later_world: World) -> None:
    """28-day totals of the Christmas weeks: the true means against last year's weeks and against the last half-year."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        for name, table in (("lines", later_world.tables["order_lines"]), *later_world.truth.items()):
            connection.register(name, table)
        connection.execute(
            """create table sold as select product_id, cast(ordered_at as date) as day, sum(quantity) as units
               from lines anti join dirty using (order_id, line_no) group by all"""
        )
        truth, year, half = connection.execute(
            """with total as (
                 select product_id,
                        sum(units) filter (day between '2025-12-01' and '2025-12-28') as y,
                        sum(units) filter (day between '2024-12-02' and '2024-12-29') as year,
                        sum(units) filter (day between '2025-06-01' and '2025-11-30') * 28 / 183 as half
                 from sold group by product_id),
               mean as (select product_id, sum(net) as truth from demand
                        where day between '2025-12-01' and '2025-12-28' group by product_id)
               select sum(abs(coalesce(y, 0) - truth)) / sum(y),
                      sum(abs(coalesce(y, 0) - coalesce(year, half, 0))) / sum(y),
                      sum(abs(coalesce(y, 0) - coalesce(half, 0))) / sum(y)
               from mean left join total using (product_id)"""
        ).fetchall()[0]
    assert truth < 0.25
    assert year > 1.4 * truth
    assert half > 1.8 * truth


@pytest.mark.parametrize("sunday", [date(2023, 4, 9), date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5)])
def test_easter_is_on_its_sunday(sunday: date) -> None:
    assert easter(sunday.year) == sunday


def test_moving_days() -> None:
    assert nth_weekday(2024, 11, 3, 4) == date(2024, 11, 28)
    assert nth_weekday(2025, 5, 6, 2) == date(2025, 5, 11)


def test_every_occasion_returns_each_year() -> None:
    events = events_between(7, date(2024, 1, 1), date(2026, 1, 1))
    assert len(events) == 2 * len(RULES)
    assert len({event.event_id for event in events}) == len(events)

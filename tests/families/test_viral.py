"""What is special to viral: roots and circles, histories worked on paper, lifts and placebos, the collection."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_shop import END, materialised, opened, shop

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import DataRejected
from ml.families.viral import FAMILY
from ml.families.viral.cascades import cascades
from ml.families.viral.collections import Effect, demand_check, effects_of, reason
from ml.families.viral.columns import DRIFTING, FEATURES
from ml.families.viral.demand import lifts
from ml.families.viral.design import waiting
from ml.families.viral.histories import histories
from ml.families.viral.model import LINES, TREES, Seen, asked, raw
from ml.families.viral.params import ViralParams
from ml.families.viral.wording import words

PARAMS = ViralParams(rounds=12, nthread=1, max_rows=1000)
START = datetime(2025, 6, 1)
LATER = date(2025, 9, 1)


def posts_of(*rows: tuple[str, float, str, str | None], product: str = "p1") -> ibis.Table:
    """Posts from (post_id, hours after START, creator, parent)."""
    made = [
        {
            "post_id": post, "posted_at": START + timedelta(hours=hours), "product_id": product, "creator_id": creator,
            "parent_post_id": parent, "platform": "photos",
        }
        for post, hours, creator, parent in rows
    ]  # fmt: skip
    return opened({"posts": pa.Table.from_pylist(made, schema=arrow_schema(TABLES["posts"]))})["posts"]


def rows_of(table: ibis.Table, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in table.to_pyarrow().to_pylist()}


def test_reshares_of_reshares_belong_to_the_first_post() -> None:
    chain = [(f"a{n}", float(n), "k", f"a{n - 1}" if n else None) for n in range(60)]
    found = rows_of(cascades(posts_of(*chain, ("b", 0.5, "k", None)), LATER), "post_id")
    assert {row["cascade_id"] for name, row in found.items() if name != "b"} == {"a0"}
    assert [found[f"a{n}"]["depth"] for n in range(60)] == list(range(60))
    assert [found[f"a{n}"]["rank"] for n in range(60)] == list(range(1, 61))
    assert (found["b"]["cascade_id"], found["b"]["depth"], found["b"]["rank"]) == ("b", 0, 1)


def test_a_circle_of_reshares_is_left_out_and_nothing_else() -> None:
    posts = posts_of(
        ("root", 0, "k", None), ("child", 1, "k", "root"), ("x", 2, "k", "y"), ("y", 3, "k", "z"), ("z", 4, "k", "x"),
        ("self", 5, "k", "self"), ("hangs on x", 6, "k", "x"), ("orphan", 7, "k", "gone"),
    )  # fmt: skip
    found = rows_of(cascades(posts, LATER), "post_id")
    assert set(found) == {"root", "child", "orphan"}
    assert found["orphan"]["cascade_id"] == "gone"


def hour(number: int, creator: str, cascade: str, offset: float) -> tuple[str, float, str, str | None]:
    return (f"{cascade}{number}", offset + number, creator, f"{cascade}0" if number else None)


def test_a_history_worked_on_paper() -> None:
    """k0 starts a cascade of ten, then one of five; what it reads at each post is what had happened by then."""
    first = [hour(n, f"k{n}", "a", 0) for n in range(10)]
    second = [hour(n, f"k{n}", "b", 100) for n in range(5)]
    posts = posts_of(
        *first, *second, ("c0", 104.0, "k0", None), ("d0", 104.5, "k0", None), ("e0", 500.0, "k0", None)
    )
    placed = cascades(posts, LATER)
    found = rows_of(histories(placed, 5, 168, str(LATER)), "post_id")
    assert found["a0"]["past_posts"] == 0
    assert found["a0"]["since"] is None
    assert found["a0"]["hit_rate"] == 1 / 2
    assert found["b0"]["hit_rate"] == 2 / 3  # one trial, one hit
    assert found["c0"]["hit_rate"] == 2 / 3  # the second trial is of this very hour: not yet known
    assert found["d0"]["hit_rate"] == 2 / 4
    assert found["a5"]["hit_rate"] == 1 / 2
    assert np.exp(found["d0"]["past_posts"]) - 1 == pytest.approx(3)
    assert np.exp(found["b0"]["since"]) == pytest.approx(100.01)
    assert found["d0"]["ended_size"] == pytest.approx(3.3)  # nothing has ended yet: the usual
    assert found["e0"]["ended_hit_rate"] == 2 / 4  # both ended, the first one after doubling
    assert found["e0"]["ended_size"] == pytest.approx((np.log2(10) + np.log2(5) + 6.6 + 0 + 0) / 6, abs=1e-3)


@cache
def fitted() -> tuple[dict[str, pa.Table], ibis.Table, Any]:
    tables = shop()
    matrix = materialised(FAMILY.features(opened(tables), END, PARAMS), FAMILY.key)
    return tables, matrix, FAMILY.fit(matrix, END, PARAMS)


def test_who_starts_large_cascades_is_found() -> None:
    """In the small shop every fourth creator starts large ones; the first look knows, the timing does not."""
    _, matrix, _ = fitted()
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    truth = fold.truth.to_pyarrow()
    model = FAMILY.fit(fold.train, fold.as_of, PARAMS)
    ours = FAMILY.metrics(FAMILY.score(model, fold.test, fold.as_of), truth)
    constant = FAMILY.metrics(FAMILY.baselines(fold.test, fold.as_of, PARAMS)["constant"], truth)
    assert ours["log_loss"] < constant["log_loss"]
    assert ours["msle"] < constant["msle"]


def test_a_fold_judges_cascades_that_it_has_not_learned_from() -> None:
    _, matrix, _ = fitted()
    for fold in FAMILY.folds(matrix, END, PARAMS):
        cases = set(fold.truth.to_pyarrow()["cascade_id"].to_pylist())
        learned = fold.train.filter(fold.train["size"].notnull()).to_pyarrow()
        assert not cases & set(learned["cascade_id"].to_pylist())
        assert pc.max(learned["observed_at"]).as_py() < datetime.combine(fold.as_of, datetime.min.time())
        hidden = fold.test.filter(fold.test.open).to_pyarrow()
        assert all(hidden[name].null_count == len(hidden) for name in ("size", "last_at", "peak_at"))


def test_sizes_at_an_origin_are_counted_up_to_it() -> None:
    tables, matrix, _ = fitted()
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    posted = tables["posts"]
    until = posted.filter(
        pc.less(posted["posted_at"], pa.scalar(fold.as_of, pa.date32()).cast(pa.timestamp("us")))
    )
    placed = cascades(opened({"posts": until})["posts"], END).to_pyarrow()
    counted = placed.group_by("cascade_id").aggregate([("post_id", "count")])
    expected = dict(zip(counted["cascade_id"].to_pylist(), counted["post_id_count"].to_pylist(), strict=True))
    learned = fold.train.filter(fold.train["size"].notnull()).to_pyarrow()
    assert len(learned) > 50
    for name, size in zip(learned["cascade_id"].to_pylist(), learned["size"].to_pylist(), strict=True):
        assert size == expected[name]


def test_contributions_add_up_to_the_log_odds() -> None:
    _, matrix, model = fitted()
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    made = FAMILY.score(model, fold.test, END)
    rows = FAMILY.explain(model, fold.test, END, PARAMS)
    summed = rows.group_by(["cascade_id", "point"]).aggregate([("contribution", "sum")])
    both = made.join(summed, ["cascade_id", "point"])
    odds = np.log(both["doubles"].to_numpy() / (1 - both["doubles"].to_numpy()))
    np.testing.assert_allclose(both["contribution_sum"].to_numpy(), odds, atol=1e-4)


def test_a_backtest_asks_about_the_time_until_its_day_and_no_longer_than_the_past_knows() -> None:
    _, matrix, model = fitted()
    rows = waiting(FAMILY.folds(matrix, END, PARAMS)[-1].test)
    observed = rows["observed_at"].to_numpy().astype("datetime64[us]")
    until = np.datetime64(END.isoformat(), "us")
    hours = (until - observed) / np.timedelta64(1, "h")
    told = asked(model, rows).columns[:, -1]
    np.testing.assert_allclose(told, np.minimum(np.log1p(hours), model.exposure), rtol=1e-6)
    assert len(set(told.tolist())) > 1
    usual = asked(model, rows.drop_columns(["until"])).columns[:, -1]
    assert set(usual.tolist()) == {np.float32(model.exposure)}


def test_a_point_that_was_never_seen_is_answered_by_the_line_through_all() -> None:
    _, matrix, model = fitted()
    rows = waiting(FAMILY.folds(matrix, END, PARAMS)[-1].test)
    seen = asked(model, rows)
    strange = Seen(seen.columns, np.full(len(seen.points), "hour-5"))
    assert np.isfinite(raw(model, "doubles", strange)).all()
    assert "hour-5" not in model.lines["doubles"]["steady-lines"]
    some = [point for point in model.lines["doubles"]["steady-lines"] if point]
    assert some and set(some) <= set(matrix.to_pyarrow()["point"].to_pylist())


def test_what_drifts_with_the_calendar_is_seen_by_trees_and_line_alone() -> None:
    assert not set(DRIFTING) & set(LINES["steady-lines"].columns)
    assert set(DRIFTING) < set(FEATURES)
    assert sum(member.share for member in (*TREES.values(), *LINES.values())) == pytest.approx(1)


def test_every_feature_has_words_of_its_own() -> None:
    told = [words(feature) for feature in FEATURES]
    assert len(set(told)) == len(FEATURES)


def test_no_cascade_is_said_in_words() -> None:
    _, matrix, _ = fitted()
    with pytest.raises(DataRejected, match="no cascade reached 5 posts"):
        FAMILY.fit(matrix, date(2020, 1, 1), PARAMS)


def lifted(times: float, products: int = 12, seed: int = 7) -> tuple[ibis.Table, ibis.Table]:
    """Bursts on half of the products, after which they sell `times` as much; the others never had one."""
    random = np.random.default_rng(seed)
    burst = datetime(2025, 7, 1)
    lines = []
    for number in range(products):
        for day in range(-120, 40):
            lift = times if number % 2 == 0 and 0 <= day < 14 else 1.0
            lines.append(
                {
                    "order_id": f"{number}/{day}", "line_no": 1, "product_id": f"p{number}", "unit_price": 1.0,
                    "ordered_at": burst + timedelta(days=day, hours=12), "quantity": float(random.poisson(6 * lift)),
                }
            )  # fmt: skip
    posts = [
        {
            "post_id": f"{number}-{n}", "posted_at": burst + timedelta(minutes=n), "product_id": f"p{number}",
            "creator_id": "k", "parent_post_id": f"{number}-0" if n else None, "platform": "photos",
        }
        for number in range(0, products, 2)
        for n in range(6)
    ]  # fmt: skip
    tables = opened(
        {
            "posts": pa.Table.from_pylist(posts, schema=arrow_schema(TABLES["posts"])),
            "order_lines": pa.Table.from_pylist(lines, schema=arrow_schema(TABLES["order_lines"])),
        }
    )
    return cascades(tables["posts"], LATER), tables["order_lines"]


@pytest.mark.parametrize("times", [1.0, 2.5])
def test_the_lift_of_a_burst_is_found_and_of_nothing_is_not(times: float) -> None:
    """Of the 11 other products 5 are lifted too, and the growth of the others is taken out of the lift."""
    measured = lifts(*lifted(times), LATER, PARAMS)
    assert (measured.placebo.sum(), (~measured.placebo).sum()) == (6, 6)
    check = {row["kind"]: row for row in demand_check(measured)}
    assert check["placebo"]["lift_mean"] == pytest.approx(1, abs=0.1)
    assert check["burst"]["lift_mean"] == pytest.approx(times / ((6 + 5 * times) / 11), rel=0.1)
    shares = [effect.placebo_share for effect in effects_of(measured).values()]
    assert (max(shares) == 0) == (times > 1)


def test_a_burst_whose_days_after_are_not_over_is_not_counted() -> None:
    placed, lines = lifted(2.5)
    assert len(lifts(placed, lines, date(2025, 7, 10), PARAMS).sold) == 0


def test_the_collection_tells_its_evidence() -> None:
    tables, matrix, model = fitted()
    made = FAMILY.publications(model, matrix, opened(tables), END, PARAMS)
    items, evidence = made["collection_items"].to_pylist(), made["internet_famous"].to_pylist()
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    assert [item["product_id"] for item in items] == [row["product_id"] for row in evidence]
    assert all("in four weeks" in item["reason"] for item in items)
    assert any("times what was expected" in item["reason"] for item in items)
    assert {len(item["history"]) for item in items} <= {0, 26}


def test_without_order_lines_there_is_a_collection_without_lifts() -> None:
    tables, _, _ = fitted()
    bare = {**tables, "order_lines": tables["order_lines"].slice(0, 0)}
    matrix = materialised(FAMILY.features(opened(bare), END, PARAMS), FAMILY.key)
    made = FAMILY.publications(FAMILY.fit(matrix, END, PARAMS), matrix, opened(bare), END, PARAMS)
    assert made["collection_items"].num_rows > 0
    assert made["collection_items"]["lift"].null_count == made["collection_items"].num_rows
    assert made["demand_check"].num_rows == 0


def test_the_reason_in_words() -> None:
    row = {
        "posts_28": 1, "reach_28": 1200, "posts_before": 4, "posts": 30, "doubles": 0.63, "expected": 12.4,
        "lead_hours": 30.0,
    }  # fmt: skip
    assert reason(row, Effect(1.8, 1.2, 2.7, 3, 0.04)) == (
        "1 post in four weeks, seen by up to 1,200 followers, 0.2 times the four weeks before, 30 posts in all. "
        "12 more posts expected (63% likely to double), at their peak in about 30 hours. After 3 bursts of attention "
        "it sold 1.8 times what was expected (1.2 to 2.7); 4% of quiet dates show as much."
    )

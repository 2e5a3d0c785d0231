"""The adapters on the real data: every row is loaded or counted as dropped, and the tables fit the contract."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench.off_policy import POLICIES, estimates, of_policy, rounds_of, target_of
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, key, references
from ml.sources import SOURCES, Loaded, load, open_bandit
from ml.toolkit.off_policy import NO_CLIP, effective_size

PUBLIC_DATA = Path(os.environ.get("BELLWETHER_PUBLIC_DATA", Path(__file__).parents[2] / "../shared/data"))
MAIN_FILES = {
    "online_retail_uci": ("transactions.parquet",),
    "dominicks_oj": ("yx.parquet",),
    "completejourney": ("transactions_sample.parquet",),
    "uss": ("turns.parquet",),
    "sgd": ("turns_train.parquet", "turns_dev.parquet"),
    "clinc150": ("queries_full.parquet",),
    "snips_nlu": ("train_full.parquet",),
    "camrest676": ("turns.parquet",),
    "esci_sample": ("judgments_titles_500q.parquet", "judgments_150q.parquet"),
    "open_bandit": ("impressions_men.parquet", "impressions_women.parquet"),
    "social_cascades": ("twitter.parquet",),
    "retweets_auspol": ("events.parquet",),
    "fashion_mnist": ("images.parquet",),
    "clothing_small": ("images.parquet",),
    "hermes_fashion_trends": ("series.parquet",),
    "youtube_trending_us_2017": ("usvideos.parquet",),
}
DIALOGUES = ("uss", "sgd", "clinc150", "snips_nlu", "camrest676")
CASCADES = ("social_cascades", "retweets_auspol")
ROWS_OF = dict.fromkeys(DIALOGUES, "turns") | dict.fromkeys(CASCADES, "posts")
GIVEN = {"social_cascades": "twitter.parquet"}  # one of its files
ROWS_EACH = {"camrest676": 2}  # one exchange is two turns
ROWS_OF |= {"esci_sample": "judgements", "open_bandit": "searches", "youtube_trending_us_2017": "posts"}
ROWS_OF |= dict.fromkeys(("fashion_mnist", "clothing_small"), "products")
AGGREGATED = ("hermes_fashion_trends",)  # a row becomes any number of rows, none too

pytestmark = pytest.mark.public_data


@cache
def loaded(name: str) -> Loaded:
    if not (PUBLIC_DATA / name).is_dir():
        pytest.skip(f"no {name} in {PUBLIC_DATA}: set BELLWETHER_PUBLIC_DATA")
    return load(name, PUBLIC_DATA / name / GIVEN.get(name, ""))


@pytest.mark.parametrize("name", SOURCES)
def test_rows_in_are_rows_loaded_and_dropped(name: str) -> None:
    found = loaded(name)
    rows = sum(pq.read_metadata(PUBLIC_DATA / name / file).num_rows for file in MAIN_FILES[name])
    assert found.read == rows
    if name not in AGGREGATED:
        kept = found.tables[ROWS_OF.get(name, "order_lines")].num_rows / ROWS_EACH.get(name, 1)
        assert rows == kept + sum(found.dropped.values())


@pytest.mark.parametrize("name", SOURCES)
def test_tables_are_as_the_contract_says(name: str) -> None:
    for table, rows in loaded(name).tables.items():
        contract = TABLES[table]
        assert rows.schema.equals(arrow_schema(contract))
        assert not [f.name for f in rows.schema if not f.nullable and rows[f.name].null_count], table
        assert _distinct(rows, key(contract)) == rows.num_rows, table


@pytest.mark.parametrize("name", SOURCES)
def test_every_reference_is_met(name: str) -> None:
    tables = loaded(name).tables
    for table, rows in tables.items():
        for column, target in references(TABLES[table]).items():
            other, target_column = target.split(".")
            assert pc.all(pc.is_in(rows[column], tables[other][target_column])).as_py() in (True, None), table


def _distinct(rows: pa.Table, columns: tuple[str, ...]) -> int:
    return int(rows.select(list(columns)).group_by(list(columns)).aggregate([]).num_rows)


def test_the_gift_shop_has_no_postage_and_no_undone_order() -> None:
    tables = loaded("online_retail_uci").tables
    lines = tables["order_lines"]
    assert not {"POST", "DOT", "M", "S", "AMAZONFEE", "23444"} & set(lines["product_id"].to_pylist())
    assert pc.max(lines["quantity"]).as_py() < 74_215
    assert pc.min(lines["unit_price"]).as_py() > 0
    assert pc.sum(pc.less(lines["quantity"], 0)).as_py() > 5_000


def test_gift_categories_cover_most_products() -> None:
    categories = loaded("online_retail_uci").tables["products"]["category"]
    assert 15 <= len(categories.unique()) <= 30
    assert pc.mean(pc.equal(categories, "other gifts").cast(pa.float64())).as_py() < 0.1


def test_juice_is_weekly_with_a_plan_for_every_week() -> None:
    tables = loaded("dominicks_oj").tables
    assert set(pc.day_of_week(tables["order_lines"]["ordered_at"]).unique().to_pylist()) == {3}
    assert set(tables["promotions"]["kind"].unique().to_pylist()) == {"discount", "feature", "display"}
    discounts = tables["promotions"]["discount_pct"].drop_null()
    assert pc.min(discounts).as_py() > 0 and 1 < pc.max(discounts).as_py() < 100


def test_the_identifier_that_r_wrote_as_a_number_is_restored() -> None:
    promotions = loaded("completejourney").tables["promotions"]
    assert not any("e+" in identifier for identifier in promotions["product_id"].unique().to_pylist())


@pytest.mark.parametrize("name", DIALOGUES)
def test_every_label_is_on_a_turn_that_was_said(name: str) -> None:
    tables = loaded(name).tables
    place = ["dialogue_id", "turn_idx"]
    marked = tables["annotations"].group_by(place).aggregate([])
    assert marked.join(tables["turns"].select(place), place, join_type="left anti").num_rows == 0


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_dialogue_has_no_hole_and_goes_forward(name: str) -> None:
    turns = loaded(name).tables["turns"].sort_by([("dialogue_id", "ascending"), ("turn_idx", "ascending")])
    groups = turns.group_by("dialogue_id", use_threads=False)
    lengths = groups.aggregate([("turn_idx", "count"), ("turn_idx", "max"), ("turn_idx", "min")])
    assert lengths["turn_idx_count"].equals(pc.add(lengths["turn_idx_max"], 1))
    assert pc.max(lengths["turn_idx_min"]).as_py() == 0
    assert set(turns["speaker"].unique().to_pylist()) <= {"user", "assistant"}


def test_nothing_that_the_labels_are_made_from_is_said_in_turns() -> None:
    for name in DIALOGUES:
        turns = loaded(name).tables["turns"]
        assert [
            column for column in ("domain", "intent", "action") if turns[column].null_count < len(turns)
        ] == []


def test_every_turn_of_a_user_was_rated_by_three_or_more() -> None:
    tables = loaded("uss").tables
    ratings = tables["annotations"].group_by(["dialogue_id", "turn_idx"]).aggregate([([], "count_all")])
    users = pc.sum(pc.equal(tables["turns"]["speaker"], "user")).as_py()
    assert (ratings.num_rows, pc.min(ratings["count_all"]).as_py(), pc.max(ratings["count_all"]).as_py()) == (
        users,
        3,
        7,
    )
    assert set(tables["annotations"]["label"].unique().to_pylist()) == set("12345")


def test_goals_begin_with_the_dialogue_and_few_of_those_known_fail() -> None:
    annotations = loaded("sgd").tables["annotations"]
    first = annotations.filter((pc.field("kind") == "goal_boundary") & (pc.field("turn_idx") == 0))
    assert set(first["label"].unique().to_pylist()) == {"yes"}
    ended = annotations.filter(pc.field("kind") == "goal_success")["label"]
    assert pc.mean(pc.equal(ended, "no").cast(pa.float64())).as_py() == pytest.approx(0.0467, abs=0.001)


def test_the_official_parts_follow_each_other_in_time() -> None:
    turns = loaded("sgd").tables["turns"]
    dev = pc.starts_with(turns["dialogue_id"], "dev")
    assert (
        pc.max(turns.filter(pc.invert(dev))["said_at"]).as_py() < pc.max(turns.filter(dev)["said_at"]).as_py()
    )
    begun = turns.filter(pc.field("turn_idx") == 0).sort_by("said_at")["dialogue_id"]
    assert pc.starts_with(begun, "dev").to_pylist() == sorted(pc.starts_with(begun, "dev").to_pylist())


def test_the_shopping_queries_have_every_grade_and_one_annotator() -> None:
    judgements = loaded("esci_sample").tables["judgements"]
    assert sorted(judgements["grade"].unique().to_pylist()) == [0, 1, 2, 3]
    assert judgements["annotator_id"].unique().to_pylist() == ["esci"]
    assert loaded("esci_sample").dropped == {"judged before": 92, "product without a title": 5354}


def test_impressions_and_their_propensities_belong_together() -> None:
    searches = loaded("open_bandit").tables["searches"]
    logged = open_bandit.logged(PUBLIC_DATA / "open_bandit")
    assert logged["search_id"].equals(searches["search_id"])
    assert logged["position"].equals(searches["position"])
    assert pc.equal(logged["click"], 1).equals(searches["engaged"])
    even = logged.filter((pc.field("behavior_policy") == "random") & (pc.field("campaign") == "men"))
    assert pc.all(pc.less(pc.abs(pc.subtract(even["propensity"], 1 / 34)), 1e-9)).as_py()


@pytest.mark.parametrize("campaign", open_bandit.CAMPAIGNS)
@pytest.mark.parametrize(("source", "policy"), [POLICIES, POLICIES[::-1]])
def test_a_logged_policy_is_valued_from_the_other_ones_log(campaign: str, source: str, policy: str) -> None:
    loaded("open_bandit")
    log = open_bandit.logged(PUBLIC_DATA / "open_bandit")
    own = of_policy(log, campaign, policy)
    truth = pc.mean(own["click"]).as_py()
    rounds = rounds_of(of_policy(log, campaign, source), target_of(own, policy))
    for name, found in estimates(rounds, 100.0, draws=400).items():
        assert found.low <= truth <= found.high, name


def test_one_propensity_of_a_millionth_is_worth_two_rounds_and_clipping_mends_it() -> None:
    loaded("open_bandit")
    log = open_bandit.logged(PUBLIC_DATA / "open_bandit")
    source, own = (of_policy(log, "women", policy) for policy in ("bts", "random"))
    assert pc.min(source["propensity"]).as_py() == 1e-6
    rounds = rounds_of(source, target_of(own, "random"))
    assert effective_size(rounds) < 3
    assert estimates(rounds, NO_CLIP, draws=400)["DR"].point < 0
    assert effective_size(rounds, 100.0) > 300
    assert estimates(rounds, 100.0, draws=400)["DR"].low > 0


@pytest.mark.parametrize(
    ("set_of", "first", "last"),
    [("twitter", 2010, 2010), ("memetracker", 2008, 2009), ("douban", 2008, 2011)],
)
def test_each_set_of_cascades_has_its_own_unit_of_time(set_of: str, first: int, last: int) -> None:
    file = PUBLIC_DATA / "social_cascades" / f"{set_of}.parquet"
    if not file.exists():
        pytest.skip(f"no {file.name} in {file.parent}: set BELLWETHER_PUBLIC_DATA")
    posted = load("social_cascades", file).tables["posts"]["posted_at"]
    assert (pc.min(posted).as_py().year, pc.max(posted).as_py().year) == (first, last)

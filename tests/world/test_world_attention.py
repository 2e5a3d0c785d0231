"""Posts, creators, bursts and pictures: what is said to be true of them is what the tables show."""

from __future__ import annotations

import base64
import io
from collections import Counter
from datetime import datetime
from itertools import islice

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world import SIZES, World, readers, simulate
from ml.world.attention.dirt import KINDS


@pytest.fixture(scope="module")
def clean(sql: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """`sql` with `clean_posts` (each key once, nothing dirty) and `tree`: each clean post with its root."""
    sql.execute(
        """create table clean_posts as
           select distinct on (post_id) * from posts
           anti join (from true_dirty_posts where kind <> 'duplicate_key') using (post_id)"""
    )
    sql.execute(
        """create table tree as with recursive down as (
             select post_id, post_id as root, posted_at as root_at, posted_at, creator_id, 0 as depth
             from clean_posts where parent_post_id is null
             union all
             select p.post_id, root, root_at, p.posted_at, p.creator_id, depth + 1
             from clean_posts p join down on p.parent_post_id = down.post_id)
           from down"""
    )
    return sql


@pytest.mark.parametrize("name", ["posts", "creators"])
def test_a_table_has_the_columns_of_its_contract(world: World, name: str) -> None:
    table = world.tables[name]
    assert table.schema.equals(arrow_schema(TABLES[name]), check_metadata=True)
    table.validate(full=True)


def test_there_are_about_as_many_posts_as_the_size_says(world: World) -> None:
    assert world.tables["posts"].num_rows == pytest.approx(SIZES["small"].posts, rel=0.1)
    made = sum(batch.num_rows for batch in readers("medium", days=210)["posts"])
    assert made == pytest.approx(SIZES["medium"].posts * 210 / SIZES["medium"].days, rel=0.1)


def test_cascades_are_trees_of_the_size_that_is_true(clean: duckdb.DuckDBPyConnection) -> None:
    posts, reached = clean.execute(
        "select (select count(*) from clean_posts), (select count(*) from tree)"
    ).fetchall()[0]
    assert posts == reached
    worst, ended = clean.execute(
        """with seen as (select root, count(*) as n from tree group by root)
           select max(abs(n - final_size)), count(*) from true_cascades join seen on root = post_id
           where started_at < timestamp '2025-11-01'"""
    ).fetchall()[0]
    assert (worst, ended > 10_000) == (0, True)
    late = """select count(*) from clean_posts c join clean_posts p on c.parent_post_id = p.post_id
              where c.posted_at <= p.posted_at"""
    assert clean.execute(late).fetchall() == [(0,)]


def test_cascades_are_cut_off_by_the_end(clean: duckdb.DuckDBPyConnection, world: World) -> None:
    assert pc.max(world.tables["posts"]["posted_at"]).as_py() < datetime.combine(
        world.end, datetime.min.time()
    )
    seen, true = clean.execute(
        """with seen as (select root, count(*) as n from tree group by root)
           select sum(n), sum(final_size) from true_cascades join seen on root = post_id
           where started_at > timestamp '2025-11-28'"""
    ).fetchall()[0]
    assert seen < true


def test_reshares_are_as_many_as_the_branching_factor_says(clean: duckdb.DuckDBPyConnection) -> None:
    """Direct reshares of a reshare over the branching factor of its cascade, by thirds of it."""
    ratios = clean.execute(
        """with children as (select parent_post_id as post_id, count(*) as n from clean_posts group by all),
           each as (select c.branching, coalesce(n, 0) as n, ntile(3) over (order by c.branching) as third
                    from tree t join true_cascades c on t.root = c.post_id left join children k on k.post_id = t.post_id
                    where depth > 0 and root_at < timestamp '2025-11-01')
           select sum(n) / sum(branching) from each group by third"""
    ).fetchnumpy()
    for ratio in next(iter(ratios.values())):
        assert ratio == pytest.approx(1, abs=0.15)


def test_reach_and_size_are_heavy_tailed(clean: duckdb.DuckDBPyConnection) -> None:
    top, middle, share = clean.execute(
        """select quantile_cont(followers, 0.99), median(followers),
                  (select sum(final_size) filter (final_size >= 20) / sum(final_size) from true_cascades)
           from creators where followers >= 0"""
    ).fetchall()[0]
    assert top > 15 * middle
    assert share > 0.2


def test_there_is_a_day_and_a_night(clean: duckdb.DuckDBPyConnection) -> None:
    rows = clean.execute(
        """select platform, avg((hour(posted_at) between 2 and 5)::int) from clean_posts group by platform"""
    ).fetchall()
    nights = dict(rows)
    assert len(nights) == 3
    assert nights["clips"] < 0.06 < 4 / 24


def test_what_is_hidden_shows_in_what_spreads(clean: duckdb.DuckDBPyConnection) -> None:
    """Appeal, the starter's skill and the noses of the first to reshare each go with the branching factor."""
    appeal, skill, nose = clean.execute(
        """with early as (select root, avg(nose) as nose from tree join true_creators using (creator_id)
                          where depth = 1 group by root)
           select corr(appeal, branching), corr(skill, branching), corr(early.nose, branching)
           from true_cascades c join true_appeal using (product_id) join clean_posts p using (post_id)
           join true_creators using (creator_id) left join early on early.root = c.post_id"""
    ).fetchall()[0]
    assert appeal > 0.35
    assert skill > 0.2
    assert nose > 0.1


def test_bursts_show_in_the_posts_and_placebos_no_less(clean: duckdb.DuckDBPyConnection) -> None:
    rows = clean.execute(
        """with around as (
             select lift > 1 as lifts, start_day,
                    count(*) filter (p.posted_at >= start_day and p.posted_at < start_day + 5) / 5 as during,
                    count(*) filter (p.posted_at < start_day and p.posted_at >= start_day - 28) / 28 as before
             from true_bursts b join clean_posts p using (product_id)
             group by burst_id, lift, start_day)
           select lifts, sum(during) / sum(before), count(*) from around
           where start_day between '2023-11-01' and '2025-11-20' group by lifts order by lifts"""
    ).fetchall()
    (_, placebo, placebos), (_, lifting, lifted) = rows
    assert placebos > 25 and lifted > 50
    assert placebo > 4 and lifting > 4


def test_demand_is_lifted_after_a_burst_and_not_by_a_placebo(clean: duckdb.DuckDBPyConnection) -> None:
    """Units over what is ordinary but for the attention: by the true lift, and 1 after a placebo."""
    shown, true = clean.execute(
        """select sum(coalesce(bought, 0)) / sum(mean / lift), sum(mean) / sum(mean / lift)
           from true_attention join true_demand using (product_id, day) left join sold using (product_id, day)
           where lift > 1.2 and day < date '2025-12-01'"""
    ).fetchall()[0]
    assert true > 1.4
    assert shown / true == pytest.approx(1, abs=0.06)
    placebo = clean.execute(
        """select sum(coalesce(bought, 0)) / sum(mean) from true_bursts b join true_demand d
           on d.product_id = b.product_id and d.day between start_day + 1 and start_day + 14
           left join sold s on s.product_id = d.product_id and s.day = d.day
           anti join true_attention a on a.product_id = d.product_id and a.day = d.day
           where b.lift = 1 and d.day < date '2025-12-01'"""
    ).fetchall()[0][0]
    assert placebo == pytest.approx(1, abs=0.2)  # of few units, some of them bulk


def test_attention_begins_after_its_lag(clean: duckdb.DuckDBPyConnection) -> None:
    first = clean.execute(
        """select min(a.day - b.start_day - b.lag_days), max(abs(b.lift / peak - 1)) from
           (select b.*, max(a.lift) as peak from true_bursts b join true_attention a on a.product_id = b.product_id
            and a.day between b.start_day + b.lag_days and b.start_day + b.lag_days + 6
            where not exists (from true_bursts o where o.product_id = b.product_id and o.burst_id <> b.burst_id)
            group by all) b join true_attention a using (product_id)"""
    ).fetchall()[0]
    assert first[0] == 0
    assert first[1] < 0.15  # a width between two days is never quite at its height


def test_each_kind_of_dirt_is_there_and_counted(clean: duckdb.DuckDBPyConnection, world: World) -> None:
    told = Counter(world.truth["dirty_posts"]["kind"].to_pylist())
    found = {
        "unknown_creator": "select count(*) from posts anti join creators using (creator_id)",
        "unknown_product": "select count(*) from posts anti join products using (product_id)",
        "before_launch": "select count(*) from posts join products using (product_id) where posted_at < launched_at",
        "duplicate_key": "select count(*) from (select post_id from posts group by all having count(*) = 2)",
        "reshare_cycle": """select count(*) from posts a join posts b on a.parent_post_id = b.post_id
                            where b.parent_post_id = a.post_id""",
    }
    assert set(told) == set(found) == set(KINDS)
    for kind, query in found.items():
        assert clean.execute(query).fetchall() == [(told[kind],)], kind
    assert sum(told.values()) < 0.01 * world.tables["posts"].num_rows
    negative = world.tables["creators"].filter(pc.field("followers") < 0)["creator_id"]
    assert set(negative.to_pylist()) == set(world.truth["dirty_creators"]["creator_id"].to_pylist())
    assert len(negative) >= 2


def test_text_is_of_every_direction_and_full_of_emoji(world: World) -> None:
    texts = "".join(filter(None, world.tables["posts"]["text"].to_pylist()))
    assert {"😍", "א", "ي", "こ"} <= set(texts)


def test_the_end_does_not_change_what_was_posted(world: World, later_world: World) -> None:
    before = pc.field("posted_at") < datetime.combine(world.end, datetime.min.time())
    assert later_world.tables["posts"].filter(before).equals(world.tables["posts"])
    assert later_world.tables["posts"].num_rows > world.tables["posts"].num_rows
    begun = pc.field("started_at") < datetime.combine(world.end, datetime.min.time())
    assert later_world.truth["cascades"].filter(begun).equals(world.truth["cascades"])


def test_the_same_seed_is_the_same_attention() -> None:
    first, second, other = (simulate("small", seed=seed, days=60) for seed in (3, 3, 4))
    for name in ("posts", "creators", "products"):
        assert first.tables[name].equals(second.tables[name])
        assert not first.tables[name].equals(other.tables[name])


def test_the_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate("small", days=60).tables["posts"]
    monkeypatch.setattr("ml.world.attention.rows._ROWS", 300)
    cut = simulate("small", days=60).tables["posts"]
    assert cut.column(0).num_chunks > whole.column(0).num_chunks
    assert cut.equals(whole)


def test_memory_is_bounded_by_the_batch() -> None:
    """Ten million posts come in batches that hold at most a week beyond the limit."""
    sizes = [batch.num_rows for batch in islice(readers("10m")["posts"], 3)]
    assert sum(sizes) > 500_000
    assert max(sizes) < 400_000


def _pixels(uri: str) -> np.ndarray:
    prefix, data = uri.split(",")
    assert prefix == "data:image/png;base64"
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(data, validate=True))).convert("RGB"), dtype=float
    )


def test_every_product_has_a_small_picture_that_tells_part_of_its_appeal(world: World) -> None:
    uris = world.tables["products"]["image_uri"].to_pylist()
    assert len(set(uris)) == len(uris)
    assert max(map(len, uris)) < 6_000
    pixels = np.stack([_pixels(uri) for uri in uris])
    assert pixels.shape[1:] == (48, 48, 3)
    appeal = dict(
        zip(*(world.truth["appeal"][name].to_pylist() for name in ("product_id", "appeal")), strict=True)
    )
    hidden = np.array([appeal[product] for product in world.tables["products"]["product_id"].to_pylist()])
    colourful = (pixels.max(axis=3) - pixels.min(axis=3)).reshape(len(uris), -1)
    told = np.corrcoef(np.quantile(colourful, 0.95, axis=1), hidden)[0, 1]
    assert 0.3 < told < 0.95


def test_few_posts_have_a_picture_and_they_are_of_bursts(world: World) -> None:
    shown = world.tables["posts"].filter(pc.field("image_uri").is_valid())
    assert 100 < shown.num_rows < 400
    assert set(shown["product_id"].to_pylist()) <= set(world.truth["bursts"]["product_id"].to_pylist())
    assert all(_pixels(uri).shape == (48, 48, 3) for uri in shown["image_uri"].to_pylist()[:20])


def test_larger_worlds_have_no_pictures() -> None:
    products = readers("medium", days=30)["products"]
    assert isinstance(products, pa.Table)
    assert products["image_uri"].null_count == products.num_rows


def test_a_world_of_one_day_has_posts() -> None:
    world = simulate("small", days=1)
    assert world.tables["posts"].num_rows > 0
    assert world.truth["cascades"].num_rows > 0

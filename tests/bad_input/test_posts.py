"""Posts and creators as crawls have them: what is put aside and why, what the user reads, and what passes untouched."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spoilt_feed import WORDS, Feed
from spoilt_shop import Shop, table_of, warnings_of

from ml.seams.quality.predicates import CYCLES
from ml.seams.quality.preparing import find_cycles
from ml.seams.quality.rows import Limits, database
from ml.world import simulate


@pytest.fixture
def feed(shop: Shop) -> Feed:
    return Feed(shop)


def test_a_clean_feed_is_accepted_as_it_is(feed: Feed) -> None:
    result = feed.validate()
    assert result["rows"] == {"in": 1200, "passed": 1200, "quarantined": 0, "reasons": {}}
    assert warnings_of(result) == []
    assert feed.validate("creators")["rows"]["quarantined"] == 0


def test_emoji_and_text_from_right_to_left_pass_untouched(feed: Feed) -> None:
    feed.posts[8]["text"] = "👨‍👩‍👧‍👦" * 2_000
    feed.validate()
    passed = feed.passed("posts")
    assert passed["text"].to_pylist() == [row["text"] for row in feed.posts]
    assert set(WORDS) <= set(passed["text"].to_pylist())
    assert [row["text"] for row in feed.posts[1:7]] == passed["text"].to_pylist()[1:7]


ONE_OF_EACH = [
    ("product_id", "nothing", "nothing is known of what it refers to"),
    ("creator_id", "nobody", "nothing is known of what it refers to"),
    ("posted_at", datetime(2019, 12, 31), "posted before the product exists"),
    ("posted_at", datetime(2024, 3, 2), "later than can be known"),
    ("platform", None, "it is required"),
]


def test_a_post_broken_in_each_way_is_put_aside_with_its_reason(feed: Feed) -> None:
    for number, (column, value, _reason) in enumerate(ONE_OF_EACH):
        feed.posts[100 * number + 4][column] = value  # the last of a cascade: nobody reshares it
    feed.validate()
    aside = feed.aside()
    for number, (_column, _value, reason) in enumerate(ONE_OF_EACH):
        assert any(reason in said for said in aside[f"t{100 * number + 4:05d}"])
    assert len(aside) == len(ONE_OF_EACH)


def test_posts_that_reshare_each_other_are_put_aside_all_of_them(feed: Feed) -> None:
    for first, ring in ((10, 2), (20, 3), (500, 1)):
        for place in range(ring):
            feed.posts[first + place]["parent_post_id"] = f"t{first + (place + 1) % ring:05d}"
    result = feed.validate()
    aside = {
        post for post, said in feed.aside().items() if any("which of them was first" in one for one in said)
    }
    assert aside == {"t00010", "t00011", "t00020", "t00021", "t00022", "t00500"}
    assert sum("which of them was first" in reason for reason in result["rows"]["reasons"]) == 1


def test_what_was_reshared_before_it_was_posted_is_put_aside(feed: Feed) -> None:
    feed.posts[204]["posted_at"] = datetime(2024, 1, 2)
    feed.validate()
    assert ["reshared before it was posted" in said for said in feed.aside()["t00204"]] == [True]


def test_a_reshare_of_a_deleted_post_passes_and_is_told(feed: Feed) -> None:
    del feed.posts[300]
    result = feed.validate()
    assert result["rows"]["quarantined"] == 0
    assert [
        one for one in warnings_of(result) if "deleted, or not crawled" in one and "1 of 1,199 rows" in one
    ]


REFUSED = {
    "before the product": (
        {"posted_at": datetime(2019, 5, 1)},
        [
            "column posted_at",
            "posted_at=2019-05-01 00:00:00",
            "posted_at is not before products.launched_at (posted before the product exists)",
        ],
    ),
    "reshare of itself": (
        {"parent_post_id": None},
        ["parent_post_id leads to a first row, and never back", "which of them was first"],
    ),
    "unknown product": (
        {"product_id": "gone"},
        ["product_id=gone", "product_id is found in products.product_id"],
    ),
    "unknown creator": (
        {"creator_id": "gone"},
        ["creator_id=gone", "creator_id is found in creators.creator_id"],
    ),
}


@pytest.mark.parametrize(("change", "parts"), REFUSED.values(), ids=REFUSED)
def test_too_many_broken_posts_refuse_the_table_and_say_what_to_do(
    feed: Feed, change: dict[str, object], parts: list[str]
) -> None:
    for row in feed.posts[4::20]:
        row.update(change)
        if change == {"parent_post_id": None}:
            row["parent_post_id"] = row["post_id"]
    message = feed.rejected()
    wanted = [
        "table posts is rejected",
        "60 of 1,200 rows (5.00%), tolerated 2 %",
        "post_id=t00004",
        "next step:",
        *parts,
    ]
    assert not [part for part in wanted if part not in message], message


def test_a_creator_with_negative_followers(feed: Feed) -> None:
    feed.creators[7]["followers"] = -3
    feed.validate("creators")
    assert list(feed.aside("creators")) == ["c7"]
    for row in feed.creators[:5]:
        row["followers"] = -1
    message = feed.rejected("creators")
    for part in ("column followers: 6 of 100 rows", "creator_id=c0, followers=-1", "fewer than nobody"):
        assert part in message


def test_the_worlds_dirty_posts_are_those_put_aside(feed: Feed) -> None:
    world = simulate("small", days=250)
    feed.set_as_of(world.end)
    for name in ("products", "creators", "posts"):
        nullable = pa.schema([field.with_nullable(True) for field in world.tables[name].schema])
        feed.put(name, world.tables[name].cast(nullable))
    result = feed.validate_as_is("posts")
    told = world.truth["dirty_posts"].to_pylist()
    assert {row["kind"] for row in told} >= {"before_launch", "reshare_cycle", "unknown_creator"}
    assert set(feed.aside()) == {row["post_id"] for row in told}
    assert result["rows"]["passed"] == world.tables["posts"].num_rows - result["rows"]["quarantined"]
    feed.validate_as_is("creators")
    assert set(feed.aside("creators")) == set(world.truth["dirty_creators"]["creator_id"].to_pylist())


def cycles_by_hand(parents: list[int | None]) -> set[int]:
    """Rows that come back to themselves: each followed for as many steps as there are rows."""
    found = set()
    for start in range(len(parents)):
        at: int | None = start
        for _ in parents:
            at = parents[at] if at is not None and at < len(parents) else None
            if at == start:
                found.add(start)
                break
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(1, 40), st.booleans())
def test_cycles_are_those_found_by_following_every_row(
    tmp_path: Path, seed: int, many: int, timed: bool
) -> None:
    """Parents at random (some of them unknown), times at random or all the same."""
    chance = random.Random(seed)
    parents = [chance.choice([None, *range(many + 2)]) for _ in range(many)]
    days = [datetime(2024, 1, 1 + (chance.randrange(28) if timed else 0)) for _ in range(many)]
    if timed and many > 2:
        days[0] = None  # type: ignore[call-overload]
    table = pa.table(
        {
            "id": list(range(many)),
            "up": pa.array(parents, pa.int64()),
            "at": pa.array(days, pa.timestamp("us")),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    with database(Limits("500MB", 1)) as opened:
        opened.run(f"CREATE VIEW rows_of AS SELECT * FROM read_parquet('{tmp_path / 'rows.parquet'}')")
        find_cycles(opened, "rows_of", "up", "id", "at")
        assert {row for (row,) in opened.run(f"SELECT its_key FROM {CYCLES}")} == cycles_by_hand(parents)


def test_the_report_names_each_expectation_of_posts(feed: Feed) -> None:
    feed.validate()
    report = json.loads((feed.report("posts") / "result.json").read_text())
    assert all(one["why"] for one in report["expectations"])
    assert table_of("posts", feed.posts).num_rows == 1200

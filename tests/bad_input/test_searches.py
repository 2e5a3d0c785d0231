"""Searches and judgements as logs have them: what is put aside and why, what the user reads, what passes untouched."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import pytest
from spoilt_searches import QUERIES, SearchLog
from spoilt_shop import Shop, warnings_of

from ml.world import simulate


@pytest.fixture
def log(shop: Shop) -> SearchLog:
    return SearchLog(shop)


def test_clean_tables_are_accepted_as_they_are(log: SearchLog) -> None:
    for name, rows in (("searches", 1800), ("judgements", 800)):
        result = log.validate(name)
        assert result["rows"] == {"in": rows, "passed": rows, "quarantined": 0, "reasons": {}}
        assert warnings_of(result) == []


def test_emoji_and_text_from_right_to_left_pass_untouched(log: SearchLog) -> None:
    log.searches[7]["query"] = "👨‍👩‍👧‍👦" * 100
    log.validate()
    assert log.passed("searches").to_pylist() == log.searches
    log.validate("judgements")
    assert log.passed("judgements")["query"].unique().to_pylist() == list(QUERIES)


ONE_OF_EACH = [
    ("product_id", "nothing", "nothing is known of what it refers to"),
    ("query", "mug " * 2_500, "nobody types or says so much: pasted by a machine"),
    ("query", " \u00a0\u200f\n", "nothing was asked"),
    ("query", None, "query is never null"),
    ("modality", "telepathy", "the modalities of the contract"),
    ("position", 0, "a place in a list of results"),
    ("searched_at", datetime(2024, 3, 2), "later than can be known"),
    ("searched_at", datetime(2019, 12, 31), "shown before its launch"),
]


def test_a_search_broken_in_each_way_is_put_aside_with_its_reason(log: SearchLog) -> None:
    for number, (column, value, _reason) in enumerate(ONE_OF_EACH):
        log.searches[100 * number][column] = value
    log.searches[50].update(engaged=False, purchased=True)
    result = log.validate()
    assert result["rows"]["quarantined"] == len(ONE_OF_EACH) + 1
    aside = log.quarantined("searches").to_pylist()
    reasons = {(row["search_id"], row["position"]): " ".join(row["reasons"]) for row in aside}
    for number, (_column, value, reason) in enumerate(ONE_OF_EACH):
        row = log.searches[100 * number]
        assert reason in reasons[row["search_id"], row["position"]], value
    unengaged = reasons[log.searches[50]["search_id"], log.searches[50]["position"]]
    assert "bought without having been engaged with" in unengaged


def test_two_products_at_one_position_are_both_put_aside(log: SearchLog) -> None:
    log.searches.insert(13, {**log.searches[12], "product_id": "p49"})
    result = log.validate()
    assert result["rows"]["quarantined"] == 2
    aside = log.quarantined("searches").to_pylist()
    assert {row["product_id"] for row in aside} == {"p49", log.searches[12]["product_id"]}
    assert all("which of them is right cannot be known" in row["reasons"][0] for row in aside)


def says(message: str, *parts: str) -> None:
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in:\n{message}"
    assert "next step:" in message


def test_a_log_with_two_products_at_each_first_position_is_refused(log: SearchLog) -> None:
    log.searches += [{**row, "product_id": "p49"} for row in log.searches if row["position"] == 1]
    says(
        log.rejected(),
        "table searches is rejected",
        "column search_id, position: 720 of 2,160 rows (33.33%), tolerated 2 %",
        "e.g. search_id=s0000, position=1",
        "is a key: no two rows have the same (which of them is right cannot be known)",
        "correct it in the warehouse",
    )


def test_a_log_that_does_not_tell_engagement_is_refused(log: SearchLog) -> None:
    for row in log.searches:
        row["engaged"] = False
    bought = sum(row["purchased"] for row in log.searches)
    says(
        log.rejected(),
        f"column engaged, purchased: {bought} of 1,800 rows",
        "engaged=False, purchased=True",
        "whoever buys a result has engaged with it",
        "if the rows are right, change expectations/tables/searches.json",
    )


def test_a_message_does_not_quote_ten_thousand_characters(log: SearchLog) -> None:
    for row in log.searches[::20]:
        row["query"] = "mug " * 2_500
    message = log.rejected()
    says(message, "column query: 90 of 1,800 rows (5.00%)", "has characters: at most 1,000", "mug mug mug")
    assert len(message) < 4_000


def test_searches_for_products_that_nobody_knows_are_refused(log: SearchLog) -> None:
    for row in log.searches[::10]:
        row["product_id"] = "old-7"
    says(
        log.rejected(),
        "column product_id: 180 of 1,800 rows (10.00%)",
        "product_id=old-7",
        "product_id is found in products.product_id",
    )


def test_one_annotator_only_is_said_with_what_to_do(log: SearchLog) -> None:
    log.judgements = [{**row, "annotator_id": "me"} for row in log.judgements[::2]]
    result = log.validate("judgements")
    assert result["accepted"] and result["rows"]["passed"] == 400
    said = warnings_of(result)
    assert len(said) == 2
    assert "one annotator judged everything" in said[0] and "column annotator_id: 1" in said[0]
    assert "have some of the pairs judged by others, too" in said[0]
    assert "column query, product_id: 400 of 400 (100.0%) have one row only" in said[1]


def test_several_annotators_who_share_no_pair_are_reported(log: SearchLog) -> None:
    log.judgements = log.judgements[::2]
    said = warnings_of(log.validate("judgements"))
    assert len(said) == 1 and "annotators cannot be compared" in said[0]


JUDGED_WRONGLY = [
    ("grade", 7, "the grades of the contract"),
    ("product_id", "nothing", "nothing is known of what it refers to"),
    ("query", "x" * 10_000, "pasted by a machine"),
    ("query", "\t", "nothing was asked"),
    ("judged_at", datetime(2024, 3, 1), "later than can be known"),
]


def test_a_judgement_broken_in_each_way_is_put_aside_with_its_reason(log: SearchLog) -> None:
    for number, (column, value, _reason) in enumerate(JUDGED_WRONGLY):
        log.judgements[100 * number][column] = value
    again = {**log.judgements[550], "grade": 0}
    log.judgements.append(again)
    assert log.validate("judgements")["rows"]["quarantined"] == len(JUDGED_WRONGLY) + 2
    told = [" ".join(row["reasons"]) for row in log.quarantined("judgements").to_pylist()]
    for _column, value, reason in JUDGED_WRONGLY:
        assert any(reason in one for one in told), value
    assert sum("cannot be known" in one for one in told) == 2


def test_the_dirt_of_the_world_is_put_aside_and_nothing_else(log: SearchLog) -> None:
    world = simulate("small", seed=7)
    params = log.folder / "params.yaml"
    params.write_text(params.read_text().replace("2024-03-01", world.end.isoformat()))
    for name in ("products", "searches", "judgements"):
        log.put(name, world.tables[name])
    log.validate_as_is("searches")
    aside = log.quarantined("searches")
    dirty = world.truth["dirty_searches"]
    found, told = (
        Counter(zip(table["search_id"].to_pylist(), table["position"].to_pylist(), strict=True))
        for table in (aside, dirty)
    )
    assert found == told
    result = log.validate_as_is("judgements")
    off = [one for one in result["expectations"] if one["column"] == "grade" and one["unexpected_count"]]
    assert sum(one["unexpected_count"] for one in off) == 4
    assert json.loads((log.report("judgements") / "result.json").read_text())["accepted"]

"""Dialogues, feedback and annotations as logs have them: what is put aside and why, what is told, what passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pytest
from spoilt_dialogues import Log, Rows
from spoilt_shop import Shop, warnings_of

from ml.world import simulate


@pytest.fixture
def log(shop: Shop) -> Log:
    return Log(shop)


def test_a_clean_log_is_accepted_as_it_is(log: Log) -> None:
    for name in ("turns", "feedback", "annotations"):
        result = log.validate(name)
        assert result["rows"]["quarantined"] == 0, name
        assert warnings_of(result) == [], name


def _lose_a_turn(log: Log, number: int) -> None:
    log.turns.remove(log.dialogue(number)[2])


def _lose_the_beginning(log: Log, number: int) -> None:
    for row in log.dialogue(number)[:2]:
        log.turns.remove(row)


def _mix_up(log: Log, number: int) -> None:
    rows = log.dialogue(number)
    rows[1]["said_at"], rows[4]["said_at"] = rows[4]["said_at"], rows[1]["said_at"]


def _swap_speakers(log: Log, number: int) -> None:
    for row in log.dialogue(number):
        row["speaker"] = {"user": "assistant", "assistant": "user"}[row["speaker"]]


WHOLE: dict[str, tuple[Callable[[Log, int], None], int, str]] = {
    "missing turn": (_lose_a_turn, 5, "turns are missing: what came before and after cannot be told"),
    "missing beginning": (_lose_the_beginning, 4, "turns are missing"),
    "out of order": (_mix_up, 6, "which answer belongs to which request cannot be told"),
    "swapped speakers": (_swap_speakers, 6, "the two speakers are swapped"),
}


def test_a_dialogue_that_is_not_whole_is_put_aside_as_a_whole(log: Log) -> None:
    for number, (spoil, _left, _reason) in enumerate(WHOLE.values()):
        spoil(log, number)
    log.validate()
    aside = log.aside()
    for number, (_spoil, left, reason) in enumerate(WHOLE.values()):
        found = [reasons for (dialogue, _), reasons in aside.items() if dialogue == f"d{number:04d}"]
        assert len(found) == left, reason
        assert all(len(reasons) == 1 and reason in reasons[0] for reasons in found), found
    assert len(aside) == sum(left for _, left, _ in WHOLE.values())


ROWS = {
    "empty text": ({"text": ""}, "nothing was said"),
    "blank text": ({"text": " \u200b\t"}, "nothing was said"),
    "endless text": ({"text": "la " * 16_667}, "nobody talks that long"),
    "unknown speaker": ({"speaker": "bot"}, "the speakers of the contract"),
    "impossible confidence": ({"nlu_confidence": 1.5}, "a probability"),
    "no text": ({"text": None}, "it is required"),
}


def test_a_turn_that_cannot_be_is_put_aside_alone(log: Log) -> None:
    for number, (change, _reason) in enumerate(ROWS.values()):
        log.dialogue(number)[2].update(change)
    log.validate()
    aside = log.aside()
    for number, (_change, reason) in enumerate(ROWS.values()):
        assert any(reason in said for said in aside[f"d{number:04d}", 2]), reason
    assert len(aside) == len(ROWS)


def test_a_message_quotes_fifty_thousand_characters_shortly(log: Log) -> None:
    for number in range(60):
        log.dialogue(number)[0]["text"] = "la " * 16_667
    message = log.rejected()
    assert "text has characters: at most 10,000 (nobody talks that long" in message
    assert "dialogue_id=d0000, turn_idx=0" in message
    assert len(message) < 3_000


def test_too_many_broken_dialogues_refuse_the_table_and_say_what_to_do(log: Log) -> None:
    for place, (spoil, _left, _reason) in enumerate(WHOLE.values()):
        for number in range(place, 300, 10):
            spoil(log, number)
    message = log.rejected()
    parts = [
        "table turns is rejected: 3 expectations are broken",
        "column turn_idx: 270 of 1,710 rows (15.79%)",
    ]
    parts += [
        "tolerated 2 %",
        "dialogue_id=d0000, turn_idx=0",
        "next step:",
        *(reason for _, _, reason in WHOLE.values()),
    ]
    for part in parts:
        assert part in message, (part, message)


LANGUAGES = (
    "これをください",
    "ما هو السعر",
    "почему так дорого",
    "איפה ההזמנה שלי",
    "wo ist meine Bestellung",
)


def test_a_language_that_no_encoder_knows_passes_and_is_told(log: Log) -> None:
    for number in range(100):
        for row, text in zip(log.dialogue(number), LANGUAGES, strict=False):
            row["text"] = text
    result = log.validate()
    (told,) = [one for one in warnings_of(result) if "made for other letters" in one]
    assert "column text: 400 of 1,800 rows" in told
    assert result["rows"]["quarantined"] == 0
    assert set(LANGUAGES) <= set(log.passed("turns")["text"].to_pylist())


@pytest.mark.parametrize("name", ["annotations", "feedback"])
def test_what_is_said_of_turns_that_nobody_said_is_put_aside(log: Log, name: str) -> None:
    rows: Rows = getattr(log, name)
    rows[0]["turn_idx"] = 77
    rows[1]["dialogue_id"] = "nowhere"
    log.validate(name)
    assert {place for place, _ in log.aside(name)} == {rows[0]["dialogue_id"], "nowhere"}
    assert all("that nobody said" in " ".join(reasons) for reasons in log.aside(name).values())
    for row in rows[::10]:
        row["turn_idx"] += 500
    message = log.rejected(name)
    for part in (
        "dialogue_id, turn_idx are found together in turns",
        "column dialogue_id, turn_idx: ",
        "turn_idx=50",
    ):
        assert part in message, (part, message)


LABELS = {
    "goal_success": "perhaps",
    "satisfaction": "6",
    "goal_boundary": "1",
    "mood": "fine",
}


def test_a_label_that_its_kind_does_not_have_is_put_aside(log: Log) -> None:
    for number, (kind, label) in enumerate(LABELS.items()):
        log.annotations[number].update(kind=kind, label=label, annotator_id=f"new {number}")
    log.validate("annotations")
    rows = log.quarantined("annotations").to_pylist()
    assert {row["kind"]: row["label"] for row in rows} == LABELS
    for row in rows:
        (reason,) = row["reasons"]
        told = "the kinds of the contract" if row["kind"] == "mood" else "a label that its kind does not have"
        assert told in reason


def test_one_who_always_says_yes_is_named_and_nothing_is_lost(log: Log) -> None:
    for row in log.annotations:
        if row["annotator_id"] == "bob":
            row["label"] = {"satisfaction": "4", "goal_boundary": "yes", "goal_success": "yes"}[row["kind"]]
    result = log.validate("annotations")
    (told,) = warnings_of(result)
    assert "somebody always gives the same label" in told
    assert "bob says 'yes' to all 90 of goal_boundary" in told
    assert "bob says '4' to all 90 of satisfaction" in told
    assert "ann" not in told.split("label: ")[1].replace("annotator_id", "")
    assert result["rows"]["quarantined"] == 0


def test_everybody_saying_yes_to_what_is_nearly_always_so_is_nothing_to_tell(log: Log) -> None:
    for row in log.annotations:
        if row["kind"] == "goal_success" and row["annotator_id"] != "cas":
            row["label"] = "yes"
    told = warnings_of(log.validate("annotations"))
    assert told == []


def test_labels_of_the_day_after_pass_and_of_the_future_do_not(log: Log) -> None:
    log.annotations[0]["annotated_at"] += timedelta(days=400)
    log.validate("annotations")
    assert ["later than can be known" in reasons[0] for reasons in log.aside("annotations").values()] == [
        True
    ]


def test_the_worlds_dirty_dialogues_are_those_put_aside(log: Log) -> None:
    world = simulate("small")
    log.set_as_of(world.end)
    for name in ("turns", "feedback", "annotations"):
        nullable = pa.schema([field.with_nullable(True) for field in world.tables[name].schema])
        log.put(name, world.tables[name].cast(nullable))
    log.validate_as_is("turns")
    told = world.truth["dirty_turns"].to_pylist()
    aside = log.aside()
    assert {dialogue for dialogue, _ in aside} == {row["dialogue_id"] for row in told}
    whole = ("missing_turns", "out_of_order", "swapped_speakers")
    rows = {(row["dialogue_id"], row["turn_idx"]) for row in told if row["kind"] in whole}
    alone = {row["dialogue_id"] for row in told if row["kind"] not in whole}
    assert rows | {place for place in aside if place[0] in alone} == set(aside)
    assert len(aside) == len(rows) + len(alone)
    for name in ("feedback", "annotations"):
        log.validate_as_is(name)
        wrong = world.truth[f"dirty_{name}"].to_pylist()
        assert set(log.aside(name)) == {(row["dialogue_id"], row["turn_idx"]) for row in wrong}

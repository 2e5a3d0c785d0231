"""Pages of dialogues: what was said and is said of it, in order, and hostile words stay words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from test_pages import ABOUT, HOSTILE, audited

from ml.errors import DataRejected
from ml.publishing import words
from ml.publishing.dialogues import LABELS, QUEUE, SHOWN
from ml.publishing.pages import has_pages, render_site

DAY = datetime(2011, 11, 13, 9, 30)


def turns(
    name: str, section: str = "Let down", place: int = 0, said: str = "find me a mug"
) -> list[dict[str, Any]]:
    spoken = [("user", said), ("assistant", "I cannot find it."), ("user", "no, a MUG")]
    return [
        {"section": section, "place": place, "dialogue_id": name, "turn_idx": turn, "said_at": DAY, "speaker": who,
         "text": words}
        for turn, (who, words) in enumerate(spoken)
    ]  # fmt: skip


def label(turn: int, kind: str, said: str, **changes: Any) -> dict[str, Any]:
    row = {
        "dialogue_id": "d1",
        "turn_idx": turn,
        "kind": kind,
        "label": said,
        "confidence": 0.938,
        "source": "model",
    }
    return row | {"reason": "words shared with the customer's turn before (for)"} | changes


def site(
    shown: list[dict[str, Any]], labels: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> dict[str, bytes]:
    tables = {
        "labels": pa.Table.from_pylist(labels, LABELS),
        "annotation_queue": pa.Table.from_pylist(asked, QUEUE),
        "dialogues_shown": pa.Table.from_pylist(shown, SHOWN),
    }
    assert has_pages(tables)
    return render_site(tables, ABOUT)


def page_of(files: dict[str, bytes], name: str = "d1") -> str:
    return files[f"{words.slug(name)}.html"].decode()


def test_a_dialogue_is_shown_with_its_labels_how_sure_they_are_and_why() -> None:
    labels = [
        label(2, "defect", "yes"),
        label(0, "boundary", "yes", source="people", confidence=1.0, reason="people said so"),
        label(2, "defect", "no", dialogue_id="elsewhere"),
    ]
    asked = [
        label(2, "goal_success", "no", rank=1, confidence=0.55, reason="the model says no and is 55% sure")
    ]
    files = site(turns("d1"), labels, asked)
    text = " ".join(audited(page_of(files)).text.split())
    for part in (
        "13 November 2011",
        "Customer find me a mug New goal yes 100 % people agree people said so Assistant I cannot find it.",
        "Customer no, a MUG",
        "Dissatisfied yes 93 % by the model words shared with the customer's turn before (for)",
        "Goal reached no 55 % people are asked the model says no",
    ):
        assert part in text, part
    index = " ".join(audited(files["index.html"].decode()).text.split())
    assert "3 turns, 1 label by the model, 1 by people, 1 asked" in index
    tally = " ".join("|".join(audited(files["index.html"].decode()).texts).replace("|", " ").split())
    assert "Dissatisfied by people 0 by the model 2 asked next 0" in tally


def test_sections_and_dialogues_stand_in_the_order_of_their_places() -> None:
    shown = (
        turns("b", "Asked", 1, "second")
        + turns("c", "Let down", 2, "third")
        + turns("a", "Asked", 0, "first")
    )
    files = site(shown[::-1], [], [])
    index = audited(files["index.html"].decode()).text
    places = [index.index(part) for part in ("Asked", "first", "second", "Let down", "third")]
    assert places == sorted(places)
    assert files == site(shown, [], [])
    assert set(files) == {"index.html", *(f"{words.slug(name)}.html" for name in "abc")}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_stay_words_and_stay_whole(text: str) -> None:
    labels = [label(0, text, text, dialogue_id=text, source=text, reason=text)]
    files = site(turns(text, text, 0, text), labels, [])
    shown = audited(page_of(files, text))
    assert sum(text in part for part in shown.texts) >= 5
    assert sum(text in part for part in audited(files["index.html"].decode()).texts) >= 2


def test_no_dialogue_says_so_kindly() -> None:
    files = site([], [], [])
    assert list(files) == ["index.html"]
    assert "No dialogues this time" in audited(files["index.html"].decode()).text


def test_what_breaks_the_schema_is_rejected_by_name() -> None:
    tables = {"labels": LABELS.empty_table(), "annotation_queue": QUEUE.empty_table()}
    with pytest.raises(DataRejected, match="publication 'dialogues_shown' lacks columns"):
        render_site(tables | {"dialogues_shown": SHOWN.empty_table().drop_columns(["speaker"])}, ABOUT)

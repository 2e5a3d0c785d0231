"""What is special to ground truth: kinds nobody annotated, swapped answers, rounds with people, strange dialogues."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.sparse import csr_matrix
from small_shop import END, materialised, opened, shop

from bench.labelling import unsure
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.families.ground_truth import FAMILY, coherence, reading
from ml.families.ground_truth.binary import Asked, learn_heads
from ml.families.ground_truth.exchanges import read_batches, read_exchanges
from ml.families.ground_truth.model import _clearly_better
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.publishing import annotation_queue
from ml.families.ground_truth.scoring import predictions
from ml.families.ground_truth.votes import agreed, consensus, one_left_out, shares
from ml.toolkit.calibration import among_beliefs, learn_calibration
from ml.toolkit.encoders import BUNDLED, SentenceEncoder

PARAMS = GroundTruthParams(rounds=20, word_bits=12, folds=3, components=4, nthread=1, encoder="")


def matrix_of(tables: dict[str, pa.Table]) -> ibis.Table:
    return materialised(FAMILY.features(opened(tables), END, PARAMS), FAMILY.key)


@cache
def fitted() -> tuple[dict[str, pa.Table], ibis.Table, Any]:
    tables = {name: shop()[name] for name in FAMILY.tables}
    matrix = matrix_of(tables)
    return tables, matrix, FAMILY.fit(matrix, END, PARAMS)


def rows(name: str, some: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(some, schema=arrow_schema(TABLES[name]))


def said(texts: list[str], dialogue: str = "new", first: str = "user") -> list[dict[str, Any]]:
    speakers = ("user", "assistant") if first == "user" else ("assistant", "user")
    start = datetime(END.year, END.month, END.day) - timedelta(days=1)
    return [
        {"dialogue_id": dialogue, "turn_idx": turn, "said_at": start + timedelta(seconds=5 * turn),
         "speaker": speakers[turn % 2], "text": text}
        for turn, text in enumerate(texts)
    ]  # fmt: skip


def test_a_turn_and_its_answers_are_one_row() -> None:
    turns = said(["good morning", "play jazz", "here you go", "thanks"], first="assistant")
    tables = {name: fitted()[0][name].slice(0, 0) for name in FAMILY.tables} | {"turns": rows("turns", turns)}
    made = matrix_of(tables).to_pyarrow().to_pylist()
    assert [(row["turn_idx"], row["last_idx"], row["text"], row["answer"], row["opening"]) for row in made] == [
        (1, 2, "play jazz", "here you go", "good morning"), (3, 3, "thanks", "", ""),
    ]  # fmt: skip


def test_what_comes_later_changes_nothing() -> None:
    tables, matrix, _ = fitted()
    late = said(["too late", "indeed"])
    for turn in late:
        turn["said_at"] = datetime(END.year, END.month, END.day, 1)
    more = tables | {"turns": pa.concat_tables([tables["turns"], rows("turns", late)])}
    assert matrix_of(more).to_pyarrow().equals(matrix.to_pyarrow())


def test_only_kinds_that_people_annotated_are_learned() -> None:
    tables = fitted()[0]
    intents = tables["annotations"].filter(pc.equal(tables["annotations"]["kind"], "intent"))
    matrix = matrix_of(tables | {"annotations": intents})
    model = FAMILY.fit(matrix, END, PARAMS)
    assert not model.heads
    assert model.intents is not None
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    made = FAMILY.score(model, fold.test, fold.as_of)
    assert set(made["defect"].to_pylist()) == {-1.0}
    judged = FAMILY.metrics(made, fold.truth.to_pyarrow())
    assert {name.split("_")[0] for name in judged} == {"intent", "loss", "calibration"}
    assert judged["intent_accuracy"] > 0.6


def test_swapped_answers_do_not_fit() -> None:
    topics = {"jazz": "music", "rain": "weather", "milk": "groceries", "bus": "transport", "film": "cinema"}
    turns = [
        turn
        for number in range(150)
        for word, topic in [list(topics.items())[number % 5]]
        for turn in said([f"tell me about {word} {number}", f"that is {topic} {number}"], f"d{number:03d}")
    ]
    empty = {name: fitted()[0][name].slice(0, 0) for name in FAMILY.tables}
    exchanges = read_exchanges(matrix_of(empty | {"turns": rows("turns", turns)}))
    reader = reading.learn_reader(exchanges, PARAMS.model_copy(update={"components": 12}))
    half = np.arange(150) < 75
    learned = coherence.learn_coherence(reading.read(reader, exchanges.of_dialogues(half)), seed=1)
    assert coherence.auc(learned, reading.read(reader, exchanges.of_dialogues(~half)), seed=1) > 0.8


def test_without_coherence_the_feature_is_gone() -> None:
    _, matrix, _ = fitted()
    model = FAMILY.fit(matrix, END, PARAMS.model_copy(update={"coherence": False}))
    assert model.coherence is None
    assert not [name for name in model.heads["dissatisfied"].names if "coherence" in name]


def test_answers_of_people_are_in_the_next_training() -> None:
    tables, _matrix, model = fitted()
    unheard = said(
        ["play some jazz", "i cannot find anything like it", "no i said jazz", "that does not seem to work"]
    )
    tables = tables | {"turns": pa.concat_tables([tables["turns"], rows("turns", unheard)])}
    queue = FAMILY.publications(model, matrix_of(tables), opened(tables), END, PARAMS)["annotation_queue"]
    asked = [row for row in queue.to_pylist() if row["dialogue_id"] == "new"]
    assert asked
    answers = [
        {"dialogue_id": row["dialogue_id"], "turn_idx": row["turn_idx"], "kind": row["kind"], "annotator_id": "ana",
         "annotated_at": datetime(END.year, END.month, END.day) - timedelta(hours=1),
         "label": {"satisfaction": "1", "intent": "play"}.get(row["kind"], "no")}
        for row in asked
    ]  # fmt: skip
    answered = tables | {
        "annotations": pa.concat_tables([tables["annotations"], rows("annotations", answers)])
    }
    again = matrix_of(answered)
    heard = again.filter(again.dialogue_id == "new").to_pyarrow()
    given = sum(heard[f"{kind}_votes"].length() - heard[f"{kind}_votes"].null_count
                for kind in ("goal_boundary", "goal_success", "satisfaction", "intent"))  # fmt: skip
    assert given == len(answers)
    made = FAMILY.publications(model, again, opened(answered), END, PARAMS)
    keys = {(row["dialogue_id"], row["turn_idx"], row["kind"]) for row in asked}
    assert not keys & {
        (row["dialogue_id"], row["turn_idx"], row["kind"]) for row in made["annotation_queue"].to_pylist()
    }
    assert {row["source"] for row in made["labels"].to_pylist() if row["dialogue_id"] == "new"} >= {"people"}


def test_the_queue_asks_first_what_tells_most_and_kinds_take_turns() -> None:
    tables, _matrix, model = fitted()
    bare = tables | {"annotations": tables["annotations"].slice(0, 0)}
    exchanges = read_exchanges(matrix_of(bare))
    queue = annotation_queue(model, exchanges, unsure(predictions(model, exchanges)), 60)
    assert queue["rank"].to_pylist() == list(range(1, 61))
    kinds = np.array(queue["kind"].to_pylist())
    information = queue["information"].to_numpy()
    for kind in np.unique(kinds):
        assert (np.diff(information[kinds == kind]) <= 1e-12).all()
    assert (np.unique(kinds, return_counts=True)[1] >= 8).all(), "no kind waits until another is through"
    assert len(np.unique(kinds)) == 4
    assert len(queue["dialogue_id"].unique()) == len(queue)


def test_dialogues_are_scored_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, _matrix, model = fitted()
    quiet = matrix_of(tables | {"annotations": tables["annotations"].slice(0, 0)})
    whole = FAMILY.score(model, quiet, END)
    sizes = [len(some) for some in read_batches(quiet, 50)]
    assert sum(sizes) == len(whole) and max(sizes) < 2 * 50 + 20 and len(sizes) > 3
    monkeypatch.setattr("ml.families.ground_truth.scoring.BATCH", 50)
    parts = FAMILY.score(model, quiet, END)
    assert parts.select(["dialogue_id", "turn_idx"]).equals(whole.select(["dialogue_id", "turn_idx"]))
    for name in ("boundary", "success", "defect", "intent_confidence"):
        np.testing.assert_allclose(parts[name].to_numpy(), whole[name].to_numpy(), atol=1e-6)


class _ByLength:
    """Stands in for a sentence encoder: how long a text is, and how many words it has."""

    def __init__(self, name: str, threads: int) -> None:
        assert (name, threads) == ("anywhere", 1)

    def place(self, texts: list[str]) -> np.ndarray:
        return np.array([[len(text) / 50, len(text.split()) / 10] for text in texts])


def test_baselines_by_a_sentence_encoder_are_made_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = import_module("ml.families.ground_truth.baselines")
    monkeypatch.setattr(module, "SentenceEncoder", _ByLength)
    fold = FAMILY.folds(fitted()[1], END, PARAMS)[-1]
    own = PARAMS.model_copy(update={"encoder": "anywhere", "encoder_baselines": True})
    made = FAMILY.baselines(fold.test, fold.as_of, own)
    assert set(made) - set(FAMILY.baselines(fold.test, fold.as_of, PARAMS)) == {"encoder", "encoder_xgboost"}
    assert len(np.unique(made["encoder"]["defect"].to_numpy())) > 2


def test_of_many_dialogues_some_tell_whether_meaning_helps_and_the_others_are_not_encoded_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded: list[str] = []

    class Meaningless:
        def __init__(self, name: str, threads: int) -> None: ...

        def place(self, texts: list[str]) -> np.ndarray:
            encoded.extend(texts)
            return np.ones((len(texts), 2)) / 2**0.5

    monkeypatch.setattr(reading, "SentenceEncoder", Meaningless)
    monkeypatch.setattr(import_module("ml.families.ground_truth.model"), "MEANING_TRIED_ON", 60)
    matrix = fitted()[1]
    model = FAMILY.fit(matrix, END, PARAMS.model_copy(update={"encoder": "anywhere", "rounds": 2}))
    assert 0 < len(encoded) <= 60 < matrix.count().to_pyarrow().as_py()
    assert not model.reader.encoder


def test_meaning_is_read_where_it_clearly_tells_more_than_words() -> None:
    random = np.random.default_rng(3)
    meaning = random.normal(size=(1500, 4)).astype(np.float32)
    dialogue, words = np.arange(1500) // 5, csr_matrix((1500, 3), dtype=np.float32)
    for told in (0.0, 1.0):
        yes = (random.random(1500) < 1 / (1 + np.exp(-told * meaning[:, 0]))).astype(float)
        asked = Asked((words, words, meaning), ("noise",), random.normal(size=(1500, 1)), dialogue, ())
        by_words, by_all = learn_heads(asked, np.arange(1500), yes, PARAMS, ways=(1, 3))
        assert (len(by_words.head.readings), len(by_all.head.readings)) == (1, 3)
        assert _clearly_better(by_words.unseen, by_all.unseen, yes, dialogue) == (told > 0)
        assert not _clearly_better(by_all.unseen, by_words.unseen, yes, dialogue)


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"no folder .*nowhere; expected all-MiniLM-L6-v2, or one of a sentence-transformers model",
    ):
        SentenceEncoder(tmp_path / "nowhere", 1)


@pytest.mark.parametrize(
    "texts",
    [
        ["", "", "", ""],
        ["ääkköset ja öylätti", "включи музыку", "音楽をかけて", "🎵"],
        ["la " * 16_000, "ok", "so " * 16_000],
        ["only one turn"],
    ],
)
def test_strange_dialogues_are_scored(texts: list[str]) -> None:
    tables, _, model = fitted()
    alone = {name: tables[name].slice(0, 0) for name in tables} | {"turns": rows("turns", said(texts))}
    made = FAMILY.score(model, matrix_of(alone), END)
    assert len(made) == (len(texts) + 1) // 2
    for name in ("boundary", "success", "defect", "intent_confidence"):
        assert ((made[name].to_numpy() >= 0) & (made[name].to_numpy() <= 1)).all()


def test_dialogues_are_scored_alone_as_in_company() -> None:
    _, matrix, model = fitted()
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    together = FAMILY.score(model, fold.test, fold.as_of)
    name = together["dialogue_id"][0].as_py()
    alone = FAMILY.score(model, fold.test.filter(fold.test.dialogue_id == name), fold.as_of)
    some = together.filter(pc.equal(together["dialogue_id"], name))
    np.testing.assert_allclose(alone["defect"].to_numpy(), some["defect"].to_numpy(), atol=1e-6)
    assert alone["intent"].to_pylist() == some["intent"].to_pylist()


def test_no_dialogue_is_on_both_sides() -> None:
    _, matrix, _ = fitted()
    for fold in FAMILY.folds(matrix, END, PARAMS):
        learned = set(fold.train.to_pyarrow()["dialogue_id"].to_pylist())
        assert not learned & set(fold.truth.to_pyarrow()["dialogue_id"].to_pylist())


def test_annotations_made_after_the_origin_are_not_learned_from() -> None:
    _, matrix, _ = fitted()
    fold = FAMILY.folds(matrix, END, PARAMS)[0]
    train = fold.train.to_pyarrow()
    heard = pc.is_valid(train["satisfaction_votes"])
    latest = pc.max(train.filter(heard)["satisfaction_labelled_at"]).as_py()
    assert latest.date() < fold.as_of or latest < datetime.combine(fold.as_of, datetime.min.time())


def test_where_every_dialogue_is_annotated_nothing_is_left_to_say() -> None:
    _, matrix, model = fitted()
    assert predictions(model, read_exchanges(matrix.limit(0))).num_rows == 0


def test_tied_votes_are_no_label() -> None:
    agreed = consensus(
        [[("a", "yes"), ("b", "no")], [("a", "yes"), ("b", "yes"), ("c", "no")], []], "goal_boundary"
    )
    assert agreed.labels.tolist() == ["", "yes", ""]
    rated = consensus([[("a", "2"), ("b", "4")], [("a", "3"), ("b", "2")]], "satisfaction")
    assert rated.labels.tolist() == ["neutral", "dissatisfied"]


def test_one_left_out_faces_the_others() -> None:
    given = [[("a", "1"), ("b", "3"), ("c", "3")], [("a", "5")]]
    left = one_left_out(given, np.arange(2), "satisfaction")
    assert left.row.tolist() == [0, 0, 0]
    assert left.one.tolist() == ["dissatisfied", "neutral", "neutral"]
    assert left.rest.tolist() == ["neutral", "dissatisfied", "dissatisfied"]


def test_a_bad_annotator_is_outvoted_by_a_good_one() -> None:
    random = np.random.default_rng(3)
    truth = random.random(600) < 0.4
    given = [
        [(who, "yes" if flag == (random.random() < right) else "no")
         for who, right in (("one", 0.97), ("two", 0.9), ("three", 0.55), ("four", 0.55), ("five", 0.5))]
        for flag in truth
    ]  # fmt: skip
    dialogue = np.repeat(np.arange(120), 5)
    found = {}
    for how in ("majority", "dawid_skene"):
        made = shares(given, dialogue, "goal_boundary", how)
        found[how] = np.mean((made.of[:, made.labels.index("yes")] > 0.5) == truth)
    assert found["dawid_skene"] > found["majority"] + 0.05
    judged = agreed(given, dialogue, "goal_boundary")
    assert judged.known.mean() > 0.9
    assert np.mean((judged.labels == "yes")[judged.known] == truth[judged.known]) >= found["dawid_skene"]


def test_one_left_out_faces_the_others_by_their_errors() -> None:
    random = np.random.default_rng(4)
    truth = random.random(600) < 0.4
    given = [
        [(who, "no" if random.random() < no else "yes" if flag else "no")
         for who, no in (("one", 0.0), ("two", 0.0), ("lenient", 0.9), ("mild", 0.9), ("kind", 0.9))]
        for flag in truth
    ]  # fmt: skip
    weighed = one_left_out(given, np.repeat(np.arange(120), 5), "goal_boundary")
    counted = one_left_out(given, np.zeros(600, int), "goal_boundary")
    right = [np.mean((left.rest == "yes") == truth[left.row]) for left in (weighed, counted)]
    assert right[0] > 0.99 > 0.9 > right[1]


def test_annotators_of_one_dialogue_each_are_counted() -> None:
    given = [[(f"{row}:{place}", "3" if place else "1") for place in range(3)] for row in range(30)]
    made = shares(given, np.arange(30), "satisfaction", "dawid_skene")
    np.testing.assert_allclose(made.of[:, made.labels.index("dissatisfied")], 2 / 3)
    assert made.prior is None


def test_a_calibration_sees_through_votes_that_lean_to_the_prior() -> None:
    random = np.random.default_rng(5)
    score = random.random(6_000)
    chance = np.where(score < 0.7, 0.02, 0.95)
    happened = random.random(6_000) < chance
    prior, right = happened.mean(), 0.75
    vote = happened == (random.random(6_000) < right)
    belief = np.where(vote, prior * right / (prior * right + (1 - prior) * (1 - right)),
                      prior * (1 - right) / (prior * (1 - right) + (1 - prior) * right))  # fmt: skip
    calibration, both = among_beliefs(score, belief, prior)
    plain = learn_calibration(score, belief)
    away = [np.abs(made.of(score) - chance).mean() for made in (calibration, plain)]
    assert away[0] < 0.11 < 0.25 < away[1]
    assert np.mean((both > 0.5) == happened) > np.mean((belief > 0.5) == happened) + 0.1


def test_what_means_the_same_is_the_same_intent_though_no_word_is_shared(tmp_path: Path) -> None:
    """The sentence encoder that comes with the installation, through `fit`, files and `score`."""
    said_so = {"music": "please play the next song", "weather": "will it rain tomorrow"}
    others = {"music": "put on another tune", "weather": "is there a storm coming"}
    turns, notes = [], []
    for number in range(24):
        (kind, text) = list(said_so.items())[number % 2]
        turns += said([text, "fine"], f"d{number}")
        when = datetime(END.year, END.month, END.day) - timedelta(hours=1)
        note = {"dialogue_id": f"d{number}", "turn_idx": 0, "annotator_id": "ana", "annotated_at": when}
        notes.append({**note, "kind": "intent", "label": kind})
    asked = [turn for kind, text in others.items() for turn in said([text, "fine"], kind)]
    tables = {name: fitted()[0][name].slice(0, 0) for name in FAMILY.tables}
    tables |= {"turns": rows("turns", turns + asked), "annotations": rows("annotations", notes)}
    params = PARAMS.model_copy(update={"encoder": BUNDLED})
    FAMILY.save(FAMILY.fit(matrix_of(tables), END, params), tmp_path)
    scored = FAMILY.score(FAMILY.load(tmp_path), matrix_of(tables), END).to_pylist()
    told = {row["dialogue_id"]: row["intent"] for row in scored if row["dialogue_id"] in others}
    assert told == {"music": "music", "weather": "weather"}

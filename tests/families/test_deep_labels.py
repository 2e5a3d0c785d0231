"""The deep model of ground truth: what any family must do, what it learns before labels, and what it says of why.

Needs the optional extra `deep` (`make test-deep` installs it and runs this file); without torch all but the tests of
its absence are skipped, aloud.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_shop import END, materialised, opened, shop

from ml.errors import UsageError
from ml.families.ground_truth import FAMILY, deep, model
from ml.families.ground_truth.exchanges import read_exchanges
from ml.families.ground_truth.params import DeepParams, GroundTruthParams

TORCH = all(importlib.util.find_spec(name) for name in deep.NEEDED)
needs_torch = pytest.mark.skipif(
    not TORCH, reason="the optional extra `deep` (torch) is not installed: make test-deep"
)
PARAMS = GroundTruthParams(
    model="deep", nthread=1, deep=DeepParams(width=32, layers=1, batch=96, least_steps=120, epochs=4, swapped_epochs=3)
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@cache
def matrix() -> ibis.Table:
    tables = {name: shop()[name] for name in FAMILY.tables}
    return materialised(FAMILY.features(opened(tables), END, PARAMS), FAMILY.key)


@cache
def fitted() -> tuple[Any, Any, pa.Table]:
    """The last window, a model of what came before it, and its predictions."""
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    made = FAMILY.fit(fold.train, fold.as_of, PARAMS)
    return fold, made, FAMILY.score(made, fold.test, fold.as_of)


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


# -- without torch


def test_torch_is_imported_only_when_it_is_asked_for() -> None:
    code = "import sys, ml.families.ground_truth, ml.families.ground_truth.deep.model; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(deep, "NEEDED", ("torch_that_nobody_has", "json"))
    fold = FAMILY.folds(matrix(), END, PARAMS)[-1]
    with pytest.raises(UsageError, match=r"no torch_that_nobody_has[\s\S]*pip install 'bellwether\[deep\]'"):
        FAMILY.fit(fold.train, fold.as_of, PARAMS)
    (tmp_path / "model.json").write_text(json.dumps({"model": "deep"}))
    with pytest.raises(UsageError, match="torch_that_nobody_has"):
        FAMILY.load(tmp_path)


def test_the_lock_has_no_torch() -> None:
    names = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines()}
    assert "torch" not in names


# -- with torch


@needs_torch
def test_same_seed_same_bytes_and_no_pickles(tmp_path: Path) -> None:
    import torch

    fold, made, _ = fitted()
    torch.manual_seed(99)  # what others drew must not matter
    FAMILY.save(made, tmp_path / "one")
    FAMILY.save(FAMILY.fit(fold.train, fold.as_of, PARAMS), tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert {Path(name).suffix for name in digests(tmp_path / "one")} == {".json", ".safetensors"}
    other = FAMILY.fit(fold.train, fold.as_of, PARAMS.model_copy(update={"seed": 8}))
    FAMILY.save(other, tmp_path / "three")
    assert (
        digests(tmp_path / "three")["network.safetensors"] != digests(tmp_path / "one")["network.safetensors"]
    )


@needs_torch
def test_training_leaves_torch_as_it_was() -> None:
    import torch

    fold, made, _ = fitted()
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    FAMILY.score(made, fold.test, fold.as_of)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


@needs_torch
def test_scores_survive_save_and_load(tmp_path: Path) -> None:
    fold, made, predictions = fitted()
    FAMILY.save(made, tmp_path)
    assert FAMILY.score(FAMILY.load(tmp_path), fold.test, fold.as_of).equals(predictions)


@needs_torch
def test_it_is_judged_as_the_boosted_one_and_beats_the_baselines() -> None:
    fold, _, predictions = fitted()
    truth = fold.truth.to_pyarrow()
    baselines = FAMILY.baselines(fold.test, fold.as_of, PARAMS)
    made = FAMILY.metrics(predictions, truth)
    judged = {name: FAMILY.metrics(rows, truth) for name, rows in baselines.items()}
    assert predictions.schema.equals(baselines["majority"].schema)
    assert predictions.select(list(FAMILY.key)).equals(baselines["majority"].select(list(FAMILY.key)))
    assert made["loss"] < 0.85 * judged["majority"]["loss"]
    assert made["boundary_f1"] > 0.8
    assert made["success_pr_auc_of_failure"] > judged["majority"]["success_pr_auc_of_failure"] + 0.1
    assert made["defect_pr_auc"] > judged["majority"]["defect_pr_auc"] + 0.1
    assert made["intent_accuracy"] > judged["majority"]["intent_accuracy"] + 0.2


@needs_torch
def test_swapped_answers_are_found_without_any_label() -> None:
    from ml.families.ground_truth.deep import inputs
    from ml.families.ground_truth.deep.learning import fitting, learn_swapped
    from ml.families.ground_truth.deep.network import Network, Shape, settled

    topics = {"jazz": "music", "rain": "weather", "milk": "groceries", "bus": "transport", "film": "cinema"}
    rows = [
        {"dialogue_id": f"d{number:03d}", "turn_idx": 0, "text": f"tell me about {word}", "answer": f"that is {topic}"}
        for number in range(200) for word, topic in [list(topics.items())[number % 5]]
    ]  # fmt: skip
    blank = read_exchanges(matrix()).rows.slice(0, 1).to_pylist()[0]
    made = pa.Table.from_pylist(
        [blank | row | {"action": ""} for row in rows], read_exchanges(matrix()).rows.schema
    )
    every = read_exchanges(ibis.memtable(made))
    half = np.arange(200) < 100
    prepared = inputs.learn_prepared(every.of_dialogues(half), 1000)
    shape = Shape(prepared.vocabulary.size, 32, 1, 4, 1, 0.1)
    with settled(1, 1):
        network = Network(shape)
        learn_swapped(network, inputs.prepare(prepared, every.of_dialogues(half)), PARAMS.deep, 1)
        true, false = fitting(network, inputs.prepare(prepared, every.of_dialogues(~half)), PARAMS.deep, 2)
    assert len(false) > 10
    assert np.mean(true[:, None] > false[None, :]) > 0.9


@needs_torch
def test_pre_training_is_what_coherence_switches() -> None:
    fold, made, _ = fitted()
    plain = FAMILY.fit(fold.train, fold.as_of, PARAMS.model_copy(update={"coherence": False}))
    before, after = (one.network.state_dict()["texts.words.weight"] for one in (plain, made))
    assert before.shape == after.shape
    assert not before.equal(after)


@needs_torch
def test_contributions_add_up_to_the_log_odds() -> None:
    from ml.families.ground_truth.deep import explaining, inputs
    from ml.families.ground_truth.deep.learning import answered
    from ml.families.ground_truth.deep.model import QUESTIONS
    from ml.families.ground_truth.scoring import unannotated

    fold, made, _ = fitted()
    exchanges = unannotated(read_exchanges(fold.test))
    places = np.arange(len(exchanges))
    parts, values = explaining.contributions(made, exchanges, "dissatisfied", places)
    assert parts.shape == values.shape == (len(exchanges), len(explaining.NAMES))
    logits, _ = answered(made.network, inputs.prepare(made.prepared, exchanges), 64)
    odds = logits[:, QUESTIONS.index("dissatisfied")]
    # up to a constant within a dialogue's place: dialogues of one length share the same empty dialogue
    first, count = np.asarray(exchanges.numbers("place")), np.asarray(exchanges.numbers("left"))
    for kind in {*zip(first.tolist(), count.tolist(), strict=True)}:
        alike = (first == kind[0]) & (count == kind[1])
        rest = (odds - parts.sum(axis=1))[alike]
        assert np.ptp(rest) < 0.1 * max(1.0, np.ptp(odds))


@needs_torch
def test_labels_are_published_with_reasons() -> None:
    fold, made, _ = fitted()
    rows = FAMILY.explain(made, fold.test, fold.as_of, PARAMS)
    assert {"what was said", "earlier turns", "words shared with the customer's turn before"} <= set(
        rows["words"].to_pylist()
    )
    tables = opened({name: shop()[name] for name in FAMILY.tables})
    published = FAMILY.publications(made, fold.test, tables, END, PARAMS)
    labels = published["labels"]
    assert len(labels) and len(published["annotation_queue"])
    of_model = labels.filter(pc.and_(pc.equal(labels["source"], "model"), pc.equal(labels["label"], "yes")))
    told = of_model.filter(pc.is_in(of_model["kind"], pa.array(["defect", "boundary"])))["reason"].to_pylist()
    told = [reason for reason in told if reason != "a dialogue's first turn begins a goal"]
    assert told
    assert all("(for)" in reason or "(against)" in reason for reason in told)


@needs_torch
def test_only_kinds_that_people_annotated_are_learned() -> None:
    tables = {name: shop()[name] for name in FAMILY.tables}
    intents = tables["annotations"].filter(pc.equal(tables["annotations"]["kind"], "intent"))
    alone = materialised(FAMILY.features(opened(tables | {"annotations": intents}), END, PARAMS), FAMILY.key)
    fold = FAMILY.folds(alone, END, PARAMS)[-1]
    made = FAMILY.fit(fold.train, fold.as_of, PARAMS)
    assert not made.heads
    predictions = FAMILY.score(made, fold.test, fold.as_of)
    assert set(predictions["defect"].to_pylist()) == {-1.0}
    assert FAMILY.metrics(predictions, fold.truth.to_pyarrow())["intent_accuracy"] > 0.6


@needs_torch
def test_strange_and_long_dialogues_are_scored_alone_as_in_company() -> None:
    fold, made, _ = fitted()
    some = read_exchanges(fold.test).rows
    blank = {**some.slice(0, 1).to_pylist()[0], "goal_boundary_votes": None, "goal_success_votes": None,
             "satisfaction_votes": None, "intent_votes": None}  # fmt: skip
    texts = ["", "ääkköset ja öylätti", "включи музыку", "🎵", "la " * 16_000, *["more of it"] * 130]
    rows = [blank | {"dialogue_id": "new", "turn_idx": 2 * place, "text": text, "answer": text[::-1]}
            for place, text in enumerate(texts)]  # fmt: skip
    strange = pa.Table.from_pylist(rows, some.schema)
    both = FAMILY.score(made, ibis.memtable(pa.concat_tables([some, strange])), fold.as_of)
    alone = FAMILY.score(made, ibis.memtable(strange), fold.as_of)
    held = both.filter(pc.equal(both["dialogue_id"], "new"))
    assert len(alone) == len(held) == len(texts)
    for name in ("boundary", "success", "defect", "intent_confidence"):
        np.testing.assert_allclose(alone[name].to_numpy(), held[name].to_numpy(), atol=1e-5)
        assert ((alone[name].to_numpy() >= 0) & (alone[name].to_numpy() <= 1)).all()


@needs_torch
def test_no_dialogue_is_calibrated_by_a_network_that_saw_it() -> None:
    """Labels drawn by lot cannot be learned: a network that had seen them would be sure of them all the same."""
    exchanges = model._annotated(read_exchanges(FAMILY.folds(matrix(), END, PARAMS)[-1].train), PARAMS)
    given = {kind: model.given_of(exchanges, kind, "majority") for kind in model.KINDS}
    lot = np.random.default_rng(4).random(len(exchanges)) < 0.5
    shares = np.column_stack([lot, ~lot]).astype(np.float64)
    given["satisfaction"] = replace(
        given["satisfaction"], labels=("dissatisfied", "satisfied"), shares=shares
    )
    from ml.families.ground_truth.deep.model import fit_deep

    made = fit_deep(exchanges, exchanges, given, PARAMS)
    spread = np.ptp(made.heads["dissatisfied"].calibration.probabilities)
    assert spread < 0.4

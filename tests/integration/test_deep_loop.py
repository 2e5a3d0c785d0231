"""The deep model challenges the boosted one through the same stages; one MLflow shows both side by side.

Needs the optional extra `deep` (`make test-deep` installs it and runs this file); without torch it is skipped, aloud.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_dialogues import END, FAST, dialogues, fill

from ml import handover
from ml.actions.loop import run_loop
from ml.actions.record import record
from ml.actions.retrain import approve, open_retrain, verdict_of
from ml.config import settings
from ml.families.ground_truth import deep
from ml.pipeline import stages_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in deep.NEEDED),
        reason="the optional extra `deep` (torch) is not installed: make test-deep",
    ),
]
ONE = {**FAST, "nthread": 1}
TINY = {"width": 8, "layers": 1, "epochs": 1, "swapped_epochs": 1, "least_steps": 10}
MODELS = ("boosted", "deep")
KINDS = ("boundary_f1", "success_f1_of_failure", "defect_pr_auc", "intent_accuracy")


@dataclass(frozen=True)
class Judged:
    version: str
    promoted: bool
    verdict: dict[str, Any]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Judged]]:
    """A whole loop with the trees, which are then in service; the network is trained on the same tables."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        fill(home, patch, dialogues(END, count=240))
        first = run_loop("ground_truth", END, overrides=ONE)
        boosted = Judged(first.version, first.promoted, first.verdict)
        yield {"boosted": boosted, "deep": retrained({**ONE, "model": "deep", "deep": TINY})}


def retrained(overrides: dict[str, Any]) -> Judged:
    """The steps of a retrain on the tables that are sealed."""
    run_id = "ground_truth-challenger"
    open_retrain("ground_truth", run_id, END, overrides=overrides)
    for stage in stages_of("ground_truth"):
        handover.run_stage(run_id, stage)
    recorded = record(run_id)
    return Judged(recorded.version, approve(run_id), verdict_of(run_id))


@pytest.fixture(scope="module")
def logged(outcomes: dict[str, Judged]) -> dict[str, Any]:
    """The MLflow runs of both versions."""
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow)
    client = mlflow.MlflowClient()
    versions = {
        model: client.get_model_version("ground_truth", one.version) for model, one in outcomes.items()
    }
    return {model: client.get_run(version.run_id) for model, version in versions.items()}


def evaluated(run: Any) -> Path:
    return settings().home / "runs" / run.data.tags["bellwether.run_id"] / "data/evaluation/ground_truth"


def test_both_are_versions_in_one_experiment_with_the_same_metrics(logged: dict[str, Any]) -> None:
    assert [logged[model].data.params["ground_truth.model"] for model in MODELS] == list(MODELS)
    assert logged["boosted"].info.experiment_id == logged["deep"].info.experiment_id
    for run in logged.values():
        assert {"loss", "baseline_loss", *KINDS} <= run.data.metrics.keys()
    differing = [
        name for name in KINDS if logged["boosted"].data.metrics[name] != logged["deep"].data.metrics[name]
    ]
    assert differing


def test_both_are_judged_on_the_same_cases(logged: dict[str, Any]) -> None:
    """The champion's loss beside the challenger's is what the champion was recorded with: the same hold-out."""
    holdouts = [
        json.loads((evaluated(logged[model]) / "metrics.json").read_text())["holdout"] for model in MODELS
    ]
    assert holdouts[0] == holdouts[1]
    losses = pq.read_table(evaluated(logged["deep"]) / "losses.parquet")
    losses = losses.filter(pc.equal(losses["fold"], holdouts[0]))
    cases = {
        model: set(losses.filter(pc.equal(losses["model"], model))["case"].to_pylist())
        for model in ("challenger", "champion", "baseline")
    }
    assert cases["challenger"] and cases["challenger"] == cases["champion"] == cases["baseline"]
    boosted, challenger = (logged[model].data.metrics for model in MODELS)
    for name in ("loss", *KINDS):
        assert challenger[f"champion_{name}"] == pytest.approx(boosted[name], abs=1e-9)
        assert challenger[f"baseline_{name}"] == pytest.approx(boosted[f"baseline_{name}"], abs=1e-9)


def test_the_gate_says_which_of_the_two_serves(outcomes: dict[str, Judged], logged: dict[str, Any]) -> None:
    assert outcomes["boosted"].promoted, outcomes["boosted"].verdict["reasons"]
    headline = outcomes["deep"].verdict["headline"]
    assert headline["against"] == "champion"
    assert not outcomes["deep"].promoted, (
        "a network of eight numbers after ten steps is no better than the trees"
    )
    assert headline["challenger"] == pytest.approx(logged["deep"].data.metrics["loss"])
    assert headline["reference"] == pytest.approx(logged["boosted"].data.metrics["loss"])
    assert logged["deep"].data.metrics["gate_difference"] == pytest.approx(headline["difference"])
    assert logged["deep"].data.tags["verdict"] == "refused"

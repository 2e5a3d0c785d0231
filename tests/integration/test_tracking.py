"""The MLflow seam: an outage is named; the alias follows; an unknown version is a usage error."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml.errors import SeamUnavailable, UsageError
from ml.seams.tracking import Tracking
from ml.seams.tracking.records import Record

pytestmark = pytest.mark.integration


def nobody_listens() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_away_is_named_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    url = f"http://127.0.0.1:{nobody_listens()}"
    with pytest.raises(SeamUnavailable, match=url) as caught:
        Tracking(url).version_of("seasonality")
    assert caught.value.retried and "make up" in caught.value.next_step


def test_versions_aliases_and_tags(tmp_path: Path) -> None:
    import mlflow

    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    assert tracking.version_of("shoes") is None
    mlflow.set_tracking_uri(tracking.url)
    client = mlflow.MlflowClient()
    client.create_registered_model("shoes")
    for _ in range(2):
        client.create_model_version("shoes", source=str(tmp_path))
    tracking.set_champion("shoes", "2")
    tracking.tag_version("shoes", "2", {"verdict": "approved"})
    assert tracking.version_of("shoes") == "2"
    assert tracking.version_tags("shoes", "2") == {"verdict": "approved"}
    with pytest.raises(UsageError, match="no version 9 of 'shoes'"):
        tracking.version_tags("shoes", "9")


def entry(folder: Path, card: str) -> Record:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model/model.json").write_text("{}")
    rows = pa.table({"x": [1.0, 2.0]})
    return Record(
        family="shoes", run_id="retrain-1", name="one", tags={"as_of": "2025-01-01"}, params={"a": "1"},
        metrics={"m": 1.0, "at_human+10": 0.5}, windows={"w": {"m+": 2.0}}, data=(),
        model=folder / "model", example=rows,
        predictions=rows, card=card,
    )  # fmt: skip


def test_a_long_card_is_cut_in_the_registry_and_whole_beside_the_run(tmp_path: Path) -> None:
    import mlflow

    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    card = "\n\n".join(f"paragraph {number} " + "word " * 20 for number in range(100))
    recorded = tracking.record(entry(tmp_path, card))
    client = mlflow.MlflowClient(tracking.url)
    said = client.get_model_version("shoes", recorded.version).description
    assert len(card) > 10_000
    assert len(said) <= 5000 and said.startswith("paragraph 0 ") and said.endswith("of the run.")
    path = mlflow.artifacts.download_artifacts(run_id=recorded.mlflow_run_id, artifact_path="model_card.md")
    assert Path(path).read_text() == card


def test_metrics_whose_names_mlflow_refuses_are_logged_and_files_are_read_back(tmp_path: Path) -> None:
    import mlflow

    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    recorded = tracking.record(entry(tmp_path, "# card"))
    run = mlflow.MlflowClient(tracking.url).get_run(recorded.mlflow_run_id)
    assert run.data.metrics == {"m": 1.0, "at_human_10": 0.5}
    assert tracking.artifact(recorded.mlflow_run_id, "model_card.md") == b"# card"
    for run_id, path in ((recorded.mlflow_run_id, "plots/none.png"), ("0" * 32, "model_card.md")):
        with pytest.raises(UsageError, match=path):
            tracking.artifact(run_id, path)


def test_a_try_that_failed_late_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    described = MlflowClient.update_model_version

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("too long")

    monkeypatch.setattr(MlflowClient, "update_model_version", fails)
    for _ in range(2):
        with pytest.raises(ValueError, match="too long"):
            tracking.record(entry(tmp_path, "card"))
    monkeypatch.setattr(MlflowClient, "update_model_version", described)
    recorded = tracking.record(entry(tmp_path, "card"))
    client = MlflowClient(tracking.url)
    runs = client.search_runs([client.get_experiment_by_name("bellwether").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["one", "w"]
    assert [str(v.version) for v in client.search_model_versions("name = 'shoes'")] == [recorded.version]
    assert tracking.record(entry(tmp_path, "card")) == recorded

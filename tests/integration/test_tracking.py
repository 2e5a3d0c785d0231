"""The MLflow seam: an outage is named; the alias follows; an unknown version is a usage error."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ml.errors import SeamUnavailable, UsageError
from ml.seams.tracking import Tracking

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

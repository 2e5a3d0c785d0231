"""The sums of the overhead benchmark, on a run whose times are known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench import overhead
from ml.platform.airflow_api import DagRun, TaskRun

START = datetime(2025, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def task(name: str, started: float, ended: float) -> TaskRun:
    moments = {"started": at(started), "ended": at(ended)}
    return TaskRun("retrain_x", "r", name, -1, "success", 1, 1, label="", **moments)


class OneRun:
    """What `Airflow` answers when there is one run."""

    def runs(self, since: datetime) -> list[DagRun]:
        return [DagRun("retrain_x", "r", "success", START, True, at(1), at(40))]

    def tasks(self, runs: Sequence[DagRun]) -> dict[DagRun, list[TaskRun]]:
        return {run: [task("open", 2, 4), task("train", 6, 30), task("record", 31, 39)] for run in runs}


def test_what_is_not_the_stages_own_is_overhead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "connect", OneRun)
    monkeypatch.setattr(overhead, "workspace_of", lambda run: Path())
    monkeypatch.setattr(overhead, "own_times", lambda workspace, family: {"train": 21.0})
    lines = list(overhead.retrain("x"))
    assert lines[2] == "| open | 1.0 s | 2.0 s | – | 3.0 s |"
    assert lines[3] == "| train | 2.0 s | 24.0 s | 21.0 s | 5.0 s |"
    assert lines[-1] == "| all 3 | | 39.0 s (wall) | 21.0 s | 18.0 s, 6.0 s a task |"


def test_a_dag_file_is_read_in_a_fresh_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "READ", "import json, sys; print(json.dumps([1, 2, len(sys.argv)]))")
    assert overhead.read(Path("dags/retrain.py")) == [1, 2, 2]

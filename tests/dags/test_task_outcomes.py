"""What a task's outcome does: fail for good, retry, skip, announce. The actions are replaced by what they would say."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
)

from ml import errors
from ml.toolkit.gate import Comparison
from plugins import stage_tasks
from plugins.stage_tasks import HOPELESS, StageTask, errors_decide

LOG = logging.getLogger(__name__)
MESSAGE = {"found": "3 rows", "expected": "none", "next_step": "look at order_lines"}


class TaskInstance:
    """What a task sees of Airflow."""

    map_index = -1

    def __init__(self, **pulled: Any) -> None:
        self.pushed: dict[str, Any] = {}
        self.pulled = pulled
        self.task: Any = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.pulled.get(task_ids)


def context(task: Any, ti: TaskInstance | None = None, **params: Any) -> dict[str, Any]:
    ti = ti or TaskInstance()
    ti.task = task
    run = SimpleNamespace(run_type="manual", data_interval_end=None, logical_date=None)
    return {
        "ti": ti,
        "task": task,
        "params": {"as_of": None, "force": False, **params},
        "run_id": "manual__1",
        "dag_run": run,
        "triggering_asset_events": {},
        "outlet_events": defaultdict(SimpleNamespace),
    }


def task_of(bag: Any, dag_id: str, task_id: str, run_id: str = "run-1") -> Any:
    task = bag.dags[dag_id].get_task(task_id).prepare_for_execution()
    task.run_id = run_id
    return task


def act(task: Any, given: dict[str, Any]) -> Any:
    """`execute`, without Airflow's guard against calling it by hand."""
    with errors_decide(task.log):
        return task.act(given)


@pytest.mark.parametrize(
    "error", [errors.DataRejected, errors.UsageError, errors.NotReproducible, errors.BellwetherError]
)
def test_errors_for_people_fail_the_task_for_good_with_the_whole_message(
    error: type[errors.BellwetherError],
) -> None:
    with pytest.raises(AirflowFailException) as caught, errors_decide(LOG):
        raise error("order_lines: null keys", **MESSAGE)
    text = str(caught.value)
    assert text.startswith(f"{error.__name__}: order_lines: null keys")
    assert all(part in text for part in ("found: 3 rows", "expected: none", "next step: look at order_lines"))


@pytest.mark.parametrize("error", [errors.SeamUnavailable, errors.StaleDecision])
def test_errors_that_may_pass_are_retried(error: type[errors.BellwetherError]) -> None:
    with pytest.raises(error), errors_decide(LOG):
        raise error("MLflow is away", **MESSAGE)
    assert HOPELESS.evaluate(error("away"), 1, 6).action.value == "default"


@pytest.mark.parametrize(
    "error", [AirflowTaskTimeout("slow"), TypeError("a bug"), KeyError("a bug"), ImportError("x")]
)
def test_what_trying_again_does_not_mend_is_not_retried(error: BaseException) -> None:
    assert HOPELESS.evaluate(error, 1, 6).action.value == "fail"


@pytest.mark.parametrize("error", [ConnectionError("reset"), OSError("disk"), RuntimeError("closed")])
def test_the_unknown_is_retried(error: BaseException) -> None:
    assert HOPELESS.evaluate(error, 1, 6).action.value == "default"


def test_a_stage_keeps_its_error(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def rejected(*_: Any, **__: Any) -> Path:
        raise errors.DataRejected("events: empty", **MESSAGE)

    monkeypatch.setattr("ml.workspace.run_stage", rejected)
    with pytest.raises(AirflowFailException, match="DataRejected: events: empty"):
        act(task := task_of(bag, "ingest", "events.validate"), context(task))
    assert task.link() == "http://airflow.example:8080/bellwether/runs/run-1/docs/events/index.html"


@pytest.mark.parametrize(
    ("task_id", "force", "forced"),
    [
        ("events.snapshot", False, True),
        ("events.validate", False, False),
        ("events.validate", True, True),
    ],
)
def test_a_stage_runs_in_its_workspace(
    bag: Any, monkeypatch: pytest.MonkeyPatch, task_id: str, force: bool, forced: bool
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("ml.workspace.run_stage", lambda run, stage, force: calls.append((run, stage, force)))
    monkeypatch.setattr("ml.actions.ingest.replayed", lambda run: None)
    task = task_of(bag, "ingest", task_id)
    assert act(task, context(task, force=force)) is None
    assert calls == [("run-1", f"{task_id.partition('.')[2]}@events", forced)]


def _ingest(monkeypatch: pytest.MonkeyPatch, tables: tuple[str, ...], absent: tuple[str, ...]) -> list[Any]:
    calls: list[Any] = []

    def opened(run_id: str, as_of: date | None = None, *, scheduled: bool = False) -> Any:
        calls.append((run_id, as_of, scheduled))
        return SimpleNamespace(
            run_id=run_id, as_of=as_of, tables=tables, absent=absent, families_off=("viral",)
        )

    monkeypatch.setattr("ml.actions.ingest.open_ingest", opened)
    return calls


def test_open_follows_only_tables_that_are_there(
    bag: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    absent = tuple(name for name in stage_tables(bag) if name not in ("products", "events"))
    calls = _ingest(monkeypatch, ("products", "events"), absent)
    task = task_of(bag, "ingest", "open")
    monkeypatch.setattr(type(task), "log", LOG)
    given = context(task, as_of="2024-02-29")
    with caplog.at_level(logging.INFO), pytest.raises(DownstreamTasksSkipped) as skipped:
        act(task, given)
    assert calls[0][1] == date(2024, 2, 29)
    assert given["ti"].pushed["return_value"] == calls[0][0]
    assert {task_id for task_id, _ in skipped.value.tasks} == {f"{name}.snapshot" for name in absent}
    assert "families that are off for want of them: viral" in caplog.text


def test_a_replay_opens_what_was_read_and_reads_nothing(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def opened(run_id: str, as_of: date | None = None) -> Any:
        calls.append((run_id.rsplit("-", 1)[0], as_of))
        tables = tuple(stage_tables(bag))
        return SimpleNamespace(run_id=run_id, as_of=as_of, tables=tables, absent=(), families_off=())

    monkeypatch.setattr("ml.actions.replay.open_replay", opened)
    monkeypatch.setattr("ml.workspace.run_stage", lambda *given, **more: calls.append(given))
    monkeypatch.setattr("ml.actions.ingest.replayed", lambda run: "ingest-1")
    task = task_of(bag, "ingest", "open")
    act(task, context(task, as_of="2024-02-29", replay=True))
    reading = task_of(bag, "ingest", "events.snapshot")
    act(reading, context(reading, replay=True))
    assert calls == [("replay-2024-02-29", date(2024, 2, 29))]


def stage_tables(bag: Any) -> list[str]:
    return list(bag.dags["ingest"].get_task("open").first_tasks)


def test_open_takes_the_day_of_the_schedule(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _ingest(monkeypatch, tuple(stage_tables(bag)), ())
    task = task_of(bag, "ingest", "open")
    for kind in ("scheduled", "backfill", "manual"):
        given = context(task)
        given["dag_run"] = SimpleNamespace(
            run_type=kind, data_interval_end=datetime(2024, 3, 1, 3, tzinfo=UTC), logical_date=None
        )
        act(task, given)
    assert [day for _, day, _ in calls] == [date(2024, 3, 1), date(2024, 3, 1), None]
    assert [scheduled for *_, scheduled in calls] == [True, True, False]
    assert [run.rsplit("-", 1)[0] for run, *_ in calls] == ["ingest-2024-03-01"] * 2 + ["ingest-newest"]


def test_seal_announces_only_what_was_sealed(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.actions.ingest.seal", lambda run: ("products", "events"))
    monkeypatch.setattr(stage_tasks, "_as_of", lambda run: "2024-03-01")
    task = task_of(bag, "ingest", "seal")
    given = context(task)
    act(task, given)
    assert [asset.uri for asset in task.outlets] == [
        "bellwether://tables/products",
        "bellwether://tables/events",
    ]
    extras = [event.extra for event in given["outlet_events"].values()]
    assert extras == [{"run_id": "run-1", "as_of": "2024-03-01"}] * 2


def _retrain(monkeypatch: pytest.MonkeyPatch, unchanged: bool) -> list[Any]:
    calls: list[Any] = []

    def opened(family: str, run_id: str, as_of: date | None = None) -> Any:
        calls.append((family, run_id, as_of))
        return SimpleNamespace(run_id=run_id, as_of=as_of, data_digest="d1", unchanged=unchanged)

    monkeypatch.setattr("ml.actions.retrain.open_retrain", opened)
    return calls


def test_a_retrain_of_what_was_judged_before_is_skipped_unless_forced(
    bag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _retrain(monkeypatch, unchanged=True)
    task = task_of(bag, "retrain_seasonality", "open")
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        act(task, context(task))
    assert skipped.value.tasks == ["features"]
    given = context(task, force=True)
    act(task, given)
    assert given["ti"].pushed["return_value"].startswith("retrain-seasonality-newest-")


def test_a_retrain_takes_the_day_of_the_latest_event(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _retrain(monkeypatch, unchanged=False)
    task = task_of(bag, "retrain_seasonality", "open")
    given = context(task)
    days = [("2024-01-02", 2), ("2024-01-03", 3), ("2024-01-01", 1)]
    given["triggering_asset_events"] = {
        f"asset {number}": [
            SimpleNamespace(extra={"as_of": day}, timestamp=datetime(2024, 6, number, tzinfo=UTC)),
            SimpleNamespace(extra={}, timestamp=datetime(2024, 7, 1, tzinfo=UTC)),
        ]
        for day, number in days
    }
    act(task, given)
    act(task, {**given, "params": {"as_of": "2023-05-05"}})
    assert [day for _, _, day in calls] == [date(2024, 1, 3), date(2023, 5, 5)]


def test_a_lost_gate_skips_the_promotion_and_says_why(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.actions.retrain.approve", lambda run: False)
    monkeypatch.setattr(
        "ml.actions.retrain.verdict_of", lambda run: {"approved": False, "reasons": ["worse", "small"]}
    )
    task = task_of(bag, "retrain_seasonality", "approve")
    with pytest.raises(AirflowSkipException, match="not promoted: worse; small"):
        act(task, context(task))
    monkeypatch.setattr("ml.actions.retrain.approve", lambda run: True)
    assert act(task, context(task)) is None


def test_the_verdict_is_in_the_log_of_the_task(
    bag: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Comparison("champion", "country = FI", 80, 0.41, 0.4, 0.025, -0.01, 0.06, 0.2)
    verdict = {"approved": True, "reasons": ["better"], "guardrails": [asdict(guard)]}
    monkeypatch.setattr("ml.actions.retrain.approve", lambda run: True)
    monkeypatch.setattr("ml.actions.retrain.verdict_of", lambda run: verdict)
    task = task_of(bag, "retrain_seasonality", "approve")
    monkeypatch.setattr(type(task), "log", LOG)
    with caplog.at_level(logging.INFO):
        act(task, context(task))
    assert f"Guardrail kept (no worse than by 25%): {guard.words()}." in caplog.messages


def test_record_links_to_mlflow_and_hands_on_the_run(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = SimpleNamespace(mlflow_run_id="abc", version="3", url="http://mlflow/#/runs/abc")
    monkeypatch.setattr("ml.actions.record.record", lambda run: recorded)
    task = task_of(bag, "retrain_seasonality", "record")
    assert act(task, context(task)) == "abc"
    link = task.operator_extra_links[0]
    assert (link.name, link.get_link(task, ti_key=None)) == ("MLflow run", recorded.url)


def test_promote_announces_the_version_and_names_the_person(
    bag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    actors: list[Any] = []
    monkeypatch.setattr(
        "ml.actions.retrain.promote", lambda run, actor="gate", why="": actors.append((actor, why)) or "3"
    )
    answer = {"responded_by_user": {"id": "1", "name": "ada"}, "params_input": {"why": "fits the range"}}
    for pulled in ({}, {"approve": answer, "record": "http://mlflow/#/runs/abc"}):
        task = task_of(bag, "retrain_seasonality", "promote")
        given = context(task, TaskInstance(**pulled))
        assert act(task, given) is None
        assert [event.extra for event in given["outlet_events"].values()] == [
            {"run_id": "run-1", "version": "3"}
        ]
    assert actors == [("gate", ""), ("ada", "fits the range")]
    assert task.link() == "http://mlflow/#/runs/abc"


def test_publish_is_skipped_without_a_champion(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.seams.ledger.Ledger.champion", lambda self, family: None)
    task = task_of(bag, "publish_seasonality", "publish")
    with pytest.raises(AirflowSkipException, match="seasonality has no champion yet"):
        act(task, context(task))


def test_publish_is_skipped_for_tables_of_another_shop(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.seams.ledger.Ledger.champion", lambda self, family: SimpleNamespace(run_id="r"))
    monkeypatch.setattr("ml.seams.ledger.Ledger.sealed", lambda self, tables: [SimpleNamespace(shop="new")])
    notes = SimpleNamespace(notes={"ingest": "i", "shop": "old"})
    monkeypatch.setattr("ml.seams.ledger.Ledger.run", lambda self, run: notes)
    task = task_of(bag, "publish_seasonality", "publish")
    with pytest.raises(AirflowSkipException, match="another shop"):
        act(task, context(task))


def test_publish_links_to_the_pages(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.actions.publish.not_ready", lambda family: None)
    said = SimpleNamespace(
        version="3", as_of=date(2024, 3, 1), rows={"forecasts": 5}, site=Path("index.html")
    )
    monkeypatch.setattr("ml.actions.publish.publish", lambda family, run: said)
    task = task_of(bag, "publish_seasonality", "publish")
    assert act(task, context(task)).startswith("publish-seasonality-")
    assert task.link() == "http://airflow.example:8080/bellwether/reports/collections/seasonality/index.html"


def test_a_stopped_task_takes_its_processes_along() -> None:
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stage = SimpleNamespace(name="gate@x", kind="gate", desc="", cmd="")
    StageTask(task_id="gate", stage=stage).on_kill()
    assert child.wait(timeout=10) != 0


def test_a_task_out_of_time_does_not_wait_for_its_processes() -> None:
    import subprocess
    import sys
    import time
    from datetime import timedelta

    from airflow.sdk.execution_time.timeout import timeout

    started = time.monotonic()
    stage = SimpleNamespace(name="gate@x", kind="gate", desc="", cmd="")
    task = StageTask(task_id="gate", stage=stage)
    with (
        pytest.raises(AirflowTaskTimeout),
        timeout(1),  # as Airflow does it: its own clock starts first
        stage_tasks.in_time(timedelta(seconds=1), task.on_kill),
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child,
    ):
        child.wait()
    assert time.monotonic() - started < 30

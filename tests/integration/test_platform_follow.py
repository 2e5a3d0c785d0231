"""Following runs: what is waited for, what is shown, what a failure says. Airflow is a fake of the same shape."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from rich.console import Console

from ml.errors import BellwetherError, SeamUnavailable
from ml.platform import demo, follow
from ml.platform.airflow_api import Airflow, DagRun, TaskRun
from ml.platform.view import LineView, LiveView, elapsed, view_for

BEGAN = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)


def a_run(dag_id: str, state: str, minute: int = 0) -> DagRun:
    due = BEGAN + timedelta(minutes=minute)
    return DagRun(
        dag_id, f"{dag_id}-{minute}", state, due, True, due, due if state in ("success", "failed") else None
    )


def a_task(run: DagRun, task_id: str, state: str | None, minute: int = 0) -> TaskRun:
    at = BEGAN + timedelta(minutes=minute)
    return TaskRun(
        run.dag_id, run.run_id, task_id, -1, state, 1, 3, at, at if state == "success" else None, ""
    )


class Script:
    """Airflow as a list of scenes, one a look."""

    def __init__(
        self, *scenes: Mapping[DagRun, Sequence[TaskRun]], log: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._scenes, self._log, self._now = list(scenes), log, 0

    def runs(self, since: datetime) -> list[DagRun]:
        self._now = min(self._now + 1, len(self._scenes))
        return [run for run in self._scenes[self._now - 1] if run.due >= since]

    def tasks(self, runs: Sequence[DagRun]) -> dict[DagRun, list[TaskRun]]:
        return {run: list(self._scenes[self._now - 1][run]) for run in runs}

    def log(self, task: TaskRun) -> Sequence[Mapping[str, Any]]:
        return self._log


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL", 0.0)
    monkeypatch.setattr(follow, "SOON", 0.2)


INGESTED = a_run("ingest", "success")
RETRAINED = a_run("retrain_seasonality", "success", 1)
PROMOTED = {INGESTED: [], RETRAINED: [a_task(RETRAINED, "promote", "success", 2)]}


def test_the_retrain_and_the_publication_that_follow_are_waited_for() -> None:
    published = a_run("publish_seasonality", "success", 3)
    script = Script(
        {}, {a_run("ingest", "running"): []}, {INGESTED: []}, PROMOTED, {**PROMOTED, published: []}
    )
    scene = follow.watch(script, BEGAN, ["seasonality"], lambda _: None)  # type: ignore[arg-type]
    assert published in scene


def test_a_publication_from_before_the_promotion_is_not_taken_for_the_one_after() -> None:
    early = a_run("publish_seasonality", "success", 1)
    assert follow.expected({**PROMOTED, early: []}, ["seasonality"]) == {"publish_seasonality"}
    late = a_run("publish_seasonality", "success", 3)
    assert follow.expected({**PROMOTED, early: [], late: []}, ["seasonality"]) == set()


def test_what_never_comes_is_not_waited_for_for_ever() -> None:
    scene = follow.watch(Script({INGESTED: []}), BEGAN, ["switched_off"], lambda _: None)  # type: ignore[arg-type]
    assert list(scene) == [INGESTED]


def test_after_a_failed_ingest_nothing_is_expected() -> None:
    assert follow.expected({a_run("ingest", "failed"): []}, ["seasonality"]) == set()


def test_a_failure_names_the_task_and_quotes_its_error() -> None:
    failed = a_run("ingest", "failed")
    scene = {failed: [a_task(failed, "orders.validate", "failed"), a_task(failed, "seal", "upstream_failed")]}
    log = [
        {"event": "reading", "level": "info"},
        {
            "event": "Task failed",
            "level": "error",
            "error_detail": [{"exc_type": "DataRejected", "exc_value": "order_lines: 12 prices below 0"}],
        },
    ]
    found = follow.failures(Script(scene, log=log), scene)  # type: ignore[arg-type]
    error = follow.failed_run(found, "http://127.0.0.1:8080")
    assert [failure.task.task_id for failure in found] == ["orders.validate"]
    assert "ingest · orders.validate (attempt 1 of 3)" in str(error)
    assert "DataRejected: order_lines: 12 prices below 0" in str(error)
    assert "http://127.0.0.1:8080" in str(error) and "keeps running" in str(error)
    assert type(error) is BellwetherError and error.exit_code != 0


def test_a_log_without_errors_is_quoted_from_its_end() -> None:
    failed = a_run("ingest", "failed")
    scene = {failed: [a_task(failed, "seal", "failed")]}
    log = [{"event": f"line {number}"} for number in range(100)]
    (found,) = follow.failures(Script(scene, log=log), scene)  # type: ignore[arg-type]
    assert found.lines[-1] == "line 99" and len(found.lines) == 20


def test_without_a_terminal_each_change_is_one_plain_line() -> None:
    out = io.StringIO()
    view = view_for(Console(file=out, width=200))
    assert isinstance(view, LineView)
    running = a_run("ingest", "running")
    with view:
        for state in (None, "queued", "running", "running", "success"):
            view.show({running: [a_task(running, "open", state)]})
    lines = out.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "ingest: running",
        "ingest · open: running",
        "ingest · open: success 0.0 s",
    ]


def test_in_a_terminal_the_block_shows_runs_and_the_tasks_at_work() -> None:
    out = io.StringIO()
    running = a_run("ingest", "running")
    tasks = [a_task(running, "open", "success"), a_task(running, "orders.snapshot", "running")]
    with LiveView(Console(file=out, width=100, force_terminal=True)) as view:
        view.show({})
        view.show({running: tasks})
    text = out.getvalue()
    assert "1/2 tasks" in text and "orders.snapshot" in text


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (754.2, "12 min 34 s")]
)
def test_times_are_written_for_people(seconds: float, words: str) -> None:
    assert elapsed(BEGAN, BEGAN + timedelta(seconds=seconds), BEGAN) == words
    assert elapsed(None, None, BEGAN) == ""


class FakeServer(BaseHTTPRequestHandler):
    """Airflow's REST API, as far as `up` uses it. Every third token is out of date at once."""

    logins: ClassVar[list[Any]] = []
    triggered: ClassVar[list[Any]] = []
    active: ClassVar[list[Any]] = []
    tasks: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "Bearer token-2":
            return self._answer(401, {})
        if self.path.endswith("/dags/ingest"):
            return self._answer(200, {"dag_id": "ingest"})
        if "/~/taskInstances" in self.path:
            asked = parse_qs(urlsplit(self.path).query)
            page = self.tasks[int(asked["offset"][0]) :][: int(asked["limit"][0])]
            return self._answer(200, {"task_instances": page, "total_entries": len(self.tasks)})
        if "dagRuns" in self.path:
            return self._answer(200, {"dag_runs": self.active})
        return self._answer(
            200, {"import_errors": [{"filename": "dags/other.py", "stack_trace": "a\nSyntaxError"}]}
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            self.logins.append(body)
            return self._answer(201, {"access_token": f"token-{len(self.logins)}"})
        self.triggered.append(body)
        return self._answer(200, {"dag_run_id": "manual-1"})

    def _answer(self, code: int, body: object) -> None:
        if self.path.endswith("/dags/unknown") and code == 200:
            code = 404
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    FakeServer.logins, FakeServer.triggered, FakeServer.active, FakeServer.tasks = [], [], [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeServer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield Airflow(f"http://127.0.0.1:{server.server_address[1]}", "admin", "secret")
    server.shutdown()
    server.server_close()


def test_the_client_logs_in_again_when_its_token_has_run_out(airflow: Airflow) -> None:
    assert airflow.has_dag("ingest")
    assert FakeServer.logins == [{"username": "admin", "password": "secret"}] * 2


def test_ingest_is_asked_for_as_of_the_data(airflow: Airflow) -> None:
    demo.trigger_ingest(airflow, date(2025, 12, 31), seconds=5)
    assert FakeServer.triggered == [{"logical_date": None, "conf": {"as_of": "2025-12-31"}}]


def test_an_ingest_that_was_asked_for_already_is_followed_instead(airflow: Airflow) -> None:
    due = "2026-01-01T03:00:00Z"
    FakeServer.active = [
        {"dag_id": "ingest", "dag_run_id": "manual-0", "state": "running", "run_type": "manual"}
        | {"run_after": due, "start_date": due, "end_date": None}
    ]
    assert demo.trigger_ingest(airflow, date(2025, 12, 31), seconds=5) == BEGAN
    assert FakeServer.triggered == []


def test_the_tasks_of_all_runs_come_by_one_listing_page_by_page(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.platform.airflow_api.PAGE", 2)
    early, late, other = (a_run("retrain_viral", "running", minute) for minute in (1, 2, 3))
    entry = {"state": "running", "try_number": 1, "max_tries": 2, "end_date": None, "map_index": -1}
    FakeServer.tasks = [
        {**entry, "dag_id": run.dag_id, "dag_run_id": run.run_id, "task_id": name, "start_date": start}
        for run in (early, late, other)
        for name, start in (("train", None), ("features", "2026-01-01T03:02:00Z"))
    ]
    found = airflow.tasks([late, early])
    assert {run: [task.task_id for task in tasks] for run, tasks in found.items()} == {
        late: ["features", "train"],
        early: ["features", "train"],
    }
    assert airflow.tasks([]) == {}


def test_a_dag_file_that_cannot_be_read_is_named(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "INGEST", "unknown")
    with pytest.raises(SeamUnavailable, match=r"(?s)no DAG 'unknown'.*dags/other.py.*SyntaxError"):
        demo.trigger_ingest(airflow, date(2025, 12, 31), seconds=5)


def test_an_airflow_that_is_away_is_retried_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.platform.airflow_api.PAUSE", 0.0)
    with pytest.raises(SeamUnavailable, match="Airflow does not answer"):
        Airflow("http://127.0.0.1:1", "admin", "secret").has_dag("ingest")

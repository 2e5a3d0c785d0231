"""The few calls of Airflow's REST API (v2) that `up` makes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from ml.errors import SeamUnavailable
from ml.platform.health import direct

PAUSE = 0.5  # seconds between attempts
PAGE = 100  # of a listing: Airflow gives no more at once
FINAL = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run of a DAG as Airflow sees it now."""

    dag_id: str
    run_id: str
    state: str
    due: datetime
    by_hand: bool
    started: datetime | None
    ended: datetime | None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of such a run. `state` is None before it is scheduled."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    attempt: int
    attempts: int
    started: datetime | None
    ended: datetime | None
    label: str

    @property
    def name(self) -> str:
        """What people read: the task, and which of its copies."""
        return f"{self.task_id} [{self.label}]" if self.label else self.task_id


class Airflow:
    """Airflow at `url`, as the one user it has."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self.url = url
        self._login = {"username": login, "password": password}
        self._token = ""

    def has_dag(self, dag_id: str) -> bool:
        """Whether the DAG has been read from its file."""
        return self._call("GET", f"/dags/{dag_id}", missing=None) is not None

    def import_errors(self) -> Mapping[str, str]:
        """File of a DAG -> what is wrong with it."""
        found = self._call("GET", "/importErrors?limit=50")["import_errors"]
        return {item["filename"]: item["stack_trace"] for item in found}

    def trigger(self, dag_id: str, conf: Mapping[str, object]) -> str:
        """Start a run now; returns its id."""
        made = self._call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        return str(made["dag_run_id"])

    def runs(self, since: datetime) -> list[DagRun]:
        """Runs of all DAGs that were due after a moment, oldest first."""
        query = urllib.parse.urlencode(
            {"run_after_gte": since.isoformat(), "order_by": "run_after", "limit": 100}
        )
        return [_run(item) for item in self._call("GET", f"/dags/~/dagRuns?{query}")["dag_runs"]]

    def active(self) -> list[DagRun]:
        """Runs of all DAGs that wait or work."""
        query = "state=queued&state=running&order_by=run_after&limit=100"
        return [_run(item) for item in self._call("GET", f"/dags/~/dagRuns?{query}")["dag_runs"]]

    def tasks(self, runs: Sequence[DagRun]) -> dict[DagRun, list[TaskRun]]:
        """The tasks of some runs, in the order in which they start; all runs by one listing: a request costs as much
        as a hundred tasks."""
        found: dict[DagRun, list[TaskRun]] = {run: [] for run in runs}
        named = {(run.dag_id, run.run_id): run for run in runs}
        for task in self._tasks_since(min(run.due for run in runs)) if runs else ():
            if (run := named.get((task.dag_id, task.run_id))) is not None:
                found[run].append(task)
        return {run: sorted(tasks, key=_by_start) for run, tasks in found.items()}

    def _tasks_since(self, due: datetime) -> Iterator[TaskRun]:
        query: dict[str, object] = {"run_after_gte": due.isoformat(), "order_by": "id", "limit": PAGE}
        for offset in count(0, PAGE):
            said = urllib.parse.urlencode({**query, "offset": offset})
            answer = self._call("GET", f"/dags/~/dagRuns/~/taskInstances?{said}")
            yield from map(_task, answer["task_instances"])
            if offset + PAGE >= answer["total_entries"]:
                return

    def log(self, task: TaskRun) -> Sequence[Mapping[str, Any]]:
        """The structured log of a task's last attempt."""
        path = (
            f"/dags/{task.dag_id}/dagRuns/{urllib.parse.quote(task.run_id)}/taskInstances/{task.task_id}"
            f"/logs/{max(task.attempt, 1)}?full_content=true&map_index={task.map_index}"
        )
        content = (self._call("GET", path, missing=None) or {"content": []})["content"]
        return [item if isinstance(item, dict) else {"event": item} for item in content]

    def _call(self, method: str, path: str, body: object = None, *, missing: Any = ...) -> Any:
        """One request; what may pass (an old token, a busy or absent server) is tried again.

        `missing`: the answer to a 404.
        """
        for last in (False, False, False, True):
            try:
                return self._send(method, f"/api/v2{path}", body, self._token or self._new_token())
            except urllib.error.HTTPError as error:
                if error.code == 404 and missing is not ...:
                    return missing
                if last or not (error.code == 401 or error.code >= 500):
                    raise self._refused(method, path, error) from error
                self._token = ""
            except OSError as error:
                if last:
                    raise self._away(error) from error
            time.sleep(PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _new_token(self) -> str:
        self._token = self._send("POST", "/auth/token", self._login, "")["access_token"]
        return self._token

    def _send(self, method: str, path: str, body: object, token: str) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with direct.open(request, timeout=30) as response:
            return json.loads(response.read())

    def _refused(self, method: str, path: str, error: urllib.error.HTTPError) -> SeamUnavailable:
        return SeamUnavailable(
            f"Airflow refused {method} {path.split('?')[0]}",
            found=f"{error.code} {error.read().decode(errors='replace')[:500]}",
            next_step="see logs/api-server.log in BELLWETHER_HOME",
        )

    def _away(self, error: Exception) -> SeamUnavailable:
        return SeamUnavailable(
            "Airflow does not answer",
            found=error,
            expected=f"its REST API at {self.url}",
            next_step="`make status` says what runs; `make up` starts what does not",
        )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _run(item: Mapping[str, Any]) -> DagRun:
    return DagRun(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        due=datetime.fromisoformat(item["run_after"]),
        by_hand=item["run_type"] == "manual",
        started=_moment(item["start_date"]),
        ended=_moment(item["end_date"]),
    )


def _by_start(task: TaskRun) -> tuple[bool, str, str]:
    return task.started is None, str(task.started), task.name


def _task(item: Mapping[str, Any]) -> TaskRun:
    mapped = item["map_index"] >= 0
    return TaskRun(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        task_id=item["task_id"],
        map_index=item["map_index"],
        state=item["state"],
        attempt=item["try_number"],
        attempts=item["max_tries"] + 1,
        started=_moment(item["start_date"]),
        ended=_moment(item["end_date"]),
        label=str(item["rendered_map_index"] or item["map_index"]) if mapped else "",
    )

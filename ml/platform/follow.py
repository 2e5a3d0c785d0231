"""Following DAG runs until nothing more is to come: what happens is seen here, how it looks in `view`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ml.errors import BellwetherError
from ml.platform.airflow_api import Airflow, DagRun, TaskRun

POLL = 2.0  # seconds; a look costs Airflow's server a tenth of a second of work
SOON = 90.0  # seconds within which Airflow starts what an asset's update asks for
Scene = Mapping[DagRun, Sequence[TaskRun]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed for good, and the end of its log."""

    task: TaskRun
    lines: tuple[str, ...]


def watch(
    airflow: Airflow, since: datetime, families: Collection[str], show: Callable[[Scene], None]
) -> Scene:
    """Look at all runs since a moment, until all are over and what must follow has followed (or does not come)."""
    last_change, known = time.monotonic(), ""
    tasks: dict[DagRun, Sequence[TaskRun]] = {}
    while True:
        runs = airflow.runs(since)
        changing = [run for run in runs if not (run.over and run in tasks)]
        found = {**tasks, **airflow.tasks(changing)}
        tasks = {run: found[run] for run in runs}
        show(tasks)
        if (seen := repr(tasks)) != known:
            last_change, known = time.monotonic(), seen
        quiet = time.monotonic() - last_change
        if tasks and all(run.over for run in tasks) and (quiet > SOON or not expected(tasks, families)):
            return tasks
        time.sleep(POLL)


def expected(scene: Scene, families: Collection[str]) -> set[str]:
    """DAGs that have yet to start: retrains after an ingest, a publication after each promotion."""
    good = {run.dag_id for run in scene if run.state == "success"}
    coming = {f"retrain_{name}" for name in families if "ingest" in good} - {run.dag_id for run in scene}
    return coming | {f"publish_{name}" for name in families if _unpublished(scene, name)}


def _unpublished(scene: Scene, family: str) -> bool:
    """Whether a promotion has happened since the family's last publication began."""
    promoted = [
        task.started
        for run, tasks in scene.items()
        if run.dag_id == f"retrain_{family}"
        for task in tasks
        if task.task_id == "promote" and task.state == "success" and task.started
    ]
    published = [run.due for run in scene if run.dag_id == f"publish_{family}"]
    return bool(promoted) and max(promoted) > max(published, default=datetime.min.replace(tzinfo=UTC))


def failures(airflow: Airflow, scene: Scene) -> list[Failure]:
    """The tasks because of which runs failed (not those that only came after them)."""
    failed = [task for run, tasks in scene.items() if run.state == "failed" for task in tasks]
    return [Failure(task, _last_words(airflow, task)) for task in failed if task.state == "failed"]


def _last_words(airflow: Airflow, task: TaskRun, lines: int = 20) -> tuple[str, ...]:
    """The errors of a log, or its last lines where there are none."""
    entries = airflow.log(task)
    errors = [entry for entry in entries if str(entry.get("level", "")).lower() in ("error", "critical")]
    words = [line for entry in errors or entries for line in _words(entry)]
    return tuple(words[-lines:])


def _words(entry: Mapping[str, object]) -> list[str]:
    details = entry.get("error_detail")
    lines = str(entry.get("event", "")).splitlines()
    if isinstance(details, list):
        lines += [f"{item.get('exc_type', '')}: {item.get('exc_value', '')}" for item in details]
    return [line for text in lines for line in text.splitlines()]


def failed_run(found: Sequence[Failure], airflow_url: str) -> BellwetherError:
    """What the user is told when tasks failed."""
    return BellwetherError(
        f"{len(found)} task{'s' if len(found) > 1 else ''} failed; the platform keeps running",
        found="\n".join(_told(failure) for failure in found) or "a run failed without a failed task",
        next_step=f"mend what the messages name, then clear the task or trigger the DAG again at {airflow_url}",
    )


def _told(failure: Failure) -> str:
    task = failure.task
    head = f"{task.dag_id} · {task.name} (attempt {task.attempt} of {task.attempts}):"
    return "\n".join([head, *(f"    {line}" for line in failure.lines)])

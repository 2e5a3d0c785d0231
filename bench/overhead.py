"""What Airflow adds: the wall time of a retrain over its stages' own times, and the time to read the DAG files.

    python -m bench.overhead                       # both; needs a platform that runs and has retrained (`make up`)
    python -m bench.overhead --dags-only           # needs none

The newest successful run of `retrain_<family>` is read from Airflow's REST API. Then its stages' commands are run once
more, one after the other, directly in a copy of that run's workspace: their own times. All that is left of the run's
wall time (the scheduler, starting tasks, DVC, the ledger, MLflow) is counted as overhead, though record and promote do
work of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ml.config import settings
from ml.platform.airflow_api import Airflow, DagRun, TaskRun
from ml.platform.credentials import LOGIN, read_password
from ml.platform.state import load

ROOT = Path(__file__).resolve().parents[1]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
STAGES = ("features", "train", "evaluate", "gate")
READ = """
import json, sys, time
from pathlib import Path
marks = [time.perf_counter()]
import airflow
marks.append(time.perf_counter())
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
marks.append(time.perf_counter())
bag = DagBag(sys.argv[1], bundle_path=Path(sys.argv[1]).parent, bundle_name="dags-folder")
marks.append(time.perf_counter())
assert bag.dags and not bag.import_errors, bag.import_errors
print(json.dumps([after - before for before, after in zip(marks, marks[1:])]))
"""


def main() -> None:
    """Parse the arguments, measure, print Markdown tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="seasonality")
    parser.add_argument("--dags-only", action="store_true", help="read the DAG files, ask no platform")
    parser.add_argument("--repeat", type=int, default=5, help="times that each file is read")
    options = parser.parse_args()
    for line in read_files(options.repeat):
        print(line)
    if not options.dags_only:
        for line in retrain(options.family):
            print(line)


def read_files(repeat: int) -> Iterator[str]:
    """Median seconds to import Airflow, and then to read each DAG file."""
    yield "| file | import airflow | airflow.sdk and the reader | reading the file |"
    yield "|---|---|---|---|"
    for file in sorted((ROOT / "dags").glob("*.py")):
        runs = [read(file) for _ in range(repeat)]
        bare, rest, own = (statistics.median(times) for times in zip(*runs, strict=True))
        yield f"| dags/{file.name} | {bare:.2f} s | {rest:.2f} s | {own:.2f} s |"


def read(file: Path) -> list[float]:
    """Seconds of the three steps of READ, in a fresh interpreter."""
    command = [sys.executable, "-c", READ, str(file)]
    with tempfile.TemporaryDirectory(prefix="bw-dags-") as home:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db",
            "BELLWETHER_PROJECT": str(ROOT),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


def retrain(family: str) -> Iterator[str]:
    """The newest successful retrain, task by task, beside the own times of its stages."""
    airflow = connect()
    run = newest(airflow, f"retrain_{family}")
    tasks = [task for task in airflow.tasks([run])[run] if task.started]
    own = own_times(workspace_of(run), family)
    yield f"\n| task of {run.dag_id} | waited | ran | of it the stage's own | overhead |"
    yield "|---|---|---|---|---|"
    for task, waited in zip(tasks, waits(run, tasks), strict=True):
        ran, mine = seconds(task.started, task.ended), own.get(task.task_id, 0.0)
        shown = f"{mine:.1f} s" if mine else "–"
        yield f"| {task.task_id} | {waited:.1f} s | {ran:.1f} s | {shown} | {waited + ran - mine:.1f} s |"
    wall, stages = seconds(run.started, run.ended), sum(own.values())
    each = (wall - stages) / len(tasks)
    yield f"| all {len(tasks)} | | {wall:.1f} s (wall) | {stages:.1f} s | {wall - stages:.1f} s, {each:.1f} s a task |"


def connect() -> Airflow:
    """The Airflow of BELLWETHER_HOME, which has to run."""
    home = settings().home
    state = load(home)
    if state is None:
        raise SystemExit("no platform here: run `make up` first, or point BELLWETHER_HOME at one")
    return Airflow(f"http://127.0.0.1:{state.ports['airflow']}", LOGIN, read_password(home))


def newest(airflow: Airflow, dag_id: str) -> DagRun:
    """The newest successful run of a DAG."""
    found = [run for run in airflow.runs(LONG_AGO) if run.dag_id == dag_id and run.state == "success"]
    if not found:
        raise SystemExit(f"{dag_id} has not succeeded yet")
    return found[-1]


def waits(run: DagRun, tasks: list[TaskRun]) -> Iterator[float]:
    """Seconds between the end of the task before (the start of the run) and the start of each task."""
    before = run.started
    for task in tasks:
        yield max(seconds(before, task.started), 0.0)
        before = task.ended


def seconds(start: datetime | None, end: datetime | None) -> float:
    """Seconds from one moment to another; both are there in a run that is over."""
    assert start is not None
    assert end is not None
    return (end - start).total_seconds()


def workspace_of(run: DagRun) -> Path:
    """The workspace that a DAG run made: its name ends in the hash of Airflow's run id."""
    digits = hashlib.sha256(run.run_id.encode()).hexdigest()[:6]
    found = list(settings().runs.glob(f"retrain-*-{digits}"))
    if len(found) != 1:
        raise SystemExit(f"the workspace of {run.run_id} is not here")
    return found[0]


def own_times(workspace: Path, family: str) -> dict[str, float]:
    """Seconds of each stage's command, run in a copy of the workspace (interpreter and imports included)."""
    with tempfile.TemporaryDirectory(prefix="bw-overhead-") as scratch:
        copy = Path(scratch) / "work"
        shutil.copytree(workspace, copy, ignore=shutil.ignore_patterns(".dvc"))
        return {stage: own_time(copy, stage, family) for stage in STAGES}


def own_time(workspace: Path, stage: str, family: str) -> float:
    """Seconds of one stage's command."""
    start = time.perf_counter()
    command = [sys.executable, "-m", f"ml.stages.{stage}", family]
    subprocess.run(command, cwd=workspace, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

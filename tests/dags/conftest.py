"""Airflow with a home of its own, without a database: the environment is set before anything imports Airflow."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="bellwether-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def airflow_environment(home: Path, project: Path) -> dict[str, str]:
    """What a process needs to read the DAG files of `project`; its database does not exist and is never asked for."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__API__BASE_URL": "http://airflow.example:8080",
    }


os.environ.update(airflow_environment(HOME, PROJECT))
if str(PROJECT) not in sys.path:  # `plugins` and `dags` are no installed packages
    sys.path.insert(0, str(PROJECT))


@pytest.fixture(scope="session")
def bag() -> Any:
    """The project's DAGs, read as the DAG processor reads them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(PROJECT / "dags"), bundle_path=PROJECT / "dags", bundle_name="dags-folder")


@pytest.fixture(scope="session")
def pipeline() -> Any:
    """The project's `dvc.yaml` and `params.yaml`."""
    from ml.pipeline import load_pipeline

    return load_pipeline(PROJECT)


@pytest.fixture
def in_process(tmp_path: Path) -> Callable[..., Any]:
    """Run a program in a fresh process; returns the JSON of its last line."""

    def run(program: str, project: Path = PROJECT) -> Any:
        environment = {
            **os.environ,
            **airflow_environment(tmp_path / "airflow", project),
            "BELLWETHER_HOME": str(tmp_path / "home"),
            "BELLWETHER_PROJECT": str(project),
            "PYTHONPATH": os.pathsep.join([str(project), str(PROJECT)]),
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of what the DAGs are rendered from, to change."""
    target = tmp_path / "project"
    for folder in ("dags", "plugins"):
        shutil.copytree(PROJECT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(PROJECT / file, target / file)
    return target

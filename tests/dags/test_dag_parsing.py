"""Reading the DAG files is cheap: nothing heavy is imported, nothing is asked, and little time goes by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BANNED = {
    "adbc_driver_postgresql",
    "duckdb",
    "dvc",
    "great_expectations",
    "ibis",
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "scipy",
    "sklearn",
    "statsforecast",
    "xgboost",
}

READ = """
import json, sys, time
started = time.process_time()
import airflow, airflow.sdk
from airflow.dag_processing.dagbag import DagBag
airflow_s = time.process_time() - started
before = set(sys.modules)
asked = []
WATCHED = ("socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "os.system", "os.fork")
sys.addaudithook(lambda event, args: asked.append(event) if event in WATCHED else None)
started = time.process_time()
bag = DagBag("{dags}")
parse_s = time.process_time() - started
roots = sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})
print(json.dumps({{"dags": sorted(bag.dags), "errors": bag.import_errors, "asked": asked, "airflow_s": airflow_s,
                  "parse_s": parse_s, "roots": roots, "all": sorted(set(sys.modules))}}))
"""


@pytest.fixture
def reading(in_process: Callable[..., Any]) -> Any:
    return in_process(READ.format(dags=Path(__file__).resolve().parents[2] / "dags"))


def test_reading_imports_nothing_heavy_and_asks_nobody(reading: Any) -> None:
    assert reading["errors"] == {}
    assert len(reading["dags"]) > 2
    assert not BANNED & set(reading["roots"])
    assert not BANNED & {name.partition(".")[0] for name in reading["all"]}
    assert not [name for name in reading["all"] if name.startswith(("ml.actions", "ml.seams", "ml.stages"))]
    assert reading["asked"] == []


def test_reading_costs_less_than_half_of_importing_airflow(reading: Any) -> None:
    assert reading["parse_s"] < reading["airflow_s"] / 2


def test_the_plugin_brings_its_web_application_only_where_it_is_served(
    in_process: Callable[..., Any],
) -> None:
    found = in_process(
        "import json, sys\n"
        "from airflow.sdk import plugins_manager\n"
        "plugins, errors = plugins_manager._get_plugins()\n"
        "print(json.dumps({'names': [p.name for p in plugins if p.name == 'bellwether'], 'errors': errors,"
        " 'fastapi': 'fastapi' in sys.modules, 'pages': 'plugins.pages' in sys.modules}))"
    )
    assert found == {"names": ["bellwether"], "errors": {}, "fastapi": False, "pages": False}

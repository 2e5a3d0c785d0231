"""The embedded Airflow: four processes, configured by their environment alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from ml.platform.credentials import LOGIN, Credentials, password_file
from ml.platform.ports import HOST
from ml.platform.postgres import Postgres
from ml.platform.processes import Command, python

PREFERRED_PORT = 8080
PARALLELISM = 4
STAMP = f"airflow-{version('apache-airflow')}"  # the schema that this release makes
PARTS: Mapping[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),  # the API server reads the same folder
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}


def address(port: int) -> str:
    """Where the UI and the REST API answer."""
    return f"http://{HOST}:{port}"


def migration() -> tuple[str, ...]:
    """Make the tables, or bring them to this release."""
    return python("-m", "airflow", "db", "migrate")


def commands(home: Path, port: int, environment: Mapping[str, str]) -> list[Command]:
    """How the four parts are started."""
    return [
        Command(
            part=part,
            argv=python("-m", "airflow", part, *arguments),
            log=home / "logs" / f"{part}.log",
            environment=environment,
            address=address(port) if part == "api-server" else "",
        )
        for part, arguments in PARTS.items()
    ]


def environment(
    home: Path, project: Path, server: Postgres, port: int, known: Credentials, base: Mapping[str, str]
) -> dict[str, str]:
    """The whole configuration of Airflow."""
    options = (
        _core(home, project, port) | _secrets(home, known) | _database(server) | _web(port) | _sizes(home)
    )
    named = {f"AIRFLOW__{option.upper()}": value for option, value in options.items()}
    return {**base, **named, "AIRFLOW_HOME": str(home / "airflow"), "PYTHONWARNINGS": "ignore"}


def _core(home: Path, project: Path, port: int) -> dict[str, str]:
    return {
        "core__executor": "LocalExecutor",
        "core__dags_folder": str(project / "dags"),
        "core__plugins_folder": str(project / "plugins"),
        "core__load_examples": "False",
        "core__dags_are_paused_at_creation": "False",
        "core__execution_api_server_url": f"{address(port)}/execution/",
        "core__default_timezone": "utc",
        "logging__base_log_folder": str(home / "logs" / "tasks"),
    }


def _secrets(home: Path, known: Credentials) -> dict[str, str]:
    return {
        "core__fernet_key": known.fernet_key,
        "core__simple_auth_manager_users": f"{LOGIN}:admin",
        "core__simple_auth_manager_passwords_file": str(password_file(home)),
        "api__secret_key": known.api_secret,
        "api_auth__jwt_secret": known.jwt_secret,
    }


def _database(server: Postgres) -> dict[str, str]:
    return {
        "database__sql_alchemy_conn": server.url("airflow", "psycopg2"),
        "database__sql_alchemy_conn_async": server.url("airflow", "asyncpg"),
        "database__sql_alchemy_pool_size": "3",
        "database__sql_alchemy_max_overflow": "5",
    }


def _web(port: int) -> dict[str, str]:
    return {
        "api__host": HOST,
        "api__port": str(port),
        "api__base_url": address(port),
        "api__workers": "1",
        "api__expose_config": "False",
        "api__instance_name": "Bellwether",
    }


def _sizes(home: Path) -> dict[str, str]:
    return {
        "core__parallelism": str(PARALLELISM),
        "core__default_pool_task_slot_count": str(PARALLELISM),
        "dag_processor__parsing_processes": "1",
        "dag_processor__refresh_interval": "30",  # seconds; a changed file is then read at once,
        "dag_processor__min_file_process_interval": "90",  # and one whose params.yaml has changed after these
        "dag_processor__dag_bundle_storage_path": str(home / "airflow" / "bundles"),
        "scheduler__scheduler_idle_sleep_time": "1",
        "triggerer__capacity": "50",
    }

"""The production shape for real: Celery workers with separate homes, PostgreSQL, Redis, S3, MLflow with a login."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from production import Stack, compose, laid_out

from ml.actions.load import load
from ml.seams.ledger import Champion, Ledger
from ml.world import simulate

FAMILY = "seasonality"
SLOW = 60  # seconds; the machine has other work
TABLES = ("products", "order_lines", "promotions", "events")
WORKERS = ("worker-1", "worker-2")
SECRET_FILES = (
    *(f"postgres_{name}" for name in ("admin", "airflow", "mlflow", "ledger", "warehouse")),
    "airflow_admin_password", "mlflow_admin_password", "redis_password", "s3_access_key", "s3_secret_key",
    "airflow_jwt_secret", "airflow_secret_key", "airflow_fernet_key", "mlflow_secret_key",
)  # fmt: skip
ASK_ONCE_MORE = """
import json, sys
from ml.actions.retrain import verdict_of
print(json.dumps(verdict_of(sys.argv[1])))
"""


def missing() -> list[str]:
    parts = ("celery", "dvc_s3", "moto", "flask_wtf")
    return [
        *(name for name in ("redis-server", "openssl") if shutil.which(name) is None),
        *(name for name in parts if importlib.util.find_spec(name) is None),
    ]


pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(missing()), reason=f"not installed here: {', '.join(missing())}"),
]


@dataclass(frozen=True)
class Done:
    """A stack after one ingest and the retrain that followed it."""

    stack: Stack
    token: str
    champion: Champion

    def airflow(self, path: str) -> Any:
        return ask(self.stack, "GET", path, self.token).json()


def ask(stack: Stack, method: str, path: str, token: str, body: object = None) -> httpx.Response:
    url = f"http://{stack.address('api-server')}{path}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.request(method, url, headers=headers, json=body, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def done() -> Iterator[Done]:
    root = Path(tempfile.mkdtemp(prefix="bwp-", dir="/tmp"))
    stack = laid_out(root, FAMILY, TABLES, BELLWETHER_TASKS_A_WORKER="1")
    try:
        start(stack)
        yield run(stack)
    finally:
        stack.stop()
        shutil.rmtree(root, ignore_errors=True)


def start(stack: Stack) -> None:
    port = str(stack.ports["redis"])
    listen = ("--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(stack.root))
    stack.start("redis", extra=listen)
    stack.start_store()
    stack.start_postgres()
    world = simulate("small", 7, days=450).tables
    load(stack.secret("warehouse_url"), "world", {name: world[name] for name in TABLES})
    assert stack.start("prepare").wait(600) == 0, stack.told("prepare")
    for service in ("mlflow", "api-server", "scheduler", "dag-processor", "triggerer"):
        stack.start(service)
    for worker in WORKERS:  # a container has a host name of its own, from which Celery names its worker
        stack.start("worker", worker, extra=("--celery-hostname", f"{worker}@%h"))
    stack.wait_for_port("mlflow")
    stack.wait_for_port("api-server")


def run(stack: Stack) -> Done:
    login = {"username": "admin", "password": stack.secret("airflow_admin_password")}
    token = str(ask(stack, "POST", "/auth/token", "", login).json()["access_token"])
    for dag in ("ingest", f"retrain_{FAMILY}"):
        stack.wait(lambda dag=dag: known(stack, token, dag), "dag-processor", 300)  # type: ignore[misc]
        ask(stack, "PATCH", f"/api/v2/dags/{dag}", token, {"is_paused": False})
    ask(stack, "POST", "/api/v2/dags/ingest/dagRuns", token, {"logical_date": None, "conf": {}})
    for dag in ("ingest", f"retrain_{FAMILY}"):
        until_success(stack, token, dag)
    champion = Ledger(stack.secret("ledger_url")).champion(FAMILY)
    assert champion is not None
    return Done(stack, token, champion)


def known(stack: Stack, token: str, dag: str) -> bool:
    try:
        ask(stack, "GET", f"/api/v2/dags/{dag}", token)
    except httpx.HTTPStatusError:
        return False
    return True


def until_success(stack: Stack, token: str, dag: str, seconds: float = 1500) -> None:
    until = time.monotonic() + seconds
    state = ""
    while state != "success":
        found = ask(stack, "GET", f"/api/v2/dags/{dag}/dagRuns?order_by=-run_after", token).json()["dag_runs"]
        runs = [item for item in found if item["run_type"] in ("manual", "asset_triggered")]
        state = runs[0]["state"] if runs else ""
        if state == "failed" or time.monotonic() > until:
            raise AssertionError(f"{dag} is {state or 'not started'}:\n{failures(stack)}")
        time.sleep(1)


def failures(stack: Stack) -> str:
    logs = sorted((stack.root / "volumes/task-logs").rglob("*.log"), key=lambda path: path.stat().st_mtime)
    lines = [line for path in logs for line in path.read_text(errors="replace").splitlines()]
    told = [line[:1500] for line in lines if '"error"' in line or '"critical"' in line][-15:]
    return "\n".join([*told, *(stack.told(name)[-1500:] for name in ("scheduler", *WORKERS))])


def test_two_workers_with_homes_of_their_own_made_one_champion(done: Done) -> None:
    runs = {
        worker: {path.name for path in (done.stack.home(worker) / "runs").glob("[a-z]*")}
        for worker in WORKERS
    }
    both = runs["worker-1"] & runs["worker-2"]
    assert any(run.startswith("ingest-") for run in both), (
        runs
    )  # one of them went on where the other had been
    made = Ledger(done.stack.secret("ledger_url")).run(done.champion.run_id)
    assert made.status == "promoted" and made.notes["version"] == done.champion.version


def test_mlflow_agrees_and_keeps_its_artifacts_in_the_store(done: Done) -> None:
    url = f"http://{done.stack.address('mlflow')}/api/2.0/mlflow/registered-models/alias"
    wanted = {"name": FAMILY, "alias": "champion"}
    assert httpx.get(url, params=wanted, timeout=SLOW).status_code == 401
    login = ("admin", done.stack.secret("mlflow_admin_password"))
    found = httpx.get(url, params=wanted, auth=login, timeout=SLOW).raise_for_status().json()["model_version"]
    assert found["version"] == done.champion.version
    keys = dict(stored(done.stack))
    assert any(key.startswith("store/mlflow/") and key.endswith("/MLmodel") for key in keys)
    assert any(key.startswith("store/dvc/files/md5/") for key in keys)


def stored(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every object that MLflow and DVC have put into the store, by its key."""
    import boto3

    store = boto3.client(
        "s3", endpoint_url=f"http://{stack.address('store')}", region_name="us-east-1",
        aws_access_key_id=stack.secret("s3_access_key"), aws_secret_access_key=stack.secret("s3_secret_key"),
    )  # fmt: skip
    pages = store.get_paginator("list_objects_v2").paginate(Bucket="bellwether")
    for item in (item for page in pages for item in page.get("Contents", [])):
        body = store.get_object(Bucket="bellwether", Key=item["Key"])["Body"].read()
        yield f"store/{item['Key']}", body.decode("utf-8", "replace")


def test_a_third_home_rebuilds_the_run_from_the_ledger_and_the_store(done: Done) -> None:
    stack = done.stack
    stack.home("worker-3").mkdir(parents=True)
    entry = stack.here(compose()["services"]["worker"]["entrypoint"][0], "worker-3")
    answer = subprocess.run(
        [entry, sys.executable, "-c", ASK_ONCE_MORE, done.champion.run_id],
        env=stack.environment("worker", "worker-3"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1])["approved"] is True
    folder = stack.home("worker-3") / "runs" / done.champion.run_id
    assert (folder / "dvc.lock").exists() and not (
        folder / "data/model"
    ).exists()  # what is not asked for stays


def test_callers_without_a_session_are_refused(done: Done) -> None:
    base = f"http://{done.stack.address('api-server')}"
    for path in ("/api/v2/dags", "/bellwether/", "/bellwether/reports/collections/seasonality/index.html"):
        assert httpx.get(base + path, timeout=SLOW).status_code in (401, 403), path
    mlflow = f"http://{done.stack.address('mlflow')}"
    for path in ("/", "/api/2.0/mlflow/experiments/search?max_results=1", "/get-artifact?run_uuid=1&path=x"):
        assert httpx.get(mlflow + path, timeout=SLOW).status_code == 401, path


def test_no_secret_is_in_a_log_a_database_a_file_or_the_store(done: Done) -> None:
    stack = done.stack
    secrets = [stack.secret(name) for name in SECRET_FILES]
    assert all(len(secret) >= 20 for secret in secrets)
    texts = dict(written(stack)) | dict(told_by_databases(stack)) | dict(stored(stack))
    assert len(texts) > 100 and any("task_instance" in name for name in texts)
    assert any(name.startswith("store/") and f"# {FAMILY}, version" in text for name, text in texts.items())
    shown = [
        (name, SECRET_FILES[n]) for name, text in texts.items() for n, s in enumerate(secrets) if s in text
    ]
    assert shown == []


def written(stack: Stack) -> Iterator[tuple[str, str]]:
    for folder in ("homes", "volumes", "out"):
        for path in (stack.root / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                with suppress(FileNotFoundError):  # the workers live, and their scratch files come and go
                    yield str(path.relative_to(stack.root)), path.read_bytes().decode("utf-8", "replace")


def told_by_databases(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every row of every table of Airflow, MLflow and the ledger (XCom and rendered fields among them)."""
    for name in ("airflow", "mlflow", "ledger"):
        address = f"postgresql://{name}:{stack.secret(f'postgres_{name}')}@{stack.address('postgres')}/{name}"
        with psycopg.connect(address) as connection:
            tables = connection.execute(
                "select tablename from pg_tables where schemaname = 'public'"
            ).fetchall()
            for (table,) in tables:
                rows = connection.execute(f'select t::text from "{table}" t').fetchall()
                yield f"{name}.{table}", "\n".join(row[0] or "" for row in rows)

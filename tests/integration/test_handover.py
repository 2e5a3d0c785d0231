"""Workers with homes of their own: one goes on where another left a run, by the ledger and an object store alone."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from ml import handover, workspace
from ml.actions.ingest import open_ingest, seal
from ml.actions.load import load
from ml.config import settings
from ml.errors import SeamUnavailable, UsageError
from ml.seams import versioning
from ml.seams.ledger import Ledger, migrate
from ml.seams.ledger.models import Run
from ml.world import simulate

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("moto", "dvc_s3")),
        reason="moto and dvc-s3 are not installed here (requirements-test.txt has them)",
    ),
]
RUN = "ingest-1"
Moved = Callable[[str], Path]


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """Address of an object store with a bucket `data`."""
    import boto3
    from moto.server import ThreadedMotoServer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="data")
    yield url
    server.stop()


@pytest.fixture
def move(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moved:
    """Lets this process be the worker of that name: a home of its own, everybody's ledger, warehouse, store."""
    for name in [name for name in os.environ if name.startswith(("BELLWETHER_", "AWS_"))]:
        monkeypatch.delenv(name)
    everybody = {
        "BELLWETHER_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "BELLWETHER_WAREHOUSE_URL": f"duckdb:///{tmp_path}/warehouse.duckdb",
        "BELLWETHER_REMOTE_URL": f"s3://data/{tmp_path.name}",
        "AWS_ENDPOINT_URL": store, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for name, value in everybody.items():
        monkeypatch.setenv(name, value)

    def to(worker: str) -> Path:
        monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / worker))
        return tmp_path / worker / "runs" / RUN

    return to


def test_three_workers_share_the_stages_of_one_ingest(move: Moved) -> None:
    first = move("first")
    migrate(settings().ledger)
    load(settings().warehouse, "world", {"products": simulate("small", 7).tables["products"]})
    open_ingest(RUN, only=("products",))
    handover.run_stage(RUN, "snapshot@products", force=True)

    second = move("second")
    with pytest.raises(UsageError, match="no workspace here"):
        workspace.existing(RUN)
    handover.run_stage(RUN, "validate@products")
    paths = ("data/snapshot/products", "data/inputs/history")
    assert all(_same(first / path, second / path) for path in paths)
    assert not (first / "data/validated").exists()

    third = move("third")
    assert seal(RUN) == ("products",)
    assert (third / "data/validation/products/result.json").exists()
    assert not (third / "data/snapshot").exists() and not (third / "data/validated").exists()
    (sealed,) = Ledger(settings().ledger).sealed(["products"])
    assert sealed.digest == versioning.digest_of_folder(second / "data/validated/products")
    lock = versioning.parse_lock(Ledger(settings().ledger).run(RUN).lock)
    assert set(lock) == {"snapshot@products", "validate@products"}

    move("first")
    handover.take(RUN, "data/validated/products")
    assert _same(first / "data/validated/products", second / "data/validated/products")


def _same(one: Path, other: Path) -> bool:
    return versioning.digest_of_folder(one) == versioning.digest_of_folder(other)


def test_a_worker_with_other_code_leaves_the_run_to_others(
    move: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    move("first")
    migrate(settings().ledger)
    Ledger(settings().ledger).open_run(_run(code_digest="f" * 64))
    with pytest.raises(SeamUnavailable, match="other code") as caught:
        handover.take(RUN)
    assert caught.value.retried
    assert not workspace.folder_of(RUN).exists()


def test_a_run_that_nobody_opened_is_a_usage_error(move: Moved) -> None:
    move("first")
    migrate(settings().ledger)
    with pytest.raises(UsageError, match="no run"):
        handover.take(RUN)


def test_stages_that_end_at_once_lose_nothing(move: Moved) -> None:
    move("first")
    migrate(settings().ledger)
    ledger = Ledger(settings().ledger)
    ledger.open_run(_run())
    names = [f"snapshot@{number}" for number in range(12)]
    with ThreadPoolExecutor(len(names)) as pool:
        done = [pool.submit(_note, ledger, name) for name in names]
        for job in done:
            job.result()
    assert set(versioning.parse_lock(ledger.run(RUN).lock)) == set(names)


def _note(ledger: Ledger, name: str) -> None:
    ledger.change_lock(RUN, lambda lock: versioning.merged(lock, {name: {"cmd": name}}))


def _run(code_digest: str = "") -> Run:
    return Run(run_id=RUN, kind="ingest", as_of=date(2025, 1, 1), code_digest=code_digest, params="{}")


def test_a_folder_as_remote_is_one_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.delenv("BELLWETHER_REMOTE_URL", raising=False)
    assert not settings().shared
    with pytest.raises(UsageError, match="no workspace here"):
        handover.take(RUN)

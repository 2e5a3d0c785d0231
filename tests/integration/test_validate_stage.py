"""The stage as DVC runs it: one process, its exit code, what it prints, and the error it hands on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import DataRejected, from_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "expectations", tmp_path / "expectations")
    folder = tmp_path / "data/snapshot/creators"
    folder.mkdir(parents=True)
    rows = {"creator_id": [f"c{i}" for i in range(100)], "followers": list(range(100))}
    pq.write_table(pa.table(rows, schema=arrow_schema(TABLES["creators"])), folder / "part-000.parquet")
    (folder / "manifest.json").write_text('{"rows": 100}')
    return tmp_path


def run(workspace: Path) -> subprocess.CompletedProcess[str]:
    here = {**os.environ, "PYTHONPATH": str(ROOT), "BELLWETHER_ERROR_FILE": str(workspace / "error.json")}
    command = [sys.executable, "-m", "ml.stages.validate", "creators"]
    return subprocess.run(
        command, cwd=workspace, env=here, capture_output=True, text=True, timeout=300, check=False
    )


def test_accepted_and_quiet(workspace: Path) -> None:
    done = run(workspace)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "creators: 100 rows, 100 passed, 0 put aside"
    assert done.stdout == ""
    page = (workspace / "data/validation/creators/docs/index.html").read_text()
    assert "creator_id" in page and "Failed Only" not in page  # a control that does nothing
    assert page.count("<div") == page.count("</div>")


def test_rejected(workspace: Path) -> None:
    shutil.copy(
        workspace / "data/snapshot/creators/part-000.parquet",
        workspace / "data/snapshot/creators/part-001.parquet",
    )
    (workspace / "data/snapshot/creators/manifest.json").write_text('{"rows": 200}')
    done = run(workspace)
    error = from_json((workspace / "error.json").read_text())
    assert (done.returncode, type(error)) == (2, DataRejected)
    assert "column creator_id: 200 of 200 rows (100.00%)" in str(error)
    assert str(error) in done.stderr
    assert str(workspace / "data/validation/creators/docs/index.html") in error.next_step

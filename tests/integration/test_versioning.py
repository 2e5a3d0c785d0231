"""Real DVC workspaces over one cache: what is skipped, what travels, what an error becomes."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml.errors import BellwetherError, DataRejected, SeamUnavailable
from ml.seams import versioning

pytestmark = pytest.mark.integration

PIPELINE = """
stages:
  one:
    foreach: ${names}
    do:
      cmd: python stage.py ${key}
      deps:
        - stage.py
      params:
        - seed
      outs:
        - data/${key}
"""
STAGE = """
import os, pathlib, sys, time
name = sys.argv[1]
if name == "slow":
    pathlib.Path("started").touch(); time.sleep(60)
if name == "bad":
    from ml.errors import DataRejected
    error = DataRejected("table bad: 3 rows", found="-1", expected=">= 0", next_step="repair")
    pathlib.Path(os.environ["BELLWETHER_ERROR_FILE"]).write_text(error.to_json()); sys.exit(2)
if name == "crash":
    raise RuntimeError("boom")
out = pathlib.Path("data", name); out.mkdir(parents=True)
(out / "rows.txt").write_text(name)
with open(os.environ["COUNTER"], "a") as counter: counter.write(name + "\\n")
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> versioning.Store:
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    return versioning.Store(tmp_path / "cache", str(tmp_path / "remote"), tmp_path / "site")


def workspace(folder: Path, store: versioning.Store, seed: int = 1) -> Path:
    folder.mkdir()
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "stage.py").write_text(STAGE)
    names = "".join(f"  {name}: 1\n" for name in ("a", "b", "c", "bad", "crash", "slow"))
    (folder / "params.yaml").write_text(f"seed: {seed}\nnames:\n{names}")
    versioning.configure(folder, store)
    return folder


def ran(tmp_path: Path) -> list[str]:
    path = tmp_path / "counter"
    return path.read_text().split() if path.exists() else []


def test_the_same_stage_with_the_same_inputs_runs_once_anywhere(
    tmp_path: Path, store: versioning.Store
) -> None:
    versioning.repro(workspace(tmp_path / "w1", store), "one@a")
    versioning.repro(workspace(tmp_path / "w2", store), "one@a")
    versioning.repro(workspace(tmp_path / "w3", store, seed=2), "one@a")
    assert ran(tmp_path) == ["a", "a"]
    assert (tmp_path / "w2/data/a/rows.txt").read_text() == "a"


def test_stages_of_one_workspace_may_run_at_the_same_time(tmp_path: Path, store: versioning.Store) -> None:
    folder = workspace(tmp_path / "w", store)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: versioning.repro(folder, f"one@{name}"), "abc"))
    assert sorted(versioning.read_lock(folder)) == ["one@a", "one@b", "one@c"]


def test_another_workspace_gets_the_data_by_lock_even_when_the_cache_is_lost(
    tmp_path: Path, store: versioning.Store
) -> None:
    first = workspace(tmp_path / "w1", store)
    versioning.repro(first, "one@a")
    versioning.push(first)
    elsewhere = versioning.Store(tmp_path / "cache2", store.remote, tmp_path / "site2")
    second = workspace(tmp_path / "w2", elsewhere)
    versioning.write_lock(second, versioning.read_lock(first))
    versioning.pull(second, ["data/a"])
    assert (second / "data/a/rows.txt").read_text() == "a"


def test_a_pointer_brings_a_folder_by_its_digest(tmp_path: Path, store: versioning.Store) -> None:
    first = workspace(tmp_path / "w1", store)
    versioning.repro(first, "one@a")
    digest = versioning.digest_of(versioning.read_lock(first), "one@a", "data/a")
    second = workspace(tmp_path / "w2", store)
    (second / "champion.dvc").write_text(versioning.pointer("champion", digest))
    versioning.pull(second, ["champion.dvc"])
    assert (second / "champion/rows.txt").read_text() == "a"


def test_advice_for_people_at_a_keyboard_is_not_passed_on(
    tmp_path: Path, store: versioning.Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        versioning.repro(workspace(tmp_path / "w", store), "one@a")
    assert any("one@a" in message for message in caplog.messages)
    assert not any("dvc push" in message for message in caplog.messages)


def test_a_stage_error_keeps_its_class_and_words(tmp_path: Path, store: versioning.Store) -> None:
    with pytest.raises(DataRejected, match="table bad: 3 rows") as caught:
        versioning.repro(workspace(tmp_path / "w", store), "one@bad")
    assert caught.value.next_step == "repair"


def test_a_crash_shows_its_last_lines(tmp_path: Path, store: versioning.Store) -> None:
    with pytest.raises(BellwetherError, match="boom"):
        versioning.repro(workspace(tmp_path / "w", store), "one@crash")


def test_data_that_is_nowhere_is_an_outage_that_names_the_command(
    tmp_path: Path, store: versioning.Store
) -> None:
    folder = workspace(tmp_path / "w", store)
    (folder / "champion.dvc").write_text(versioning.pointer("champion", "0" * 32 + ".dir"))
    with pytest.raises(SeamUnavailable, match="neither in the cache nor in the remote"):
        versioning.pull(folder, ["champion.dvc"])


def test_stopping_us_stops_the_stage(tmp_path: Path, store: versioning.Store) -> None:
    folder = workspace(tmp_path / "w", store)
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "from pathlib import Path; from ml.seams import versioning\n"
        f"versioning.repro(Path({str(folder)!r}), 'one@slow')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (folder / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.terminate()
        process.wait(30)
    alive = subprocess.run(
        ["pgrep", "-f", "stage.py slow"], capture_output=True, text=True, check=False
    ).stdout.split()
    mine = [
        pid
        for pid in alive
        if Path(f"/proc/{pid}/cwd").exists() and Path(f"/proc/{pid}/cwd").resolve() == folder
    ]
    assert mine == []

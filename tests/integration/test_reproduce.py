"""A version is rebuilt from its record alone; what stands in the way is named. Real DVC, MLflow store and ledger."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, text

from ml.actions.load import load
from ml.actions.loop import run_loop
from ml.actions.reproduce import reproduce
from ml.cli import main
from ml.config import settings
from ml.errors import NotReproducible, UsageError
from ml.seams import versioning
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import Run
from ml.seams.tracking import Tracking
from ml.world import simulate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
FAMILY = "seasonality"
ROOT = Path(__file__).resolve().parents[2]
QUICK: dict[str, Any] = {
    "rounds": 10,
    "text_components": 2,
    "autoets_series": 0,
    "training_days": 60,
    "nthread": 1,
}


@dataclass(frozen=True)
class Made:
    """A version, and where it was recorded."""

    version: str
    run: Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("BELLWETHER_")]:
            patch.delenv(name)
        patch.setenv("BELLWETHER_HOME", str(home))
        patch.setenv("BELLWETHER_PROJECT", str(committed(tmp_path_factory.mktemp("project"))))
        load(settings().warehouse, "world", simulate("small", 7, days=250).tables)
        version = run_loop(FAMILY, None, overrides=QUICK).version
        yield Made(version, Ledger(settings().ledger).run_of_version(FAMILY, version))


def committed(project: Path) -> Path:
    """A checkout of its own, with everything committed: the one we work in may change while the tests run."""
    for name in ("ml", "expectations"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, project / name)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project


@pytest.fixture
def record(made: Made) -> Iterator[Made]:
    """The version's record, put back as it was after the test."""
    yield made
    change(made, params=made.run.params, lock=made.run.lock)


def change(made: Made, **columns: str) -> None:
    Ledger(settings().ledger).update_run(made.run.run_id, **columns)


def validated(made: Made) -> str:
    lock = versioning.parse_lock(made.run.lock)
    return versioning.digest_of(lock, "validate@order_lines", "data/validated/order_lines")


def stored(digest: str) -> list[Path]:
    """The object in the cache and in the remote."""
    roots = (settings().cache, Path(settings().remote))
    return [found for root in roots if (found := root / "files/md5" / digest[:2] / digest[2:]).exists()]


def test_a_changed_seed_in_the_record_is_not_followed(record: Made) -> None:
    params = yaml.safe_load(record.run.params)
    params["families"][FAMILY]["params"]["seed"] = 8
    change(record, params=yaml.safe_dump(params))
    with pytest.raises(NotReproducible, match="not those that it ran with") as caught:
        reproduce(FAMILY + ":" + record.version)
    assert "recipe digest" in str(caught.value)
    assert Tracking(settings().mlflow).version_tags(FAMILY, record.version)["identical"] == "false"


def test_a_lost_object_is_named(record: Made, tmp_path: Path) -> None:
    objects = stored(validated(record))
    assert objects
    kept = [(found, tmp_path / str(number)) for number, found in enumerate(objects)]
    for found, copy in kept:
        shutil.move(found, copy)
    try:
        with pytest.raises(NotReproducible, match="is lost") as caught:
            reproduce(f"{FAMILY}:{record.version}")
    finally:
        for found, copy in kept:
            shutil.move(copy, found)
    assert "data/validated/order_lines" in str(caught.value)
    assert "backup" in str(caught.value)


def test_a_row_changed_in_every_copy_is_found(record: Made) -> None:
    """In one copy alone it does no harm: DVC sees that the cache is spoilt and fetches the other."""
    (listing, *_) = stored(validated(record))
    copies = stored(yaml.safe_load(listing.read_text())[0]["md5"])
    content = copies[0].read_bytes()
    middle = len(content) // 2
    spoilt = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for file in copies:
        file.chmod(0o644)
        file.write_bytes(spoilt)
    try:
        with pytest.raises(NotReproducible, match=r"not what was recorded|is lost") as caught:
            reproduce(f"{FAMILY}:{record.version}")
    finally:
        for file in copies:
            file.write_bytes(content)
    assert "data/validated/order_lines" in str(caught.value)


def test_a_version_is_rebuilt_byte_for_byte_in_a_home_that_has_only_the_remote(
    made: Made, tmp_path: Path
) -> None:
    """As on another machine, later: its own cache and workspaces, and a checkout whose code has moved on."""
    at = settings()
    moved = at.project / "ml/toolkit/metrics.py"
    code = moved.read_text()
    moved.write_text(f"{code}\n# a line more\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(tmp_path))
        for name in ("ledger", "mlflow", "remote"):
            patch.setenv(f"BELLWETHER_{name.upper()}_URL", getattr(at, name))
        found = reproduce(f"{FAMILY}:{made.version}")
    moved.write_text(code)
    lock = versioning.parse_lock(made.run.lock)
    assert found.digests[f"data/model/{FAMILY}"] == versioning.digest_of(
        lock, f"train@{FAMILY}", f"data/model/{FAMILY}"
    )
    assert set(found.digests) == {
        f"data/{what}/{FAMILY}" for what in ("features", "model", "evaluation", "verdict")
    }
    tags = Tracking(at.mlflow).version_tags(FAMILY, made.version)
    assert tags["identical"] == "true" and tags["reproduced_at"]
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_differs_is_told_with_the_likely_reason(
    record: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record of a model made with another library: only it differs, and the library is named."""
    digest = versioning.digest_of(
        versioning.parse_lock(record.run.lock), f"train@{FAMILY}", f"data/model/{FAMILY}"
    )
    change(record, lock=record.run.lock.replace(digest, "0" * 32 + ".dir"))
    notes = {**record.run.notes["libraries"], "xgboost": "1.0.0"}
    Ledger(settings().ledger).update_run(record.run.run_id, notes={"libraries": notes})
    monkeypatch.setattr("sys.argv", ["bellwether", "reproduce", f"{FAMILY}:{record.version}"])
    with pytest.raises(SystemExit) as end:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 3
    assert f"data/model/{FAMILY}" in said and f"data/features/{FAMILY}" not in said.split("next step")[0]
    assert "xgboost 1.0.0 then" in said


def test_code_that_was_never_committed_is_not_to_be_had(record: Made) -> None:
    Ledger(settings().ledger).update_run(
        record.run.run_id, git_commit=f"{record.run.git_commit}+changes", code_digest="f" * 64
    )
    try:
        with pytest.raises(NotReproducible, match="never committed"):
            reproduce(f"{FAMILY}:{record.version}")
    finally:
        change(record, git_commit=record.run.git_commit, code_digest=record.run.code_digest)


def test_plain_dvc_rebuilds_a_published_version(made: Made, tmp_path: Path) -> None:
    """The commands of the README, as they stand there, in a clone that has only what is recorded and the remote."""
    import mlflow

    at, clone, downloaded = settings(), tmp_path / "rebuilt", tmp_path / "downloaded"
    mlflow.set_tracking_uri(at.mlflow)
    for name in ("workspace/dvc.lock", "workspace/params/params.yaml"):
        mlflow.artifacts.download_artifacts(
            run_id=made.run.notes["mlflow_run_id"], artifact_path=name, dst_path=str(downloaded)
        )
    files = {Path(name).name: str(name) for name in downloaded.rglob("*.*") if name.is_file()}
    said = (ROOT / "README.md").read_text()
    block = said[said.index("    git clone URL rebuilt") : said.index("(A version that had to beat")]
    script = "\n".join(line.strip() for line in block.splitlines())
    for word, meant in {
        "URL": str(at.project), "COMMIT": made.run.git_commit.removesuffix("+changes"), "REMOTE": at.remote,
        "DOWNLOADED/dvc.lock": files["dvc.lock"], "DOWNLOADED/params.yaml": files["params.yaml"],
    }.items():  # fmt: skip
        assert word in script
        script = script.replace(word, meant)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env={**kept, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert (clone / "dvc.lock").read_text() == (clone / "recorded.lock").read_text()
    model = clone / "data/model" / FAMILY
    assert model.is_dir() and "Running stage 'train@seasonality'" in done.stdout


def test_an_unknown_version_is_a_usage_error(made: Made) -> None:
    with pytest.raises(UsageError):
        reproduce(f"{FAMILY}:99")
    with create_engine(settings().ledger).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM decisions")).scalar() == 1

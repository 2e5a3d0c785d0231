"""A version is rebuilt from its record alone; what stands in the way is named. Real DVC, MLflow store and ledger."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ml import workspace
from ml.actions.ingest import open_ingest, seal
from ml.actions.load import load
from ml.actions.record import record as record_in_mlflow
from ml.actions.reproduce import reproduce
from ml.actions.retrain import approve, open_retrain, promote, verdict_of
from ml.cli import main
from ml.config import settings
from ml.errors import NotReproducible, UsageError
from ml.families import family as family_of
from ml.pipeline import stages_of
from ml.seams import versioning
from ml.seams.ledger import Ledger, migrate
from ml.seams.ledger.models import Run
from ml.seams.tracking import Tracking
from ml.toolkit.gate import CHALLENGER
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
    "seed": 7,
}


@dataclass(frozen=True)
class Made:
    """A version, and where it was recorded."""

    version: str
    run: Run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A shop, its sealed tables, and a checkout of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("BELLWETHER_PROJECT", str(committed(tmp_path_factory.mktemp("project"))))
        load(settings().warehouse, "world", simulate("small", 7, days=250).tables)
        migrate(settings().ledger)
        opened = open_ingest("ingest-1", None, only=family_of(FAMILY).tables)
        dvc(opened.run_id, *(f"{kind}@{name}" for kind in ("snapshot", "validate") for name in opened.tables))
        seal(opened.run_id)
        yield


@pytest.fixture(scope="module")
def made(home: None) -> Made:
    """The first version: it had no champion to beat."""
    return promoted("1", learning_rate=0.001)


@pytest.fixture(scope="module")
def second(made: Made) -> Made:
    """One that has beaten the champion."""
    return promoted("2")


def promoted(number: str, **overrides: Any) -> Made:
    run_id = f"{FAMILY}-{number}"
    open_retrain(FAMILY, run_id, overrides={**QUICK, **overrides})
    dvc(run_id, *stages_of(FAMILY))
    version = record_in_mlflow(run_id).version
    assert approve(run_id), verdict_of(run_id)["reasons"]
    promote(run_id)
    return Made(version, Ledger(settings().ledger).run(run_id))


def dvc(run_id: str, *stages: str) -> None:
    """Run a run's stages by one command: a process of DVC's takes longer to start than most of them to run."""
    command = ["repro", "--quiet", "--single-item", *stages]
    versioning._required(workspace.existing(run_id), command, "a stage failed")


def committed(project: Path) -> Path:
    """A checkout of its own, with everything committed: the one we work in may change while the tests run."""
    for name in ("ml", "expectations"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, project / name)
    params = (ROOT / "params.yaml").read_text()
    assert "confidence: 0.95" in params  # of so small a shop hardly anything is known beyond doubt
    (project / "params.yaml").write_text(params.replace("confidence: 0.95", "confidence: 0.7"))
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project


@pytest.fixture
def record(made: Made) -> Iterator[Made]:
    """The version's record, put back as it was after the test."""
    yield made
    change(made, params=made.run.params, lock=made.run.lock)
    Ledger(settings().ledger).update_run(made.run.run_id, notes={"libraries": made.run.notes["libraries"]})


def change(made: Made, **columns: str) -> None:
    Ledger(settings().ledger).update_run(made.run.run_id, **columns)


def validated(made: Made) -> str:
    lock = versioning.parse_lock(made.run.lock)
    return versioning.digest_of(lock, "validate@order_lines", "data/validated/order_lines")


def stored(digest: str) -> list[Path]:
    """The object in the cache and in the remote."""
    roots = (settings().cache, Path(settings().remote))
    return [found for root in roots if (found := root / "files/md5" / digest[:2] / digest[2:]).exists()]


def test_a_changed_seed_in_the_record_is_named_and_not_followed(record: Made) -> None:
    params = yaml.safe_load(record.run.params)
    params["families"][FAMILY]["params"]["seed"] = 8
    change(record, params=yaml.safe_dump(params))
    with pytest.raises(NotReproducible, match="not those that it ran with") as caught:
        reproduce(FAMILY + ":" + record.version)
    assert caught.value.found == f"families.{FAMILY}.params.seed 7 → 8"
    assert Tracking(settings().mlflow).version_tags(FAMILY, record.version)["identical"] == "false"


def test_a_parameter_that_no_stage_reads_is_missed_by_its_digest(record: Made) -> None:
    params = yaml.safe_load(record.run.params)
    change(record, params=yaml.safe_dump({**params, "schedule": {"ingest": "@hourly"}}))
    with pytest.raises(NotReproducible, match="recipe digest"):
        reproduce(FAMILY + ":" + record.version)


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
    assert str(caught.value).startswith(f"data of run {record.run.run_id} is lost")
    assert "data/validated/order_lines" in str(caught.value.expected)
    assert "restore the remote from its backup" in caught.value.next_step


def test_a_row_changed_in_every_copy_is_found(record: Made) -> None:
    """In one copy alone it does no harm: DVC sees that the cache is spoilt and fetches the other."""
    (listing, *_) = stored(validated(record))
    copies = stored(yaml.safe_load(listing.read_text())[0]["md5"])
    content = copies[0].read_bytes()
    for file in copies:
        file.chmod(0o644)
        with_a_row_changed(file)
    try:
        with pytest.raises(NotReproducible) as caught:
            reproduce(f"{FAMILY}:{record.version}")
    finally:
        for file in copies:
            file.write_bytes(content)
    said = "data/validated/order_lines is not what was recorded: a file of the data cache was changed"
    assert caught.value.what == said


def with_a_row_changed(file: Path) -> None:
    rows = pq.read_table(file)
    price = rows["unit_price"].to_pylist()
    column = pa.array([price[0] * 2, *price[1:]], rows.schema.field("unit_price").type)
    pq.write_table(rows.set_column(rows.column_names.index("unit_price"), "unit_price", column), file)


def test_a_version_that_beat_a_champion_is_rebuilt_byte_for_byte_in_a_home_that_has_only_the_remote(
    second: Made, tmp_path: Path
) -> None:
    """As on another machine, later: its own cache and workspaces, and a checkout whose code has moved on."""
    at, lock = settings(), versioning.parse_lock(second.run.lock)
    moved = at.project / "ml/toolkit/metrics.py"
    code = moved.read_text()
    moved.write_text(f"{code}\n# a line more\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(tmp_path))
        for name in ("ledger", "mlflow", "remote"):
            patch.setenv(f"BELLWETHER_{name.upper()}_URL", getattr(at, name))
        found = reproduce(f"{FAMILY}:{second.version}")
    moved.write_text(code)
    read = {dep["path"]: dep.get("nfiles") for dep in lock[f"evaluate@{FAMILY}"]["deps"]}
    assert read["data/inputs/champion"] > 1  # not the note alone that there was none
    assert found.digests == {
        path: versioning.digest_of(lock, stage, path)
        for stage, path in (
            (f"features-{FAMILY}", f"data/features/{FAMILY}"),
            (f"train@{FAMILY}", f"data/model/{FAMILY}"),
            (f"evaluate@{FAMILY}", f"data/evaluation/{FAMILY}"),
            (f"gate@{FAMILY}", f"data/verdict/{FAMILY}"),
        )
    }
    tags = Tracking(at.mlflow).version_tags(FAMILY, second.version)
    assert tags["identical"] == "true" and tags["reproduced_at"]
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.fixture
def computed_otherwise(record: Made, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages that give what was recorded, but for one metric: as under another library. Its name and both values."""
    told: list[str] = []

    def repro(folder: Path, stage: str, *, force: bool = False) -> None:
        body = versioning.parse_lock(record.run.lock)[stage]
        (path,) = (out["path"] for out in body["outs"])
        shutil.copytree(workspace.folder_of(record.run.run_id) / path, folder / path)
        if stage == f"evaluate@{FAMILY}":
            told.append(raised(folder / path / "metrics.json"))
        out = {**body["outs"][0], "md5": versioning.digest_of_folder(folder / path)}
        versioning.write_lock(folder, {**versioning.read_lock(folder), stage: {**body, "outs": [out]}})

    monkeypatch.setattr(versioning, "repro", repro)
    return told


def raised(file: Path) -> str:
    """Raise the first metric of the hold-out by a thousandth; says which, from where to where."""
    found = json.loads(file.read_text())
    metrics = found["folds"][found["holdout"]][CHALLENGER]
    name, was = next(iter(metrics.items()))
    metrics[name] = was * 1.001
    file.unlink()
    file.write_text(json.dumps(found))
    return f"{found['holdout']}/{CHALLENGER}/{name} {was:.6g} → {metrics[name]:.6g}"


def test_another_library_is_named_with_the_metrics_that_differ(
    record: Made,
    computed_otherwise: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    notes = {**record.run.notes["libraries"], "xgboost": "1.0.0"}
    Ledger(settings().ledger).update_run(record.run.run_id, notes={"libraries": notes})
    monkeypatch.setattr("sys.argv", ["bellwether", "reproduce", f"{FAMILY}:{record.version}"])
    with pytest.raises(SystemExit) as end:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 3
    found, _, next_step = said.partition("found: ")[2].partition("next step: ")
    assert found.startswith(f"data/evaluation/{FAMILY}: metrics.json; {computed_otherwise[0]} expected:")
    now = record.run.notes["libraries"]["xgboost"]
    assert next_step.startswith(
        f"install the versions of then (xgboost 1.0.0 then, {now} now), and try again"
    )


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
    before = len(Ledger(settings().ledger).decisions(FAMILY))
    with pytest.raises(UsageError):
        reproduce(f"{FAMILY}:99")
    assert len(Ledger(settings().ledger).decisions(FAMILY)) == before

"""A home with a family of one number: real ledger, registry, warehouse, workspaces, pages; DVC's part is played here.

Version 1 is in service and published; version 2 has won the gate. (With DVC's processes a hundred killed publishes
would take an hour; `test_loop` and `test_reproduce` run them.)
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ml import workspace
from ml.actions.publish import publish
from ml.actions.record import record
from ml.actions.retrain import approve, open_retrain, promote
from ml.config import settings
from ml.families import _template, family
from ml.pipeline import stages_of
from ml.publishing.catalogue import COLLECTION_ITEMS, COLLECTIONS
from ml.seams import versioning
from ml.seams.engine import open_engine
from ml.seams.ledger import Ledger, migrate
from ml.seams.ledger.models import Run, Snapshot
from ml.seams.warehouse import connect
from ml.stages.evaluate import evaluate
from ml.stages.family_params import params_of
from ml.stages.gate import gate
from ml.stages.train import train

ROOT = Path(__file__).resolve().parents[2]
NAME, AS_OF, SEALED = "tiny", date(2025, 3, 1), "ingest-1"
ONE, TWO = "tiny-1", "tiny-2"
_PARAMS = f"""
as_of: "{AS_OF}"
tables:
  products: {{checked_against: [products, products]}}
  order_lines: {{checked_against: [products, products]}}
families:
  tiny: {{params: {{}}}}
"""


class Params(_template.TemplateParams):
    share: float = 1.0


def _collections(model: Any, as_of: date) -> dict[str, pa.Table]:
    """One collection; its text says which model it is of."""
    head = {
        "collection_id": "c",
        "title": f"share {model.share}",
        "occasion_start": as_of,
        "occasion_end": as_of,
    }
    item = {"collection_id": "c", "rank": 1, "product_id": "p00", "title": "p00", "lift": 2.0}
    return {
        "collections": pa.Table.from_pylist([head], COLLECTIONS),
        "collection_items": pa.Table.from_pylist([item], COLLECTION_ITEMS),
    }


def _family() -> Any:
    """The template with a share that is set, so that a version can be as good as a test wants it."""

    def publications(model: Any, matrix: Any, tables: Any, as_of: date, params: Any) -> dict[str, pa.Table]:
        return {"expected_units": _template.score(model, matrix, as_of), **_collections(model, as_of)}

    return replace(
        _template.FAMILY,
        name=NAME,
        tables=("order_lines", "products"),
        params=Params,
        fit=lambda matrix, as_of, params: _template.Model(params.share),
        baselines=lambda matrix, as_of, params: {"recent_mean": _template._predict(matrix, as_of, 9.0)},
        publications=publications,
    )


@contextmanager
def tiny(folder: Path) -> Iterator[Path]:
    """The home, with everything set to it for this process and those that it forks."""
    home, project = folder / "home", folder / "project"
    _project(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(home))
        patch.setenv("BELLWETHER_PROJECT", str(project))
        module = ModuleType(f"ml.families.{NAME}")
        module.__dict__["FAMILY"] = _family()
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(versioning, "repro", repro)
        patch.setattr(versioning, "pull", pull)
        patch.setattr(versioning, "add", add)
        patch.setattr(versioning, "push", push)
        yield home


def _project(project: Path) -> None:
    for name in workspace._CODE:
        (project / name).mkdir(parents=True)
        (project / name / "code.py").write_text("")
    for name in workspace._FILES:
        (project / name).write_text("")
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in ("train", "evaluate", "gate")}
    own = {f"features-{NAME}": {"cmd": "made here", "deps": [], "outs": [f"data/features/{NAME}"]}}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {**own, **kept}}))
    (project / "params.yaml").write_text(_PARAMS)


def build() -> None:
    """Fill the home."""
    migrate(settings().ledger)
    seal(SEALED, AS_OF)
    retrain(ONE, share=3.0)
    assert approve(ONE)
    promote(ONE)
    publish(NAME, "publish-1")
    retrain(TWO, share=1.0)
    assert approve(TWO)


def retrain(run_id: str, *, share: float) -> None:
    open_retrain(NAME, run_id, overrides={"share": share})
    for stage in stages_of(NAME):
        workspace.run_stage(run_id, stage)
    record(run_id)


def seal(run_id: str, as_of: date) -> None:
    """Tables as an ingest would have sealed them; the shop of the warehouse is the one that was read."""
    with connect(settings().warehouse) as warehouse:
        warehouse.swap({"loaded": pa.table({"name": ["tiny"], "loaded_at": [datetime(2025, 1, 1)]})})
        shop = warehouse.shop()
    folder = settings().runs / run_id
    tables = {"products": _products(), "order_lines": _lines(as_of)}
    lock = {f"validate@{name}": _validated(folder, name, rows) for name, rows in tables.items()}
    (folder / "data/inputs/history").mkdir(parents=True)
    (folder / "data/inputs/history/README.md").write_text("Nothing yet.\n")
    history = versioning.pointer("history", _keep(folder / "data/inputs/history"))
    ledger = Ledger(settings().ledger)
    notes = {"tables": list(tables), "shop": shop, "history": history}
    ledger.open_run(Run(run_id=run_id, kind="ingest", as_of=as_of, status="sealed", notes=notes))
    ledger.seal(
        [
            Snapshot(
                run_id=run_id, table_name=name, as_of=as_of, shop=shop, rows=rows.num_rows, quarantined=0,
                digest=_out(lock[f"validate@{name}"], f"data/validated/{name}"),
                lock={f"validate@{name}": lock[f"validate@{name}"]}, profile={},
            )
            for name, rows in tables.items()
        ]
    )  # fmt: skip


def _products() -> pa.Table:
    names = [f"p{number:02}" for number in range(40)]
    return pa.table({"product_id": names, "category": ["a", "b"] * 20})


def _lines(as_of: date) -> pa.Table:
    first = datetime.combine(as_of, datetime.min.time()) - timedelta(days=40)
    days = [first + timedelta(days=number) for number in range(40)]
    rows = [(f"p{p:02}", day, 1 + (p + n) % 3) for n, day in enumerate(days) for p in range(40)]
    ids, times, units = zip(*rows, strict=True)
    counted = {"ordered_at": pa.array(times, pa.timestamp("us")), "quantity": pa.array(units, pa.float64())}
    return pa.table({"product_id": ids, **counted})


def _validated(folder: Path, name: str, rows: pa.Table) -> dict[str, Any]:
    (folder / "data/validated" / name).mkdir(parents=True)
    (folder / "data/validation" / name / "docs").mkdir(parents=True)
    pq.write_table(rows, folder / "data/validated" / name / "part-000.parquet")
    (folder / "data/validation" / name / "docs/index.html").write_text(name)
    paths = (f"data/validated/{name}", f"data/validation/{name}")
    return {"deps": [], "outs": [_entry(folder, path) for path in paths]}


# DVC's part: outputs into the content-addressed cache and the lock, and back


def repro(folder: Path, stage: str, *, force: bool = False) -> None:
    """Run a stage unless the lock says that it has run with these parameters and inputs."""
    kind, lock = stage.partition("@")[0].partition("-")[0], versioning.read_lock(folder)
    outs, deps = _outs(kind), [_entry(folder, path) for path in _deps(kind)]
    params = {"params.yaml": yaml.safe_load((folder / "params.yaml").read_text())}
    made = {"cmd": stage, "deps": deps, "params": params}
    known = lock.get(stage, {})
    if {key: known.get(key) for key in made} == made and (folder / outs).is_dir():
        return
    with chdir(folder):
        {"features": _features, "train": train, "evaluate": evaluate, "gate": gate}[kind](NAME)
    versioning.write_lock(folder, {**lock, stage: {**made, "outs": [_entry(folder, outs)]}})


def _outs(kind: str) -> str:
    return {
        "features": f"data/features/{NAME}", "train": f"data/model/{NAME}",
        "evaluate": f"data/evaluation/{NAME}", "gate": f"data/verdict/{NAME}",
    }[kind]  # fmt: skip


def _deps(kind: str) -> list[str]:
    return {
        "features": ["data/validated/order_lines", "data/validated/products"],
        "train": [_outs("features")],
        "evaluate": [_outs("features"), _outs("train"), "data/inputs/champion"],
        "gate": [_outs("evaluate")],
    }[kind]


def _features(name: str) -> None:
    params, record = workspace.params_of(Path.cwd().name), family(name)
    with open_engine(params.features, Path("data/scratch")) as engine:
        tables = {table: engine.table(table, Path("data/validated") / table) for table in record.tables}
        matrix = record.features(tables, params.as_of, params_of(record, params))
        engine.write(matrix, Path("data/features") / name, record.key)


def add(folder: Path, path: str) -> str:
    text = versioning.pointer(Path(path).name, _keep(folder / path))
    (folder / f"{path}.dvc").write_text(text)
    return text


def pull(folder: Path, targets: Sequence[str]) -> None:
    outs = {out["path"]: out["md5"] for body in versioning.read_lock(folder).values() for out in body["outs"]}
    for target in targets:
        if target.endswith(".dvc"):
            pointed = yaml.safe_load((folder / target).read_text())["outs"][0]
            _fetch(folder / Path(target).parent / pointed["path"], pointed["md5"])
        else:
            _fetch(folder / target, outs[target])


def push(folder: Path, targets: Sequence[str] = ()) -> None:
    """Copy what the targets name (stages, outputs or .dvc files) into the folder that stands for the remote."""
    cache, remote = _objects(), settings().home / "remote/files/md5"
    for digest in _named(folder, targets):
        listed = [item["md5"] for item in json.loads(_object(cache, digest).read_text())]
        for name in (*listed, digest):
            if not _object(remote, name).exists():
                os.link(_object(cache, name), _object(remote, name))


def _named(folder: Path, targets: Sequence[str]) -> Iterator[str]:
    lock = versioning.read_lock(folder)
    for target in targets or lock:
        if target.endswith(".dvc"):
            yield yaml.safe_load((folder / target).read_text())["outs"][0]["md5"]
        else:
            yield from (out["md5"] for out in lock[target]["outs"])


def _entry(folder: Path, path: str) -> dict[str, Any]:
    count = sum(file.is_file() for file in (folder / path).rglob("*"))
    return {"path": path, "md5": _keep(folder / path), "nfiles": count}


def _keep(folder: Path) -> str:
    files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    listing = [{"md5": versioning.md5(file), "relpath": name} for name, file in files.items()]
    digest = versioning.digest_of_folder(folder)
    cache = _objects()
    for item, file in zip(listing, files.values(), strict=True):
        _object(cache, item["md5"]).write_bytes(file.read_bytes())
    _object(cache, digest).write_text(json.dumps(listing))
    return digest


def _fetch(folder: Path, digest: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    cache = _objects()
    for item in json.loads(_object(cache, digest).read_text()):
        (folder / item["relpath"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_object(cache, item["md5"]), folder / item["relpath"])


def _objects() -> Path:
    return settings().cache / "files/md5"


def _object(store: Path, digest: str) -> Path:
    path = store / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _out(body: dict[str, Any], path: str) -> str:
    return next(str(out["md5"]) for out in body["outs"] if out["path"] == path)

"""A family more is an entry in params.yaml and a stage in dvc.yaml: no DAG file changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGE = """
  features-copycat:
    desc: a second family
    cmd: python -m ml.stages.features copycat
    deps:
      - ml/families/copycat
      - data/validated/posts
      - data/validated/creators
    outs:
      - data/features/copycat
"""
READ = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("{dags}")
def uris(of):
    return [of.uri] if hasattr(of, "uri") else sorted(uri for part in of.objects for uri in uris(part))
print(json.dumps({{
    "errors": list(bag.import_errors.values()),
    "tasks": {{name: sorted(dag.task_ids) for name, dag in bag.dags.items()}},
    "starts": {{name: uris(dag.timetable.asset_condition) for name, dag in bag.dags.items() if "_" in name}},
    "approve": {{name: type(dag.task_dict["approve"]).__name__ for name, dag in bag.dags.items()
                if "approve" in dag.task_dict}},
}}))
"""


def _add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _read(in_process: Callable[..., Any], project: Path) -> Any:
    return in_process(READ.format(dags=project / "dags"), project)


def test_a_new_family_appears(in_process: Callable[..., Any], project_copy: Path) -> None:
    _add(project_copy / "dvc.yaml", STAGE)
    _add(project_copy / "params.yaml", "  copycat:\n    approval: human\n    params: {}\n")
    found = _read(in_process, project_copy)
    assert found["errors"] == []
    tables = ["bellwether://tables/creators", "bellwether://tables/posts"]
    assert found["starts"]["retrain_copycat"] == ["bellwether://retrain/copycat", *tables]
    assert "copycat" in found["tasks"]["monitor"] and "copycat" in found["tasks"]["reproduce"]
    assert found["starts"]["publish_copycat"] == ["bellwether://champions/copycat", *tables]
    assert set(found["tasks"]["retrain_copycat"]) == set(found["tasks"]["retrain_seasonality"])
    assert found["approve"].pop("retrain_copycat") == "AskPerson"
    assert set(found["approve"].values()) == {"ApproveTask"}


def test_a_table_less_disappears(in_process: Callable[..., Any], project_copy: Path) -> None:
    params = project_copy / "params.yaml"
    lines = [line for line in params.read_text().splitlines() if not line.startswith("  judgements:")]
    params.write_text("\n".join(lines) + "\n")
    tasks = _read(in_process, project_copy)["tasks"]["ingest"]
    assert "searches.snapshot" in tasks
    assert not [name for name in tasks if name.startswith("judgements")]


def test_a_family_without_its_stage_is_a_clear_error(
    in_process: Callable[..., Any], project_copy: Path
) -> None:
    _add(project_copy / "params.yaml", "  copycat:\n    approval: auto\n    params: {}\n")
    found = _read(in_process, project_copy)
    assert found["tasks"] == {}
    for text in found["errors"]:
        assert "family copycat of params.yaml has no features stage" in text
        assert "features-copycat" in text


def test_an_unknown_key_names_the_nearest_known_one(
    in_process: Callable[..., Any], project_copy: Path
) -> None:
    params = project_copy / "params.yaml"
    params.write_text(params.read_text().replace("approval: auto", "aproval: auto"))
    errors = _read(in_process, project_copy)["errors"]
    assert errors
    assert all("did you mean 'approval'" in text for text in errors)

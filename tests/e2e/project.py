"""A copy of the project whose families train fast."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("dags", "plugins", "expectations", "ml", "docker", "dvc.yaml", "params.yaml", ".dvcignore")
QUICK: dict[str, dict[str, Any]] = {
    "seasonality": {"rounds": 60, "text_components": 4, "autoets_series": 0},
    "viral": {"rounds": 40, "max_rows": 20_000},
    "relevance_fusion": {"rounds": 40, "text_components": 8, "mixes": [0.5], "bootstrap": 100},
    "ground_truth": {"rounds": 40, "folds": 3, "encoder": ""},
}
"""Enough to beat the baselines; what the defaults reach, and how long they take, is measured by `bench/`."""


def copied(project: Path, families: Collection[str] = (), tables: Collection[str] = ()) -> None:
    """The project's files in `project`, for these families and tables (none given: all)."""
    for name in PARTS:
        source, target = ROOT / name, project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "secrets"))
        else:
            shutil.copyfile(source, target)
    _narrow(project / "params.yaml", families, tables)


def _narrow(file: Path, families: Collection[str], tables: Collection[str]) -> None:
    raw: dict[str, Any] = yaml.safe_load(file.read_text())
    raw["tables"] = {name: raw["tables"][name] for name in tables or raw["tables"]}
    raw["families"] = {name: _quick(name, raw["families"][name]) for name in families or raw["families"]}
    file.write_text(yaml.safe_dump(raw, sort_keys=False))


def _quick(family: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "params": {**QUICK.get(family, {}), "nthread": 1}}

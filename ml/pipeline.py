"""`dvc.yaml` and `params.yaml` as the DAG files see them: stages, what they depend on, tables, families.

Reads two small files and imports nothing heavy: it runs at every parse of a DAG file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ml.config import FamilyEntry, Params, load_params, read_yaml, settings
from ml.errors import UsageError

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_PART = re.compile(r"[^.\[\]]+")  # of a name such as item.checked_against[0]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of `dvc.yaml`, for one item of its `foreach` where it has one."""

    name: str
    kind: str
    desc: str
    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages of each table and of each family, every group in an order in which they can run."""

    params: Params
    by_table: Mapping[str, tuple[Stage, ...]]
    by_family: Mapping[str, tuple[Stage, ...]]

    @property
    def families(self) -> Mapping[str, FamilyEntry]:
        """The families of `params.yaml`."""
        return self.params.families

    def upstream(self, stage: Stage) -> set[str]:
        """Names of the tables' stages that make what `stage` reads."""
        return {maker.name for maker in self._makers() if set(maker.outs) & set(stage.deps)}

    def tables_of(self, family: str) -> tuple[str, ...]:
        """The tables that a family's stages read."""
        read = {dep for stage in self.by_family[family] for dep in stage.deps}
        return tuple(
            table for table, stages in self.by_table.items() if any(set(s.outs) & read for s in stages)
        )

    def _makers(self) -> Iterator[Stage]:
        for stages in self.by_table.values():
            yield from stages


def load_pipeline(project: Path | None = None) -> Pipeline:
    """Read the two files of `project` (default: the project of the settings).

    Raises UsageError where a family of `params.yaml` has no stage of its own in `dvc.yaml`.
    """
    project = project or settings().project
    params = load_params(project / "params.yaml")
    raw = read_yaml(project / "dvc.yaml")["stages"]
    tables = {name: entry.model_dump() for name, entry in params.tables.items()}
    families = {name: entry.model_dump() for name, entry in params.families.items()}
    by_table = {table: _ordered(_of(raw, "${tables}", table, item)) for table, item in tables.items()}
    by_family = {
        family: _ordered([*_of(raw, "${families}", family, item), _own(raw, family)])
        for family, item in families.items()
    }
    return Pipeline(params, by_table, by_family)


def stages_of(family: str, project: Path | None = None) -> tuple[str, ...]:
    """Names of a family's stages in `dvc.yaml`, in an order in which they can run."""
    return tuple(stage.name for stage in load_pipeline(project).by_family[family])


def _of(raw: Mapping[str, Any], items: str, key: str, item: Mapping[str, Any]) -> list[Stage]:
    return [
        _stage(f"{kind}@{key}", kind, body["do"], {"desc": body.get("desc", "")}, key, item)
        for kind, body in raw.items()
        if body.get("foreach") == items
    ]


def _own(raw: Mapping[str, Any], family: str) -> Stage:
    kind = "features"
    name = f"{kind}-{family}"
    if name not in raw:
        raise UsageError(
            f"family {family} of params.yaml has no features stage",
            expected=f"a stage {name} in dvc.yaml that names the tables it reads",
            next_step="copy another family's features stage, or take the family out of params.yaml",
        )
    return _stage(name, kind, raw[name], raw[name], family, {})


def _stage(
    name: str, kind: str, body: Mapping[str, Any], about: Mapping[str, Any], key: str, item: Mapping[str, Any]
) -> Stage:
    values = {"key": key, "item": item}
    paths = {
        field: tuple(_filled(path, values) for path in body.get(field, ())) for field in ("deps", "outs")
    }
    return Stage(
        name, kind, about.get("desc", ""), _filled(body["cmd"], values), paths["deps"], paths["outs"]
    )


def _filled(template: str, values: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        found: Any = values
        for part in _PART.findall(match[1]):
            found = found[int(part)] if isinstance(found, list | tuple) else found[part]
        return str(found)

    return _PLACEHOLDER.sub(value, template)


def _ordered(stages: list[Stage]) -> tuple[Stage, ...]:
    by_name = {stage.name: stage for stage in stages}
    before = {
        stage.name: [maker.name for maker in stages if set(maker.outs) & set(stage.deps)] for stage in stages
    }
    return tuple(by_name[name] for name in TopologicalSorter(before).static_order())

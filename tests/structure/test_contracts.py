"""The documentation's table and the declarations say the same; lists that must agree do."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from ml.config import load_params
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, event_time, key, references, sort_order
from ml.families import family

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[list[str], str | None, list[str]]]:
    rows = ROW.findall((ROOT / "docs/contracts.md").read_text())
    return {
        name: (
            [part.strip() for part in keys.split(",")],
            None if when.strip() == "–" else when.strip(),
            [part.strip() for part in columns.split(",")],
        )
        for name, keys, when, columns in rows
    }


def test_eleven_tables_each_in_a_module_of_its_name() -> None:
    modules = {path.stem for path in (ROOT / "ml/contracts").glob("*.py")} - {"__init__", "base"}
    assert set(TABLES) == modules == set(documented())
    assert len(TABLES) == 11


@pytest.mark.parametrize("name", sorted(TABLES))
def test_documentation_and_declaration_agree(name: str) -> None:
    keys, when, columns = documented()[name]
    contract = TABLES[name]
    declared = [
        f"{column.name}{'?' if column.nullable else ''}"
        for column in contract.columns
        if column.name not in key(contract)
    ]
    assert (list(key(contract)), event_time(contract), declared) == (keys, when, columns)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_an_order_is_total_and_starts_with_time_and_key(name: str) -> None:
    contract = TABLES[name]
    order = list(sort_order(contract))
    assert sorted(order) == sorted(arrow_schema(contract).names)
    first = [event_time(contract)] if event_time(contract) else []
    assert order[: len(first) + len(key(contract))] == list(dict.fromkeys([*first, *key(contract)]))


def test_times_are_naive_microseconds() -> None:
    for contract in TABLES.values():
        for field in arrow_schema(contract):
            if pa.types.is_timestamp(field.type):
                assert field.type == pa.timestamp("us")


def test_references_name_key_columns_that_exist() -> None:
    for contract in TABLES.values():
        for target in references(contract).values():
            table, column = target.split(".")
            assert column in key(TABLES[table])


def test_params_list_every_table_once_and_check_it_against_what_it_refers_to() -> None:
    params = load_params(ROOT / "params.yaml")
    assert set(params.tables) == set(TABLES)
    for name, entry in params.tables.items():
        referred = {target.split(".")[0] for target in references(TABLES[name]).values()}
        assert len(entry.checked_against) == 2
        assert set(entry.checked_against) == referred or (
            not referred and set(entry.checked_against) <= set(TABLES)
        )


def test_families_of_params_folders_stages_and_suites_agree() -> None:
    params = load_params(ROOT / "params.yaml")
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    folders = {
        path.parent.name
        for path in (ROOT / "ml/families").glob("*/__init__.py")
        if not path.parent.name.startswith("_")
    }
    feature_stages = {name.removeprefix("features-") for name in stages if name.startswith("features-")}
    suites = {path.stem for path in (ROOT / "expectations/features").glob("*.json")}
    assert set(params.families) == folders == feature_stages == suites
    assert {path.stem for path in (ROOT / "expectations/tables").glob("*.json")} == set(TABLES)


def test_a_features_stage_depends_on_exactly_the_tables_that_its_family_reads() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name in load_params(ROOT / "params.yaml").families:
        deps = stages[f"features-{name}"]["deps"]
        read = {dep.removeprefix("data/validated/") for dep in deps if dep.startswith("data/validated/")}
        assert read == set(family(name).tables)

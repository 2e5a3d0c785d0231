"""A small clean shop, written as the snapshots of one day; tests spoil it and look at what a user would see."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import DataRejected
from ml.stages.validate import validate

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(2024, 3, 1)
DAYS, PER_DAY = 60, 20
Rows = list[dict[str, Any]]


def products() -> Rows:
    return [
        {
            "product_id": f"p{i}",
            "launched_at": datetime(2020, 1, 1),
            "title": f"Mug {i}",
            "category": f"c{i % 4}",
            "price": 5.0 + i,
        }
        for i in range(50)
    ]


def order_lines(days: int = DAYS, until: date = AS_OF, per_day: int = PER_DAY) -> Rows:
    first = datetime(until.year, until.month, until.day) - timedelta(days=days)
    return [
        {
            "order_id": f"o{until:%m%d}-{day}",
            "line_no": i,
            "ordered_at": first + timedelta(days=day, minutes=30 * i),
            "customer_id": None if i % 3 else f"u{i}",
            "product_id": f"p{(7 * i + day) % 50}",
            "quantity": 1.0 + i % 3,
            "unit_price": 5.0 + (7 * i + day) % 50,
        }
        for day in range(days)
        for i in range(per_day)
    ]


class Shop:
    """A run's workspace with the snapshots of products and order_lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "expectations", folder / "expectations")
        self.set_as_of(AS_OF)
        self.products, self.order_lines = products(), order_lines()

    def set_as_of(self, as_of: date) -> None:
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        (self.folder / "params.yaml").write_text(yaml.safe_dump({**params, "as_of": as_of}))

    def put(self, name: str, table: pa.Table, shards: int = 2) -> None:
        folder = self.folder / "data/snapshot" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        size = max(1, -(-table.num_rows // shards))
        for i in range(0, table.num_rows, size):
            pq.write_table(table.slice(i, size), folder / f"part-2024-02-{i // size:03d}.parquet")
        (folder / "manifest.json").write_text(json.dumps({"rows": table.num_rows}))

    def validate(self, name: str = "order_lines") -> dict[str, Any]:
        """Validate `name`; its result.json."""
        self.put("products", table_of("products", self.products))
        self.put("order_lines", table_of("order_lines", self.order_lines))
        return self.validate_as_is(name)

    def validate_as_is(self, name: str) -> dict[str, Any]:
        validate(name)
        found: dict[str, Any] = json.loads((self.report(name) / "result.json").read_text())
        rows = found["rows"]
        assert rows["in"] == rows["passed"] + rows["quarantined"]
        assert (self.passed(name).num_rows, self.quarantined(name).num_rows) == (
            rows["passed"],
            rows["quarantined"],
        )
        return found

    def rejected(self, name: str = "order_lines") -> str:
        """What the user reads when validating `name` is refused."""
        with pytest.raises(DataRejected) as caught:
            self.validate(name)
        return str(caught.value)

    def accept(self, name: str = "order_lines") -> None:
        """Validate, and remember the snapshot as accepted."""
        self.validate(name)
        profile = json.loads((self.report(name) / "profile.json").read_text())
        history = self.folder / "data/inputs/history" / f"{name}.json"
        history.parent.mkdir(parents=True, exist_ok=True)
        before = json.loads(history.read_text())["snapshots"] if history.exists() else []
        history.write_text(json.dumps({"snapshots": [*before, profile]}))

    def accept_yesterday(self) -> None:
        """Accept the snapshots as they were a day ago, then it is `AS_OF` again."""
        today, yesterday = self.order_lines, AS_OF - timedelta(days=1)
        self.set_as_of(yesterday)
        self.order_lines = [row for row in today if row["ordered_at"].date() < yesterday]
        self.accept("order_lines")
        self.accept("products")
        self.order_lines = today
        self.set_as_of(AS_OF)

    def report(self, name: str) -> Path:
        return self.folder / "data/validation" / name

    def passed(self, name: str = "order_lines") -> pa.Table:
        return read(self.folder / "data/validated" / name)

    def quarantined(self, name: str = "order_lines") -> pa.Table:
        return read(self.folder / "data/quarantine" / name)


def read(folder: Path) -> pa.Table:
    """All shards of a folder."""
    shards = [pq.read_table(file) for file in sorted(folder.glob("*.parquet"))]
    return pa.concat_tables(shards, promote_options="permissive")


def table_of(name: str, rows: Rows) -> pa.Table:
    """Rows as the contract's table; a missing value is null, whatever the contract says."""
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(TABLES[name])])
    return pa.Table.from_pylist(rows, schema=schema)


def warnings_of(result: Mapping[str, Any]) -> list[str]:
    """Messages of what a person should look at."""
    return [f"{one['why']}: {one['message']}" for one in result["expectations"] if not one["success"]]

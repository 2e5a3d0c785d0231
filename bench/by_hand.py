"""The same outputs as two stages, computed by DuckDB SQL written by hand: no Ibis, no Great Expectations.

    python -m bench.by_hand validate order_lines   # as `python -m ml.stages.validate order_lines`
    python -m bench.by_hand features seasonality   # as `python -m ml.stages.features seasonality`

Run in a workspace (params.yaml, data/), where the stages before it have run; what comes out goes to data/by-hand, so
that both can be compared. Memory and threads are those of params.yaml. The SQL lies in bench/sql.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import yaml

SQL = Path(__file__).parent / "sql"
OUT = Path("data/by-hand")
WRITE = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
CONTRACTS: Mapping[str, Mapping[str, str]] = {
    "order_lines": {
        "order_id": "string", "line_no": "int64", "ordered_at": "timestamp[us]", "customer_id": "string",
        "product_id": "string", "quantity": "double", "unit_price": "double",
    },
    "posts": {
        "post_id": "string", "posted_at": "timestamp[us]", "product_id": "string", "creator_id": "string",
        "parent_post_id": "string", "platform": "string", "text": "string", "image_uri": "string",
    },
    "searches": {
        "search_id": "string", "position": "int64", "searched_at": "timestamp[us]", "customer_id": "string",
        "query": "string", "modality": "string", "product_id": "string", "engaged": "bool", "purchased": "bool",
    },
}  # fmt: skip
REPORTED = {
    "order_lines": ("whole", "counts", "examples", "days", "deciles", "bins", "distinct_texts"),
    "posts": ("whole", "counts", "examples", "lost", "days", "shares", "distinct_texts"),
    "searches": ("whole", "counts", "examples", "days", "shares", "distinct_texts"),
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "seasonality": {"history_days": 1100, "horizon": 28, "discontinued_after": 400},
    "viral": {
        "posts": [5, 10, 20, 40, 80], "hours": [1, 6, 24, 72, 168, 720, 2160, 8760], "fewest": 5, "quiet_hours": 168,
        "holdout": 0.2,
    },
    "relevance_fusion": {
        "history_days": 728, "period_days": 28, "windows": 3, "window_periods": 4, "recent_periods": 2,
    },
    "ground_truth": {},
}  # fmt: skip


def main() -> None:
    """Run the step that is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("validate", "features"))
    parser.add_argument("of", choices=(*CONTRACTS, *DEFAULTS))
    options = parser.parse_args()
    step = {"validate": validate, "features": features}[options.step]
    step(yaml.safe_load(Path("params.yaml").read_text()), options.of)


def validate(params: Mapping[str, Any], table: str) -> None:
    """data/by-hand/{validated,quarantine,report}/<table>, from data/snapshot."""
    shards = sorted(Path("data/snapshot", table).glob("*.parquet"))
    check_columns(shards, CONTRACTS[table])
    values = {
        "as_of": params["as_of"],
        "every": max(1, sum(pq.read_metadata(shard).num_rows for shard in shards) // 1_000_000),
        "deciles": [n / 10 for n in range(1, 10)],
    }
    with open_database(params["validate"]) as connection:
        run(connection, f"validate_{table}", values)
        split(connection, shards, table)
        run(connection, f"profile_{table}", values)
        report = {name: connection.execute(f"FROM {name}").fetchall() for name in REPORTED[table]}
    (empty(OUT / "report" / table) / "report.json").write_text(json.dumps(report, indent=1, default=str))


def features(params: Mapping[str, Any], family: str) -> None:
    """data/by-hand/features/<family>/part-000.parquet, from data/validated."""
    target = empty(OUT / "features" / family) / "part-000.parquet"
    values = (
        {"as_of": params["as_of"], "target": target} | DEFAULTS[family] | params["families"][family]["params"]
    )
    if "period_days" in values:
        values["periods"] = values["history_days"] // values["period_days"]
    with open_database(params["features"]) as connection:
        run(connection, f"features_{family}", values)


def run(connection: duckdb.DuckDBPyConnection, script: str, values: Mapping[str, Any]) -> None:
    """Fill a script's placeholders and run it, statement by statement (a window has one name per parse)."""
    for statement in (SQL / f"{script}.sql").read_text().split(";\n"):
        connection.execute(statement.format_map(values))


def open_database(limits: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """DuckDB with the limits of a stage; it spills below OUT."""
    spill = str(empty(OUT / "spill"))
    return duckdb.connect(
        config={
            "memory_limit": limits["memory_limit"],
            "threads": limits["threads"],
            "preserve_insertion_order": False,
            "temp_directory": spill,
        }
    )


def check_columns(shards: Sequence[Path], contract: Mapping[str, str]) -> None:
    """Every shard has the contract's columns and types, or this ends here."""
    for shard in shards:
        found = {field.name: str(field.type) for field in pq.read_schema(shard)}
        if found != contract:
            raise SystemExit(f"{shard}: {found}")


def split(connection: duckdb.DuckDBPyConnection, shards: Sequence[Path], table: str) -> None:
    """Each shard's rows go to `validated` or, with the reasons, to `quarantine`; a clean shard is linked."""
    validated, quarantine = empty(OUT / "validated" / table), empty(OUT / "quarantine" / table)
    columns = ", ".join(CONTRACTS[table])
    spoilt = {file for (file,) in connection.execute("SELECT DISTINCT file FROM broken").fetchall()}
    for shard in shards:
        if str(shard) in spoilt:
            write_parts(connection, shard, columns, validated / shard.name, quarantine / shard.name)
        else:
            os.link(shard.resolve(), validated / shard.name)


def write_parts(
    connection: duckdb.DuckDBPyConnection, shard: Path, columns: str, validated: Path, quarantine: Path
) -> None:
    """One shard's rows, in two files."""
    rows = f"read_parquet('{shard}', file_row_number = true)"
    places = f"SELECT place FROM broken WHERE file = '{shard}'"
    passed = f"SELECT {columns} FROM {rows} WHERE file_row_number NOT IN ({places})"
    connection.execute(f"COPY ({passed}) TO '{validated}' {WRITE}")
    broken = f"SELECT place AS file_row_number, reasons FROM broken WHERE file = '{shard}'"
    joined = f"SELECT {columns}, reasons FROM {rows} JOIN ({broken}) USING (file_row_number)"
    connection.execute(f"COPY ({joined} ORDER BY file_row_number) TO '{quarantine}' {WRITE}")


def empty(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()

"""Snapshot -> validate -> features at 1, 10 and 100 million order lines, against hand-written DuckDB SQL.

    python -m bench.throughput --sizes 1m 10m [100m] [--folder DIR] [--keep]

A simulated world of that size is written as Parquet, and a DuckDB warehouse of views over it stands in for the store's.
Each step runs as its own process (peak memory is that process's), and so does the hand-written SQL that computes the
same thing, right after it, with the same memory and threads. `seconds` are those of the work, without the start of
the interpreter and its imports, which are measured by a run of the same imports alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import yaml

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("products", "order_lines", "promotions", "events")


def main() -> None:
    """Parse the arguments, measure each size, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["1m", "10m"], help="1m, 10m, 100m")
    parser.add_argument("--folder", type=Path, help="work there (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the files")
    options = parser.parse_args()
    root = options.folder or Path(tempfile.mkdtemp(prefix="bw-bench"))
    rows = [row for size in options.sizes for row in measure(size, root / size)]
    print("\n| order lines | step | seconds | rows/s | peak memory | by hand, seconds | ratio |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(row)
    if not options.keep:
        shutil.rmtree(root)


def measure(size: str, folder: Path) -> Iterator[str]:
    """Make the world and the workspace, run each step and its counterpart; one Markdown row each."""
    lines = prepare(size, folder)
    work = folder / "work"
    idle, _ = run(
        [sys.executable, "-c", "import ml.stages.snapshot, ml.stages.validate, ml.seams.quality"], work
    )
    for table in TABLES:
        wall, peak = run([sys.executable, "-m", "ml.stages.snapshot", table], work)
        if table == "order_lines":
            yield row_of(lines, "snapshot order_lines", wall - idle, peak, None)
    for table in TABLES:
        wall, peak = run([sys.executable, "-m", "ml.stages.validate", table], work)
        if table == "order_lines":
            by_hand, _ = run([sys.executable, "-m", "bench.by_hand", "validate"], work)
            yield row_of(lines, "validate order_lines", wall - idle, peak, by_hand - started(work))
    wall, peak = run([sys.executable, "-m", "ml.stages.features", "seasonality"], work)
    by_hand, _ = run([sys.executable, "-m", "bench.by_hand", "features"], work)
    yield row_of(lines, "features seasonality", wall - idle, peak, by_hand - started(work))


def started(work: Path) -> float:
    """Seconds to start an interpreter with DuckDB."""
    return run([sys.executable, "-c", "import duckdb"], work)[0]


def prepare(size: str, folder: Path) -> int:
    """World, warehouse of views and workspace under `folder`; the number of order lines."""
    from ml.world import DEFAULT_END, write

    if not (folder / "world").exists():
        write(size, 7, folder / "world")
    (folder / "warehouse.duckdb").unlink(missing_ok=True)
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        for table in TABLES:
            files = f"{folder}/world/{table}/*.parquet"
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}')")
        counted = connection.execute("SELECT count(*) FROM order_lines").fetchone()
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for name in ("ml", "expectations", "bench"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["as_of"] = DEFAULT_END.isoformat()
    (work / "params.yaml").write_text(yaml.safe_dump(params))
    (work / "data/inputs/history").mkdir(parents=True)
    assert counted is not None
    return int(counted[0])


def run(command: list[str], work: Path) -> tuple[float, float]:
    """Wall seconds and peak resident gigabytes of a process that must succeed."""
    environment = {
        **os.environ,
        "BELLWETHER_WAREHOUSE_URL": f"duckdb:///{work.parent}/warehouse.duckdb",
        "BELLWETHER_HOME": str(work.parent / "home"),
    }
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command} failed:\n{said.decode()[-2000:]}")
    return wall, peak_gigabytes(usage)


def peak_gigabytes(usage: resource.struct_rusage) -> float:
    """Peak resident memory in GiB (Linux reports KiB)."""
    return usage.ru_maxrss / 1024**2


def row_of(lines: int, step: str, seconds: float, peak: float, by_hand: float | None) -> str:
    """One Markdown row."""
    hand = "–" if by_hand is None else f"{by_hand:.1f}"
    ratio = "–" if by_hand is None else f"{seconds / by_hand:.2f}"
    text = (
        f"| {lines:,} | {step} | {seconds:.1f} | {lines / seconds:,.0f} | {peak:.2f} GiB | {hand} | {ratio} |"
    )
    print(text, file=sys.stderr, flush=True)
    return text


if __name__ == "__main__":
    main()

"""Snapshot -> validate -> features at 1, 10 and 100 million rows of a table, against hand-written DuckDB SQL.

Of turns also fit, score and publish (`bench.learning`), which nobody wrote by hand.

    python -m bench.throughput --sizes 1m 10m [100m] [--of order_lines posts searches] [--repeat N] [--folder DIR]

A simulated world of that size is written as Parquet, and a DuckDB warehouse of views over it stands in for the store's.
Each step runs as its own process (peak memory is that process's), and so does the hand-written SQL that computes the
same thing (bench/by_hand.py), right after it, with the same memory limit and threads. `work` is the wall time less the
time that a process takes to start and to import what the step imports, which is measured beside it; ratios are of work.
`processor` is the step's processor time less that of its start: on a busy machine it says more.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

ROOT = Path(__file__).resolve().parents[1]
_LIBRARY = "from ml.seams.quality.library import great_expectations; great_expectations()"
IMPORTS = {
    "snapshot": "import ml.stages.snapshot, ml.seams.warehouse, duckdb",
    "validate": f"import ml.stages.validate; {_LIBRARY}",
    "features": f"import ml.stages.features, ml.families.{{family}}; {_LIBRARY}",
    "learning": "import bench.learning, xgboost, sklearn.linear_model, ml.families.{family}",
    "by_hand": "import bench.by_hand",
}
HEADER = (
    "| rows | step | work | rows/s | start | processor | peak memory | by hand: work | processor | peak memory"
    " | ratio |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a growing table, the family whose features are made of it, and all tables that it reads.

    `by_hand` names the steps that are written in SQL, too; `learning` those of `bench.learning` that are measured.
    """

    table: str
    family: str
    tables: tuple[str, ...]
    by_hand: tuple[str, ...]
    learning: tuple[str, ...] = ()

    def steps(self) -> Iterator[tuple[str, str, str]]:
        """Name of each step, what it is of, and the modules that do such steps (a key of IMPORTS)."""
        yield "snapshot", self.table, "snapshot"
        yield "validate", self.table, "validate"
        yield "features", self.family, "features"
        yield from ((step, self.family, "learning") for step in self.learning)


SUBJECTS = {
    subject.table: subject
    for subject in (
        Subject(
            "order_lines",
            "seasonality",
            ("products", "order_lines", "promotions", "events"),
            ("validate", "features"),
        ),
        Subject(
            "posts",
            "viral",
            ("products", "creators", "posts", "order_lines"),
            ("validate", "features"),
        ),
        Subject(
            "searches",
            "relevance_fusion",
            ("products", "order_lines", "searches", "judgements"),
            ("validate", "features"),
        ),
        Subject(
            "turns",
            "ground_truth",
            ("turns", "feedback", "annotations"),
            ("features",),
            ("fit", "score", "publish"),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Took:
    """Of a process: wall seconds, the same and processor seconds without its start, peak resident memory in GiB."""

    wall: float
    work: float
    processor: float
    peak: float


def main() -> None:
    """Parse the arguments, measure each size, print a table as it grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["1m", "10m"], help="1m, 10m, 100m")
    parser.add_argument(
        "--repeat", type=int, default=1, help="times that each step is run; medians are shown"
    )
    parser.add_argument(
        "--of", nargs="+", choices=SUBJECTS, default=["order_lines"], help="tables to measure"
    )
    parser.add_argument("--folder", type=Path, help="work there and leave the files (worlds are used again)")
    parser.add_argument("--stages-only", action="store_true", help="leave out the hand-written SQL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bw-bench-") as scratch:
        print(HEADER, flush=True)
        for size, name in ((size, name) for size in options.sizes for name in options.of):
            folder, by_hand = (options.folder or Path(scratch)) / size, not options.stages_only
            for row in measure(SUBJECTS[name], size, folder, options.repeat * by_hand, options.repeat):
                print(row, flush=True)


def measure(subject: Subject, size: str, folder: Path, by_hand: int, repeat: int) -> Iterator[str]:
    """Run each step `repeat` times and its counterpart `by_hand` times, in a fresh workspace; one Markdown row each."""
    lines = prepare(subject, size, folder)
    work = folder / "work"
    for table in subject.tables:  # its own too: the others may be checked against it
        process(work, "-m", "ml.stages.snapshot", table)
    for table in subject.tables:
        if table != subject.table:
            process(work, "-m", "ml.stages.validate", table)
    for step, of, kind in subject.steps():
        imports = IMPORTS[kind].format(family=subject.family)
        command = (
            ("-m", "bench.learning", step, of) if kind == "learning" else ("-m", f"ml.stages.{step}", of)
        )
        took = median(work, imports, command, repeat)
        hand = counterpart(work, step, of, by_hand) if step in subject.by_hand else None
        yield row_of(lines, f"{step} {of}", took, hand)


def counterpart(work: Path, step: str, of: str, repeat: int) -> Took | None:
    """What the hand-written SQL of a step took."""
    return median(work, IMPORTS["by_hand"], ("-m", "bench.by_hand", step, of), repeat) if repeat else None


def median(work: Path, imports: str, command: Sequence[str], repeat: int) -> Took:
    """Medians over some runs of a command, each with a run of its imports alone."""
    idle = [process(work, "-c", imports) for _ in range(max(3, repeat))]
    runs = [process(work, *command) for _ in range(repeat)]
    wall, started = (statistics.median(wall for wall, _ in some) for some in (runs, idle))
    spent, before = (statistics.median(processor_of(usage) for _, usage in some) for some in (runs, idle))
    return Took(wall, wall - started, spent - before, max(peak_of(usage) for _, usage in runs))


def prepare(subject: Subject, size: str, folder: Path) -> int:
    """World, warehouse of views and workspace under `folder`; the number of rows of the measured table."""
    from ml.world import DEFAULT_END, write_tables

    world = folder / "world"
    write_tables(size, 7, world, [name for name in subject.tables if not (world / name).exists()])
    lines = open_warehouse(subject, folder)
    make_workspace(folder / "work", DEFAULT_END.isoformat())
    return lines


def open_warehouse(subject: Subject, folder: Path) -> int:
    """A DuckDB file with a view over each table's Parquet; the number of rows of the measured table."""
    (folder / "warehouse.duckdb").unlink(missing_ok=True)
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        for table in subject.tables:
            files = f"{folder.resolve()}/world/{table}/*.parquet"
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}')")
        counted = connection.execute(f"SELECT count(*) FROM {subject.table}").fetchone()
    assert counted is not None
    return int(counted[0])


def make_workspace(work: Path, as_of: str) -> None:
    """The code, the suites and the parameters as they are now, as of a day."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ("ml", "expectations", "bench"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (work / "params.yaml").write_text(yaml.safe_dump({**params, "as_of": as_of}))
    (work / "data/inputs/history").mkdir(parents=True)


def process(work: Path, *command: str) -> tuple[float, resource.struct_rusage]:
    """Wall seconds of a Python process, which must succeed, and what it used."""
    environment = {
        **os.environ,
        "BELLWETHER_WAREHOUSE_URL": f"duckdb:///{work.parent.resolve()}/warehouse.duckdb",
        "BELLWETHER_HOME": str(work.parent.resolve() / "home"),
    }
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        arguments = [sys.executable, *command]
        started = subprocess.Popen(arguments, cwd=work, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(started.pid, 0)
        wall = time.perf_counter() - start
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read().decode()[-2000:]}")
    return wall, usage


def processor_of(usage: resource.struct_rusage) -> float:
    """Seconds of all its threads, the kernel's for it among them."""
    return usage.ru_utime + usage.ru_stime


def peak_of(usage: resource.struct_rusage) -> float:
    """Peak resident memory in GiB (Linux reports KiB)."""
    return usage.ru_maxrss / 1024**2


def row_of(lines: int, step: str, took: Took, hand: Took | None) -> str:
    """One Markdown row."""
    ours = (
        f"{took.work:.1f} s | {lines / took.work:,.0f} | {took.wall - took.work:.1f} s | {took.processor:.1f} s"
        f" | {took.peak:.2f} GiB"
    )
    theirs = (
        f"{hand.work:.1f} s | {hand.processor:.1f} s | {hand.peak:.2f} GiB | {took.work / hand.work:.2f}"
        if hand
        else "– | – | – | –"
    )
    return f"| {lines:,} | {step} | {ours} | {theirs} |"


if __name__ == "__main__":
    main()

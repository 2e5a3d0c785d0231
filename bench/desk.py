"""How long the desk takes with many versions: the overview and a family's page, over a real socket.

    python -m bench.desk                                # 1,000 versions of each family, in SQLite
    python -m bench.desk --ledger postgresql+psycopg://user@host/empty    # in an empty database of yours

The ledger is filled with decisions and runs as large as real ones (verdict with slices, lock, parameters, notes).
MLflow is away all the while. Processor time is of server and client together, who share a process.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import create_engine, insert

from ml.config import load_params, settings
from ml.seams.ledger import PROMOTE, REJECT, migrate
from ml.seams.ledger.chain import chained
from ml.seams.ledger.models import Decision, Look, Publication, Run, Snapshot

PAGES = ("", "families/seasonality", "families/seasonality?version=7")
START = datetime(2024, 1, 1, 6)
TABLES = ("products", "order_lines", "promotions", "events")


def main() -> None:
    """Parse the arguments, fill a ledger, measure, print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=1000, help="of each family")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--ledger", help="SQLAlchemy URL of an empty database (default: a SQLite file)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bw-desk-") as home:
        os.environ.update(BELLWETHER_HOME=home, BELLWETHER_MLFLOW_URL="http://127.0.0.1:9")
        if options.ledger:
            os.environ["BELLWETHER_LEDGER_URL"] = options.ledger
        families = tuple(load_params(settings().project / "params.yaml").families)
        fill(settings().ledger, families, options.versions)
        print(f"{options.versions:,} versions of each of {len(families)} families\n")
        for line in measure(options.repeat):
            print(line)


def measure(repeat: int) -> Iterator[str]:
    """One line a page: the first request, and median and worst of the next ones, until the last byte."""
    import httpx

    yield "| page | first | median | worst | processor | size |"
    yield "|---|---|---|---|---|---|"
    with served() as address, httpx.Client(base_url=address, timeout=60) as client:
        for page in PAGES:
            times, used = [], time.process_time()
            for _ in range(repeat + 1):
                begun = time.perf_counter()
                answer = client.get(f"/{page}").raise_for_status()
                times.append(1000 * (time.perf_counter() - begun))
            first, *rest = times
            used = 1000 * (time.process_time() - used) / len(times)
            size = len(answer.content) / 1024
            yield (
                f"| /{page} | {first:.0f} ms | {statistics.median(rest):.0f} ms | {max(rest):.0f} ms "
                f"| {used:.0f} ms | {size:.0f} KiB |"
            )


@contextmanager
def served(application: Any = None) -> Iterator[str]:
    """An application (default: the pages without Airflow around them) on a free port of this machine; its address."""
    import uvicorn

    from plugins.pages import pages

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application or pages([]), log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def fill(url: str, families: tuple[str, ...], versions: int) -> None:
    """Write `versions` judged versions of each family, one a day, every tenth promoted; the last one waits."""
    migrate(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(Run), [ingest(day) for day in range(versions)])
        connection.execute(insert(Snapshot), [row for day in range(versions) for row in snapshots(day)])
        for family in families:
            connection.execute(insert(Run), [retrain(family, day, versions) for day in range(versions)])
            connection.execute(insert(Decision), list(decisions(family, versions - 1)))
            connection.execute(
                insert(Publication), [publication(family, day) for day in range(0, versions, 10)]
            )
            connection.execute(insert(Look), [look(family, day) for day in range(versions)])
    engine.dispose()


def ingest(day: int) -> dict[str, Any]:
    """One sealed ingest."""
    return {
        "run_id": f"ingest-{day}", "kind": "ingest", "family": None, "as_of": _as_of(day), "opened_at": _at(day),
        "status": "sealed", "params": "p" * 1400, "lock": "l" * 12_000, "notes": {"tables": list(TABLES)},
    }  # fmt: skip


def snapshots(day: int) -> Iterator[dict[str, Any]]:
    """Its tables."""
    for table in TABLES:
        yield {
            "run_id": f"ingest-{day}", "table_name": table, "as_of": _as_of(day), "sealed_at": _at(day), "shop": "shop",
            "digest": f"{day:032d}.dir", "rows": 200_000, "quarantined": day % 90, "lock": {"x": "l" * 3000},
            "profile": {"columns": "c" * 12_000, "checks": {"made": 15, "failed": day % 3},
                        "decided": {"accepted": 2, "repaired": 1, "replaced": 1, "by": []}},
        }  # fmt: skip


def retrain(family: str, day: int, versions: int) -> dict[str, Any]:
    """One recorded retrain with what is kept of it."""
    state = "recorded" if day == versions - 1 else "promoted" if day % 10 == 0 else "refused"
    return {
        "run_id": f"{family}-{day}", "kind": "retrain", "family": family, "as_of": _as_of(day), "opened_at": _at(day),
        "status": state, "git_commit": "0123456789abcdef", "data_digest": f"{day:064d}", "params": "p" * 1400,
        "lock": "l" * 16_000,
        "notes": {
            "ingest": f"ingest-{day}", "decided_after": day, "version": str(day + 1),
            "mlflow_run_id": f"{day:032x}", "judged": judged(day),
        },
    }  # fmt: skip


def judged(day: int) -> dict[str, Any]:
    """What the ledger keeps of a judged run, of a usual size."""
    metrics = {f"metric_{number}": 0.3 + number / 10 + day / 1e5 for number in range(10)}
    because = [
        {"feature": f"feature_{n}", "words": f"reason number {n} in words", "size": 1 / n, "mean": -1 / n, "of": 20}
        for n in range(1, 21)
    ]  # fmt: skip
    example = {
        "of": "P0000001 · 2025-11-15",
        "why": [{"words": r["words"], "contribution": 0.1} for r in because[:5]],
    }
    return {
        "purpose": "What will be wanted on each of the next 28 days.", "tables": list(TABLES), "headline": "metric_0",
        "baseline": "seasonal naive", "better": {}, "holdout": f"origin-{_as_of(day)}", "confidence": 0.95,
        "metrics": {model: metrics for model in ("challenger", "champion", "baseline", "naive")},
        "verdict": verdict(day), "plots": ["calibration", "totals", "examples"], "contributions": because,
        "examples": [example] * 6,
    }  # fmt: skip


def verdict(day: int) -> dict[str, Any]:
    """A verdict with twenty slices."""
    part = {
        "against": "champion", "scope": "all", "cases": 300, "challenger": 0.3 - day / 2e4,
        "reference": 0.31 - day / 2e4, "difference": -0.03, "low": -0.06, "high": 0.01, "chance": 0.2,
    }  # fmt: skip
    slices = [{**part, "scope": f"category = number {number}"} for number in range(20)]
    reasons = [
        "loss 0.3 against 0.31 of the champion on 300 cases (all): 3.0% lower, interval [-6.0%, +1.0%]"
    ]
    return {"approved": True, "reasons": reasons, "headline": part, "guardrails": slices, "limits": []}


def decisions(family: str, count: int) -> Iterator[dict[str, Any]]:
    """A chain of decisions."""
    previous = "0" * 64
    for day in range(count):
        fields = {
            "family": family, "seq": day + 1, "action": PROMOTE if day % 10 == 0 else REJECT,
            "run_id": f"{family}-{day}", "version": str(day + 1), "actor": "gate", "why": verdict(day)["reasons"][0],
            "verdict": verdict(day), "decided_at": _at(day),
        }  # fmt: skip
        digest = chained(previous, fields)
        yield {**fields, "previous": previous, "digest": digest}
        previous = digest


def publication(family: str, day: int) -> dict[str, Any]:
    """One publication."""
    return {
        "family": family, "version": str(day + 1), "as_of": _as_of(day), "data_digest": f"{day:064d}",
        "names": {"forecasts": 8316}, "site": "", "published_at": _at(day),
    }  # fmt: skip


def look(family: str, day: int) -> dict[str, Any]:
    """One look of the monitor."""
    finding = {
        "kind": "inputs", "name": "price", "test": "ks", "statistic": 0.04, "limit": 0.1, "chance": 0.5,
        "breached": False, "why": "",
    }  # fmt: skip
    return {
        "family": family, "run_id": f"monitor-{day}", "version": "1", "champion_run": f"{family}-0",
        "ingest": f"ingest-{day}", "as_of": _as_of(day), "looked_at": _at(day), "breached": False, "asked": False,
        "why": "", "findings": [finding] * 30,
    }  # fmt: skip


def _as_of(day: int) -> date:
    return START.date() + timedelta(days=day)


def _at(day: int) -> datetime:
    return START + timedelta(days=day)


if __name__ == "__main__":
    main()

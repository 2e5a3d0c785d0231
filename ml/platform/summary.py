"""The last words of `up`: who is in service, how good, on which data, and where to look."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from ml.config import Settings, load_params
from ml.platform.credentials import LOGIN, Credentials, password_file
from ml.seams.ledger import Ledger


@dataclass(frozen=True, slots=True)
class InService:
    """One family as a line of the table."""

    family: str
    version: str
    headline: str
    data: str


def in_service(settings: Settings) -> list[InService]:
    """Every family of `params.yaml`, with its champion where it has one."""
    ledger = Ledger(settings.ledger)
    return [_line(settings, ledger, name) for name in load_params(settings.project / "params.yaml").families]


def _line(settings: Settings, ledger: Ledger, family: str) -> InService:
    champion = ledger.champion(family)
    if champion is None:
        return InService(family, "none: last refused" if ledger.decisions(family) else "none yet", "", "")
    run = ledger.run(champion.run_id)
    decided = next(item for item in ledger.decisions(family) if item.seq == champion.seq)
    return InService(
        family=family,
        version=champion.version,
        headline=_measured(settings, family, champion.run_id) or _judged(decided.verdict),
        data=f"{run.as_of} · {run.data_digest[:12]}",
    )


def _measured(settings: Settings, family: str, run_id: str) -> str:
    """The family's own headline metric on the hold-out; "" where the workspace is gone."""
    file = settings.runs / run_id / "data" / "evaluation" / family / "metrics.json"
    if not file.is_file():
        return ""
    evaluation = json.loads(file.read_text())
    models, name = evaluation["folds"][evaluation["holdout"]], evaluation["headline"]
    ours, baseline = models["challenger"].get(name), models.get("baseline", {}).get(name)
    if ours is None:
        return ""
    return f"{name} {ours:.4f}" + (f" (baseline {baseline:.4f})" if baseline is not None else "")


def _judged(verdict: Mapping[str, Any]) -> str:
    headline = verdict.get("headline")
    if not headline:
        return ""
    return f"loss {headline['challenger']:.4f} ({headline['against']} {headline['reference']:.4f})"


def tell(console: Console, settings: Settings, known: Credentials) -> None:
    """Print the table and the addresses. The password itself is shown once, when it is made."""
    table = Table(title="in service", title_justify="left")
    for title in ("family", "champion", "hold-out", "data (as of · digest)"):
        table.add_column(title, overflow="fold")
    for line in in_service(settings):
        table.add_row(line.family, line.version, line.headline, line.data)
    console.print(table)
    for name, address in _addresses(settings, known):
        whole(console, f"{name:<10}{address}")


def whole(console: Console, line: str) -> None:
    """Print a line that is never broken by us: an address can be copied or clicked at any width."""
    console.print(line, soft_wrap=True, highlight=False)


def _addresses(settings: Settings, known: Credentials) -> Iterator[tuple[str, str]]:
    yield "Airflow", settings.airflow_url
    yield "  log in", f"{LOGIN}, {_password(settings, known)}"
    yield "MLflow", settings.mlflow
    for site in sorted((settings.reports / "collections").glob("*/index.html")):
        yield "pages", str(site)
    yield "stop", "make down"


def _password(settings: Settings, known: Credentials) -> str:
    kept = f"password in {password_file(settings.home)}"
    return (
        f"password {known.password} (shown once; kept in {password_file(settings.home)})"
        if known.fresh
        else kept
    )

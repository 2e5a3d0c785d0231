"""One version in detail: metrics beside the others', slices, plots, what its predictions rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ml.actions.desk_card import ADDRESSABLE, difference_of
from ml.actions.judged import NOTE
from ml.publishing.desk import Contribution, Details, Example, MetricLine, Plot, SliceLine
from ml.seams.ledger.desk import RunRow


def details(run: RunRow) -> Details | None:
    """What was kept when the run was recorded; None of a run that was not."""
    judged = run.notes.get(NOTE)
    if not judged:
        return None
    models = _models(judged["metrics"])
    number = str(run.notes.get("version", ""))
    return Details(
        holdout=judged["holdout"],
        baseline=judged["baseline"],
        models=models,
        metrics=tuple(_metric_lines(judged, models)),
        slices=tuple(_slices(judged)),
        plots=tuple(
            Plot(name, f"families/{quote(str(run.family))}/plots/{number}/{name}.png")
            for name in judged["plots"]
            if ADDRESSABLE.fullmatch(name) and ADDRESSABLE.fullmatch(number)
        ),
        contributions=tuple(
            Contribution(row["words"], row["feature"], row["size"], row["mean"])
            for row in judged["contributions"]
        ),
        examples=tuple(
            Example(row["of"], tuple((why["words"], why["contribution"]) for why in row["why"]))
            for row in judged["examples"]
        ),
    )


def _models(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    first = [name for name in ("challenger", "champion", "baseline") if name in metrics]
    return (*first, *sorted(metrics.keys() - set(first)))


def _metric_lines(judged: Mapping[str, Any], models: Sequence[str]) -> Iterator[MetricLine]:
    metrics, headline = judged["metrics"], judged["headline"]
    for name in sorted(metrics["challenger"], key=lambda name: (name != headline, name)):
        values = tuple(metrics[model].get(name) for model in models)
        yield MetricLine(name, judged["better"].get(name, "lower"), name == headline, values)


def _slices(judged: Mapping[str, Any]) -> Iterator[SliceLine]:
    verdict = judged["verdict"]
    parts = [verdict["headline"], *verdict["guardrails"]] if verdict["headline"] else verdict["guardrails"]
    for place, part in enumerate(parts):
        found = difference_of(part)
        if found:
            refused = place > 0 and part["chance"] < 1 - judged["confidence"]
            yield SliceLine(str(part["scope"]), found, refused)

"""The model card of a run: what `ml.publishing.cards` writes, read from the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import workspace
from ml.publishing.cards import Figure, Metric, ModelCard, Slice, TableFacts, Verdict, model_card
from ml.seams.ledger.models import Run, Snapshot
from ml.seams.tracking.records import DataInput
from ml.toolkit.gate import BASELINE, CHALLENGER, CHAMPION, in_words

if TYPE_CHECKING:
    from ml.families.record import Family


def card_of(
    folder: Path,
    run: Run,
    record: Family,
    evaluation: Mapping[str, Any],
    verdict: Mapping[str, Any],
    data: Sequence[DataInput],
) -> str:
    """The card as Markdown. `version` is the run id: the registry gives its number only after this is written."""
    holdout = evaluation["folds"][evaluation["holdout"]]
    return model_card(
        ModelCard(
            family=record.name,
            version=run.run_id,
            as_of=run.as_of,
            predicts=record.purpose,
            baseline=record.baseline,
            data=tuple(_tables(data)),
            metrics=tuple(_metrics(record, holdout)),
            verdict=_verdict(verdict, folder),
            commands=_commands(run),
            limitations=record.limitations,
            slices=tuple(_slices(verdict)),
            parameters=workspace.params_of(run.run_id).families[record.name].params,
            data_digest=run.data_digest,
            code_digest=run.code_digest,
            git_commit=run.git_commit,
        )
    )


def _tables(data: Sequence[DataInput]) -> Iterator[TableFacts]:
    for item in data:
        yield TableFacts(
            item.name, item.rows, item.digest, item.checks, item.failed, item.quarantined, item.decided
        )


def _metrics(record: Family, holdout: Mapping[str, Mapping[str, float | None]]) -> Iterator[Metric]:
    for name, value in holdout[CHALLENGER].items():
        if value is None:
            continue
        yield Metric(
            name,
            Figure(value),
            _figure(holdout.get(CHAMPION, {}).get(name)),
            _figure(holdout.get(BASELINE, {}).get(name)),
            better=record.better.get(name, "lower"),
            headline=name == record.headline,
        )


def _figure(value: float | None) -> Figure | None:
    return None if value is None else Figure(value)


def _difference(part: Mapping[str, Any]) -> Figure:
    return Figure(part["difference"], part["low"], part["high"])


def _verdict(verdict: Mapping[str, Any], folder: Path) -> Verdict:
    headline = verdict["headline"]
    return Verdict(
        approved=verdict["approved"],
        opponent=headline["against"] if headline else BASELINE,
        reasons=tuple(verdict["reasons"]),
        difference=_difference(headline) if headline else None,
        confidence=workspace.params_of(folder.name).gate.confidence,
        words=in_words(verdict),
    )


def _slices(verdict: Mapping[str, Any]) -> Iterator[Slice]:
    for part in verdict["guardrails"]:
        if part["scope"] == "all":
            continue
        name, _, group = part["scope"].partition(" = ")
        yield Slice(name, group, part["cases"], part["challenger"], part["reference"], _difference(part))


def _commands(run: Run) -> tuple[str, ...]:
    return (
        f"cd $BELLWETHER_HOME/runs/{run.run_id}",
        f"dvc pull --with-deps gate@{run.family}",
        f"dvc repro gate@{run.family}",
    )


def facts_of(item: Snapshot) -> tuple[int, int]:
    """Checks made and checks failed when the table was validated."""
    found = item.profile.get("checks", {})
    return int(found.get("made", 0)), int(found.get("failed", 0))


def decided_in_words(item: Snapshot) -> tuple[str, ...]:
    """What came back from quarantine by people's decisions when the table was validated; () where nothing did."""
    found = item.profile.get("decided")
    if not found:
        return ()
    counts = f"{found['accepted']:,} accepted, {found['repaired']:,} repaired (for {found['replaced']:,})"
    return (
        counts,
        *(f"{one['action']}, {one['rows']:,} rows, {one['actor']}: {one['why']}" for one in found["by"]),
    )

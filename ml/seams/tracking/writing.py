"""A record, written to MLflow piece by piece: data, metrics, files, windows, trials, the model and its version."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from ml.seams.tracking.libraries import requirements_of
from ml.seams.tracking.records import DataInput, Record

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

_DESCRIPTION = 5000  # characters of a version's description that the registry on PostgreSQL takes
_MORE = "\n\nThe whole card is the artifact `model_card.md` of the run."
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]", re.ASCII)


def allowed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics under names that MLflow takes: what it does not, such as a plus sign, becomes an underscore."""
    return {_NOT_IN_NAMES.sub("_", name): value for name, value in metrics.items()}


def log_data(inputs: Sequence[DataInput]) -> None:
    """Name the tables that the version was made of, with their DVC digests, as inputs of the run."""
    import mlflow
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    for item in inputs:
        dataset = MetaDataset(HTTPDatasetSource(item.source), name=item.name, digest=item.digest[:32])
        mlflow.log_input(dataset, context="training", tags={"rows": str(item.rows), "dvc": item.digest})


def log_metrics(client: MlflowClient, run: str, metrics: Mapping[str, float]) -> None:
    """Set metrics of a run, whichever is active."""
    for name, value in allowed(metrics).items():
        client.log_metric(run, name, value)


def log_files(client: MlflowClient, run: str, entry: Record) -> None:
    """The card, the verdict, the plots and whatever else belongs to a run, as its artifacts."""
    import matplotlib

    matplotlib.use("Agg")
    client.log_text(run, entry.card, "model_card.md")
    client.log_text(run, "\n".join(f"- {line}" for line in entry.verdict), "verdict/verdict.md")
    for name, figure in entry.figures.items():
        client.log_figure(run, figure, f"plots/{name}.png")
    for target, path in entry.files.items():
        log_path = client.log_artifacts if path.is_dir() else client.log_artifact
        log_path(run, str(path), target)


def describe(client: MlflowClient, entry: Record, version: str) -> None:
    """Set the registered version's tags, and as its description what of the card goes in."""
    for key, value in entry.tags.items():
        client.set_model_version_tag(entry.family, version, key, value)
    client.update_model_version(entry.family, version, description=_in_short(entry.card))


def register(entry: Record) -> str:
    """Log the model with its signature, an example and what serving takes; returns the number of the new version."""
    import mlflow
    from mlflow.models import infer_signature

    example = _frame(entry.example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # hints about integers: ours are never missing
        signature = infer_signature(example, _frame(entry.predictions), params={"as_of": entry.tags["as_of"]})
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="ml.families.pyfunc",
            data_path=str(entry.model),
            signature=signature,
            input_example=example,
            pip_requirements=requirements_of(entry.model),
            registered_model_name=entry.family,
        )
    return str(logged.registered_model_version)


def _frame(rows: pa.Table) -> pd.DataFrame:
    """A data frame of types that an MLflow signature knows: dates become midnights."""
    for position, column in enumerate(rows.schema):
        if pa.types.is_date(column.type):
            midnights = rows.column(position).cast(pa.timestamp("us"))
            rows = rows.set_column(position, column.name, midnights)
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def _in_short(card: str) -> str:
    """As much of the card as the registry's column takes, whole paragraphs; the artifact has all of it."""
    if len(card) <= _DESCRIPTION:
        return card
    kept = card[: _DESCRIPTION - len(_MORE)]
    return kept[: kept.rfind("\n\n") if "\n\n" in kept else len(kept)] + _MORE


def log_windows(entry: Record) -> None:
    """A nested run for each window of the backtest, with that window's metrics."""
    import mlflow

    for name, metrics in entry.windows.items():
        with mlflow.start_run(run_name=name, nested=True, tags={"bellwether.window": name}):
            mlflow.log_metrics(allowed(metrics))


def log_trials(entry: Record) -> None:
    """A nested run for each setting that was swept over."""
    import mlflow

    for name, trial in entry.trials.items():
        with mlflow.start_run(run_name=name, nested=True, tags={"bellwether.trial": name}):
            mlflow.log_params(dict(trial.params))
            mlflow.log_metrics(allowed(trial.metrics))

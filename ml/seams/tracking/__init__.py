"""MLflow: shows runs side by side and holds the registry. It decides nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.config import to_reach
from ml.errors import SeamUnavailable, UsageError
from ml.seams.tracking import writing
from ml.seams.tracking.news import printed_as_log
from ml.seams.tracking.records import Record, Recorded, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "bellwether"
CHAMPION = "champion"
RUN_TAG = "bellwether.run_id"


class Tracking:
    """One MLflow server (or SQL store) at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = (
            "false"  # whoever wrote to the store runs no code here
        )
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

    def record(self, entry: Record) -> Recorded:
        """Log a run with all that belongs to it and register the version; a retry finds what it logged before."""
        with self._reachable() as client:
            found = self._recorded(client, entry)
            return found or self._log(client, entry)

    def amend(self, entry: Record, mlflow_run_id: str, version: str) -> None:
        """Replace what was recorded of a version by what a later judgement says: metrics, tags, files, description.

        The run stays finished all the while (an unfinished one is forgotten), and keeps its parameters: MLflow takes
        each but once.
        """
        with self._reachable() as client:
            writing.log_metrics(client, mlflow_run_id, entry.metrics)
            experiment = client.get_run(mlflow_run_id).info.experiment_id
            children = f"tags.`mlflow.parentRunId` = '{mlflow_run_id}'"
            for child in client.search_runs([experiment], children):
                window = child.data.tags.get("bellwether.window", "")
                writing.log_metrics(client, child.info.run_id, entry.windows.get(window, {}))
            writing.log_files(client, mlflow_run_id, entry)
            for key, value in entry.tags.items():
                client.set_tag(mlflow_run_id, key, value)
            writing.describe(client, entry, version)

    def set_champion(self, family: str, version: str) -> None:
        """Let the alias `champion` follow the ledger."""
        with self._reachable() as client:
            client.set_registered_model_alias(family, CHAMPION, version)

    def version_of(self, family: str, alias: str = CHAMPION) -> str | None:
        """The version behind an alias, or None."""
        from mlflow.exceptions import MlflowException

        with self._reachable() as client:
            try:
                return str(client.get_model_version_by_alias(family, alias).version)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def tag_version(self, family: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a registered version."""
        with self._reachable() as client:
            for key, value in tags.items():
                client.set_model_version_tag(family, version, key, value)

    def version_tags(self, family: str, version: str) -> dict[str, str]:
        """Tags of a registered version. Raises UsageError if there is no such version."""
        from mlflow.exceptions import MlflowException

        with self._reachable() as client:
            try:
                return dict(client.get_model_version(family, version).tags)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise UsageError(
                    f"no version {version} of {family!r} in the registry at {self.url}",
                    next_step=f"`bellwether history {family}` lists them",
                ) from error

    def versions(self, family: str) -> dict[str, Version]:
        """All versions of a family in the registry, by number."""
        with self._reachable() as client:
            found: list[Any] = []
            token: str | None = None
            while token or not found:
                page = client.search_model_versions(f"name = '{family}'", max_results=1000, page_token=token)
                found, token = [*found, *page], page.token
                if not token:
                    break
        return {str(v.version): Version(str(v.version), dict(v.tags), v.run_id or "") for v in found}

    def maker_of(self, version: Version) -> tuple[str, bool]:
        """Which run of ours made a version ("" if none), and whether its recording was finished."""
        from mlflow.exceptions import MlflowException

        with self._reachable() as client:
            try:
                run = client.get_run(version.mlflow_run_id)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                return "", False
        return run.data.tags.get(RUN_TAG, ""), run.info.status == "FINISHED"

    def download(self, family: str, version: str, into: Path | None = None) -> Path:
        """The model folder of a registered version, on this machine (below `into`, if given).

        Raises UsageError if there is no such version, or its files are gone.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        place = str(into) if into else None
        with self._reachable():
            try:
                folder = Path(download_artifacts(f"models:/{family}/{version}", dst_path=place))
            except (MlflowException, OSError) as error:
                gone = getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"
                if not gone and type(error) not in (OSError, FileNotFoundError):  # not a server that is away
                    raise
                raise UsageError(
                    f"the registry at {self.url} has no model of version {version} of {family}",
                    found=" ".join(str(error).split())[:200],
                    next_step=f"`bellwether doctor {family}` says what else is missing",
                ) from error
        return folder / "data" / "model" if (folder / "data" / "model").is_dir() else _data_folder(folder)

    def artifact(self, mlflow_run_id: str, path: str) -> bytes:
        """One file that was logged with a run. Raises UsageError where there is none."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        with self._reachable(), tempfile.TemporaryDirectory(prefix="bellwether-artifact-") as scratch:
            try:
                found = download_artifacts(run_id=mlflow_run_id, artifact_path=path, dst_path=scratch)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise UsageError(f"run {mlflow_run_id} has no file {path} in MLflow at {self.url}") from error
            return Path(found).read_bytes()

    def _recorded(self, client: MlflowClient, entry: Record) -> Recorded | None:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return None
        query = f"tags.`{RUN_TAG}` = '{entry.run_id}' and attributes.status = 'FINISHED'"
        for run in client.search_runs([experiment.experiment_id], query, max_results=1):
            version = run.data.tags.get("bellwether.version")
            if version:
                return Recorded(run.info.run_id, version, self._run_link(run))
        return None

    def _log(self, client: MlflowClient, entry: Record) -> Recorded:
        import mlflow

        self.forget_unfinished(entry.run_id)
        _experiment(client, self.url)
        with mlflow.start_run(run_name=entry.name, tags={**entry.tags, RUN_TAG: entry.run_id}) as run:
            mlflow.log_params(dict(entry.params))
            mlflow.log_metrics(writing.allowed(entry.metrics))
            writing.log_windows(entry)
            writing.log_trials(entry)
            writing.log_data(entry.data)
            writing.log_files(client, run.info.run_id, entry)
            version = writing.register(entry)
            client.set_tag(run.info.run_id, "bellwether.version", version)
            writing.describe(client, entry, version)
        return Recorded(run.info.run_id, version, self._run_link(run))

    def forget_unfinished(self, run_id: str) -> None:
        """Remove what a recording that failed or was killed has left: MLflow runs, and a version nobody vouches for."""
        with self._reachable() as client:
            for run in _unfinished(client, run_id):
                children = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
                for version in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
                    client.delete_model_version(version.name, version.version)
                for child in client.search_runs([run.info.experiment_id], children):
                    client.delete_run(child.info.run_id)
                client.delete_run(run.info.run_id)

    def _run_link(self, run: Any) -> str:
        return f"{self.url}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"

    @contextmanager
    def _reachable(self) -> Iterator[MlflowClient]:
        import mlflow
        from mlflow.exceptions import MlflowException

        mlflow.set_tracking_uri(self.url)
        try:
            with printed_as_log():
                yield mlflow.MlflowClient()
        except MlflowException as error:
            if "Max retries exceeded" not in str(error) and "Connection" not in str(error):
                raise
            raise self._away(error) from error
        except ConnectionError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> SeamUnavailable:
        return SeamUnavailable(
            "MLflow cannot be reached",
            found=str(error).splitlines()[0][:200],
            expected=f"a server at {self.url}",
            next_step=to_reach(self.url, "start it (`make up`), or set BELLWETHER_MLFLOW_URL"),
        )


def _unfinished(client: MlflowClient, run_id: str) -> list[Any]:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    of_ours = f"tags.`{RUN_TAG}` = '{run_id}' and attributes.status != 'FINISHED'"
    return list(client.search_runs([experiment.experiment_id], of_ours))


def _experiment(client: MlflowClient, url: str) -> None:
    """Choose our experiment. Without a server, artifacts lie beside the store's file, wherever we were started."""
    import mlflow

    if client.get_experiment_by_name(EXPERIMENT) is None:
        beside = (
            Path(url.removeprefix("sqlite:///")).parent / "artifacts"
            if url.startswith("sqlite:///")
            else None
        )
        client.create_experiment(EXPERIMENT, artifact_location=beside.resolve().as_uri() if beside else None)
    mlflow.set_experiment(EXPERIMENT)


def _data_folder(folder: Path) -> Path:
    for found in folder.rglob("model.json"):
        return found.parent
    raise UsageError(
        f"{folder} holds no Bellwether model", found=json.dumps([p.name for p in folder.iterdir()])
    )

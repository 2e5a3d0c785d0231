"""The environment of the platform's processes, and `platform.env`, by which everybody else finds them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ml.config import Settings
from ml.platform.state import write_private

FOREIGN = (
    "AIRFLOW",
    "MLFLOW_",
    "PG",
    "PYTHON",
    "VIRTUAL_ENV",
    "GUNICORN",
    "UVICORN",
)  # a user's other installations

QUIET = {
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
}


def base_environment(settings: Settings) -> dict[str, str]:
    """What every part gets: the user's environment less other installations' settings, and no telemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | QUIET | _local_only(kept) | _ours(settings)


def _ours(settings: Settings) -> dict[str, str]:
    return {
        "BELLWETHER_HOME": str(settings.home),
        "BELLWETHER_PROJECT": str(settings.project),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PYTHONPATH": str(settings.project),
        "PYTHONUNBUFFERED": "1",
    }


def _local_only(kept: Mapping[str, str]) -> dict[str, str]:
    """No proxy between processes of one machine."""
    exempt = ",".join(filter(None, [kept.get("no_proxy") or kept.get("NO_PROXY"), "127.0.0.1", "localhost"]))
    return {"no_proxy": exempt, "NO_PROXY": exempt}


def environment_file(home: Path) -> Path:
    """Where `ml.config.settings()` looks for the platform's addresses."""
    return home / "platform.env"


def write_environment(home: Path, addresses: Mapping[str, str]) -> None:
    """Publish the addresses of the parts; only the owner may read them."""
    lines = [f"BELLWETHER_{name.upper()}={value}\n" for name, value in sorted(addresses.items())]
    write_private(environment_file(home), "".join(lines))


def settings_of(settings: Settings) -> Settings:
    """The settings as they are once `platform.env` is there: a variable that the user set still wins."""
    return Settings(_env_file=environment_file(settings.home), home=settings.home, project=settings.project)

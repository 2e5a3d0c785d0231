"""The embedded platform: PostgreSQL, MLflow and Airflow as child processes, all of one home.

up       start what is missing, fill an empty warehouse, train, and say where everything is
down     stop every process that `up` started, and only those
status   what runs, where, and whether it is well
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ml.config import Settings
    from ml.platform.start import Platform
    from ml.platform.survey import Status

__all__ = ["down", "status", "up"]


def up(
    settings: Settings, console: Console, *, demo: bool = True, detach: bool = False, size: str = "small"
) -> Platform:
    """Start the platform (or find it running) and see a champion into service.

    `demo` False: start only. `detach`: do not follow what was triggered. Ctrl-C while following leaves all running.
    Raises BellwetherError; SeamUnavailable where a part does not start, and then nothing of it stays.
    """
    from ml.platform.bring_up import bring_up

    return bring_up(settings, console, demo=demo, detach=detach, size=size)


def down(settings: Settings) -> int:
    """Stop the platform of the home; returns the number of processes stopped. Safe to repeat."""
    from ml.platform.stop import stop

    return stop(settings.home)


def status(settings: Settings) -> Status:
    """Every part, whether it runs and answers."""
    from ml.platform.survey import survey

    return survey(settings.home)

"""`up` from beginning to end."""

from __future__ import annotations

import time
from datetime import datetime

from rich.console import Console

from ml.config import Settings, load_params
from ml.platform import summary
from ml.platform.airflow_api import Airflow
from ml.platform.credentials import LOGIN
from ml.platform.demo import families_untried, families_without_champion, fill, newest_day, trigger_ingest
from ml.platform.follow import failed_run, failures, watch
from ml.platform.start import Platform, start
from ml.platform.view import view_for
from ml.seams.ledger import migrate


def bring_up(settings: Settings, console: Console, *, demo: bool, detach: bool, size: str) -> Platform:
    """Start, fill, train, follow, tell. See `ml.platform.up`."""
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.1f} s[/] {text}", highlight=False, soft_wrap=True)

    say(f"starting the platform in {settings.home}")
    platform = start(settings, say)
    migrate(platform.settings.ledger)
    if demo:
        _first_run(platform, console, size=size, detach=detach)
    summary.tell(console, platform.settings, platform.known)
    return platform


def _first_run(platform: Platform, console: Console, *, size: str, detach: bool) -> None:
    settings = platform.settings
    airflow = Airflow(platform.airflow_url, LOGIN, platform.known.password)
    loaded = _fill_own(platform, size)
    if not loaded and not families_untried(settings):
        platform.say(_settled(settings))
        return
    since = trigger_ingest(airflow, newest_day(settings.warehouse))
    if detach:
        platform.say(f"ingest runs; see {platform.airflow_url}")
        return
    _follow(platform, airflow, since, console)


def _settled(settings: Settings) -> str:
    refused = ", ".join(families_without_champion(settings))
    if not refused:
        return "every family has a champion in service: nothing to train"
    return f"every family was judged: nothing to train before the next ingest (without a champion: {refused})"


def _fill_own(platform: Platform, size: str) -> bool:
    """The simulated shop goes into our own warehouse only, never into one that the user named."""
    own = platform.server.url("warehouse")
    return platform.settings.warehouse == own and fill(own, size, platform.say)


def _follow(platform: Platform, airflow: Airflow, since: datetime, console: Console) -> None:
    families = load_params(platform.settings.project / "params.yaml").families
    try:
        with view_for(console) as view:
            scene = watch(airflow, since, families, view.show)
    except KeyboardInterrupt:
        words = f"no longer following; everything keeps running: {platform.airflow_url} (stop: make down)"
        console.print(words, highlight=False, soft_wrap=True)
        raise SystemExit(130) from None
    found = failures(airflow, scene)
    if found or any(run.state == "failed" for run in scene):
        raise failed_run(found, platform.airflow_url)

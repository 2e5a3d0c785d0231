"""Tasks about champions in service: look at them, rebuild them. None of them changes who is in service."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import BranchMixIn
from airflow.sdk.exceptions import AirflowSkipException

from plugins.run_ids import run_id
from plugins.stage_tasks import Context, Task


class ChooseTask(Task, BranchMixIn):  # type: ignore[misc]
    """Follows only the families that have a champion, or the one that the DAG parameter `version` names."""

    inherits_from_skipmixin = True
    template_fields = ()
    ui_color = "#eeeeee"

    def __init__(self, *, tasks: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(run_id="", do_xcom_push=False, **kwargs)
        self.tasks = dict(tasks)

    def act(self, context: Context) -> None:
        """Choose."""
        from ml.actions.govern import champions, family_of_version

        version = context["params"].get("version")
        found = (family_of_version(version),) if version else champions()
        self.log.info("families: %s", ", ".join(found) or "none has a champion yet")
        self.do_branch(context, [self.tasks[family] for family in found])


class MonitorTask(Task):
    """Looks at a family's champion; asks for a retrain where something is beyond its limits."""

    template_fields = ()

    def __init__(self, *, family: str, request: Any, **kwargs: Any) -> None:
        limit = timedelta(hours=3)
        super().__init__(run_id="", execution_timeout=limit, pool_slots=2, outlets=[request], **kwargs)
        self.family, self.request = family, request

    def act(self, context: Context) -> None:
        """Look; the outlet is announced only if a retrain is asked for."""
        from ml.actions.monitor import look
        from ml.actions.publish import not_ready

        missing = not_ready(self.family)
        if missing:
            raise AirflowSkipException(f"nothing to look at: {missing}")
        name = run_id(f"monitor-{self.family}", None, "newest", context["run_id"])
        seen = look(self.family, name, ask=True)
        words = seen.why or "nothing is beyond its limits"
        self.log.info("version %s as of %s: %s", seen.version, seen.as_of, words)
        self.outlets = [self.request] if seen.asked else []
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"as_of": seen.as_of.isoformat(), "why": words}


class ReproduceTask(Task):
    """Rebuilds a version of a family from its record, and compares every byte."""

    template_fields = ()

    def __init__(self, *, family: str, **kwargs: Any) -> None:
        super().__init__(run_id="", execution_timeout=timedelta(hours=6), pool_slots=2, **kwargs)
        self.family = family

    def act(self, context: Context) -> str:
        """Rebuild the version that was asked for, or the champion. Returns what was rebuilt."""
        from ml.actions.reproduce import reproduce

        found = reproduce(context["params"].get("version") or self.family, step=self.log.info)
        self.log.info("%s version %s is identical: %s", found.family, found.version, dict(found.digests))
        return f"{found.family}:{found.version}"

"""Buttons on a task's page: the MLflow run, the Data Docs, the published site.

A link is computed in the task's process when the task ends, however it ended, and kept by Airflow.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink, conf

PREFIX = "/bellwether"


class TaskLink(BaseOperatorLink):  # type: ignore[misc]
    """A button whose address the task itself knows (`link()`)."""

    name = "Open"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address; empty where there is nothing to show."""
        return str(operator.link() or "")


class MlflowRun(TaskLink):
    """The run in MLflow."""

    name = "MLflow run"


class DataDocs(TaskLink):
    """What Great Expectations found in a table."""

    name = "Data Docs"


class PublishedSite(TaskLink):
    """The landing pages."""

    name = "Published pages"


def page(path: str) -> str:
    """The address of a page that the plugin serves."""
    base: str = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}{PREFIX}/{path}"

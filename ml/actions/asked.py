"""Where Airflow waits for a person's answer about a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

NOTE = "asked"
"""Note of a run: which task of Airflow asks."""


def answer_page(notes: Mapping[str, Any]) -> str | None:
    """The page of required actions of the task that asks, relative to Airflow's address; None if none asks."""
    asked = notes.get(NOTE)
    if not asked:
        return None
    dag, dag_run, task = (quote(asked[name], safe="") for name in ("dag_id", "dag_run", "task_id"))
    return f"dags/{dag}/runs/{dag_run}/tasks/{task}/required_actions"

"""Policy `human`: a person is asked, with the verdict before them; a refusal is written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from plugins.approval import AskPerson


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the actions are told; the gate was won."""
    told: dict[str, Any] = {"won": True, "refused": [], "asked": []}
    verdict = {"approved": True, "reasons": ["loss 0.3 against 0.4 of the champion"]}
    monkeypatch.setattr("ml.actions.retrain.approve", lambda run: told["won"])
    monkeypatch.setattr("ml.actions.retrain.verdict_of", lambda run: verdict)
    monkeypatch.setattr("ml.actions.govern.asked", lambda run, **where: told["asked"].append((run, where)))
    monkeypatch.setattr("ml.actions.retrain.refuse", lambda run, **why: told["refused"].append((run, why)))
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.ApprovalOperator.execute",
        lambda self, context: told.update(body=self.body),
        raising=False,
    )
    return told


TI = SimpleNamespace(dag_id="retrain_seasonality", run_id="manual__2024-03-01", task_id="approve")


def _task() -> AskPerson:
    return AskPerson(task_id="approve", family="seasonality", run_id="run-1")


def _execute(task: AskPerson) -> None:
    type(task).execute.__wrapped__(task, {"ti": TI})  # without Airflow's guard against calling it by hand


def _answer(task: AskPerson, choice: str) -> Any:
    event = {
        "chosen_options": [choice],
        "params_input": {},
        "responded_at": SimpleNamespace(isoformat=lambda: "2024-03-01T10:00:00"),
        "responded_by_user": {"id": "1", "name": "ada"},
    }
    return task.execute_complete({}, event)


def test_the_verdict_is_before_the_person(asked: dict[str, Any]) -> None:
    _execute(_task())
    assert "run-1" in asked["body"]
    assert "- loss 0.3 against 0.4 of the champion" in asked["body"]


def test_where_the_answer_is_awaited_is_written_down(asked: dict[str, Any]) -> None:
    _execute(_task())
    where = {"dag_id": TI.dag_id, "dag_run": TI.run_id, "task_id": TI.task_id}
    assert asked["asked"] == [("run-1", where)]


def test_nobody_is_asked_about_a_lost_gate(asked: dict[str, Any]) -> None:
    asked["won"] = False
    with pytest.raises(AirflowSkipException):
        _execute(_task())
    assert "body" not in asked
    assert asked["asked"] == []


def test_a_refusal_is_written_down_with_its_author(asked: dict[str, Any]) -> None:
    _answer(_task(), "Reject")
    assert asked["refused"] == [("run-1", {"actor": "ada", "why": "refused by a person"})]


def test_an_approval_goes_on(asked: dict[str, Any]) -> None:
    answer = _answer(_task(), "Approve")
    assert answer["responded_by_user"]["name"] == "ada"
    assert asked["refused"] == []

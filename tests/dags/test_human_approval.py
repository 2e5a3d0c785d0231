"""Policy `human`: a person is asked, with the verdict before them; who answered and why is written down."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.param import process_params
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    ParamValidationError,
)

from ml.errors import UsageError
from ml.toolkit.gate import Comparison
from plugins import dag_params
from plugins.approval import AskPerson
from plugins.stage_tasks import PromoteTask

LOSS = "loss 0.3 against 0.4 of the champion"
GUARD = Comparison("champion", "country = FI", 80, 0.41, 0.4, 0.025, -0.01, 0.06, 0.2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the actions are told; the gate was won."""
    told: dict[str, Any] = {"won": True, "refused": [], "promoted": [], "asked": [], "decided": False}
    limit = {"metric": "coverage_80", "value": 0.8, "low": 0.6, "high": 0.95}
    verdict = {"approved": True, "reasons": [LOSS], "guardrails": [asdict(GUARD)], "limits": [limit]}

    def refuse(run: str, **why: str) -> None:
        if told["decided"]:
            raise UsageError("it was promoted meanwhile")
        told["refused"].append((run, why))

    monkeypatch.setattr("ml.actions.retrain.approve", lambda run: told["won"])
    monkeypatch.setattr("ml.actions.retrain.verdict_of", lambda run: verdict)
    monkeypatch.setattr("ml.actions.retrain.tables_read", lambda run: ("ingest-7", ("order_lines",)))
    monkeypatch.setattr("ml.actions.govern.asked", lambda run, **where: told["asked"].append((run, where)))
    monkeypatch.setattr("ml.actions.retrain.refuse", refuse)
    monkeypatch.setattr(
        "ml.actions.retrain.promote", lambda run, **by: told["promoted"].append((run, by)) or "2"
    )
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.ApprovalOperator.execute",
        lambda self, context: told.update(body=self.body),
        raising=False,
    )
    return told


TI = SimpleNamespace(
    dag_id="retrain_seasonality",
    run_id="manual__2024-03-01",
    task_id="approve",
    map_index=-1,
    xcom_push=lambda key, value: None,
    xcom_pull=lambda **asked: "http://mlflow/runs/9",
)


def _task() -> AskPerson:
    return AskPerson(
        task_id="approve", family="seasonality", run_id="run-1", response_timeout=timedelta(hours=72)
    )


def test_the_form_is_valid_before_anybody_fills_it_in() -> None:
    """Airflow validates the parameters of a task, defaults and all, before the task itself begins."""
    with DAG("retrain_seasonality", schedule=None, params={"as_of": dag_params.as_of("the newest")}) as dag:
        task = _task()
    assert process_params(dag, task, {}, suppress_exception=False)["why"] is None
    with pytest.raises(ParamValidationError):
        process_params(dag, task, {"why": ""}, suppress_exception=False)


@pytest.fixture
def gated(pipeline: Any) -> DAG:
    """The DAG of a family whose policy is `human`, with five hours to answer."""
    from dags.retrain import retrain

    entry = pipeline.families["seasonality"].model_copy(update={"approval": "human", "answer_within": 5.0})
    params = pipeline.params.model_copy(update={"families": {"seasonality": entry}})
    return retrain(replace(pipeline, params=params), "seasonality")


def test_the_deadline_is_the_policys(gated: DAG) -> None:
    task = gated.get_task("approve")
    assert isinstance(task, AskPerson)
    assert task.response_timeout == timedelta(hours=5)
    assert task.execution_timeout is None  # which would end the waiting sooner, and as a failure


def test_a_rejection_skips_what_follows_and_fails_nothing(asked: dict[str, Any], gated: DAG) -> None:
    """Airflow ends a task that raises this as a success; the skipped one is the last, so the run is a success too."""
    task = gated.get_task("approve").prepare_for_execution()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        _answer(task, "Reject")
    assert list(skipped.value.tasks) == ["promote"]
    assert gated.get_task("promote").downstream_task_ids == set()
    assert [actor["actor"] for _, actor in asked["refused"]] == ["ada"]


def test_an_approval_skips_nothing(asked: dict[str, Any], gated: DAG) -> None:
    answer = _answer(gated.get_task("approve").prepare_for_execution(), "Approve")
    assert answer["chosen_options"] == ["Approve"] and answer["params_input"] == {"why": "fits the range"}


def _execute(task: AskPerson) -> None:
    type(task).execute.__wrapped__(task, {"ti": TI})  # without Airflow's guard against calling it by hand


def _answer(task: AskPerson, choice: str, **more: Any) -> Any:
    event = {
        "chosen_options": [choice],
        "params_input": {"why": "fits the range"},
        "responded_at": SimpleNamespace(isoformat=lambda: "2024-03-01T10:00:00"),
        "responded_by_user": {"id": "1", "name": "ada"},
        **more,
    }
    return task.execute_complete({"task": task, "ti": TI}, event)


def test_verdict_and_links_are_before_the_person(asked: dict[str, Any]) -> None:
    _execute(_task())
    for expected in (
        f"- {LOSS}",
        f"- Guardrail kept (no worse than by 25%): {GUARD.words()}.",
        "- Limit kept: coverage_80 is 0.8",
        "(http://mlflow/runs/9)",
        "/bellwether/runs/ingest-7/docs/order_lines/index.html",
        "bellwether approve run-1 --why",
    ):
        assert expected in asked["body"]


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


def test_a_rejection_is_written_down_with_author_and_reason_and_is_no_failure(asked: dict[str, Any]) -> None:
    _answer(_task(), "Reject")
    assert asked["refused"] == [("run-1", {"actor": "ada", "why": "fits the range"})]


@pytest.mark.parametrize("given", [{}, {"why": "  "}])
def test_the_ledger_says_so_where_no_reason_came(asked: dict[str, Any], given: dict[str, str]) -> None:
    _answer(_task(), "Reject", params_input=given)
    assert asked["refused"] == [("run-1", {"actor": "ada", "why": "no reason was given"})]


def test_no_answer_in_time_is_a_rejection_by_the_deadline(asked: dict[str, Any]) -> None:
    task = _task()
    assert task.defaults == ["Reject"]  # what Airflow's scheduler answers then, with the form as it was shown
    answer = {"timedout": True, "responded_by_user": None, "params_input": {"why": ""}}
    _answer(task, "Reject", **answer)
    expected = {"actor": "deadline", "why": "nobody answered within 3 days, 0:00:00"}
    assert asked["refused"] == [("run-1", expected)]


def test_the_deadline_says_nothing_about_what_was_approved_by_hand(asked: dict[str, Any]) -> None:
    asked["decided"] = True
    _answer(_task(), "Reject", timedout=True, responded_by_user=None)
    with pytest.raises(AirflowFailException, match="promoted meanwhile"):
        _answer(_task(), "Reject")


def test_an_approval_goes_on_with_its_author_and_reason(asked: dict[str, Any]) -> None:
    answer = _answer(_task(), "Approve")
    assert asked["refused"] == []
    pulled = {"approve": answer}
    ti = SimpleNamespace(xcom_pull=lambda task_ids, key=None: pulled.get(task_ids))
    PromoteTask(task_id="promote", run_id="run-1").act({"ti": ti, "outlet_events": {}})
    assert asked["promoted"] == [("run-1", {"actor": "ada", "why": "fits the range"})]

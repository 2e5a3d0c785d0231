"""Policy `human`: a person decides, with the verdict before them. Imported only where a family asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from ml.errors import UsageError
from plugins.links import MlflowRun, page
from plugins.stage_tasks import OF_THIS_RUN, RECORD, errors_decide, skip_if_lost

DEADLINE = "deadline"
"""Who has rejected where nobody answered."""


class AskPerson(ApprovalOperator):  # type: ignore[misc]
    """Waits for a person's answer and reason, up to a deadline; nobody is asked about a version that lost the gate.

    A rejection, or no answer in time, is written into the ledger and skips the promotion: the run ends as a success.
    """

    template_fields = (*ApprovalOperator.template_fields, "run_id")

    def __init__(self, *, family: str, run_id: str = OF_THIS_RUN, **kwargs: Any) -> None:
        # nothing must be a valid value: Airflow validates the form's defaults before the task asks anybody
        kept = "The ledger keeps it with your name."
        why = Param(None, type=["null", "string"], minLength=1, title="Why", description=kept)
        subject = f"Promote the new version of {family}?"
        super().__init__(subject=subject, body="", defaults=self.REJECT, **kwargs)
        self.params = ParamsDict({"why": why})  # the form; the DAG's own parameters came in kwargs
        self.run_id = run_id

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Ask."""
        from ml.actions.govern import asked

        ti = context["ti"]
        with errors_decide(self.log):
            skip_if_lost(self.run_id)
            mlflow = ti.xcom_pull(task_ids=RECORD, key=MlflowRun().xcom_key) or ""
            self.body = in_words(self.run_id, mlflow)
            asked(self.run_id, dag_id=ti.dag_id, dag_run=ti.run_id, task_id=ti.task_id)
        return super().execute(context)

    def execute_complete(self, context: Mapping[str, Any], event: dict[str, Any]) -> Any:
        """Go on, or write the rejection into the ledger and skip the promotion."""
        if "error" in event:
            return super().execute_complete(context, event)
        who, why = self._answer(event)
        if self.REJECT in event["chosen_options"]:
            self._refuse(who, why)
        return super().execute_complete(context, {**event, "params_input": {"why": why}})

    def _answer(self, event: Mapping[str, Any]) -> tuple[str, str]:
        """Who has answered and why, in words for the ledger."""
        if event.get("timedout"):
            return DEADLINE, f"nobody answered within {self.response_timeout}"
        why = str((event.get("params_input") or {}).get("why") or "").strip()
        return (event.get("responded_by_user") or {}).get("name", "somebody"), why or "no reason was given"

    def _refuse(self, who: str, why: str) -> None:
        from ml.actions.retrain import refuse

        with errors_decide(self.log):
            try:
                refuse(self.run_id, actor=who, why=why)
            except UsageError as error:
                if who != DEADLINE:
                    raise
                self.log.info("decided meanwhile, by `bellwether approve`: %s", error)


def in_words(run: str, mlflow: str) -> str:
    """The gate's verdict as Markdown, with links to what a person wants to see before they answer."""
    from ml.actions.retrain import verdict_of

    return "\n".join(
        (
            f"Run `{run}` won the gate.",
            "",
            *(f"- {line}" for line in _verdict(verdict_of(run))),
            "",
            *(f"- [{name}]({address})" for name, address in _links(run, mlflow)),
            "",
            f"By hand: `bellwether approve {run} --why ...` or `bellwether reject {run} --why ...`",
        )
    )


def _verdict(verdict: Mapping[str, Any]) -> Iterator[str]:
    from ml.actions.retrain import verdict_in_words

    yield from verdict_in_words(verdict)


def _links(run: str, mlflow: str) -> Iterator[tuple[str, str]]:
    from ml.actions.retrain import tables_read

    if mlflow:
        yield "The run in MLflow, with its model card", mlflow
    ingest, tables = tables_read(run)
    for table in tables:
        yield f"Data Docs of {table}", page(f"runs/{ingest}/docs/{table}/index.html")

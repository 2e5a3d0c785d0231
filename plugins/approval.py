"""Policy `human`: a person decides, with the verdict before them. Imported only where a family asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from plugins.stage_tasks import OF_THIS_RUN, errors_decide, skip_if_lost


class AskPerson(ApprovalOperator):  # type: ignore[misc]
    """Waits for a person's answer; nobody is asked about a version that lost the gate."""

    template_fields = (*ApprovalOperator.template_fields, "run_id")

    def __init__(self, *, family: str, run_id: str = OF_THIS_RUN, **kwargs: Any) -> None:
        super().__init__(subject=f"Promote the new version of {family}?", body="", **kwargs)
        self.run_id = run_id

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Ask."""
        from ml.actions.govern import asked

        ti = context["ti"]
        with errors_decide(self.log):
            skip_if_lost(self.run_id)
            self.body = in_words(self.run_id)
            asked(self.run_id, dag_id=ti.dag_id, dag_run=ti.run_id, task_id=ti.task_id)
        return super().execute(context)

    def execute_complete(self, context: Mapping[str, Any], event: dict[str, Any]) -> Any:
        """Go on, or write the refusal into the ledger and skip the promotion."""
        if self.REJECT in event.get("chosen_options", ()):
            from ml.actions.retrain import refuse

            who = (event.get("responded_by_user") or {}).get("name", "somebody")
            with errors_decide(self.log):
                refuse(self.run_id, actor=who, why="refused by a person")
        return super().execute_complete(context, event)


def in_words(run: str) -> str:
    """The gate's verdict as Markdown."""
    from ml.actions.retrain import verdict_of

    verdict = verdict_of(run)
    reasons = "\n".join(f"- {reason}" for reason in verdict["reasons"])
    return f"Run `{run}` won the gate.\n\n{reasons}"

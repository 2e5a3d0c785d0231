"""Retrain a family on the newest sealed tables, and promote the new version if it is better beyond doubt.

A version that loses the gate is recorded all the same; its promotion is skipped and the champion in service stays.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator, chain

from ml.pipeline import Pipeline, load_pipeline
from plugins import dag_params
from plugins.assets import champion_asset, retrain_schedule
from plugins.stage_tasks import (
    DEFAULTS,
    OPEN,
    RECORD,
    ApproveTask,
    OpenRetrain,
    PromoteTask,
    RecordTask,
    StageTask,
)

if TYPE_CHECKING:
    from ml.config import FamilyEntry


def retrain(pipeline: Pipeline, family: str) -> DAG:
    """The DAG `retrain_<family>`: open -> the family's stages -> record -> approve -> promote."""
    tables = pipeline.tables_of(family)
    with DAG(
        dag_id=f"retrain_{family}",
        description=f"A new version of {family}, judged against the champion",
        doc_md=f"{__doc__}\nReads: {', '.join(tables)}.",
        schedule=retrain_schedule(family, tables, pipeline.params.schedule.retrain.get(family)),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["bellwether", "retrain", family],
        params={
            "as_of": dag_params.as_of(
                "the tables that were announced, or, by hand, the newest sealed tables"
            ),
            "force": dag_params.force(
                "Go on even where the same data, code and parameters were judged before."
            ),
        },
    ) as dag:
        chain(
            OpenRetrain(task_id=OPEN, family=family),
            *(StageTask(task_id=stage.kind, stage=stage) for stage in pipeline.by_family[family]),
            RecordTask(task_id=RECORD),
            approve(family, pipeline.families[family]),
            PromoteTask(task_id="promote", outlets=[champion_asset(family)]),
        )
    return dag


def approve(family: str, entry: FamilyEntry) -> BaseOperator:
    """The task `approve` under the family's policy."""
    if entry.approval == "auto":
        return ApproveTask(task_id="approve")
    from plugins.approval import AskPerson

    within = timedelta(hours=entry.answer_within)
    return AskPerson(task_id="approve", family=family, execution_timeout=None, response_timeout=within)


pipeline = load_pipeline()
for name in pipeline.families:
    retrain(pipeline, name)

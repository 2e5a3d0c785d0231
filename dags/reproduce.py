"""Rebuild versions from what was recorded of them, and compare every byte with what was published.

Weekly every champion; by hand the version that is named. A version that differs fails its task for good, with what
differs and the likely reason; the registry's version is stamped either way (`reproduced_at`, `identical`).
"""

from __future__ import annotations

from airflow.sdk import DAG

from ml.pipeline import Pipeline, load_pipeline
from plugins import dag_params
from plugins.champion_tasks import ChooseTask, ReproduceTask
from plugins.clock import by_clock
from plugins.stage_tasks import DEFAULTS, OPEN


def reproduce(pipeline: Pipeline) -> DAG:
    """The DAG `reproduce`: open -> one rebuild per family that is asked for, one at a time."""
    with DAG(
        dag_id="reproduce",
        description="Published versions rebuilt and compared, byte for byte",
        doc_md=__doc__,
        schedule=by_clock(pipeline.params.schedule.reproduce),
        catchup=False,
        max_active_runs=1,
        max_active_tasks=1,
        default_args=DEFAULTS,
        tags=["bellwether", "reproduce"],
        params={"version": dag_params.version(tuple(pipeline.families), "every champion")},
    ) as dag:
        opened = ChooseTask(task_id=OPEN, tasks={family: family for family in pipeline.families})
        for family in pipeline.families:
            opened >> ReproduceTask(task_id=family, family=family)
    return dag


reproduce(load_pipeline())

"""Look at every champion from outside: what it is asked now, what it says, how it turned out, how old everything is.

What was seen is kept in the ledger. Where it is beyond the limits of `params.yaml` a retrain of the family is asked
for, at most once in a cool-down. Nothing here reads the warehouse, waits for an ingest, or changes who is champion.
"""

from __future__ import annotations

from airflow.sdk import DAG

from ml.pipeline import Pipeline, load_pipeline
from plugins.assets import retrain_asset
from plugins.champion_tasks import ChooseTask, MonitorTask
from plugins.clock import by_clock
from plugins.stage_tasks import DEFAULTS, OPEN


def monitor(pipeline: Pipeline) -> DAG:
    """The DAG `monitor`: open -> one look per family that has a champion, one at a time."""
    with DAG(
        dag_id="monitor",
        description="Champions seen from outside: drift, realised errors, freshness",
        doc_md=__doc__,
        schedule=by_clock(pipeline.params.schedule.monitor),
        catchup=False,
        max_active_runs=1,
        max_active_tasks=1,
        default_args=DEFAULTS,
        tags=["bellwether", "monitor"],
    ) as dag:
        opened = ChooseTask(task_id=OPEN, tasks={family: family for family in pipeline.families})
        for family in pipeline.families:
            opened >> MonitorTask(task_id=family, family=family, request=retrain_asset(family))
    return dag


monitor(load_pipeline())

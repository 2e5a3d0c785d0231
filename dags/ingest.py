"""Read every table of the warehouse, say whether it may be used, and seal what was validated.

Tables that the warehouse does not have are skipped, with the families that need them. A table that is rejected fails
the run: the champions in service stay, and nothing of this run is sealed.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, TaskGroup

from ml.pipeline import Pipeline, load_pipeline
from plugins import dag_params
from plugins.assets import table_asset
from plugins.clock import by_clock
from plugins.stage_tasks import DEFAULTS, OPEN, OpenIngest, ReadTask, SealTask, Task, ValidateTask


def ingest(pipeline: Pipeline) -> DAG:
    """The DAG `ingest`: open -> each table's stages -> seal."""
    with DAG(
        dag_id="ingest",
        description="Warehouse to validated, versioned tables",
        doc_md=__doc__,
        schedule=by_clock(pipeline.params.schedule.ingest),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=12),
        default_args=DEFAULTS,
        tags=["bellwether", "tables"],
        params={
            "as_of": dag_params.as_of("the day of the schedule, or, by hand, the day after the newest row"),
            "force": dag_params.force("Validate again tables whose snapshot has not changed."),
            "replay": dag_params.replay(),
        },
    ) as dag:
        first = {table: f"{table}.{stages[0].kind}" for table, stages in pipeline.by_table.items()}
        opened = OpenIngest(task_id=OPEN, first_tasks=first)
        tasks = {name: task for table in pipeline.by_table for name, task in table_tasks(pipeline, table)}
        connect(pipeline, opened, tasks)
        assets = {table: table_asset(table) for table in pipeline.by_table}
        seal = SealTask(task_id="seal", assets=assets, trigger_rule="none_failed_min_one_success")
        [tasks[stages[-1].name] for stages in pipeline.by_table.values()] >> seal
    return dag


def table_tasks(pipeline: Pipeline, table: str) -> list[tuple[str, Task]]:
    """A table's tasks by the names of their stages; the first reads the warehouse anew, whatever was read before."""
    reading, *checking = pipeline.by_table[table]
    with TaskGroup(table, tooltip=f"Table {table}"):
        return [
            (reading.name, ReadTask(task_id=reading.kind, stage=reading)),
            *((s.name, ValidateTask(task_id=s.kind, stage=s, table=table)) for s in checking),
        ]


def connect(pipeline: Pipeline, opened: Task, tasks: dict[str, Task]) -> None:
    """Dependencies as `dvc.yaml` has them; what depends on nothing follows `opened`."""
    for stages in pipeline.by_table.values():
        for stage in stages:
            upstream = [tasks[name] for name in sorted(pipeline.upstream(stage))]
            (upstream or opened) >> tasks[stage.name]


ingest(load_pipeline())

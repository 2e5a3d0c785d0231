"""Publish what a family's champion says of the newest tables: warehouse tables and landing pages, swapped in whole.

Skipped while the family has no champion.
"""

from __future__ import annotations

from airflow.sdk import DAG, AssetAll, AssetAny

from ml.pipeline import Pipeline, load_pipeline
from plugins.assets import champion_asset, table_asset
from plugins.stage_tasks import DEFAULTS, PublishTask


def publish(pipeline: Pipeline, family: str) -> DAG:
    """The DAG `publish_<family>`: one task."""
    tables = pipeline.tables_of(family)
    with DAG(
        dag_id=f"publish_{family}",
        description=f"Publications of the champion of {family}",
        doc_md=__doc__,
        schedule=AssetAny(champion_asset(family), AssetAll(*(table_asset(table) for table in tables))),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["bellwether", "publish", family],
    ) as dag:
        PublishTask(task_id="publish", family=family)
    return dag


pipeline = load_pipeline()
for name in pipeline.families:
    publish(pipeline, name)

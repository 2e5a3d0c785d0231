"""Policies of every DAG and every task, and that the DAGs are those of dvc.yaml and params.yaml."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk import BaseOperator

PROJECT = Path(__file__).resolve().parents[2]
PARAMS = yaml.safe_load((PROJECT / "params.yaml").read_text())
TABLES, FAMILIES = tuple(PARAMS["tables"]), tuple(PARAMS["families"])
KINDS = ("retrain", "publish")
DAG_IDS = ("ingest", "monitor", "reproduce", *(f"{kind}_{family}" for kind in KINDS for family in FAMILIES))


@pytest.fixture(params=DAG_IDS)
def dag(request: pytest.FixtureRequest, bag: Any) -> Any:
    return bag.dags[request.param]


def test_files_are_read_without_an_error(bag: Any) -> None:
    assert bag.import_errors == {}


def test_dags_are_those_of_the_parameters(bag: Any) -> None:
    assert set(bag.dags) == set(DAG_IDS)


def test_no_dag_file_is_long_or_names_a_table_or_family() -> None:
    for path in (PROJECT / "dags").glob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) < 80, path.name
        assert not [name for name in (*TABLES, *FAMILIES) if f'"{name}"' in text or f"_{name}" in text], (
            path.name
        )


def test_a_dag_says_what_it_is(dag: Any) -> None:
    assert dag.description
    assert dag.doc_md
    assert "bellwether" in dag.tags
    assert len(dag.tags) > 1


def test_a_dag_never_catches_up_and_runs_once_at_a_time(dag: Any) -> None:
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert dag.start_date is None  # with one, unpausing would start the last missed run at once


def test_parameters_are_typed_and_described(dag: Any) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.description, name
        assert param.schema["type"], name
        assert param.schema["title"], name


def test_wrong_parameters_are_refused(bag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    for dag_id in DAG_IDS:
        params = bag.dags[dag_id].params
        for name, wrong in (
            *(("as_of", "yesterday"), ("as_of", 5), ("force", "maybe")),
            *(("version", "nobody:1"), ("version", f"{FAMILIES[0]}:x")),
        ):
            if name in params:
                with pytest.raises(ParamValidationError):
                    params.get_param(name).resolve(wrong)


def test_tasks_follow_the_policy(dag: Any) -> None:
    for task in dag.tasks:
        assert task.owner == "bellwether", task.task_id
        assert task.retries == 6, task.task_id
        assert task.retry_delay == timedelta(seconds=20), task.task_id
        assert task.retry_exponential_backoff == 2.0, task.task_id
        assert task.max_retry_delay == timedelta(minutes=10), task.task_id
        assert timedelta(minutes=10) <= task.execution_timeout <= timedelta(hours=6), task.task_id
        assert task.pool == "default_pool", task.task_id
        assert 1 <= task.pool_slots <= 2, task.task_id


def test_a_version_is_finished_before_another_is_begun(bag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for family in FAMILIES:
        dag = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[f"retrain_{family}"]))
        tasks = [dag.get_task(task.task_id) for task in bag.dags[dag.dag_id].topological_sort()]
        weights = [task.weight_rule.get_weight(SimpleNamespace(task=task)) for task in tasks]
        assert weights == sorted(set(weights)) and len(weights) > 5


def test_what_may_be_skipped_says_so_and_the_rest_waits_for_success(dag: Any) -> None:
    rules = {task.task_id: task.trigger_rule.value for task in dag.tasks}
    expected = dict.fromkeys(rules, "all_success")
    if dag.dag_id == "ingest":
        expected["seal"] = "none_failed_min_one_success"
    assert rules == expected


def test_dags_survive_the_way_through_the_database(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    data = DagSerialization.to_dict(dag)
    restored = DagSerialization.from_dict(data)
    assert set(restored.task_ids) == set(dag.task_ids)


def test_no_task_is_shared_or_alone(dag: Any) -> None:
    tasks: list[BaseOperator] = list(dag.tasks)
    alone = [t.task_id for t in tasks if not t.upstream_task_ids and not t.downstream_task_ids]
    assert len(tasks) == 1 or alone == []

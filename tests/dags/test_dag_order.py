"""What runs after what, and what starts what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pendulum
import pytest
import yaml

PARAMS = yaml.safe_load((Path(__file__).resolve().parents[2] / "params.yaml").read_text())
TABLES, FAMILIES = tuple(PARAMS["tables"]), tuple(PARAMS["families"])


def _assets(condition: Any) -> set[str]:
    parts = getattr(condition, "objects", None)
    return {condition.uri} if parts is None else set().union(*map(_assets, parts))


def test_ingest_reads_all_tables_side_by_side_and_checks_each_against_its_other(bag: Any) -> None:
    dag = bag.dags["ingest"]
    for table, entry in PARAMS["tables"].items():
        assert dag.get_task(f"{table}.snapshot").upstream_task_ids == {"open"}
        wanted = {f"{other}.snapshot" for other in (table, *entry["checked_against"])}
        assert dag.get_task(f"{table}.validate").upstream_task_ids == wanted
    assert dag.get_task("seal").upstream_task_ids == {f"{table}.validate" for table in TABLES}


def test_ingest_groups_the_tasks_of_a_table(bag: Any) -> None:
    dag = bag.dags["ingest"]
    assert set(dag.task_group.get_task_group_dict()) == {None, *TABLES}


def test_ingest_reads_the_warehouse_anew_every_time(bag: Any) -> None:
    dag = bag.dags["ingest"]
    assert all(dag.get_task(f"{table}.snapshot").force for table in TABLES)
    assert not any(dag.get_task(f"{table}.validate").force for table in TABLES)


def test_ingest_starts_by_the_clock_of_the_parameters(bag: Any) -> None:
    assert bag.dags["ingest"].timetable.expression == PARAMS["schedule"]["ingest"]


@pytest.mark.parametrize("minutes", [1, 60, 1380])
def test_the_clock_does_not_begin_with_a_time_that_has_passed(
    bag: Any, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction

    due = pendulum.datetime(2026, 3, 1, 3)
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: due.add(minutes=minutes))
    scheduler = decode_timetable(encode_timetable(bag.dags["ingest"].timetable))
    anything = TimeRestriction(earliest=None, latest=None, catchup=False)
    first = scheduler.next_dagrun_info(last_automated_data_interval=None, restriction=anything)
    assert first.run_after == due.add(days=1)
    later = scheduler.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(due.subtract(days=3)), restriction=anything
    )
    assert later.run_after == due  # one that was missed while the platform was down is not


def test_seal_announces_every_table(bag: Any) -> None:
    outlets = {asset.uri for asset in bag.dags["ingest"].get_task("seal").outlets}
    assert outlets == {f"bellwether://tables/{table}" for table in TABLES}


def test_retrain_is_one_chain_of_the_familys_stages_and_the_side_effects(bag: Any, pipeline: Any) -> None:
    for family in FAMILIES:
        stages = [stage.kind for stage in pipeline.by_family[family]]
        assert stages == ["features", "train", "evaluate", "gate"]
        order = ["open", *stages, "record", "approve", "promote"]
        dag = bag.dags[f"retrain_{family}"]
        for before, after in pairwise(order):
            assert dag.get_task(after).upstream_task_ids == {before}


def test_retrain_starts_when_all_its_tables_are_new(bag: Any, pipeline: Any) -> None:
    from airflow.sdk import AssetAll, AssetAny

    for family in FAMILIES:
        condition = bag.dags[f"retrain_{family}"].timetable.asset_condition
        assert isinstance(condition, AssetAny)
        tables, asked = condition.objects
        assert isinstance(tables, AssetAll)
        assert _assets(tables) == {f"bellwether://tables/{t}" for t in pipeline.tables_of(family)}
        assert asked.uri == f"bellwether://retrain/{family}"


def test_a_family_with_a_clock_retrains_by_it_and_when_it_is_asked_for() -> None:
    from plugins.assets import retrain_schedule

    timetable = retrain_schedule("one", ["a", "b"], "0 5 * * 1")
    assert timetable.timetable.expression == "0 5 * * 1"
    assert _assets(timetable.asset_condition) == {"bellwether://retrain/one"}


def test_monitor_and_reproduce_choose_and_then_take_one_family_after_the_other(bag: Any) -> None:
    for name in ("monitor", "reproduce"):
        dag = bag.dags[name]
        assert dag.timetable.expression == PARAMS["schedule"][name]
        assert dag.max_active_tasks == 1
        assert set(dag.task_ids) == {"open", *FAMILIES}
        assert all(dag.get_task(family).upstream_task_ids == {"open"} for family in FAMILIES)


def test_a_look_may_ask_for_a_retrain_of_its_family_and_of_nothing_else(bag: Any) -> None:
    for family in FAMILIES:
        outlets = bag.dags["monitor"].get_task(family).outlets
        assert [asset.uri for asset in outlets] == [f"bellwether://retrain/{family}"]


def test_retrain_reads_the_tables_that_the_family_names(pipeline: Any) -> None:
    from ml.families import family as family_of

    for family in FAMILIES:
        assert set(pipeline.tables_of(family)) == set(family_of(family).tables)


def test_publish_starts_when_the_champion_or_its_tables_change(bag: Any, pipeline: Any) -> None:
    from airflow.sdk import AssetAny

    for family in FAMILIES:
        condition = bag.dags[f"publish_{family}"].timetable.asset_condition
        assert isinstance(condition, AssetAny)
        champion, tables = condition.objects
        assert champion.uri == f"bellwether://champions/{family}"
        assert _assets(tables) == {f"bellwether://tables/{t}" for t in pipeline.tables_of(family)}


def test_promote_announces_the_champion(bag: Any) -> None:
    for family in FAMILIES:
        outlets = bag.dags[f"retrain_{family}"].get_task("promote").outlets
        assert [asset.uri for asset in outlets] == [f"bellwether://champions/{family}"]


def test_heavy_stages_take_two_slots(bag: Any) -> None:
    for family in FAMILIES:
        slots = {task.task_id: task.pool_slots for task in bag.dags[f"retrain_{family}"].tasks}
        assert {name for name, number in slots.items() if number == 2} == {"features", "train", "evaluate"}

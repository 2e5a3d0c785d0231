"""The tasks about champions: whom they follow, when they ask for a retrain, what a version that differs does."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from ml import errors
from plugins.stage_tasks import errors_decide

FAMILIES = ("seasonality", "viral", "relevance_fusion", "ground_truth")


def task_of(bag: Any, dag_id: str, task_id: str) -> Any:
    return bag.dags[dag_id].get_task(task_id).prepare_for_execution()


def act(task: Any, **params: Any) -> tuple[Any, dict[str, Any]]:
    """`execute`, without Airflow's guard against calling it by hand; returns what it said and what it announced."""
    announced: dict[Any, Any] = defaultdict(SimpleNamespace)
    given = {
        "ti": SimpleNamespace(task=task, map_index=-1, xcom_push=lambda key, value: None), "task": task,
        "params": {"version": None, **params}, "run_id": "manual__1", "outlet_events": announced,
    }  # fmt: skip
    with errors_decide(task.log):
        return task.act(given), {asset.uri: event.extra for asset, event in announced.items()}


@pytest.mark.parametrize("dag_id", ["monitor", "reproduce"])
def test_families_without_a_champion_are_skipped(
    bag: Any, monkeypatch: pytest.MonkeyPatch, dag_id: str
) -> None:
    monkeypatch.setattr("ml.actions.govern.champions", lambda: ("viral", "seasonality"))
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        act(task_of(bag, dag_id, "open"))
    assert {name for name, _ in skipped.value.tasks} == {"relevance_fusion", "ground_truth"}


def test_a_version_named_by_hand_is_the_only_one(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.actions.govern.family_of_version", lambda version: version.partition(":")[0])
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        act(task_of(bag, "reproduce", "open"), version="viral:3")
    assert {name for name, _ in skipped.value.tasks} == set(FAMILIES) - {"viral"}


def test_a_version_is_a_typed_parameter(bag: Any) -> None:
    params = bag.dags["reproduce"].params
    for good in (None, "viral", "viral:12", "viral@champion"):
        assert params.get_param("version").resolve(good) == good


@pytest.mark.parametrize("asked", [True, False])
def test_a_retrain_is_announced_only_if_it_is_asked_for(
    bag: Any, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    looks: list[Any] = []

    def look(family: str, run_id: str, *, ask: bool) -> Any:
        looks.append((family, run_id, ask))
        return SimpleNamespace(version="3", as_of=date(2025, 1, 2), asked=asked, why="units: far off")

    monkeypatch.setattr("ml.actions.publish.not_ready", lambda family: None)
    monkeypatch.setattr("ml.actions.monitor.look", look)
    task = task_of(bag, "monitor", "viral")
    _, announced = act(task)
    ((family, run, ask),) = looks
    assert (family, ask) == ("viral", True) and run.startswith("monitor-viral-newest-")
    expected = {"bellwether://retrain/viral": {"as_of": "2025-01-02", "why": "units: far off"}}
    assert announced == (expected if asked else {})
    assert [asset.uri for asset in task.outlets] == list(announced)


def test_a_champion_of_another_shop_is_not_looked_at(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.actions.publish.not_ready", lambda family: "another shop")
    with pytest.raises(AirflowSkipException, match="another shop"):
        act(task_of(bag, "monitor", "viral"))


def test_what_differs_fails_for_good_and_says_what(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(spec: str, **_: Any) -> Any:
        raise errors.NotReproducible(
            f"{spec} differs", found="data/model/viral: doubles.ubj", next_step="install"
        )

    monkeypatch.setattr("ml.actions.reproduce.reproduce", differs)
    with pytest.raises(AirflowFailException) as caught:
        act(task_of(bag, "reproduce", "viral"), version="viral:3")
    assert "NotReproducible: viral:3 differs" in str(caught.value)
    assert "doubles.ubj" in str(caught.value) and "install" in str(caught.value)


def test_without_a_version_the_champion_is_rebuilt(bag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    specs: list[str] = []

    def same(spec: str, **_: Any) -> Any:
        specs.append(spec)
        return SimpleNamespace(family="viral", version="7", digests={"data/model/viral": "d"})

    monkeypatch.setattr("ml.actions.reproduce.reproduce", same)
    assert act(task_of(bag, "reproduce", "viral"))[0] == "viral:7"
    assert specs == ["viral"]

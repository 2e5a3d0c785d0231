"""Ground truth through the whole loop: labels, a queue for people, pages; their answers are in the next training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_dialogues import END, FAST, dialogues, fill

from ml import workspace
from ml.actions.loop import Outcome, run_loop
from ml.actions.publish import Published, publish_again
from ml.config import settings
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
Asked = dict[str, Any]


@dataclass(frozen=True)
class Rounds:
    home: Path
    first: Outcome
    queue: list[Asked]
    answers: list[Asked]
    without: Outcome
    again: Published


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rounds]:
    """A loop; people answer what the queue asks; a loop without the coherence model; what is published then."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        rows = dialogues(END, count=120)
        silent = {row["dialogue_id"] for row in rows["turns"] if int(row["dialogue_id"][1:]) % 6 == 3}
        for row in rows["turns"]:  # of some of these nobody could tell what was wanted
            if (
                row["dialogue_id"] in silent
                and int(row["dialogue_id"][1:]) % 12 == 3
                and row["speaker"] == "user"
            ):
                row["text"] = "well hmm maybe the other one"
        rows["annotations"] = [row for row in rows["annotations"] if row["dialogue_id"] not in silent]
        fill(home, patch, rows)
        first = run_loop("ground_truth", END, overrides=FAST)
        queue = _read(home, "SELECT * FROM bellwether_annotation_queue ORDER BY rank")
        answers = [_answer(row) for row in queue[: len(queue) // 2]]
        with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
            given = pa.Table.from_pylist(answers, schema=arrow_schema(TABLES["annotations"]))
            connection.execute("INSERT INTO annotations BY NAME SELECT * FROM given")
            assert len(given) > 0
        without = run_loop("ground_truth", END, overrides={**FAST, "coherence": False})
        again = without.published or publish_again("ground_truth")
        assert again is not None
        yield Rounds(home, first, queue, answers, without, again)


def _read(home: Path, query: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).to_arrow_table().to_pylist()


def _answer(asked: Asked) -> Asked:
    label = {"satisfaction": "1", "intent": "play"}.get(asked["kind"], "no")
    when = datetime(END.year, END.month, END.day) - timedelta(hours=1)
    key = {name: asked[name] for name in ("dialogue_id", "turn_idx", "kind")}
    return {**key, "annotator_id": "ana", "annotated_at": when, "label": label}


def test_labels_and_questions_are_in_the_warehouse_and_on_pages(rounds: Rounds) -> None:
    published = rounds.first.published
    assert rounds.first.promoted and published is not None, rounds.first.verdict["reasons"]
    assert set(published.rows) == {"labels", "annotation_queue", "dialogues_shown"}
    labels = _read(rounds.home, "SELECT DISTINCT kind, source FROM bellwether_labels")
    assert {row["source"] for row in labels} == {"people", "model"}
    versions = _read(rounds.home, "SELECT DISTINCT model_version FROM bellwether_labels")
    assert [row["model_version"] for row in versions] == [rounds.again.version]
    assert [row["rank"] for row in rounds.queue] == list(range(1, len(rounds.queue) + 1))
    assert published.site is not None
    index = published.site.read_text()
    assert "What people are asked first" in index
    assert len(list(published.site.parent.glob("*.html"))) > 6


def test_answers_are_in_the_next_training(rounds: Rounds) -> None:
    runs = [path for path in (rounds.home / "runs").iterdir() if path.name.startswith("ground_truth-")]
    newest = max(runs, key=lambda path: path.stat().st_mtime_ns)
    matrix = pq.read_table(sorted((newest / "data/features/ground_truth").glob("*.parquet"))[0]).to_pylist()
    heard = {
        (row["dialogue_id"], kind)
        for row in matrix
        for kind in ("goal_boundary", "goal_success", "satisfaction", "intent")
        if "ana\t" in (row[f"{kind}_votes"] or "")
    }
    assert heard >= {(row["dialogue_id"], row["kind"]) for row in rounds.answers}
    assert workspace.params_of(newest.name).families["ground_truth"].params["coherence"] is False


def test_what_was_answered_is_asked_no_more_and_published_as_said_by_people(rounds: Rounds) -> None:
    answered = {(row["dialogue_id"], row["turn_idx"], row["kind"]) for row in rounds.answers}
    queue = _read(rounds.home, "SELECT dialogue_id, turn_idx, kind FROM bellwether_annotation_queue")
    assert queue and not answered & {tuple(row.values()) for row in queue}
    named = {"goal_boundary": "boundary", "goal_success": "success", "satisfaction": "defect"}
    labels = _read(
        rounds.home, "SELECT dialogue_id, turn_idx, kind FROM bellwether_labels WHERE source = 'people'"
    )
    published = {tuple(row.values()) for row in labels}
    assert {(dialogue, turn, named.get(kind, kind)) for dialogue, turn, kind in answered} <= published


def test_mlflow_shows_with_and_without_the_coherence_model_side_by_side(rounds: Rounds) -> None:
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow)
    client = mlflow.MlflowClient()
    versions = [
        client.get_model_version("ground_truth", one.version) for one in (rounds.first, rounds.without)
    ]
    runs = [client.get_run(version.run_id).data for version in versions]
    assert [run.params["ground_truth.coherence"] for run in runs] == ["True", "False"]
    for run in runs:
        assert {
            "defect_pr_auc",
            "boundary_f1",
            "success_f1_of_failure",
            "intent_accuracy",
        } <= run.metrics.keys()
        assert {"baseline_defect_pr_auc", "defect_coverage_at_human_plus_5"} <= run.metrics.keys()

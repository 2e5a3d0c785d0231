"""What the gate said is recorded where people read it: MLflow, the model card, the desk; after a second judgement too.

A version that was judged against one champion is judged again where another is in service when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_shop import NAME, ONE, SEALED, TWO, build, retrain, tiny

from ml import workspace
from ml.actions.retrain import approve, open_retrain, promote, verdict_of
from ml.config import settings
from ml.seams.ledger import REJECT, Ledger
from ml.seams.tracking import Tracking
from ml.toolkit.gate import Comparison

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
BETTER, WORSE = "tiny-3", "tiny-4"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three versions won against version 1; the best of them, version 2, is promoted second and judged again then."""
    with tiny(tmp_path_factory.mktemp("tiny")) as home:
        build()
        let_rows_back()
        retrain(BETTER, share=2.0)
        retrain(WORSE, share=1.5)
        assert approve(BETTER) and approve(WORSE)
        yield home


def let_rows_back() -> None:
    """As a replay seals a table in which people's decisions were followed."""
    ledger = Ledger(settings().ledger)
    (sealed,) = ledger.sealed_by(SEALED, ["order_lines"])
    by = [
        {"action": "accept", "rows": 2, "actor": "ana", "why": "a real bulk order"},
        {"action": "repair", "rows": 1, "actor": "bo", "why": "price from the till"},
    ]
    sealed.profile = {"decided": {"accepted": 2, "repaired": 1, "replaced": 1, "by": by}}
    ledger.seal([sealed])


def recorded(run_id: str) -> dict[str, Any]:
    """What MLflow has of a run's version, and its card without Markdown's escapes."""
    from mlflow import MlflowClient

    notes, tracking = Ledger(settings().ledger).run(run_id).notes, Tracking(settings().mlflow)
    client = MlflowClient(settings().mlflow, settings().mlflow)
    run, version = client.get_run(notes["mlflow_run_id"]), client.get_model_version(NAME, notes["version"])
    file = {
        name: tracking.artifact(notes["mlflow_run_id"], name).decode()
        for name in ("verdict/verdict.md", "model_card.md", "workspace/dvc.lock")
    }
    return {
        "verdict": file["verdict/verdict.md"],
        "card": file["model_card.md"].replace("\\", ""),
        "description": version.description.replace("\\", ""),
        "lock": file["workspace/dvc.lock"],
        "metrics": run.data.metrics,
        "tags": [run.data.tags, version.tags],
        "status": run.info.status,
    }


def reject_another() -> None:
    """A challenger more of this reign has lost."""
    ledger = Ledger(settings().ledger)
    last = ledger.last_decision(NAME)
    ledger.decide(
        NAME, after=last.seq if last else 0, action=REJECT, run_id="another", version="9", actor="gate",
        why="w", verdict={},
    )  # fmt: skip


def sentences(run_id: str) -> list[str]:
    """Each comparison that the gate made, in words."""
    said = verdict_of(run_id)
    return [Comparison(**part).words() for part in (said["headline"], *said["guardrails"])]


def test_each_guardrail_is_in_mlflow_and_on_the_card(home: Path) -> None:
    kept, said = sentences(BETTER), recorded(BETTER)
    assert len(kept) == 2 and "of the champion" in kept[0] and "of the baseline" in kept[1]
    for sentence in kept:
        for place in ("verdict", "card", "description"):
            assert sentence in said[place], place
    assert f"Guardrail kept (no worse than by 0%): {kept[1]}." in said["verdict"]


def test_a_version_says_whose_rows_it_was_trained_on(home: Path) -> None:
    said = recorded(BETTER)
    counts = "2 accepted, 1 repaired (for 1)"
    assert [tags["rows_by_decision"] for tags in said["tags"]] == [f"order_lines: {counts}"] * 2
    for line in (
        f"Rows of order_lines that came back from quarantine by people's decisions: {counts}.",
        "- accept, 2 rows, ana: a real bulk order",
        "- repair, 1 rows, bo: price from the till",
    ):
        assert line in said["card"].splitlines()
    before = recorded(ONE)
    assert all("rows_by_decision" not in tags for tags in before["tags"])
    assert "people's decisions" not in before["card"]


def test_a_version_judged_again_shows_the_last_judgement_everywhere(home: Path) -> None:
    promote(BETTER)
    before, first = recorded(TWO), sentences(TWO)
    assert promote(TWO) == "2"
    said, again = recorded(TWO), sentences(TWO)
    ledger = Ledger(settings().ledger)
    assert again != first
    for sentence in again:
        assert all(sentence in said[place] for place in ("verdict", "card", "description"))
    assert first[0] in before["card"] and first[0] not in said["card"] + said["verdict"] + said["description"]
    assert said["metrics"]["gate_difference"] == verdict_of(TWO)["headline"]["difference"]
    assert said["metrics"]["champion_wape"] < before["metrics"]["champion_wape"]
    assert all(tags["judged_again"] == "against version 3, at look 1" for tags in said["tags"])
    assert said["lock"] == ledger.run(TWO).lock != before["lock"]
    assert said["status"] == "FINISHED"
    assert ledger.run(TWO).notes["judged"]["verdict"]["headline"] == verdict_of(TWO)["headline"]
    assert ledger.decisions(NAME)[-1].verdict["headline"] == verdict_of(TWO)["headline"]


def test_a_version_that_loses_when_judged_again_is_shown_as_refused(home: Path) -> None:
    reject_another()
    assert promote(WORSE) is None
    said = recorded(WORSE)
    assert verdict_of(WORSE)["rules"]["look"] == 2
    assert said["tags"][0]["judged_again"] == "against version 2, at look 2"
    assert [tags["verdict"] for tags in said["tags"]] == ["refused", "refused"]
    assert "| Verdict | not approved |" in said["card"] and said["verdict"].startswith("- Not promoted")
    refused = Ledger(settings().ledger).decisions(NAME)[-1]
    assert (refused.action, refused.run_id) == (REJECT, WORSE)


def test_a_retrain_knows_how_often_the_champion_was_challenged(home: Path) -> None:
    reject_another()
    open_retrain(NAME, "tiny-5", overrides={"share": 0.9})
    ledger = Ledger(settings().ledger)
    last, champion = ledger.last_decision(NAME), ledger.champion(NAME)
    assert last is not None and champion is not None
    assert workspace.params_of("tiny-5").gate.look == last.seq - champion.seq + 1 > 1

"""The stage `gate` holds a version against its family's limits: of data's age, of calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ml.config import load_params
from ml.stages.gate import gate
from ml.toolkit.gate import CHALLENGER, CHAMPION

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("seasonality", "viral", "relevance_fusion", "ground_truth")
CALIBRATION = {
    "seasonality": "coverage_80",
    "viral": "calibration_error",
    "ground_truth": "calibration_error",
}
GOOD = {"data_age_days": 1.0, "coverage_80": 0.8, "relevance_kept": 1.0, "calibration_error": 0.05}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the parameters of the checkout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    return tmp_path


def judged(family: str, *, better_by: float = 0.3, **changed: float) -> dict[str, Any]:
    """The verdict on a challenger whose losses are lower by so much, with these metrics."""
    folder = Path("data/evaluation") / family
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: value for name, value in (GOOD | changed).items() if value is not None}
    (folder / "metrics.json").write_text(json.dumps({"holdout": "h", "folds": {"h": {CHALLENGER: found}}}))
    champion = np.random.default_rng(1).gamma(2.0, 1.0, 300)
    parts = [
        pa.table(
            {
                "case": [f"c{i}" for i in range(300)], "entity": [f"e{i}" for i in range(300)],
                "model": [model] * 300, "fold": ["h"] * 300, "loss": loss, "weight": np.ones(300),
            }
        )
        for model, loss in ((CHALLENGER, champion * (1 - better_by)), (CHAMPION, champion))
    ]  # fmt: skip
    pq.write_table(pa.concat_tables(parts), folder / "losses.parquet")
    gate(family)
    said: dict[str, Any] = json.loads((Path("data/verdict") / family / "verdict.json").read_text())
    return said


@pytest.mark.parametrize("family", FAMILIES)
def test_data_that_is_too_old_is_refused_and_the_verdict_says_so(workspace: Path, family: str) -> None:
    assert judged(family)["approved"]
    said = judged(family, data_age_days=40.0)
    assert not said["approved"]
    assert any(
        reason.startswith("data_age_days is 40; it must lie between 0 and") for reason in said["reasons"]
    )


@pytest.mark.parametrize("family", list(CALIBRATION))
def test_a_version_whose_chances_are_off_is_refused(workspace: Path, family: str) -> None:
    said = judged(family, **{CALIBRATION[family]: 0.4})
    assert not said["approved"] and said["reasons"][0].startswith(f"{CALIBRATION[family]} is 0.4")


def test_every_family_limits_the_age_of_data_and_latency() -> None:
    params = load_params(ROOT / "params.yaml")
    assert all({"data_age_days", "latency_ms"} <= set(entry.limits) for entry in params.families.values())


def test_what_is_better_by_less_than_the_minimum_effect_is_not_promoted(workspace: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    least = params["gate"]["minimum_effect"]
    assert least > 0
    assert judged("viral", better_by=2 * least)["approved"]
    assert not judged("viral", better_by=least / 2)["approved"]

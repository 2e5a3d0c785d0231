"""Stage `gate`: is the challenger better beyond doubt? Writes data/verdict/<family>/verdict.json."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.config import load_params
from ml.stages import run_stage_main
from ml.toolkit.gate import CHALLENGER, MEASURED, GateRules, Limit, as_json, verdict

log = logging.getLogger(__name__)


def gate(name: str) -> None:
    """Judge family `name` on the hold-out of data/evaluation/<name>."""
    params = load_params()
    entry = params.entry(name)
    source = Path("data/evaluation") / name
    evaluation = json.loads((source / "metrics.json").read_text())
    holdout = evaluation["holdout"]
    losses = pq.read_table(source / "losses.parquet")
    found = evaluation["folds"][holdout][CHALLENGER]
    asked = {metric: at for metric, at in entry.limits.items() if metric not in MEASURED}
    limits = [Limit(metric, found.get(metric), *at) for metric, at in asked.items()]
    rules = GateRules(**params.gate.model_dump())
    judged = verdict(losses.filter(pc.equal(losses["fold"], holdout)), rules, limits)
    target = Path("data/verdict") / name
    target.mkdir(parents=True, exist_ok=True)
    (target / "verdict.json").write_text(json.dumps(as_json(judged), indent=1))
    log.info("%s: %s", "approved" if judged.approved else "refused", "; ".join(judged.reasons))


if __name__ == "__main__":
    run_stage_main(gate)

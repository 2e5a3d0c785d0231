"""Stage `train`: one model for each window of the backtest, and the one to serve."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.config import load_params
from ml.families import family as family_of
from ml.families.loading import ABOUT, digests
from ml.seams.engine import open_engine
from ml.stages import run_stage_main
from ml.stages.family_params import params_of

if TYPE_CHECKING:
    from ml.families.record import Family

log = logging.getLogger(__name__)


def train(name: str) -> None:
    """Fit family `name` on data/features/<name> into data/model/<name>/{folds/<fold>,final}/."""
    params = load_params()
    record = family_of(name)
    own = params_of(record, params)
    target = Path("data/model") / name
    shutil.rmtree(target, ignore_errors=True)
    with open_engine(params.features, Path(f"data/scratch-{name}")) as engine:
        matrix = engine.table("matrix", Path("data/features") / name)
        folds = record.folds(matrix, params.as_of, own)
        for number, fold in enumerate(folds, start=1):
            log.info("fit %d of %d: %s, as of %s", number, len(folds) + 1, fold.name, fold.as_of)
            _fit(record, fold.train, fold.as_of, own, target / "folds" / fold.name)
        log.info("fit %d of %d: the model to serve, as of %s", len(folds) + 1, len(folds) + 1, params.as_of)
        _fit(record, matrix, params.as_of, own, target / "final")
    about = {
        "family": name,
        "as_of": params.as_of.isoformat(),
        "holdout": folds[-1].name,
        "matrix": {column: str(kind) for column, kind in matrix.schema().items()},
        "folds": {fold.name: fold.as_of.isoformat() for fold in folds},
        "files": digests(target),
    }
    (target / ABOUT).write_text(json.dumps(about, indent=1))


def _fit(record: Family, matrix: Any, as_of: date, own: Any, folder: Path) -> None:
    folder.mkdir(parents=True)
    record.save(record.fit(matrix, as_of, own), folder)


if __name__ == "__main__":
    run_stage_main(train)

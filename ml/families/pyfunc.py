"""How MLflow serves any family: the loader of the `python_function` flavour (no pickles).

The model folder holds `model.json` ({"family", "as_of", "matrix": {column: type}, "files": {path: SHA-256}, ...}) and
`final/`; a folder with a changed file is not loaded. `predict` takes
requests where the family serves itself (`Family.serving`); otherwise rows of the family's matrix as a data frame (dates
as midnights), and the parameter `as_of` (ISO date; default: the day as of which the model was trained).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.families import family
from ml.families.loading import check

if TYPE_CHECKING:
    import pandas as pd


class ServedModel:
    """A family's model behind MLflow's `predict`."""

    def __init__(self, folder: Path) -> None:
        self._about = check(folder)
        self._family = family(self._about["family"])
        self._model = self._family.load(folder / "final")

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answers to requests, or predictions: one row per key that is to be predicted."""
        import pyarrow as pa

        if self._family.serving is not None:
            requests = pa.Table.from_pandas(model_input, preserve_index=False)
            answers: pd.DataFrame = self._family.serving.answer(self._model, requests).to_pandas()
            return answers
        return self._scored(model_input, params)

    def _scored(self, model_input: pd.DataFrame, params: dict[str, Any] | None) -> pd.DataFrame:
        import ibis
        import pyarrow as pa

        as_of = date.fromisoformat((params or {}).get("as_of") or self._about["as_of"])
        schema = ibis.schema(self._about["matrix"]).to_pyarrow()
        rows = pa.Table.from_pandas(model_input[schema.names], schema, preserve_index=False)
        predictions = self._family.score(self._model, ibis.memtable(rows), as_of)
        frame: pd.DataFrame = predictions.to_pandas()
        return frame


def _load_pyfunc(path: str) -> ServedModel:
    return ServedModel(Path(path))

"""What every family must do, present and future: those of params.yaml, and the template."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from small_shop import END, materialised, opened, shop

from ml.families import family as family_of
from ml.families.record import Family, Fold

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ["_template", *sorted(yaml.safe_load((ROOT / "params.yaml").read_text())["families"])]
QUICK: dict[str, dict[str, Any]] = {
    "seasonality": {
        "rounds": 12,
        "text_components": 2,
        "autoets_series": 0,
        "training_days": 100,
        "nthread": 1,
    },
    "viral": {"rounds": 12, "nthread": 1, "max_rows": 1000},
    "relevance_fusion": {"rounds": 20, "text_components": 4, "mixes": (0.5,), "nthread": 1},
    "ground_truth": {"rounds": 20, "word_bits": 12, "folds": 3, "components": 4, "nthread": 1},
}


@dataclass(frozen=True)
class Case:
    record: Family
    params: Any
    tables: dict[str, pa.Table]
    matrix: ibis.Table
    folds: tuple[Fold, ...]
    model: Any
    predictions: pa.Table
    truth: pa.Table

    @property
    def last(self) -> Fold:
        return self.folds[-1]


@cache
def case(name: str) -> Case:
    record = family_of(name)
    params = record.params(**QUICK.get(name, {}))
    tables = shop()
    matrix = materialised(record.features(opened(tables), END, params), record.key)
    folds = record.folds(matrix, END, params)
    model = record.fit(folds[-1].train, folds[-1].as_of, params)
    predictions = record.score(model, folds[-1].test, folds[-1].as_of)
    return Case(record, params, tables, matrix, folds, model, predictions, folds[-1].truth.to_pyarrow())


@pytest.fixture(params=FAMILIES)
def of(request: pytest.FixtureRequest) -> Case:
    return case(request.param)


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def distinct(table: pa.Table, key: tuple[str, ...]) -> int:
    return table.group_by(list(key)).aggregate([]).num_rows


def test_features_have_one_row_per_key(of: Case) -> None:
    rows = of.matrix.select(*of.record.key).to_pyarrow()
    assert len(rows) == distinct(rows, of.record.key) > 0
    assert all(rows.column(name).null_count == 0 for name in of.record.key)


def test_inputs_are_untouched(of: Case) -> None:
    assert of.tables == shop()


def test_features_of_the_same_tables_are_the_same(of: Case) -> None:
    again = materialised(of.record.features(opened(shop()), END, of.params), of.record.key)
    assert again.to_pyarrow().equals(of.matrix.to_pyarrow())


def test_folds_are_in_order_and_hide_what_comes(of: Case) -> None:
    assert len(of.folds) >= 3
    assert [fold.as_of for fold in of.folds] == sorted({fold.as_of for fold in of.folds})
    assert of.last.as_of < END
    assert of.last.truth.count().to_pyarrow().as_py() > 0


def test_same_seed_same_bytes(of: Case, tmp_path: Path) -> None:
    of.record.save(of.model, tmp_path / "one")
    of.record.save(of.record.fit(of.last.train, of.last.as_of, of.params), tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_no_pickles(of: Case, tmp_path: Path) -> None:
    of.record.save(of.model, tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {
        ".ubj",
        ".json",
        ".safetensors",
        ".txt",
    }


def test_scores_survive_save_and_load(of: Case, tmp_path: Path) -> None:
    of.record.save(of.model, tmp_path)
    again = of.record.score(of.record.load(tmp_path), of.last.test, of.last.as_of)
    assert again.equals(of.predictions)


def test_predictions_have_one_row_per_key(of: Case) -> None:
    assert len(of.predictions) == distinct(of.predictions, of.record.key) > 0
    assert all(column.null_count == 0 for column in of.predictions.columns)


def test_what_was_asked_earlier_can_be_asked_again(of: Case) -> None:
    """Four weeks of the past and the newest four weeks, as the monitor compares them."""
    if of.record.asked_between is None or of.record.asked is None:
        pytest.skip("not watched")
    month = timedelta(days=28)
    votes = [name for name in of.matrix.columns if name.endswith("_votes")]  # what people said is not asked
    unheard = of.matrix.mutate(**{name: ibis.null("string") for name in votes})
    then, now = (
        of.record.score(of.model, *of.record.asked_between(unheard, end - month, end, 2000))
        for end in (END - 2 * month, END)
    )
    assert len(then) > 0 and len(now) > 0 and then.schema.equals(now.schema)
    assert not then.equals(now)
    assert of.record.asked(of.matrix).asked_at.max().to_pyarrow().as_py() is not None


def test_baselines_have_the_columns_and_rows_of_predictions(of: Case) -> None:
    made = of.record.baselines(of.last.test, of.last.as_of, of.params)
    assert of.record.baseline in made
    for name, rows in made.items():
        assert rows.schema.equals(of.predictions.schema), name
        assert rows.select(list(of.record.key)).equals(of.predictions.select(list(of.record.key))), name


def test_losses_give_one_row_per_case_with_slices(of: Case) -> None:
    rows = of.record.losses(of.predictions, of.truth)
    assert len(rows) == distinct(rows, ("case",)) > 0
    assert pc.all(
        pc.and_(pc.is_finite(rows.column("loss")), pc.greater_equal(rows.column("weight"), 0))
    ).as_py()
    slices = [name for name in rows.column_names if name.startswith("slice_")]
    assert slices
    assert set(rows.column_names) == {"case", "entity", "loss", "weight", *slices}


def test_the_truth_loses_nothing(of: Case) -> None:
    made = of.record.metrics(of.predictions, of.truth)
    assert of.record.headline in made
    assert all(isinstance(value, float) for value in made.values())


def test_metrics_have_names_that_mlflow_takes(of: Case) -> None:
    """A name that it refuses lets no run of the family be recorded."""
    names = of.record.metrics(of.predictions, of.truth).keys()
    assert [name for name in names if not re.fullmatch(r"[\w.\- :/]+", name)] == []
    assert of.record.headline in names


def test_predictions_are_explained_in_words(of: Case) -> None:
    rows = of.record.explain(of.model, of.last.test, of.last.as_of, of.params)
    assert {*of.record.key, "feature", "words", "value", "contribution"} == set(rows.column_names)
    assert pc.all(pc.not_equal(pc.utf8_length(rows.column("words")), 0)).as_py()


def test_figures_are_drawn(of: Case) -> None:
    drawn = of.record.figures(of.predictions, of.truth)
    assert drawn
    assert all(figure.axes for figure in drawn.values())


def test_publications_are_tables(of: Case) -> None:
    made = of.record.publications(of.model, of.matrix, opened(of.tables), END, of.params)
    assert made
    assert all(isinstance(rows, pa.Table) for rows in made.values())


def test_served_models_answer_their_own_example(of: Case) -> None:
    if of.record.serving is None:
        pytest.skip("rows of the matrix are what is served")
    request = of.record.serving.example(of.model)
    answer = of.record.serving.answer(of.model, request)
    assert len(answer) == len(request) > 0
    assert of.record.serving.answer(of.model, request).equals(answer)


def test_trials_are_settings_with_results(of: Case) -> None:
    if of.record.trials is None:
        pytest.skip("nothing is swept over")
    made = of.record.trials(of.predictions, of.truth)
    assert len({tuple(sorted(trial.params.items())) for trial in made.values()}) == len(made) > 1
    assert all(trial.metrics for trial in made.values())


def test_an_unknown_parameter_is_an_error(of: Case) -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        of.record.params(no_such_parameter=1)

"""A model is loaded only as it was trained: any changed, missing or added file is refused, and so is any pickle."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION as PICKLE

from ml.config import Settings
from ml.errors import DataRejected
from ml.families import family
from ml.families.loading import check, digests, load_model
from ml.families.pyfunc import _load_pyfunc
from ml.platform import airflow, mlflow
from ml.platform.credentials import Credentials
from ml.platform.environment import base_environment
from ml.platform.postgres import Postgres
from ml.seams import versioning
from ml.seams.tracking import Tracking
from ml.seams.versioning import digest_of_folder

SHARED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder as `train` leaves it, of the family that needs no data."""
    folder = tmp_path / "model"
    for part in ("final", "folds/one"):
        (folder / part).mkdir(parents=True)
        (folder / part / "model.json").write_text('{"share": 0.25}')
        (folder / part / "trees.ubj").write_bytes(bytes(range(256)))
    about = {"family": "_template", "holdout": "one", "files": digests(folder)}
    (folder / "model.json").write_text(json.dumps(about))
    return folder


def test_an_untouched_model_is_loaded(model: Path) -> None:
    assert load_model(family("_template"), model, "final").share == 0.25
    assert check(model)["holdout"] == "one"


@SHARED
@given(st.sampled_from(["final/model.json", "final/trees.ubj", "folds/one/trees.ubj"]), st.data())
def test_any_changed_byte_is_refused(model: Path, name: str, data: st.DataObject) -> None:
    file = model / name
    before = file.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    changed = bytearray(before)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        file.write_bytes(changed)
        with pytest.raises(DataRejected, match=name) as caught:
            load_model(family("_template"), model, "final")
        assert "SHA-256" in str(caught.value) and caught.value.next_step
    finally:
        file.write_bytes(before)
    check(model)


def test_files_that_are_missing_or_new_are_refused(model: Path) -> None:
    (model / "final/more.json").write_text("{}")
    with pytest.raises(DataRejected, match=r"final/more.json was not there"):
        check(model)
    (model / "final/more.json").unlink()
    (model / "final/trees.ubj").unlink()
    with pytest.raises(DataRejected, match=r"final/trees.ubj is missing"):
        check(model)


def test_mlflow_serves_no_changed_model(model: Path) -> None:
    (model / "final/trees.ubj").write_bytes(b"other")
    with pytest.raises(DataRejected, match=r"final/trees.ubj"):
        _load_pyfunc(str(model))


@pytest.mark.parametrize("name", ["final/model.pkl", "final/model.joblib", "final/model", "final/run.py"])
def test_a_model_of_another_kind_is_neither_written_nor_loaded(model: Path, name: str) -> None:
    (model / name).write_bytes(pickle.dumps({"share": 1}))
    for refuse in (digests, check):
        with pytest.raises(DataRejected, match=name):
            refuse(model)


def test_a_list_of_digests_that_was_changed_along_shows_in_the_folders_digest(model: Path) -> None:
    before = digest_of_folder(model)
    (model / "final/trees.ubj").write_bytes(b"other")
    about = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**about, "files": digests(model)}))
    check(model)
    assert digest_of_folder(model) != before


def test_no_process_may_let_mlflow_unpickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user's shell says: neither the platform's parts, nor DVC and its stages, nor whoever uses MLflow."""
    monkeypatch.setenv(PICKLE.name, "true")
    base = base_environment(Settings(home=tmp_path))
    server = Postgres(tmp_path, tmp_path, tmp_path)
    known = Credentials("password", "fernet", "jwt", "api")
    parts = {
        "base": base,
        "mlflow": mlflow.environment(base),
        "airflow": airflow.environment(tmp_path, tmp_path, server, 8080, known, base),
        "dvc": versioning._environment({}),
    }
    assert {part: has[PICKLE.name] for part, has in parts.items()} == dict.fromkeys(parts, "false")
    assert PICKLE.get()
    Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    assert not PICKLE.get()

"""Parameters and settings: an unknown key is an error that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ml.config import load_params, parse_params, settings
from ml.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


def raw() -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return params


@pytest.mark.parametrize(
    ("where", "key", "near"),
    [
        ((), "famlies", "families"),
        (("gate",), "confidenc", "confidence"),
        (("snapshot",), "row_per_shard", "rows_per_shard"),
    ],
)
def test_an_unknown_key_names_the_nearest(where: tuple[str, ...], key: str, near: str) -> None:
    params = raw()
    target = params
    for part in where:
        target = target[part]
    target[key] = 1
    with pytest.raises(UsageError, match=f"did you mean '{near}'"):
        parse_params(params, "params.yaml")


def test_a_wrong_value_names_the_key_and_the_value() -> None:
    params = raw()
    params["gate"]["confidence"] = 95
    with pytest.raises(UsageError, match=r"gate\.confidence.*95"):
        parse_params(params, "params.yaml")


def test_a_missing_file_says_where_to_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="workspace"):
        load_params(tmp_path / "params.yaml")


def test_environment_before_platform_file_before_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WAREHOUSE_URL", "LEDGER_URL", "MLFLOW_URL"):
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    (tmp_path / "platform.env").write_text(
        "BELLWETHER_LEDGER_URL=sqlite:///a\nBELLWETHER_MLFLOW_URL=http://127.0.0.1:1\n"
    )
    monkeypatch.setenv("BELLWETHER_LEDGER_URL", "sqlite:///b")
    now = settings()
    assert now.ledger == "sqlite:///b"
    assert now.mlflow == "http://127.0.0.1:1"
    assert now.warehouse == f"duckdb:///{tmp_path}/warehouse.duckdb"

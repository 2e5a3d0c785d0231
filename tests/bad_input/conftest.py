"""The shop that the tests of this folder spoil."""

from __future__ import annotations

from pathlib import Path

import pytest
from spoilt_shop import Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path)

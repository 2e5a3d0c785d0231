"""Every benchmark can be asked what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.quality import with_encoder
from ml.families import family

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "script",
    ["throughput", "overhead", "quality", "by_hand", "off_policy", "serving", "fusion", "desk", "labelling"],
)
def test_help(script: str) -> None:
    command = [sys.executable, "-m", f"bench.{script}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m bench.{script}" in done.stdout


def test_a_baseline_that_cannot_be_made_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    truth, viral = family("ground_truth").params(), family("viral").params()
    assert with_encoder(truth, None) is truth
    assert "sentence encoder are left out" in capsys.readouterr().out
    assert with_encoder(truth, tmp_path).encoder == str(tmp_path)
    assert with_encoder(viral, tmp_path) is viral
    assert capsys.readouterr().out == ""

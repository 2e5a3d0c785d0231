"""Every benchmark can be asked what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["throughput", "overhead", "quality", "by_hand", "off_policy"])
def test_help(script: str) -> None:
    command = [sys.executable, "-m", f"bench.{script}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m bench.{script}" in done.stdout

"""Every benchmark can be asked what it does."""

from __future__ import annotations

import runpy
import sys

import pytest

from bench.quality import with_every_baseline
from ml.families import family


@pytest.mark.parametrize(
    "script",
    [
        *("throughput", "overhead", "quality", "by_hand", "off_policy"),
        *("serving", "fusion", "desk", "labelling", "learning"),
    ],
)
def test_help(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As `python -m bench.NAME --help` does it, less the start of a process (what they import takes ten seconds)."""
    monkeypatch.setattr(sys, "argv", [f"bench/{script}.py", "--help"])
    monkeypatch.delitem(sys.modules, f"bench.{script}", raising=False)  # else runpy warns of a second copy
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"bench.{script}", run_name="__main__", alter_sys=True)
    assert end.value.code == 0
    assert f"python -m bench.{script}" in capsys.readouterr().out


def test_baselines_that_a_retrain_leaves_out_are_measured() -> None:
    truth, viral = family("ground_truth").params(), family("viral").params()
    assert not truth.encoder_baselines and with_every_baseline(truth).encoder_baselines
    assert with_every_baseline(viral) is viral

"""The pure stages: functions from files to files, run by DVC as `python -m ml.stages.<stage> <name>`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ml.errors import BellwetherError, UsageError

log = logging.getLogger(__name__)
NEWEST = "newest.json"
"""Beside a family's matrix: when the newest event happened that it learns from."""


def run_stage_main(stage: Callable[[str], None]) -> NoReturn:
    """Run `stage(argv[1])`; an error goes to stderr, to the file BELLWETHER_ERROR_FILE, and becomes the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        stage(_only_argument())
    except BellwetherError as error:
        _report(error)
        sys.exit(error.exit_code)
    sys.exit(0)


def _only_argument() -> str:
    if len(sys.argv) != 2:
        raise UsageError(
            "a stage takes one name", found=sys.argv[1:], expected="a table or a family of params.yaml"
        )
    return sys.argv[1]


def _report(error: BellwetherError) -> None:
    log.error("%s: %s", type(error).__name__, error)
    target = os.environ.get("BELLWETHER_ERROR_FILE")
    if target:
        Path(target).write_text(error.to_json())

"""What MLflow prints, as lines of our log."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from threading import get_ident
from typing import Any, cast

log = logging.getLogger(__name__)


class _News:
    """stderr, of which is kept what this thread prints; other threads (a display of progress) print as before."""

    def __init__(self, stderr: Any) -> None:
        self.kept = io.StringIO()
        self._stderr, self._thread = stderr, get_ident()

    def write(self, text: str) -> int:
        """Print or keep."""
        written: int = (self.kept if get_ident() == self._thread else self._stderr).write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stderr, name)


@contextmanager
def printed_as_log() -> Iterator[None]:
    """MLflow prints its news to stderr, which Airflow shows as errors: they become lines of our log."""
    news = _News(sys.stderr)
    try:
        with redirect_stderr(cast("io.StringIO", news)):
            yield
    finally:
        for line in news.kept.getvalue().splitlines():
            log.info("%s", line)

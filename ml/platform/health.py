"""Whether the parts answer, and waiting until they do."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from ml.errors import SeamUnavailable
from ml.platform.processes import exit_code, find, tail
from ml.platform.state import Started

Check = Callable[[], bool]

direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, timeout: float = 15.0) -> bytes | None:
    """The body of a page of this machine (never through a proxy); None where nothing good answers."""
    try:
        with direct.open(url, timeout=timeout) as response:
            return bytes(response.read())
    except (urllib.error.URLError, OSError, ValueError):
        return None


def mlflow_answers(url: str) -> bool:
    """Whether the MLflow server is up."""
    return get(f"{url}/health") == b"OK"


def airflow_report(url: str) -> Mapping[str, str]:
    """Status ("healthy", "unhealthy") per part as the API server sees it; empty where it does not answer."""
    body = get(f"{url}/api/v2/monitor/health")
    if body is None:
        return {}
    report: dict[str, Any] = json.loads(body)
    beats = {part.replace("_", "-"): str(value.get("status")) for part, value in report.items()}
    return {**beats, "api-server": "healthy"}


def airflow_check(url: str, part: str) -> Check:
    """Whether one part of Airflow has sent a heartbeat lately."""
    return lambda: airflow_report(url).get(part) == "healthy"


def wait(part: str, started: Started, check: Check, seconds: float) -> float:
    """Wait until a part is healthy; returns the seconds. Raises SeamUnavailable where it dies or hangs."""
    began = time.monotonic()
    while not check():
        if find(started) is None:
            raise _died(part, started)
        if time.monotonic() - began > seconds:
            raise _late(part, started, seconds)
        time.sleep(0.2)
    return time.monotonic() - began


def _died(part: str, started: Started) -> SeamUnavailable:
    code = exit_code(started)
    how = "" if code is None else f" (exit code {code})"
    return SeamUnavailable(
        f"{part} stopped while starting{how}",
        found=f"the end of its log:\n{_indented(started)}",
        next_step=f"see {started.log}, mend what it names, and run `make up` again",
    )


def _late(part: str, started: Started, seconds: float) -> SeamUnavailable:
    return SeamUnavailable(
        f"{part} did not answer within {seconds:.0f} seconds",
        found=f"the end of its log:\n{_indented(started)}",
        expected=started.address or "a heartbeat",
        next_step=f"see {started.log}; is the machine busy or out of memory? Then run `make up` again",
    )


def _indented(started: Started) -> str:
    return "\n".join(f"    {line}" for line in tail(started.log).splitlines()) or "    (empty)"

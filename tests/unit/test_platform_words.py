"""What `up` and `status` print: whole addresses, whatever the width of the terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ml.config import Settings
from ml.platform import summary
from ml.platform.credentials import Credentials
from ml.platform.summary import InService
from ml.platform.survey import PartStatus, Status, tell

ADDRESS = "http://127.0.0.1:8080/somewhere/with/a/name/that/is/longer/than/the/terminal"


def narrow() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=40), out


def test_status_never_breaks_an_address(tmp_path: Path) -> None:
    parts = (
        PartStatus("api-server", True, True, 123, ADDRESS, str(tmp_path / "logs/api-server.log")),
        PartStatus("scheduler", True, False, 124, "", ""),
        PartStatus("triggerer", False, False, None, "", ""),
    )
    console, out = narrow()
    tell(console, Status(tmp_path, None, parts, 2, 2**30))
    said = out.getvalue()
    assert ADDRESS in said and str(tmp_path) in said and "logs/api-server.log" in said
    assert all(word in said for word in ("healthy", "does not answer", "stopped", "1.00 GiB"))


def test_up_ends_with_pages_that_a_browser_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a-folder-with-a-long-name" / "and-another-one"
    page = home / "reports" / "collections" / "seasonality" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("")
    monkeypatch.setattr(summary, "in_service", lambda _: [InService("seasonality", "1", "", "")])
    settings = Settings(home=home, airflow_url=ADDRESS, mlflow_url=ADDRESS + "2")
    console, out = narrow()
    summary.tell(console, settings, Credentials("password", "key", "api", "jwt", fresh=False))
    assert all(address in out.getvalue() for address in (str(page), ADDRESS, ADDRESS + "2"))

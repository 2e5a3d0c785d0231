"""The landing pages in a real browser: nothing overflows on a phone, nothing is fetched, nothing runs, dark is dark.

Uses Chromium where there is one, through its command line alone; skips, saying so, where there is none.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml.publishing.catalogue import COLLECTION_ITEMS, COLLECTIONS
from ml.publishing.pages import About, write_site

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium here (apt-get install chromium): pages not looked at"
    ),
]

ATTACK = "\"'><script>document.title='hacked'</script><img src=//evil.invalid/x onerror=\"document.title='hacked'\">"
TEXTS = ["Paper chain kit", ATTACK, "W" * 10_000, "many words " * 900, "🎄🎁 مرحبا بالعالم שלום"]
START = date(2011, 11, 14)

# Loads every page in a frame of each width and writes what it measured into the document, for --dump-dom.
HARNESS = """<!doctype html><html><body><pre id="measured"></pre><script>
const report = [];
const look = (name, width) => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 844; frame.src = "site/" + name;
  frame.onload = () => {
    const page = frame.contentDocument, style = frame.contentWindow.getComputedStyle(page.body);
    const wide = [...page.querySelectorAll("body *")].filter(e => {
      const box = e.getBoundingClientRect();
      return box.width && !e.closest("svg, .unseen") && (box.right > width + 1 || box.left < -1);
    });
    const small = [...page.querySelectorAll("nav a, summary, h2 a")].filter(e => {
      const box = e.getBoundingClientRect(); return box.width && box.height < 24; });
    report.push({name, width, scroll: page.documentElement.scrollWidth, title: page.title,
      wide: wide.map(e => e.className || e.tagName), ground: style.backgroundColor, small: small.length,
      styled: frame.contentWindow.getComputedStyle(page.querySelector(".page")).maxWidth});
    frame.remove(); done();
  };
  document.body.append(frame);
});
(async () => {
  for (const name of NAMES) for (const width of [320, 390, 768, 1280]) await look(name, width);
  document.getElementById("measured").textContent = JSON.stringify(report);
})();
</script></body></html>"""


@dataclass
class Looked:
    """What the browser measured, asked for and said."""

    measured: list[dict[str, Any]]
    requests: set[str]
    said: list[str]


class Served(SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    asked: set[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.add(self.path)


def item(rank: int, text: str) -> dict[str, Any]:
    past = [float(week * 7 % 11) for week in range(52)]
    return {
        "collection_id": "all", "rank": rank, "product_id": text, "title": text, "category": text, "reason": text,
        "lift": 2.4, "lift_low": 1.6, "lift_high": 3.4, "history_start": START - timedelta(weeks=52), "history": past,
        "forecast_start": START, "forecast_mean": [9.0, 12.0], "forecast_q10": [5.0, 6.0], "forecast_q90": [15.0, 19.0],
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    heads = [{"collection_id": "all", "title": ATTACK, "description": "d" * 10_000, "occasion_start": START}]
    heads += [{"collection_id": "none", "title": "W" * 10_000, "description": ATTACK, "occasion_end": START}]
    rows = [item(rank, text) for rank, text in enumerate(TEXTS * 2, 1)]
    tables = {
        "collections": pa.Table.from_pylist(heads, COLLECTIONS),
        "collection_items": pa.Table.from_pylist(rows, COLLECTION_ITEMS),
    }
    root = tmp_path_factory.mktemp("pages")
    write_site(tables, About(ATTACK, "12", START, "9" * 500, tuple(TEXTS)), root / "site")
    names = json.dumps(sorted(path.name for path in (root / "site").iterdir()))
    (root / "harness.html").write_text(HARNESS.replace("NAMES", names))
    return root


@dataclass
class Server:
    """A folder on a free port of this machine."""

    folder: Path
    asked: set[str] = field(default_factory=set)

    def __enter__(self) -> str:
        handler = type("Handler", (Served,), {"asked": self.asked})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(self.folder)))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def browse(arguments: list[str], profile: Path) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    quiet = [
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ]
    quiet += [
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--disable-dev-shm-usage",
    ]
    quiet += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    quiet += ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [BROWSER, *quiet, f"--user-data-dir={profile}", "--enable-logging=stderr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def look(folder: Path, profile: Path, scheme: int) -> Looked:
    server = Server(folder)
    with server as address:
        arguments = [
            f"--blink-settings=preferredColorScheme={scheme}",
            "--virtual-time-budget=60000",
            "--dump-dom",
        ]
        done = browse([*arguments, f"{address}/harness.html"], profile)
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.S)
    assert found and found.group(1), done.stderr[-2000:]
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Looked(json.loads(html.unescape(found.group(1))), server.asked, said)


@pytest.fixture(scope="module")
def looked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    return look(folder, tmp_path_factory.mktemp("light"), scheme=1)


def test_nothing_is_wider_than_the_screen(looked: Looked) -> None:
    assert len(looked.measured) == 12
    for seen in looked.measured:
        assert seen["scroll"] <= seen["width"], seen
        assert seen["wide"] == [], seen


def test_links_are_large_enough_for_a_thumb(looked: Looked) -> None:
    assert [seen for seen in looked.measured if seen["small"]] == []


def test_the_style_sheet_passes_the_page_s_own_policy(looked: Looked) -> None:
    assert {seen["styled"] for seen in looked.measured} == {"1248px"}


def test_nothing_runs_and_the_browser_has_nothing_to_say(looked: Looked) -> None:
    assert "hacked" not in {seen["title"] for seen in looked.measured}
    assert looked.said == []


def test_nothing_but_the_pages_is_asked_for(looked: Looked, folder: Path) -> None:
    pages = {f"/site/{path.name}" for path in (folder / "site").iterdir()}
    assert looked.requests - {"/favicon.ico"} == pages | {
        "/harness.html"
    }  # the harness has no icon; the pages have


def test_dark_is_dark(looked: Looked, folder: Path, tmp_path: Path) -> None:
    dark = look(folder, tmp_path, scheme=0)
    assert {seen["ground"] for seen in looked.measured} == {"rgb(248, 246, 241)"}
    assert {seen["ground"] for seen in dark.measured} == {"rgb(21, 22, 24)"}
    assert dark.said == []


def test_a_page_opens_from_the_disk_alone(folder: Path, tmp_path: Path) -> None:
    shot = tmp_path / "phone.png"
    done = browse(
        ["--window-size=390,844", f"--screenshot={shot}", (folder / "site" / "index.html").as_uri()],
        tmp_path / "p",
    )
    assert shot.stat().st_size > 10_000
    assert "CONSOLE" not in done.stderr

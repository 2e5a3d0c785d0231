"""The pages in Airflow's UI: behind its login, read only, nothing from outside their folders, no scripts."""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from bench.desk import served
from plugins.pages import application, pages

RUN = "ingest-2024-02-29-31f28b"
HOSTILE = [
    "../../../../secret.html",
    "..%2f..%2f..%2f..%2fsecret.html",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.html",
    "....//....//secret.html",
    "..\\..\\secret.html",
    "%2fetc/passwd",
    "//etc/passwd",
    "link.html",
    "linked/secret.html",
    "index.html%00.html",
    "a" * 5000,
    "notes.txt",
    "model.json",
    "run.js",
    "",
    "missing.html",
]


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""


@dataclass
class Client:
    """Asks an application for a path as it is; clients for the web would tidy up hostile ones first."""

    app: Any

    def get(self, path: str, method: str = "GET") -> Answer:
        return asyncio.run(self._ask(path, method))

    async def _ask(self, path: str, method: str) -> Answer:
        answer = Answer()
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
            "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": [],
            "server": ("test", 80), "client": ("test", 1),
        }  # fmt: skip

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            answer.text += message.get("body", b"").decode()

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        await self.app(scope, receive, send)
        return answer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one run, one published site, and things that must not be seen."""
    home = tmp_path / "home"
    docs = home / "runs" / RUN / "data/validation/events/docs"
    site = home / "reports/collections/seasonality.versions/3-abc"
    for folder in (docs, site):
        folder.mkdir(parents=True)
    (docs / "index.html").write_text(
        "<html><head></head><body>events <i class='fas fa-times'></i></body></html>"
    )
    (site / "index.html").write_text("<html>collections</html>")
    (home / "reports/collections/seasonality").symlink_to(
        "seasonality.versions/3-abc", target_is_directory=True
    )
    (home / "secret.html").write_text("secret")
    (home / "platform.env").write_text("secret")
    for folder in (docs, home / "reports"):
        (folder / "link.html").symlink_to(home / "secret.html")
        (folder / "linked").symlink_to(home, target_is_directory=True)
        for name in ("notes.txt", "model.json", "run.js"):
            (folder / name).write_text("secret")
    monkeypatch.setenv("BELLWETHER_HOME", str(home))
    return home


@pytest.fixture
def client(home: Path) -> Client:
    return Client(pages([]))


def test_data_docs_are_served_in_a_style_that_needs_nobody(client: Client) -> None:
    answer = client.get(f"/runs/{RUN}/docs/events/index.html")
    assert answer.status == 200
    assert '.fa-times::before{content:"✘ failed"' in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_landing_pages_are_served_through_the_link_of_their_version(client: Client) -> None:
    for path in ("collections/seasonality/index.html", "collections/seasonality/", "collections/seasonality"):
        assert client.get(f"/reports/{path}").text == "<html>collections</html>"


def test_the_index_lists_runs_and_sites(client: Client, home: Path) -> None:
    (home / "runs/<script>").mkdir()
    (home / "runs/.ingest.tmp").mkdir()
    text = client.get("/runs/").text
    assert f'href="{RUN}/docs/events/index.html"' in text
    assert 'href="../reports/collections/seasonality/index.html"' in text
    assert "<script" not in text
    assert ".tmp" not in text
    assert "versions" not in text


def test_an_empty_home_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "nothing"))
    assert Client(pages([])).get("/runs/").text.count("None yet") == 2


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("root", [f"/runs/{RUN}/docs/events/", "/reports/"])
def test_nothing_else_is_served(client: Client, root: str, path: str) -> None:
    if path == "" and "runs" in root:
        return  # the folder's own index
    answer = client.get(root + path)
    assert answer.status == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("run", ["..", ".", ".hidden", "%2e%2e", "a%2fb", "run%00", "..%2f.."])
def test_names_of_runs_and_tables_are_names(client: Client, run: str) -> None:
    for path in (f"/runs/{run}/docs/events/index.html", f"/runs/{RUN}/docs/{run}/index.html"):
        assert client.get(path).status == 404


def test_pages_run_no_script_and_ask_nobody(client: Client) -> None:
    for path in (
        "/runs/",
        f"/runs/{RUN}/docs/events/index.html",
        "/reports/collections/seasonality/index.html",
    ):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert "script-src" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/runs/", "/families/seasonality"])
def test_pages_are_read_only(client: Client, method: str, path: str) -> None:
    assert client.get(path, method).status == 405


@pytest.fixture(scope="module")
def behind_login() -> Any:
    """The application as Airflow mounts it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing Airflow's web application warns about its own parts
        return application()


PATHS = [
    "/",
    "/families/seasonality",
    "/families/seasonality/plots/1/totals.png",
    "/runs/",
    f"/runs/{RUN}/docs/events/index.html",
    "/reports/collections/seasonality/index.html",
]


def test_every_page_needs_a_login(home: Path, behind_login: Any) -> None:
    client = Client(behind_login)
    for path in PATHS:
        assert client.get(path).status == 401
    assert client.get("/docs").status == 404
    assert client.get("/openapi.json").status == 404


def test_a_caller_without_a_session_is_refused_over_a_real_socket(home: Path, behind_login: Any) -> None:
    from fastapi import FastAPI

    airflow = FastAPI()
    airflow.mount("/bellwether", behind_login)
    with served(airflow) as address:
        for path in PATHS:
            answer = httpx.get(f"{address}/bellwether{path}")
            assert answer.status_code == 401
            assert "seasonality" not in answer.text and "secret" not in answer.text
        refused = httpx.get(f"{address}/bellwether/families/seasonality")
        assert 'href="../../"' in refused.text and "Sign in" in refused.text
        forged = httpx.get(
            f"{address}/bellwether/", headers={"Cookie": "session=1", "Authorization": "Basic YTpi"}
        )
        assert forged.status_code == 401


def test_the_menu_leads_to_the_desk_by_itself(in_process: Any) -> None:
    program = (
        "import json, os\n"
        "os.environ['AIRFLOW__API__BASE_URL'] = 'https://example.org/airflow/'\n"
        "from plugins.bellwether_plugin import BellwetherPlugin as plugin\n"
        "import sys\n"
        "heavy = [name for name in ('fastapi.applications', 'ml.actions', 'sqlalchemy.orm') if name in sys.modules]\n"
        "print(json.dumps([plugin.external_views, heavy]))"
    )
    views, heavy = in_process(program)
    (view,) = views
    assert view["href"] == "/airflow/bellwether/" and "url_route" not in view
    assert "ml.actions" not in heavy

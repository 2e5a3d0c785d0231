"""Pages in a browser, read only, behind Airflow's login: the desk, Data Docs of runs, landing pages, a list of both.

    /                                   the desk: what is in service, what was tried, what waits
    /families/<family>?version=<version>            one family, one of its versions in detail
    /families/<family>/plots/<version>/<plot>.png   a plot that was logged in MLflow
    /runs/                              the latest runs and the published sites
    /runs/<run>/docs/<table>/<file>     $BELLWETHER_HOME/runs/<run>/data/validation/<table>/docs/<file>
    /reports/<file>                     $BELLWETHER_HOME/reports/<file>

What is served was made from other people's data: no page may run a script or ask another server for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, params
from fastapi.responses import FileResponse, HTMLResponse, Response

from ml.actions.desk import Desk
from ml.config import settings
from plugins.desk_pages import DeskPages

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SERVED = {
    ".html": "text/html",
    ".css": "text/css",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
_LATEST = 20
_DOCS_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{border:1px solid #8884;padding:.3rem .6rem;text-align:left}
h5{font-size:1.1rem;margin:1.2rem 0 .3rem}h6{font-size:1rem;margin:1rem 0 .3rem}
i{font-style:normal;white-space:nowrap}.fa-check-circle::before{content:"✔ passed";color:#1a7f37}
.fa-times::before{content:"✘ failed";color:#cf222e}.fa-exclamation-triangle::before{content:"⚠ error";color:#9a6700}
.sticky-top,.sticky .card:first-child,footer,.modal,.cooltip .top,[hidden]{display:none!important}
@media(prefers-color-scheme:dark){body{background:#16181d;color:#e6e6e6}a{color:#8ab4f8}}
"""


def application() -> FastAPI:
    """The application that Airflow's API server mounts; every page needs Airflow's login."""
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import requires_access_view

    return pages([Depends(requires_access_view(AccessView.WEBSITE))])


def pages(dependencies: Sequence[params.Depends]) -> FastAPI:
    """The application behind `dependencies`."""
    app = FastAPI(
        title="Bellwether", dependencies=dependencies, docs_url=None, redoc_url=None, openapi_url=None
    )
    desk = DeskPages(Desk(), HEADERS)
    app.get("/", response_class=HTMLResponse)(desk.overview)
    app.get("/families/{family}", response_class=HTMLResponse)(desk.family)
    app.get("/families/{family}/plots/{version}/{plot}.png", response_class=Response)(desk.picture)
    app.get("/runs/", response_class=HTMLResponse)(index)
    app.get("/runs/{run}/docs/{table}/{path:path}", response_class=Response)(docs)
    app.get("/reports/{path:path}", response_class=Response)(reports)
    app.add_exception_handler(401, desk.nobody)
    return app


def index() -> HTMLResponse:
    """The latest runs with their Data Docs, and the published sites."""
    at = settings()
    body = _page(_list(_sites(at.reports)), _list(_runs(at.runs)))
    return HTMLResponse(body, headers=HEADERS)


def docs(run: str, table: str, path: str) -> Response:
    """A file of a table's Data Docs; pages get a style of ours in place of those that they would fetch elsewhere."""
    if not (_NAME.fullmatch(run) and _NAME.fullmatch(table)):
        raise HTTPException(404, "no such page")
    _bring(run, table)
    file = _found(settings().runs / run / "data/validation" / table / "docs", path)
    if file.suffix != ".html":
        return _as_it_is(file)
    text = file.read_text(encoding="utf-8", errors="replace")
    return HTMLResponse(text.replace("</head>", f"<style>{_DOCS_STYLE}</style></head>", 1), headers=HEADERS)


def _bring(run: str, table: str) -> None:
    """Where workers have homes of their own, a run's Data Docs are fetched when somebody asks for them."""
    from ml.errors import BellwetherError
    from ml.handover import take

    if not settings().shared:
        return
    try:
        take(run, f"data/validation/{table}")
    except BellwetherError as error:
        raise HTTPException(404, "no such page") from error


def reports(path: str) -> Response:
    """A file of the published sites."""
    return _as_it_is(_found(settings().reports, path))


def _as_it_is(file: Path) -> Response:
    return FileResponse(file, media_type=_SERVED[file.suffix], headers=HEADERS)


def _found(folder: Path, path: str) -> Path:
    """The file at `path` below `folder`, links followed, if it lies there and is of a kind that is served."""
    root = folder.resolve()
    try:
        target = (root / path).resolve()
        if target.is_dir():
            target /= "index.html"
        served = target.is_relative_to(root) and target.is_file()
    except (OSError, ValueError):
        served = False
    if not served or target.suffix not in _SERVED:
        raise HTTPException(404, "no such page")
    return target


def _sites(folder: Path) -> Iterator[str]:
    for page in sorted(folder.glob("collections/*/index.html")):
        family = page.parent.name
        if _NAME.fullmatch(family) and page.parent.is_symlink():
            yield _anchor(f"../reports/collections/{family}/index.html", f"Pages of {family}")


def _runs(folder: Path) -> Iterator[str]:
    runs = [path for path in folder.glob("*") if _NAME.fullmatch(path.name) and path.is_dir()]
    for run in sorted(runs, key=lambda path: path.stat().st_mtime_ns, reverse=True)[:_LATEST]:
        tables = sorted(path.parent.parent.name for path in run.glob("data/validation/*/docs/index.html"))
        anchors = (_anchor(f"{run.name}/docs/{table}/index.html", table) for table in tables)
        yield f"{escape(run.name)} {' · '.join(anchors)}"


def _anchor(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _list(items: Iterator[str]) -> str:
    lines = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else "<p>None yet.</p>"


def _page(sites: str, runs: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bellwether</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "li{margin:.3rem 0}@media(prefers-color-scheme:dark){body{background:#16181d;color:#e6e6e6}a{color:#8ab4f8}}"
        f'</style></head><body><p><a href="../">The desk</a></p><h1>Runs and Data Docs</h1><h2>Published</h2>{sites}'
        f"<h2>Latest runs, with their Data Docs</h2>{runs}</body></html>"
    )

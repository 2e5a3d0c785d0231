"""The desk as a browser asks for it: a page, or a page that says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from ml.actions.desk import Desk
from ml.errors import BellwetherError, UsageError
from ml.publishing.desk import (
    content_security_policy,
    family_page,
    message_page,
    overview_page,
    placeholder,
)


class DeskPages:
    """The handlers; `headers` go with every answer."""

    def __init__(self, desk: Desk, headers: Mapping[str, str]) -> None:
        self._desk = desk
        self._plain = dict(headers)
        self._headers = {**headers, "Content-Security-Policy": content_security_policy()}

    def overview(self) -> HTMLResponse:
        """The first page."""
        return self._written(lambda: overview_page(self._desk.overview()), home="./")

    def family(self, family: str, version: str | None = None) -> HTMLResponse:
        """One family, with one version in detail."""
        return self._written(lambda: family_page(self._desk.family(family, version)), home="../")

    def picture(self, family: str, version: str, plot: str) -> Response:
        """A plot; where there is none, a picture that says why."""
        try:
            found = self._desk.picture(family, version, plot)
        except UsageError:
            return Response(placeholder("no such plot"), 404, self._plain, "image/svg+xml")
        except BellwetherError:
            text = placeholder("MLflow is away: reload the page in half a minute")
            return Response(text, 503, self._plain, "image/svg+xml")
        kept = {**self._plain, "Cache-Control": "private, max-age=86400, immutable"}
        return Response(found, headers=kept, media_type="image/png")

    def nobody(self, request: Request, _error: Exception) -> HTMLResponse:
        """Who has no session gets the way to Airflow's login, and nothing else."""
        below = request.url.path.removeprefix(request.scope.get("root_path", ""))
        text = message_page("Sign in to Airflow first", (), ("../" * below.count("/"), "To Airflow"))
        return HTMLResponse(text, 401, {**self._headers, "WWW-Authenticate": "Bearer"})

    def _written(self, page: Callable[[], str], home: str) -> HTMLResponse:
        try:
            return HTMLResponse(page(), headers=self._headers)
        except BellwetherError as error:
            missing = isinstance(error, UsageError)
            title, status = ("No such page", 404) if missing else ("Not now", 503)
            text = message_page(title, tuple(str(error).splitlines()), (home, "To the desk"))
            return HTMLResponse(text, status, self._headers)

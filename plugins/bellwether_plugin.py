"""Bellwether in Airflow's UI: a menu entry, and the pages that its runs write, behind Airflow's own login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/bellwether"


class LazyPages:
    """The web application, made at its first request: tasks and schedulers load this plugin and never need it."""

    @cached_property
    def _application(self) -> Callable[..., Awaitable[None]]:
        from plugins.pages import application

        return application()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve (ASGI)."""
        await self._application(scope, receive, send)


class BellwetherPlugin(AirflowPlugin):  # type: ignore[misc]
    """What Airflow loads."""

    name = "bellwether"
    fastapi_apps: ClassVar[list[Any]] = [{"app": LazyPages(), "url_prefix": PREFIX, "name": "Bellwether"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Bellwether", "href": f"{PREFIX}/", "destination": "nav", "url_route": "bellwether"}
    ]

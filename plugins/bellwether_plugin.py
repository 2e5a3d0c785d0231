"""Bellwether in Airflow's UI: a menu entry for the desk, and the pages that runs write, behind Airflow's own login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import conf

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


def below_airflow() -> str:
    """The path below which Airflow answers, without a slash at its end: "" unless `api.base_url` has one."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


class BellwetherPlugin(AirflowPlugin):  # type: ignore[misc]
    """What Airflow loads. Without a `url_route` the page opens by itself: in a frame its links to MLflow were dead."""

    name = "bellwether"
    fastapi_apps: ClassVar[list[Any]] = [{"app": LazyPages(), "url_prefix": PREFIX, "name": "Bellwether"}]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Bellwether",
            "href": f"{below_airflow()}{PREFIX}/",
            "destination": "nav",
            "category": "browse",  # at the top level such an entry is a button that does nothing in Airflow 3.3
        }
    ]

"""How runs look while they are followed: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ml.platform.airflow_api import DagRun, TaskRun
from ml.platform.follow import Scene

_LOOKS = {
    "success": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "upstream_failed": ("·", "red"),
    "skipped": ("–", "dim"),
    "running": ("▶", "cyan"),
    "up_for_retry": ("↻", "yellow"),
    "deferred": ("…", "yellow"),
}
_UNTOLD = frozenset({None, "scheduled", "queued", "skipped", "upstream_failed"})
_SHOWN = frozenset({"running", "failed", "up_for_retry", "deferred"})


class View(Protocol):
    """Shows scenes one after the other."""

    def __enter__(self) -> View: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, scene: Scene) -> None:
        """The newest scene."""


def view_for(console: Console) -> View:
    """Live where somebody watches, lines where a file or a log does."""
    return LiveView(console) if console.is_terminal else LineView(console)


class LiveView:
    """One block that is drawn again and again: a line per run, below it the tasks at work."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, scene: Scene) -> None:
        """Draw the scene."""
        self._live.update(_drawn(scene, datetime.now(UTC)))


def _drawn(scene: Scene, now: datetime) -> Group:
    if not scene:
        return Group(Text("waiting for Airflow to start the run", style="dim"))
    table = Table.grid(padding=(0, 2))
    for run, tasks in scene.items():
        _add_run(table, run, list(tasks), now)
    return Group(table)


def _add_run(table: Table, run: DagRun, tasks: list[TaskRun], now: datetime) -> None:
    sign, style = _LOOKS.get(run.state, ("·", "dim"))
    done = sum(task.state in ("success", "skipped") for task in tasks)
    table.add_row(
        Text(f"{sign} {run.dag_id}", style=style),
        Text(run.state, style=style),
        f"{done}/{len(tasks)} tasks",
        elapsed(run.started, run.ended, now),
    )
    for task in tasks:
        if task.state in _SHOWN:
            sign, style = _LOOKS[task.state]
            words = Text(f"    {sign} {task.name}", style=style)
            table.add_row(words, _attempt(task), "", elapsed(task.started, task.ended, now))


def _attempt(task: TaskRun) -> str:
    if task.state == "up_for_retry":
        return f"failed, tried again soon ({task.attempt} of {task.attempts})"
    return f"attempt {task.attempt} of {task.attempts}" if task.attempt > 1 else ""


def elapsed(started: datetime | None, ended: datetime | None, now: datetime) -> str:
    """Seconds between two moments (until now where it goes on), as people write them."""
    if started is None:
        return ""
    seconds = max(0.0, ((ended or now) - started).total_seconds())
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


class LineView:
    """One line whenever a run or a task changes its state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[tuple[str, ...], str | None] = {}

    def __enter__(self) -> LineView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def show(self, scene: Scene) -> None:
        """Say what is new."""
        for run, tasks in scene.items():
            for task in tasks:
                if task.state not in _UNTOLD:
                    key = (run.run_id, run.dag_id, task.name, str(task.attempt))
                    self._tell(key, f"{run.dag_id} · {task.name}", task)
            self._tell((run.run_id, run.dag_id), run.dag_id, run)

    def _tell(self, key: tuple[str, ...], name: str, item: DagRun | TaskRun) -> None:
        if self._told.get(key) == item.state:
            return
        self._told[key] = item.state
        took = elapsed(item.started, item.ended, datetime.now(UTC)) if item.ended else ""
        now = datetime.now(UTC)
        self._console.print(
            f"{now:%H:%M:%S} {name}: {item.state} {took}".rstrip(), highlight=False, markup=False
        )

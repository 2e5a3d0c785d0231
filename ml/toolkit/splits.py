"""Rolling origins: where the windows of a backtest begin."""

from __future__ import annotations

from datetime import date, timedelta


def rolling_origins(as_of: date, horizon_days: int, windows: int) -> tuple[date, ...]:
    """`windows` origins spaced by the horizon, oldest first; the last window ends the day before `as_of`."""
    return tuple(as_of - timedelta(days=horizon_days * back) for back in range(windows, 0, -1))


def training_origins(first: date, last: date, spacing_days: int) -> tuple[date, ...]:
    """Origins from `last` backwards in steps of `spacing_days`, none before `first`; oldest first."""
    count = max(0, (last - first).days // spacing_days + 1)
    return tuple(last - timedelta(days=spacing_days * back) for back in reversed(range(count)))

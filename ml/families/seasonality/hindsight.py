"""What was asked over time, and how published forecasts turned out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from ml.families.record import Realised
from ml.families.seasonality import rows
from ml.families.seasonality.backtest import as_it_stood, truth
from ml.families.seasonality.judge import losses as losses_of
from ml.families.seasonality.params import SeasonalityParams

_LONGEST_HORIZON = 182  # days


def asked(matrix: ibis.Table) -> ibis.Table:
    """Every product on every day, with what was known of it in the morning."""
    return matrix.mutate(asked_at=matrix.day).drop("day", "title", "step_days", "units")


def asked_between(matrix: ibis.Table, start: date, end: date, most: int) -> tuple[ibis.Table, date]:
    """The matrix as it stood when those days were over, with all products: the forecast of one hangs on the others."""
    return as_it_stood(matrix, end, _LONGEST_HORIZON), end


def losses(
    published: Mapping[str, pa.Table], matrix: ibis.Table, as_of: date, now: date, params: SeasonalityParams
) -> pa.Table | None:
    """Forecast totals of the whole horizon against what was sold in it; None before the horizon is over."""
    forecasts = published["forecasts"]
    last = pc.max(forecasts.column("day")).as_py()
    if last is None:
        return None
    end = last + timedelta(days=rows.step_days(matrix))
    if end > now:
        return None
    return losses_of(forecasts, truth(matrix, as_of, (end - as_of).days).to_pyarrow())


REALISED = Realised(days=28, losses=losses)

"""What may be set for the family; see `params.yaml`, `families.seasonality.params`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ml.families.record import FamilyParams


class SeasonalityParams(FamilyParams):
    """Typed parameters of the seasonality family. Days are calendar days."""

    grain: Literal["auto", "day", "week"] = "auto"
    horizon: int = Field(28, ge=7, le=91)
    horizon_weeks: int = Field(8, ge=1, le=26)
    history_days: int = Field(1100, ge=90)
    discontinued_after: int = Field(400, ge=28)
    windows: int = Field(3, ge=3, le=12)
    training_days: int = Field(730, ge=56)
    origin_spacing: int = Field(14, ge=1)
    max_rows: int = Field(2_000_000, ge=10_000)
    rounds: int = Field(150, ge=10)
    depth: int = Field(5, ge=2, le=12)
    learning_rate: float = Field(0.08, gt=0, le=0.5)
    text_components: int = Field(16, ge=0, le=64)
    autoets_series: int = Field(200, ge=0)
    collection_size: int = Field(24, ge=3)
    collection_per_category: int = Field(8, ge=1)

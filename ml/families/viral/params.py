"""What may be set for `viral` in `params.yaml`."""

from __future__ import annotations

from pydantic import Field

from ml.families.record import FamilyParams


class ViralParams(FamilyParams):
    """Typed parameters; an unknown key is an error that names the nearest known one.

    posts, hours: a cascade is looked at when it has so many posts, and so many hours after its first one.
    fewest: cascades are looked at from so many posts on. quiet_hours: a cascade without a post for so long has ended.
    windows, holdout: windows of the backtest, and the share of the cascades that start in the last one.
    encoder: what turns images into points (see `ml.toolkit.images`). image_bags: classifiers of an image score.
    collection_size: products in the collection. lift_days: days after a burst in which its demand is counted.
    """

    posts: tuple[int, ...] = (5, 10, 20, 40, 80)
    hours: tuple[int, ...] = (1, 6, 24, 72, 168, 720, 2160, 8760)
    fewest: int = Field(5, ge=2)
    quiet_hours: int = Field(168, ge=1)
    windows: int = Field(3, ge=3)
    holdout: float = Field(0.2, gt=0, lt=0.5)
    rounds: int = Field(200, ge=1)
    max_rows: int = Field(400_000, ge=1000)
    encoder: str = "colour_texture"
    image_bags: int = Field(3, ge=1)
    collection_size: int = Field(40, ge=1)
    lift_days: int = Field(14, ge=1)

"""What may be set for the family; see `params.yaml`, `families.relevance_fusion.params`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ml.families.record import FamilyParams

TFIDF = "tfidf"
ENGAGEMENT_SHARE = 0.05


class RelevanceFusionParams(FamilyParams):
    """Typed parameters of the family.

    debias: how the rankers of engagement and purchase are corrected for position: `ips` (inverse-propensity weights),
        `lambdarank_unbiased` (XGBoost's two-tower correction), or `none` (as clicked, and as if everything shown had
        been looked at: for comparison).
    windows, window_periods: how many windows the backtest has, each beginning a period after the one before, and how
        many periods each is judged by.
    clip: examination probabilities below this count as this.
    relevance_floor: of the relevance at the first place that the relevance ranker reaches alone, the share that the
        operating point must keep.
    engagement_share: how much of "wanted" is engagement; the rest is purchase.
    rounds: the most trees of a booster; a ranker of chances takes as many as the trial shows to be enough.
    fusion: `scores` (a weighted sum), `labels` (stochastic label aggregation), or the `better` of both.
    encoder: what compares meanings: `tfidf` (TF-IDF and SVD, `text_components` directions), or the folder of a
        sentence-transformers model on this machine, which must be there wherever the model is used.
    """

    period_days: int = Field(28, ge=1)
    history_days: int = Field(728, ge=28)
    windows: int = Field(3, ge=3, le=12)
    window_periods: int = Field(4, ge=1, le=12)
    recent_periods: int = Field(2, ge=1)
    max_rows: int = Field(600_000, ge=1000)
    rounds: int = Field(150, ge=5)
    depth: int = Field(4, ge=2, le=12)
    learning_rate: float = Field(0.08, gt=0, le=0.5)
    encoder: str = TFIDF
    text_components: int = Field(48, ge=0, le=256)
    debias: Literal["ips", "lambdarank_unbiased", "none"] = "ips"
    clip: float = Field(0.05, gt=0, le=1)
    fusion: Literal["scores", "labels", "better"] = "better"
    weights: int = Field(40, ge=2, le=100)
    mixes: tuple[float, ...] = (0.25, 0.5, 0.75)
    engagement_share: float = Field(ENGAGEMENT_SHARE, ge=0, le=1)
    relevance_floor: float = Field(0.95, ge=0, le=1)
    head_queries: int = Field(200, ge=1)
    top_k: int = Field(10, ge=1)
    memory_pairs: int = Field(200_000, ge=0)
    bootstrap: int = Field(500, ge=50)

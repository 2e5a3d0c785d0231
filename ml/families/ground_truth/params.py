"""What may be set for ground truth in `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ml.families.record import FamilyParams
from ml.toolkit.encoders import BUNDLED


class DeepParams(BaseModel):
    """What may be set of the deep model (`model: deep`); the boosted one ignores it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(64, ge=8, multiple_of=4, description="numbers that stand for a turn")
    layers: int = Field(2, ge=1, le=12, description="of the transformer over the dialogue")
    words: int = Field(20_000, ge=1, description="different words that are told apart")
    dropout: float = Field(0.15, ge=0, lt=1)
    batch: int = Field(192, ge=1, description="exchanges that are learned from at a time, about")
    learning_rate: float = Field(0.002, gt=0)
    swapped_epochs: int = Field(4, ge=1, description="rounds of learning which answers were swapped")
    epochs: int = Field(8, ge=1, description="rounds of learning what people said")
    least_steps: int = Field(
        240, ge=1, description="steps of either, where few dialogues make few in a round"
    )
    folds: int = Field(
        2, ge=2, description="parts in which scores of unseen dialogues are made for calibration"
    )


class GroundTruthParams(FamilyParams):
    """What may be set in `params.yaml`; an unknown key is an error that names the nearest known one."""

    model: Literal["boosted", "deep"] = Field(
        "boosted", description="deep: a transformer over the dialogue, which needs the extra `deep` (torch)"
    )
    deep: DeepParams = DeepParams()
    windows: int = Field(3, ge=3, description="windows of the backtest")
    holdout_share: float = Field(0.15, gt=0, le=0.3, description="share of the dialogues in each window")
    max_exchanges: int = Field(
        80_000, ge=50, description="labelled user turns of each kind that are learned from"
    )
    word_bits: int = Field(
        17, ge=8, le=22, description="words and pairs of words are hashed into 2^this places"
    )
    folds: int = Field(
        4, ge=2, description="parts in which scores of unseen dialogues are made for calibration"
    )
    rounds: int = Field(150, ge=1)
    depth: int = Field(5, ge=1)
    learning_rate: float = Field(0.05, gt=0)
    components: int = Field(24, ge=0, description="directions that TF-IDF and SVD keep of a text")
    encoder: str = Field(
        BUNDLED,
        description="what reads meanings: the one that is installed, a folder of sentence-transformers, or none",
    )
    encoder_baselines: bool = Field(
        False, description="judge the model beside baselines on the encoder's vectors too; takes minutes"
    )
    coherence: bool = Field(
        True, description="learn first, from answers swapped between dialogues, which answers fit"
    )
    consensus: Literal["majority", "dawid_skene"] = Field(
        "dawid_skene",
        description="what heads learn from; where annotators cannot be told apart, the majority",
    )
    unsupported_intent: str = Field(
        "oos", description="the intent label that means: none of those that are known"
    )
    refused_share: float = Field(
        0.006, ge=0, lt=0.5, description="share of requests understood rightly that may be called unsupported"
    )
    single_annotator: float = Field(
        0.9, gt=0.5, lt=1, description="precision taken for one person where no turn has two annotators"
    )
    queue: int = Field(500, ge=1, description="turns that people are asked about")

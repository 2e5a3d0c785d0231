"""Seasonality: how much of each product will be sold on each coming day, and which products an occasion lifts."""

from ml.families.record import Family
from ml.families.seasonality.backtest import folds
from ml.families.seasonality.baselines import baselines
from ml.families.seasonality.collections import publications
from ml.families.seasonality.columns import KEY
from ml.families.seasonality.explaining import explain
from ml.families.seasonality.features import features
from ml.families.seasonality.figures import figures
from ml.families.seasonality.judge import losses, metrics
from ml.families.seasonality.model import fit, load, save
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.scoring import score

FAMILY = Family(
    name="seasonality",
    tables=("order_lines", "products", "promotions", "events"),
    key=KEY,
    headline="wape_total",
    higher_is_better=False,
    baseline="tsb",
    params=SeasonalityParams,
    features=features,
    folds=folds,
    fit=fit,
    save=save,
    load=load,
    score=score,
    baselines=baselines,
    losses=losses,
    metrics=metrics,
    explain=explain,
    figures=figures,
    publications=publications,
)

"""Seasonality: how much of each product will be sold on each coming day, and which products an occasion lifts."""

from ml.families.record import Family
from ml.families.seasonality.backtest import folds
from ml.families.seasonality.baselines import baselines
from ml.families.seasonality.collections import publications
from ml.families.seasonality.columns import KEY
from ml.families.seasonality.explaining import explain
from ml.families.seasonality.features import features
from ml.families.seasonality.figures import figures
from ml.families.seasonality.hindsight import REALISED, asked, asked_between
from ml.families.seasonality.judge import losses, metrics
from ml.families.seasonality.model import fit, load, save
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.scoring import score

FAMILY = Family(
    name="seasonality",
    tables=("order_lines", "products", "promotions", "events"),
    key=KEY,
    headline="wape_total",
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
    asked=asked,
    asked_between=asked_between,
    realised=REALISED,
    purpose="How many units of each product will be sold on each of the next 28 days (or in each of the next 8 weeks, "
    "where all sales fall on one day of the week), with quantiles; and which products a coming occasion lifts.",
    better={
        "precision_at_100": "higher",
        "ndcg_at_100": "higher",
        "coverage_80": "nearer 0.8",
        "bias_total": "nearer 0",
    },
    limitations=(
        "Sales are not demand: what was out of stock looks unwanted.",
        "With one year of history an occasion has been seen once; its lift then rests on categories and titles.",
        "A single very large order is not foreseen; it is tamed in the history and left as it is in the truth.",
        "Plans (promotions, occasions) are taken as the warehouse holds them at the snapshot.",
    ),
)

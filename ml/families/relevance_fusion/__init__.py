"""Relevance fusion: results that are relevant to a query and that customers want."""

from ml.families.record import Family
from ml.families.relevance_fusion.backtest import folds
from ml.families.relevance_fusion.baselines import baselines
from ml.families.relevance_fusion.columns import KEY
from ml.families.relevance_fusion.explaining import explain
from ml.families.relevance_fusion.features import features
from ml.families.relevance_fusion.figures import figures
from ml.families.relevance_fusion.hindsight import asked, asked_between
from ml.families.relevance_fusion.judge import losses, metrics
from ml.families.relevance_fusion.model import fit, load, save
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.publications import publications
from ml.families.relevance_fusion.scoring import score
from ml.families.relevance_fusion.serving import SERVING
from ml.families.relevance_fusion.tradeoff import trials

_HIGHER = (
    "ndcg_relevance", "ndcg_relevance_linear", "ndcg_purchase", "ndcg_engagement", "relevance_at_1", "purchase_at_1",
    "engagement_at_1", "relevance_kept", "hypervolume", "uniform_hit_at_1", "popularity_hit_at_1", "full_hit_at_1",
)  # fmt: skip

FAMILY = Family(
    name="relevance_fusion",
    tables=("searches", "judgements", "products", "order_lines"),
    key=KEY,
    headline="loss",
    baseline="bm25",
    params=RelevanceFusionParams,
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
    trials=trials,
    serving=SERVING,
    asked=asked,
    asked_between=asked_between,
    purpose="Ranks the candidates of a query by how relevant annotators would find them and by how often customers "
    "engage with them and buy them once they look at them; one weight decides between the two.",
    better=dict.fromkeys(_HIGHER, "higher"),
    limitations=(
        "Purchases of candidates that were never shown for a query are not known; they are foreseen, not judged.",
        "A customer is assumed to look at a place whatever the results above it are.",
        "Prices are those of the snapshot, not those of the day of the search.",
    ),
)

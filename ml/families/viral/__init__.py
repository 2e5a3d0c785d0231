"""Viral: from the first posts about a product, will its attention double, how large will it get, will demand follow?"""

from ml.families.record import Family
from ml.families.viral.backtest import folds
from ml.families.viral.baselines import baselines
from ml.families.viral.collections import publications
from ml.families.viral.columns import KEY
from ml.families.viral.explaining import explain
from ml.families.viral.features import features
from ml.families.viral.figures import figures
from ml.families.viral.hindsight import REALISED, asked, asked_between
from ml.families.viral.judge import losses, metrics
from ml.families.viral.model import fit, load, save, score
from ml.families.viral.params import ViralParams

FAMILY = Family(
    name="viral",
    tables=("posts", "creators", "products", "order_lines"),
    key=KEY,
    headline="auc_first",
    baseline="linear",
    params=ViralParams,
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
    purpose="From the first posts about a product: the chance that their number doubles, how many there will be in the "
    "end, how long until the peak; and how much attention has lifted its sales. Ranks the collection Internet Famous.",
    better={
        **{f"{name}{scope}": "higher" for name in ("auc_first", "auc_window") for scope in ("", "_early")},
        "pr_auc_first": "higher",
        "pr_auc_window": "higher",
        "precision_at_40": "higher",
        "lead_share": "higher",
        "lead_hours": "higher",
    },
    limitations=(
        "A cascade that is young when the posts are read has not reached its size: late cascades are judged by "
        "less than they become (see the metrics that end in _early).",
        "What a creator did before counts; of somebody who never posted before nothing is known.",
        "The lift of demand is a difference in differences: a promotion that comes with the attention counts as lift.",
        "Followers are taken as they are today, not as they were at the time of the post.",
    ),
)

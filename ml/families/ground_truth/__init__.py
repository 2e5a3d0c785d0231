"""Ground truth: labels from what customers say and do, with a confidence, and silence where it would be a guess."""

from ml.families.ground_truth.backtest import folds
from ml.families.ground_truth.baselines import baselines
from ml.families.ground_truth.columns import KEY
from ml.families.ground_truth.explaining import explain
from ml.families.ground_truth.features import features
from ml.families.ground_truth.figures import figures
from ml.families.ground_truth.hindsight import REALISED, asked, asked_between
from ml.families.ground_truth.judge import losses, metrics
from ml.families.ground_truth.model import fit, load, save
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.publishing import publications
from ml.families.ground_truth.scoring import score
from ml.families.record import Family

FAMILY = Family(
    name="ground_truth",
    tables=("turns", "feedback", "annotations"),
    key=KEY,
    headline="loss",
    baseline="last_turn",
    params=GroundTruthParams,
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
    purpose="Where a new goal begins in a dialogue, whether it succeeded, which turns left the customer dissatisfied, "
    "and what was wanted: labels for other models to learn from, given only where they are as right as a person's.",
    better={
        f"{kind}_{name}": "higher"
        for kind in ("boundary", "success", "defect", "intent")
        for name in (
            "accuracy", "f1", "f1_of_failure", "macro_f1", "pr_auc", "pr_auc_of_failure", "kappa", "grade_accuracy",
            "grade_kappa", "in_scope_accuracy", "out_of_scope_recall", "labelled", "labelled_precision",
            "human_precision", "coverage_at_human", "coverage_at_human_plus_5", "coverage_at_human_plus_10",
        )
    } | {"goals_exact": "higher"},
    limitations=(
        "Only the kinds of label that people annotated are learned; of the others nothing is said.",
        "Labels are made after the fact: a turn's label may change when the dialogue goes on.",
        "Where no two people saw the same turn, how right a single person is has to be assumed (params.yaml).",
        "Satisfaction is not success: a polite customer may leave without what was wanted.",
        "The sentence encoder that comes with the installation learned from English.",
    ),
)  # fmt: skip

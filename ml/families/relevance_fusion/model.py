"""The model: three rankers and their fusions, the operating point, and what serving needs; its files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import xgboost as xgb
from numpy.typing import NDArray

from ml.families.relevance_fusion import catalogue, fusing, memory, rankers
from ml.families.relevance_fusion.calibration import Logistic, calibrate
from ml.families.relevance_fusion.catalogue import Catalogue
from ml.families.relevance_fusion.columns import COUNTS, FEATURES, JUDGED, NO_QUERY
from ml.families.relevance_fusion.examination import Examination, estimate
from ml.families.relevance_fusion.fusing import Point, Units
from ml.families.relevance_fusion.history import outcomes, with_history
from ml.families.relevance_fusion.memory import Memory
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.rankers import RANKERS, RELEVANCE
from ml.families.relevance_fusion.sheet import Floats, Sheet, Usual, sheet
from ml.families.relevance_fusion.worth import board, case_order
from ml.toolkit import boosting

Boosters = dict[str, xgb.Booster]
Rounds = Mapping[str, int]
_TRIAL_GROUPS, _TRIAL_PERIODS = 4, 3


@dataclass(frozen=True, slots=True)
class Fusion:
    """What the trial has shown: calibration of each ranker, units of their sum, the operating point, and the curve."""

    calibrations: Mapping[str, Logistic]
    units: Units
    point: Point
    curve: pa.Table


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model. `boosters` by ranker, and `mix_<weight in percent>` of stochastic label aggregation."""

    boosters: Boosters
    fusion: Fusion
    mixes: tuple[float, ...]
    examination: Examination
    usual: Usual
    catalogue: Catalogue
    memory: Memory


def fit(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> Model:
    """Fit on what the matrix knows before `as_of`.

    A trial learns without the last periods' searches and a quarter of the queries' judgements; on these the rankers
    show how many rounds they need and are calibrated, the sweep is made, and the policy picks the operating point. Then
    all rankers are grown on everything.
    """
    known, model = _prepared(matrix, as_of, params)
    fusion, rounds = _trial(known, params)
    return replace(model, fusion=fusion, boosters=_boosters(known, params, rounds))


def fit_rankers(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> Model:
    """The three rankers alone, without mixtures and sweep."""
    known, model = _prepared(matrix, as_of, params)
    alone = params.model_copy(update={"fusion": fusing.SCORES})
    learn, judge = held_out(known, alone)
    rounds = _rounds(_boosters(learn, alone), judge, alone)
    return replace(model, boosters=_boosters(known, alone, rounds))


def _prepared(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> tuple[Sheet, Model]:
    """The rows to learn from, and a model that knows everything but boosters and fusion."""
    known = (matrix.day < ibis.date(as_of)) | ((matrix.day == ibis.date(as_of)) & matrix.grade.notnull())
    past = matrix.filter(known & (matrix.query != NO_QUERY))
    examination = estimate(past) if params.debias != "none" else Examination({})
    summed = learnable(past, examination, params)
    usual = usual_of(summed)
    products = catalogue.read_catalogue(matrix, as_of, params)
    known = sheet(_training_rows(summed, params), products, usual)
    remembered = memory.remember(matrix, summed, as_of, params)
    fusion = Fusion(
        {}, Units(1.0, 1.0, 1.0, params.engagement_share), Point(fusing.SCORES, 1.0), pa.table({})
    )
    return known, Model({}, fusion, params.mixes, examination, usual, products, remembered)


def learnable(matrix: ibis.Table, examination: Examination, params: RelevanceFusionParams) -> ibis.Table:
    """Rows of queries with their history, and with the outcomes weighed by inverse propensities."""
    summed = outcomes(matrix, examination)
    weighed = {
        f"ips_{what}": examination.inverse(summed, what, params.clip) for what in ("engaged", "purchased")
    }
    return with_history(summed.mutate(**weighed))


def usual_of(summed: ibis.Table) -> Usual:
    """How often what is looked at is engaged with and purchased."""
    sums = summed.aggregate(**{name: summed[name].sum() for name in ("exposure", "engaged", "purchased")})
    total = {name: float(value or 0.0) for name, value in sums.to_pyarrow().to_pylist()[0].items()}
    looks = max(total["exposure"], 1.0)
    return Usual(total["engaged"] / looks, total["purchased"] / looks)


def _training_rows(summed: ibis.Table, params: RelevanceFusionParams) -> ibis.Table:
    """Judged or shown rows; of more than `max_rows` those of a share of the queries."""
    some = summed.filter(summed.grade.notnull() | (summed.shown > 0))
    number = int(some.count().to_pyarrow().as_py())
    if number > params.max_rows:
        share = int(10_000 * params.max_rows / number)
        some = some.filter(some.query.hash().cast("decimal(38, 0)").abs() % 10_000 < share)
    return some if params.debias == "lambdarank_unbiased" else some.drop(*COUNTS)


def _boosters(known: Sheet, params: RelevanceFusionParams, rounds: Rounds = MappingProxyType({})) -> Boosters:
    """Every ranker that there are labels for, and the mixtures where there are labels of both kinds.

    `rounds`: how many each ranker needs, where that is known.
    """
    grown: Boosters = {}
    good = rankers.judged(known, params.seed)
    if len(good.label):
        recipe: dict[str, Any] = {"rounds": rounds.get(RELEVANCE), "rising": rankers.only_rising(good)}
        grown[RELEVANCE] = rankers.grow(good, params, **recipe)
        known = Sheet(known.rows, rankers.told(known.seen, _foretold(known, params, recipe)))
    grown |= _wanted(known, params, rounds)
    if RELEVANCE in grown and rankers.PURCHASE in grown and params.fusion != fusing.SCORES:
        for weight in params.mixes:
            rows = rankers.mixed(known, weight, params)
            grown[mix_name(weight)] = rankers.grow(rows, params, "reg:squarederror")
    return grown


def _foretold(known: Sheet, params: RelevanceFusionParams, recipe: dict[str, Any]) -> Floats:
    """The relevance of every row as said by a ranker that has not seen the judgements of its query."""
    half = rankers.hashed(known.texts("query"), params.seed + 2, 2)
    said = np.full(len(half), np.nan)
    for number in (0, 1):
        others = rankers.judged(known.take(half != number), params.seed)
        if len(others.label):
            seen = known.seen[half == number]
            said[half == number] = rankers.chances(rankers.grow(others, params, **recipe), seen)
    return said


def _wanted(known: Sheet, params: RelevanceFusionParams, rounds: Rounds) -> Boosters:
    """Engagement, and purchase: of what is engaged with, or by itself where the method gives no chances."""
    grown: Boosters = {}
    if params.debias == "lambdarank_unbiased":
        shown = known.take(known.column("shown") > 0)
        for ranker in (rankers.ENGAGEMENT, rankers.PURCHASE):
            if rankers.observed(shown, ranker, params.debias).label.any():
                grown[ranker] = rankers.grow_unbiased(shown, ranker, params)
        return grown
    engaged = rankers.observed(known, rankers.ENGAGEMENT, params.debias)
    if engaged.label.any():
        grown[rankers.ENGAGEMENT] = rankers.grow(engaged, params, rounds=rounds.get(rankers.ENGAGEMENT))
        bought = rankers.converted(known)
        if bought.label.any():
            grown[rankers.PURCHASE] = rankers.grow(bought, params, rounds=rounds.get(rankers.PURCHASE))
    return grown


def mix_name(weight: float) -> str:
    """The name of a mixture's booster and column."""
    return f"mix_{round(100 * weight)}"


def _trial(known: Sheet, params: RelevanceFusionParams) -> tuple[Fusion, Rounds]:
    """Fit without the held-out rows, then calibrate, sweep and choose on them; and how many rounds to grow."""
    learn, judge = held_out(known, params)
    boosters = _boosters(learn, params)
    rounds = _rounds(boosters, judge, params)
    boosters |= {name: boosters[name][:number] for name, number in rounds.items()}
    raw = said(boosters, judge.seen)
    calibrations = {name: _calibration(boosters, judge, name, params) for name in RANKERS if name in raw}
    chances = calibrated(raw, calibrations, len(judge.seen))
    held = board(judge.rows, chances)
    units = fusing.units_of(held, chances, params.engagement_share)
    mixed = {weight: raw[mix_name(weight)] for weight in params.mixes if mix_name(weight) in raw}
    scored = fusing.sweep(chances, mixed, units, params)
    chosen = fusing.choose(held, scored, params)
    curve = fusing.curve(held, scored, params.bootstrap, params.seed, chosen)
    return Fusion(calibrations, units, chosen, curve), rounds


def _rounds(boosters: Boosters, judge: Sheet, params: RelevanceFusionParams) -> Rounds:
    """After how many rounds each ranker of chances tells the held-out rows best."""
    judge = Sheet(judge.rows, told_relevance(boosters, judge.seen))
    blind = Sheet(judge.rows, rankers.told(judge.seen, np.array(np.nan)))
    rows = {RELEVANCE: rankers.judged(blind, params.seed)}
    if params.debias != "lambdarank_unbiased":
        rows[rankers.ENGAGEMENT] = rankers.observed(judge, rankers.ENGAGEMENT, params.debias)
        rows[rankers.PURCHASE] = rankers.converted(judge)
    return {
        name: rankers.enough(boosters[name], some, params.rounds)
        for name, some in rows.items()
        if name in boosters and len(some.label)
    }


def held_out(known: Sheet, params: RelevanceFusionParams) -> tuple[Sheet, Sheet]:
    """What the trial learns from, and what it is judged by: the searches of the last _TRIAL_PERIODS (fewer, where there
    are not that many others; of a quarter of the queries, where there is but one) and the judgements of a quarter of
    the queries; the latter in the order of a board."""
    days = np.asarray(known.rows.column("day").cast("string").to_pylist(), dtype=str)
    group = rankers.hashed(known.texts("query"), params.seed + 1, _TRIAL_GROUPS) == 0
    shown = known.column("shown") > 0
    periods = np.unique(days[shown])
    held = periods[-max(1, min(_TRIAL_PERIODS, len(periods) // 2)) :]
    last = np.isin(days, held if len(periods) else np.asarray([max(days, default="")], dtype=str))
    late = shown & (last if len(periods) > 1 else group)
    judge = known.hiding(~group, ~late)
    judge.seen[np.ix_(group, [list(FEATURES).index(name) for name in JUDGED])] = np.nan
    return known.hiding(group, late), _in_case_order(judge.take(last & (group | late)))


def _in_case_order(known: Sheet) -> Sheet:
    return known.take(case_order(known.rows))


def said(boosters: Boosters, seen: NDArray[np.float32], names: Collection[str] = ()) -> dict[str, Floats]:
    """What each booster (of `names`, where given) says of rows; purchase is engagement times what then becomes one."""
    seen = told_relevance(boosters, seen)
    out = {name: rankers.chances(boosters[name], seen) for name in boosters if not names or name in names}
    if RELEVANCE in out:
        out[RELEVANCE] = seen[:, list(FEATURES).index(RELEVANCE)].astype(np.float64)
    if rankers.PURCHASE in out and boosters[rankers.PURCHASE].attr("scale") != "margin":
        out[rankers.PURCHASE] = out[rankers.PURCHASE] * out[rankers.ENGAGEMENT]
    return out


def told_relevance(boosters: Boosters, seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """The columns with what the ranker of relevance says, which itself does not see that column."""
    if RELEVANCE not in boosters:
        return seen
    blind = rankers.told(seen, np.array(np.nan))
    return rankers.told(seen, rankers.chances(boosters[RELEVANCE], blind))


def _calibration(boosters: Boosters, judge: Sheet, ranker: str, params: RelevanceFusionParams) -> Logistic:
    some = (
        rankers.judged(judge, params.seed)
        if ranker == RELEVANCE
        else rankers.observed(judge, ranker, params.debias)
    )
    return calibrate(said(boosters, some.sheet.seen)[ranker], some.label, some.weight)


def calibrated(
    raw: Mapping[str, Floats], calibrations: Mapping[str, Logistic], rows: int
) -> dict[str, Floats]:
    """The chances of each ranker; 0 for one that was not fitted."""
    some = {name: calibrations.get(name, Logistic()) for name in RANKERS}
    return {name: some[name](raw[name]) if name in raw else np.zeros(rows) for name in RANKERS}


@dataclass(frozen=True, slots=True)
class Scored:
    """Of n rows: chances by ranker, the mixtures' scores by weight, and the score at the operating point."""

    chances: Mapping[str, Floats]
    mixed: Mapping[float, Floats]
    score: Floats


def score_rows(model: Model, seen: NDArray[np.float32], *, sweep: bool = True) -> Scored:
    """Score rows (n x FEATURES); without `sweep` only what the operating point needs is computed of the mixtures."""
    point = model.fusion.point
    wanted = {point.weight} if point.fusion == fusing.LABELS else set()
    wanted |= set(model.mixes) if sweep else set()
    raw = said(model.boosters, seen, {*RANKERS, *(mix_name(weight) for weight in wanted)})
    chances = calibrated(raw, model.fusion.calibrations, len(seen))
    mixed = {weight: raw[mix_name(weight)] for weight in sorted(wanted) if mix_name(weight) in raw}
    if point.fusion == fusing.LABELS:
        return Scored(chances, mixed, mixed[point.weight])
    return Scored(chances, mixed, model.fusion.units.fused(chances, point.weight))


def save(model: Model, folder: Path) -> None:
    """Write the boosters as UBJSON, all else as JSON and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, booster in model.boosters.items():
        boosting.write(booster, folder / name)
    catalogue.write(model.catalogue, folder)
    memory.write(model.memory, folder)
    rest = {
        "boosters": sorted(model.boosters), "mixes": model.mixes, "usual": asdict(model.usual),
        "examination": asdict(model.examination), "units": asdict(model.fusion.units),
        "point": asdict(model.fusion.point), "curve": model.fusion.curve.to_pydict(),
        "calibrations": {name: asdict(one) for name, one in model.fusion.calibrations.items()},
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    rest = json.loads((folder / "model.json").read_text())
    fusion = Fusion(
        {name: Logistic(**one) for name, one in rest["calibrations"].items()},
        Units(**rest["units"]),
        Point(**rest["point"]),
        pa.table({name: rest["curve"][name] for name in fusing.CURVE}),
    )
    return Model(
        boosters={name: boosting.read(folder / name) for name in rest["boosters"]},
        fusion=fusion,
        mixes=tuple(rest["mixes"]),
        examination=Examination(**rest["examination"]),
        usual=Usual(**rest["usual"]),
        catalogue=catalogue.read(folder),
        memory=memory.read(folder),
    )

"""The model: three rankers and their fusions, the operating point, and what serving needs; its files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
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

if TYPE_CHECKING:
    import xgboost as xgb

    from ml.families.relevance_fusion.rankers import Crossed

    Boosters = dict[str, xgb.Booster]

Rounds = Mapping[str, int]
_TRIAL_PERIODS = 3


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

    A trial learns without the last periods' searches and, group by group, without the judgements of a quarter of the
    queries; on these the rankers show how many rounds they need and are calibrated, the sweep is made, and the policy
    picks the operating point. Then all rankers are grown on everything.
    """
    known, model = _prepared(matrix, as_of, params)
    fusion, rounds = _trial(known, params)
    return replace(model, fusion=fusion, boosters=_boosters(known, params, rounds))


def fit_rankers(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> Model:
    """The three rankers alone, without mixtures and sweep."""
    known, model = _prepared(matrix, as_of, params)
    alone = params.model_copy(update={"fusion": fusing.SCORES})
    return replace(model, boosters=_boosters(known, alone, tried(known, alone).rounds))


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


def _boosters(known: Sheet, params: RelevanceFusionParams, rounds: Rounds) -> Boosters:
    """Every ranker that there are labels for, and the mixtures where there are labels of both kinds.

    `rounds`: how many each ranker of chances needs.
    """
    grown: Boosters = {}
    good = rankers.judged(known, params.seed)
    if len(good.label):
        grown[RELEVANCE] = rankers.grow_relevance(good, params, rounds[RELEVANCE])
        known = _foretold(known, rankers.crossed(known, params, rounds[RELEVANCE]), params)
    grown |= _wanted(known, params, rounds)
    return grown | _mixtures(known, grown, params)


def _foretold(known: Sheet, crossed: Crossed, params: RelevanceFusionParams) -> Sheet:
    """Rows with what a ranker of relevance says of them that has not seen the judgements of their query."""
    return Sheet(known.rows, rankers.told(known.seen, rankers.said_by(crossed, known, params)))


def _mixtures(known: Sheet, grown: Boosters, params: RelevanceFusionParams) -> Boosters:
    if RELEVANCE not in grown or rankers.PURCHASE not in grown or params.fusion == fusing.SCORES:
        return {}
    return {
        mix_name(weight): rankers.grow(rankers.mixed(known, weight, params), params, "reg:squarederror")
        for weight in params.mixes
    }


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
        grown[rankers.ENGAGEMENT] = rankers.wanted(engaged, params, rounds.get(rankers.ENGAGEMENT))
        bought = rankers.converted(known)
        if bought.label.any():
            grown[rankers.PURCHASE] = rankers.wanted(bought, params, rounds.get(rankers.PURCHASE))
    return grown


def mix_name(weight: float) -> str:
    """The name of a mixture's booster and column."""
    return f"mix_{round(100 * weight)}"


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial has grown: the rows that it is judged by, what its rankers and mixtures say of them, and after how
    many rounds the rankers of chances told them best."""

    judge: Sheet
    raw: Mapping[str, Floats]
    rounds: Rounds


def _trial(known: Sheet, params: RelevanceFusionParams) -> tuple[Fusion, Rounds]:
    """Calibrate, sweep and choose on what the trial has held out; and how many rounds to grow."""
    made = tried(known, params)
    judge, raw = made.judge, made.raw
    calibrations = {name: _calibration(judge, raw[name], name, params) for name in RANKERS if name in raw}
    chances = calibrated(raw, calibrations, len(judge.seen))
    held = board(judge.rows, chances)
    units = fusing.units_of(held, chances, params.engagement_share)
    mixed = {weight: raw[mix_name(weight)] for weight in params.mixes if mix_name(weight) in raw}
    scored = fusing.sweep(chances, mixed, units, params)
    chosen = fusing.choose(held, scored, params)
    curve = fusing.curve(held, scored, params.bootstrap, params.seed, chosen)
    return Fusion(calibrations, units, chosen, curve), made.rounds


def tried(known: Sheet, params: RelevanceFusionParams) -> Tried:
    """Grow all rankers without what is held out.

    Relevance is grown once for each group of queries, without their judgements, so that every judged query tells how
    relevant the first result of one that nobody judged will be. Mixtures are grown twice, each without half of them.
    """
    learn, judge = held_out(known, params)
    rounds: dict[str, int] = {}
    grown: Boosters = {}
    crossed = rankers.crossed(learn, params)
    if crossed:
        rounds[RELEVANCE] = rankers.enough(rankers.unseen(crossed, judge, params), params.rounds)
        crossed = {group: booster[: rounds[RELEVANCE]] for group, booster in crossed.items()}
        grown[RELEVANCE] = next(iter(crossed.values()))
        learn, judge = _foretold(learn, crossed, params), _foretold(judge, crossed, params)
    grown |= _wanted(learn, params, {})
    rounds |= _rounds(grown, judge, params)
    grown |= {name: grown[name][:number] for name, number in rounds.items()}
    raw = raw_of(grown, judge.seen)
    for half in (0, 1):
        there = rankers.group_of(judge, params) % 2 == half
        blind = learn.hiding(
            rankers.group_of(learn, params) % 2 == half, np.zeros(len(learn.seen), dtype=bool)
        )
        for name, booster in _mixtures(blind, grown, params).items():
            raw.setdefault(name, np.zeros(len(there)))[there] = rankers.chances(booster, judge.seen[there])
    return Tried(judge, raw, rounds)


def _rounds(grown: Boosters, judge: Sheet, params: RelevanceFusionParams) -> Rounds:
    """After how many rounds the rankers of what is wanted tell the held-out rows best."""
    if params.debias == "lambdarank_unbiased":
        return {}
    rows = {
        rankers.ENGAGEMENT: rankers.observed(judge, rankers.ENGAGEMENT, params.debias),
        rankers.PURCHASE: rankers.converted(judge),
    }
    return {
        name: rankers.enough([(grown[name], some)], params.rounds)
        for name, some in rows.items()
        if name in grown and len(some.label)
    }


def held_out(known: Sheet, params: RelevanceFusionParams) -> tuple[Sheet, Sheet]:
    """What the trial learns from, and what it is judged by, the latter in the order of a board.

    Held out are the searches of the last _TRIAL_PERIODS (fewer, where there are not that many others; of a quarter of
    the queries, where there is but one). Judgements are judged by on the newest day alone, where every judged pair is
    a candidate; what other judgements say of a query is hidden there, as for a query that nobody has judged.
    """
    days = np.asarray(known.rows.column("day").cast("string").to_pylist(), dtype=str)
    shown = known.column("shown") > 0
    periods = np.unique(days[shown])
    held = periods[-max(1, min(_TRIAL_PERIODS, len(periods) // 2)) :]
    late = shown & (np.isin(days, held) if len(periods) > 1 else rankers.group_of(known, params) == 0)
    asked = rankers.newest(known) & np.isfinite(known.column("grade"))
    nothing = np.zeros(len(days), dtype=bool)
    judge = known.hiding(~asked, ~late)
    for name in JUDGED:
        judge.seen[asked, list(FEATURES).index(name)] = np.nan
    return known.hiding(nothing, late), _in_case_order(judge.take(late | asked))


def _in_case_order(known: Sheet) -> Sheet:
    return known.take(case_order(known.rows))


def said(boosters: Boosters, seen: NDArray[np.float32], names: Collection[str] = ()) -> dict[str, Floats]:
    """What each booster (of `names`, where given) says of rows; purchase is engagement times what then becomes one."""
    return raw_of(boosters, told_relevance(boosters, seen), names)


def raw_of(boosters: Boosters, seen: NDArray[np.float32], names: Collection[str] = ()) -> dict[str, Floats]:
    """The same of rows whose columns hold what the ranker of relevance says."""
    out = {
        name: rankers.chances(boosters[name], seen)
        for name in boosters
        if name != RELEVANCE and (not names or name in names)
    }
    if RELEVANCE in boosters:
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


def _calibration(judge: Sheet, raw: Floats, ranker: str, params: RelevanceFusionParams) -> Logistic:
    rows = Sheet(judge.rows, raw[:, None].astype(np.float32))
    some = rankers.graded(rows) if ranker == RELEVANCE else rankers.observed(rows, ranker, params.debias)
    return calibrate(some.sheet.seen[:, 0].astype(np.float64), some.label, some.weight)


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

"""What customers' systems and people read: rankings of head queries, the trade-off, and the study of one's own
searches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import numpy as np
import pyarrow as pa

from ml.families.record import Tables
from ml.families.relevance_fusion import lexicon, study
from ml.families.relevance_fusion.columns import FEATURES, NO_QUERY
from ml.families.relevance_fusion.history import outcomes
from ml.families.relevance_fusion.model import Model, learnable
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.serving import ANSWER, answer
from ml.families.relevance_fusion.sheet import Sheet, sheet

_BY_WORDS = 30
_STUDIED = ("popularity", "query_words", "price_to_relevant", "bought_with_relevant", "like_relevant")


def publications(
    model: Model, matrix: ibis.Table, tables: Tables, as_of: date, params: RelevanceFusionParams
) -> Mapping[str, pa.Table]:
    """`search_rankings`: the first products for each head query, with reasons. `search_tradeoff`: what each weight of
    relevance earns, and which one is in service. `search_strategies`, `search_factors`: why customers buy what
    annotators call irrelevant. `search_examination`: how far customers look, and what clipping costs."""
    studied = judged_and_shown(model, matrix, as_of, params)
    return {
        "search_rankings": rankings(model, matrix, as_of, params),
        "search_tradeoff": model.fusion.curve,
        "search_strategies": study.strategies(studied, params.bootstrap, params.seed),
        "search_factors": study.factors(studied, params.bootstrap, params.seed),
        "search_examination": examination(model, params),
    }


def rankings(model: Model, matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> pa.Table:
    """The first `top_k` products of the `head_queries` queries whose results were looked at most, by modality."""
    asked = outcomes(
        matrix.filter((matrix.query != NO_QUERY) & (matrix.day <= ibis.date(as_of))), model.examination
    )
    looks = asked.group_by("query").aggregate(looks=asked.exposure.sum())
    head = looks.order_by(looks.looks.round(3).desc(), "query").limit(params.head_queries).select("query")
    now = asked.filter(asked.day == ibis.date(as_of)).semi_join(head, "query")
    pairs = (
        now.select("query", "modality", "product_id").distinct().order_by("query", "modality", "product_id")
    )
    request = _with_matches(model, pairs.to_pyarrow())
    made = answer(model, request)
    first = made.filter(pa.array(made.column("rank").to_numpy() <= params.top_k))
    return _titled(model, first)


def _with_matches(model: Model, pairs: pa.Table) -> pa.Table:
    """The known candidates of each query and modality, and the _BY_WORDS products whose words match best."""
    products = model.catalogue.products.column("product_id").to_pylist()
    everything = np.arange(len(products))
    wanted: dict[tuple[str, str], dict[str, None]] = {}
    for row in pairs.to_pylist():
        wanted.setdefault((row["query"], row["modality"]), {})[row["product_id"]] = None
    for (query, _), some in wanted.items():
        bm25 = lexicon.match(query, everything, model.catalogue.documents, model.catalogue.rarity)["bm25"]
        best = np.argsort(-bm25, kind="stable")[:_BY_WORDS]
        some |= dict.fromkeys(products[place] for place in best if bm25[place] > 0)
    flat = [(query, modality, product) for (query, modality), some in wanted.items() for product in some]
    columns = [pa.array(list(column), pa.string()) for column in zip(*flat, strict=True)] or [
        pa.array([], pa.string())
    ] * 3
    return pa.table(dict(zip(("query", "modality", "product_id"), columns, strict=True)))


def _titled(model: Model, rows: pa.Table) -> pa.Table:
    about = model.catalogue.products.select(["product_id", "title", "category"]).to_pylist()
    known = {row["product_id"]: row for row in about}
    added = {
        name: pa.array(
            [known.get(product, {}).get(name) for product in rows.column("product_id").to_pylist()],
            pa.string(),
        )
        for name in ("title", "category")
    }
    columns = {name: rows.column(name) for name in ANSWER.names} | added
    return pa.table(columns)


def judged_and_shown(
    model: Model, matrix: ibis.Table, as_of: date, params: RelevanceFusionParams
) -> pa.Table:
    """Every judged pair that was shown before `as_of`, by modality, its outcomes summed: what the study looks at."""
    past = matrix.filter((matrix.day < ibis.date(as_of)) & (matrix.query != NO_QUERY))
    rows = learnable(past, model.examination, params)
    rows = rows.filter(rows.grade.notnull() & (rows.shown > 0))
    known = sheet(rows, model.catalogue, model.usual)
    return summed(known)


def summed(known: Sheet) -> pa.Table:
    """One row per query, product and modality: outcomes summed, properties averaged."""
    place = {name: column for column, name in enumerate(FEATURES)}
    table = known.rows.select(
        ["query", "product_id", "modality", "category", "grade", "exposure", "engaged", "purchased"]
    )
    for name in _STUDIED:
        table = table.append_column(
            name, pa.array(known.seen[:, place[name]].astype(np.float64), from_pandas=True)
        )
    totals = [(name, "sum") for name in ("exposure", "engaged", "purchased")]
    means = [(name, "mean") for name in ("grade", *_STUDIED)]
    by = ["query", "product_id", "modality", "category"]
    grouped = table.group_by(by, use_threads=False).aggregate([*totals, *means])
    renamed = grouped.rename_columns(
        [name.removesuffix("_sum").removesuffix("_mean") for name in grouped.column_names]
    )
    return renamed.append_column("day", pa.array([date.min] * renamed.num_rows, pa.date32()))


def examination(model: Model, params: RelevanceFusionParams) -> pa.Table:
    """modality, position, probability against the first position, low, high, weight, counted.

    `weight` is what an engagement there counts in training: 1 / probability, at most 1 / clip. `counted` is the share
    of what is wanted there that then remains: below 1 it is clipping's bias.
    """
    rows = [
        {
            "modality": name, "position": place + 1, "probability": chance, "low": low[place], "high": high[place],
            "weight": 1 / max(chance, params.clip), "counted": min(chance / params.clip, 1.0),
        }
        for name, curve in model.examination.curves.items()
        for low, high in [model.examination.bands[name]]
        for place, chance in enumerate(curve)
        if np.isfinite(low[place])
    ]  # fmt: skip
    kinds = [("modality", pa.string()), ("position", pa.int64())]
    numbers = ("probability", "low", "high", "weight", "counted")
    return pa.Table.from_pylist(rows, schema=pa.schema([*kinds, *((name, pa.float64()) for name in numbers)]))

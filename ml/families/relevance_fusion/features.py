"""The feature table: what was known of each candidate of each query when a period began (see `columns.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import ibis

from ml.families.record import Tables
from ml.families.relevance_fusion import listings, relations
from ml.families.relevance_fusion.clock import Clock, clock
from ml.families.relevance_fusion.columns import (
    ABOUT,
    COLUMNS,
    COUNTS,
    KEY,
    KNOWN,
    LABEL,
    NO_QUERY,
    PRODUCT,
)
from ml.families.relevance_fusion.matching import matching
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.shelf import NEIGHBOURS, bought_together, products, shelf

_ROW = ["query", "product_id", "step"]


def features(tables: Tables, as_of: date, params: RelevanceFusionParams) -> ibis.Table:
    """The matrix for `as_of`: rows of queries and, under the empty query, rows of products."""
    time = clock(as_of, params)
    items = products(tables, time)
    known = settled(shelf(items, tables, time))
    together = settled(bought_together(tables, time))
    asked = _asked(tables, items, known, together, time, params)
    return ibis.union(asked, _products(items, known, together))


def settled(step: ibis.Table) -> ibis.Table:
    """The rows of a step, computed now and kept by the engine: a single statement of all steps would hold every one of
    them in memory at the same time."""
    name = ibis.util.gen_name("relevance_fusion")
    return step.get_backend().create_table(name, step, temp=True)


def _asked(
    tables: Tables,
    items: ibis.Table,
    known: ibis.Table,
    together: ibis.Table,
    time: Clock,
    params: RelevanceFusionParams,
) -> ibis.Table:
    listed, judged = settled(listings.listings(tables, time)), settled(listings.judgements(tables, time))
    graded = listings.grades(judged)
    rows = settled(listings.candidates(listed, judged, time, params).semi_join(items, "product_id"))
    pairs = rows.select(*_ROW).distinct()
    matched = settled(matching(pairs, items, time))
    described = _related(pairs, matched, judged, items, together, time)
    about = known.select("product_id", "step", "day", "category", *PRODUCT)
    described = described.join(about, ["product_id", "step"])
    full = _left(rows.join(described, _ROW), listed, [*_ROW, "modality"], COUNTS)
    return _final(_left(full, graded, ["query", "product_id"], LABEL))


def _related(
    pairs: ibis.Table,
    matched: ibis.Table,
    judged: ibis.Table,
    items: ibis.Table,
    together: ibis.Table,
    time: Clock,
) -> ibis.Table:
    best, good = relations.matches(matched), relations.relevant(judged, time)
    for name, anchors in (("matches", best), ("relevant", good)):
        anchors = settled(anchors)
        beside = settled(relations.compared(pairs, anchors, items, together, name))
        matched = _left(matched, beside, _ROW, [name for name in beside.columns if name in KNOWN])
        matched = _left(matched, relations.listed(anchors, name), ["query", "step"], [name])
    return matched


def _left(rows: ibis.Table, more: ibis.Table, on: list[str], wanted: Iterable[str]) -> ibis.Table:
    both = rows.left_join(more, on)
    return both.select(*(rows[name] for name in rows.columns), *(more[name] for name in wanted))


def _final(full: ibis.Table) -> ibis.Table:
    """Types and order of the columns; outcomes are 0 where nothing was shown, and unknown from the origin on."""
    past = full.step < 0
    counts = {name: ibis.ifelse(past, full[name].fill_null(0), None).cast("int32") for name in COUNTS}
    voice = (full.modality == listings.VOICE).cast("float32")
    known = {name: full[name].cast("float32") for name in KNOWN if name != "voice"}
    label = {
        "grade": full.grade.cast("float32"), "annotators": full.annotators.cast("int32"), "judged_day": full.judged_day
    }  # fmt: skip
    nothing = {name: ibis.null("string") for name in ABOUT if name != "category"}
    lists = {"bought_with": ibis.null("string"), "bought_with_share": ibis.null("string")}
    return full.select(
        *KEY, "category", "matches", "relevant", **nothing, **known, voice=voice, **lists, **label, **counts
    ).select(*COLUMNS)


def _products(items: ibis.Table, known: ibis.Table, together: ibis.Table) -> ibis.Table:
    """The rows of the empty query: every product that was known on the first day of the period."""
    named = together.mutate(percent=together.share.cast("string"))
    lists = relations.side_by_side(
        named, ["product_id", "step"], {"bought_with": "other", "bought_with_share": "percent"}, NEIGHBOURS
    )
    there = known.filter(known.since <= known.step)
    full = _left(
        there.join(items.select("product_id", "title", "description", "brand"), "product_id"),
        lists, ["product_id", "step"], ["bought_with", "bought_with_share"],
    )  # fmt: skip
    empty = {name: ibis.null("float32") for name in KNOWN if name not in PRODUCT}
    about = {name: full[name].cast("float32") for name in PRODUCT}
    label = {"grade": ibis.null("float32"), "annotators": ibis.null("int32"), "judged_day": ibis.null("date")}
    return full.select(
        "product_id", "day", *ABOUT, "bought_with", "bought_with_share",
        query=ibis.literal(NO_QUERY), modality=ibis.literal(""), **empty, **about,
        matches=ibis.null("string"), relevant=ibis.null("string"), **label,
        **{name: ibis.null("int32") for name in COUNTS},
    ).select(*COLUMNS)  # fmt: skip

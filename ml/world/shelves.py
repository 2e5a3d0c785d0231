"""The small contract tables: products, promotions, events."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world.arrays import US_PER_DAY
from ml.world.attention.appeal import appeal_of
from ml.world.attention.pictures import picture_uri
from ml.world.blueprint import Blueprint
from ml.world.calendar import events_table
from ml.world.catalogue import ALWAYS
from ml.world.orders import midnight
from ml.world.promotions import promotions_columns
from ml.world.rows import Names, product_ids
from ml.world.truth import known_products, known_promotions
from ml.world.words import CATEGORIES


def small_tables(plan: Blueprint, names: Names) -> Mapping[str, pa.Table]:
    """Every contract table of the world but `order_lines`."""
    everyone = product_ids(names, np.arange(len(plan.catalogue)))
    promoted = promotions_columns(known_promotions(plan), plan.start, everyone)
    return {
        "products": products_table(plan, names),
        "promotions": pa.table(promoted, schema=arrow_schema(TABLES["promotions"])),
        "events": events_table(plan.events),
    }


def products_table(plan: Blueprint, names: Names) -> pa.Table:
    """Products launched before the end, at the last day's list price; those no longer sold are still there."""
    catalogue, known = plan.catalogue, known_products(plan)
    launch = catalogue.launch[known]
    launched_at = midnight(plan, 0) + launch * US_PER_DAY + catalogue.launch_us[known]
    columns = {
        "product_id": product_ids(names, known),
        "launched_at": pa.array(launched_at, mask=launch == ALWAYS).view(pa.timestamp("us")),
        "title": _texts(catalogue.titles, known.tolist()),
        "description": _texts(catalogue.descriptions, known.tolist()),
        "category": pa.array([CATEGORIES[c].name for c in catalogue.category[known].tolist()], pa.string()),
        "brand": _texts(catalogue.brands, known.tolist()),
        "price": pa.array(catalogue.list_price(plan.days - 1)[known]),
        "image_uri": _pictures(plan, known.tolist()),
    }
    return pa.table(columns, schema=arrow_schema(TABLES["products"]))


def _pictures(plan: Blueprint, products: list[int]) -> pa.Array:
    """One picture a product, where the world has pictures."""
    if not plan.size.pictures:
        return pa.nulls(len(products), pa.string())
    appeal, category = appeal_of(plan.seed, len(plan.catalogue)).tolist(), plan.catalogue.category.tolist()
    uris = [picture_uri(plan.seed, product, appeal[product], category[product]) for product in products]
    return pa.array(uris, pa.string())


def _texts(texts: tuple[str | None, ...], rows: list[int]) -> pa.Array:
    return pa.array([texts[row] for row in rows], pa.string())

"""The fused ranker as a service: a query and candidate products in, a ranked list with scores and reasons out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.record import Serving
from ml.families.relevance_fusion.asking import Candidates, ask
from ml.families.relevance_fusion.columns import ABOUT, FEATURES
from ml.families.relevance_fusion.explaining import contributions
from ml.families.relevance_fusion.listings import SCREEN, VOICE
from ml.families.relevance_fusion.model import Model, Scored, score_rows
from ml.families.relevance_fusion.rankers import RANKERS
from ml.families.relevance_fusion.words import normal_text

Floats = NDArray[np.float64]
EXPLAINED = 10
ANSWER = pa.schema(
    [
        ("query", pa.string()), ("modality", pa.string()), ("rank", pa.int64()), ("product_id", pa.string()),
        ("score", pa.float64()), *((name, pa.float64()) for name in RANKERS), ("reason", pa.string()),
    ]
)  # fmt: skip


def answer(model: Model, requests: pa.Table) -> pa.Table:
    """Rank the candidates of every query and modality; the first EXPLAINED of each have a reason.

    requests: query, product_id; optional: modality (default: screen), and title, description, category, brand and
    price of products that the model may not know. Answers come query by query, the best candidate first.
    """
    groups: dict[str, list[dict[str, object]]] = {}
    for row in requests.to_pylist():
        groups.setdefault(str(row["query"]), []).append(row)
    ranked = [part for query, rows in groups.items() for part in _ranked(model, query, rows)]
    return pa.concat_tables([ANSWER.empty_table(), *ranked])


def _ranked(model: Model, query: str, rows: list[dict[str, object]]) -> Iterator[pa.Table]:
    products = np.asarray([str(row["product_id"]) for row in rows], dtype=str)
    modality = np.asarray([str(row.get("modality") or SCREEN) for row in rows], dtype=str)
    names = products.tolist()
    some = Candidates(names, modality == VOICE, model.catalogue.places(names), rows)
    seen = ask(normal_text(query), some, model.catalogue, model.memory, model.usual)
    made = score_rows(model, seen, sweep=False)
    for one in dict.fromkeys(modality.tolist()):
        there = np.flatnonzero(modality == one)
        order = there[np.lexsort((products[there], -made.score[there]))]
        yield _rows(
            query, one, products[order].tolist(), made, order, list(_reasons(model, seen[order[:EXPLAINED]]))
        )


def _rows(
    query: str, modality: str, products: list[str], made: Scored, order: NDArray[np.intp], reasons: list[str]
) -> pa.Table:
    number = len(products)
    columns = [
        [query] * number, [modality] * number, np.arange(1, number + 1), products,
        made.score[order], *(made.chances[name][order] for name in RANKERS),
        [*reasons, *[None] * (number - len(reasons))],
    ]  # fmt: skip
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, ANSWER, strict=True)], schema=ANSWER
    )


def _reasons(model: Model, seen: NDArray[np.float32]) -> Iterator[str]:
    """What raises each score most, in words (at most two)."""
    words = list(FEATURES.values())
    for given in contributions(model, seen)[:, :-1]:
        best = [words[column] for column in np.argsort(-given, kind="stable")[:2] if given[column] > 0]
        yield ("Because of " + " and ".join(best) + ".") if best else "Nothing speaks for it."


def example(model: Model) -> pa.Table:
    """A request for two products that the model knows and one that it does not; all but the first two columns may be
    missing."""
    query = next(iter(model.memory.relevant), "a query")
    known = [
        {"product_id": name} for name in model.catalogue.products.column("product_id").slice(0, 2).to_pylist()
    ]
    new = {"product_id": "new", "modality": SCREEN, "price": 1.0, **dict.fromkeys(ABOUT, "new")}
    names = ["query", "product_id", "modality", *ABOUT]
    schema = pa.schema([*((name, pa.string()) for name in names), ("price", pa.float64())])
    return pa.Table.from_pylist([{"query": query, **row} for row in (*known, new)], schema=schema)


SERVING = Serving(answer=answer, example=example)

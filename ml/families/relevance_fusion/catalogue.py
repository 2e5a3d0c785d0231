"""The products as a model knows them: their texts as points, their neighbours in orders, what is known of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.columns import ABOUT, NO_QUERY, PRODUCT
from ml.families.relevance_fusion.lexicon import Documents, Rarity, documents, rarity
from ml.families.relevance_fusion.params import TFIDF, RelevanceFusionParams
from ml.families.relevance_fusion.relations import SEPARATOR
from ml.toolkit import arrays, text
from ml.toolkit.encoders import Encoder, SentenceEncoder

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Catalogue:
    """n products: texts (table of product_id and ABOUT), known (n x PRODUCT), points (n x components, of length 1).

    `space` makes points of texts, or the sentence encoder in the folder `encoder`, where that is one.
    """

    products: pa.Table
    known: Floats
    points: Floats
    space: text.TextSpace
    neighbours: tuple[tuple[str, ...], ...]
    shares: tuple[tuple[float, ...], ...]
    encoder: str = TFIDF

    def places(self, products: Sequence[str]) -> Places:
        """Row of each product, -1 where it is not known."""
        row = self._rows
        return np.asarray([row.get(product, -1) for product in products], dtype=np.int64)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {
            product: place for place, product in enumerate(self.products.column("product_id").to_pylist())
        }

    @cached_property
    def documents(self) -> Documents:
        """The texts, indexed when first asked for."""
        return documents(self.products.to_pylist())

    @cached_property
    def rarity(self) -> Rarity:
        """How rare each word is."""
        return rarity(self.documents)

    @cached_property
    def shelves(self) -> NDArray[np.str_]:
        """The category of each product."""
        return np.asarray([name or "" for name in self.products.column("category").to_pylist()], dtype=str)

    def point(self, texts: Sequence[str]) -> Floats:
        """Texts as points of length 1 (0 without known words)."""
        return unit(self._encoder.place(texts))

    @cached_property
    def _encoder(self) -> Encoder:
        return encoder_of(self.encoder, self.space)


def encoder_of(name: str, space: text.TextSpace) -> Encoder:
    """The space for TFIDF, else the sentence encoder in the folder `name`; ValueError if it is not there."""
    return space if name == TFIDF else SentenceEncoder(Path(name), threads=1)


def read_catalogue(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> Catalogue:
    """The products as known on the latest day of the matrix up to `as_of`."""
    rows = matrix.filter((matrix.query == NO_QUERY) & (matrix.day <= ibis.date(as_of)))
    newest = rows.filter(rows.day == rows.day.max().as_scalar())
    columns = ["product_id", *ABOUT, *(n for n in PRODUCT), "bought_with", "bought_with_share"]
    found = newest.select(*columns).order_by("product_id").to_pyarrow()
    prose = [describe(row) for row in found.select(["title", "description", "category"]).to_pylist()]
    components = params.text_components if params.encoder == TFIDF else 0
    space = text.learn_space(prose, components, params.seed)
    return Catalogue(
        products=found.select(["product_id", *ABOUT]),
        known=np.column_stack([numbers(found, name) for name in PRODUCT]),
        points=unit(encoder_of(params.encoder, space).place(prose)),
        space=space,
        neighbours=tuple(parted(some) for some in found.column("bought_with").to_pylist()),
        shares=tuple(
            tuple(map(float, parted(some))) for some in found.column("bought_with_share").to_pylist()
        ),
        encoder=params.encoder,
    )


def parted(text: str | None) -> tuple[str, ...]:
    """The names of a text that `relations.side_by_side` made."""
    return tuple(text.split(SEPARATOR)) if text else ()


def describe(product: Mapping[str, Any]) -> str:
    """The text of a product whose meaning is compared."""
    return " ".join(str(product.get(name) or "") for name in ("title", "category", "description"))


def numbers(table: pa.Table, name: str) -> Floats:
    """A column as floats, missing ones as NaN."""
    values: Floats = table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def unit(points: Floats) -> Floats:
    """Rows scaled to length 1; rows of length 0 stay."""
    length: Floats = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.maximum(length, 1e-12)


def write(catalogue: Catalogue, folder: Path) -> None:
    """Save as `catalogue.json`, `catalogue.safetensors` and the files of its texts' space."""
    texts = {name: catalogue.products.column(name).to_pylist() for name in catalogue.products.column_names}
    beside = {
        "products": texts, "neighbours": catalogue.neighbours, "shares": catalogue.shares, "encoder": catalogue.encoder
    }  # fmt: skip
    (folder / "catalogue.json").write_text(json.dumps(beside, ensure_ascii=False))
    arrays.write(folder / "catalogue", {"known": catalogue.known, "points": catalogue.points})
    text.write(catalogue.space, folder)


def read(folder: Path) -> Catalogue:
    """Load what `write` saved."""
    beside = json.loads((folder / "catalogue.json").read_text())
    return Catalogue(
        products=pa.table({name: pa.array(some, pa.string()) for name, some in beside["products"].items()}),
        **arrays.read(folder / "catalogue"),
        space=text.read(folder),
        neighbours=tuple(tuple(some) for some in beside["neighbours"]),
        shares=tuple(tuple(some) for some in beside["shares"]),
        encoder=beside["encoder"],
    )

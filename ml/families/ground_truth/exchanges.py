"""Exchanges in memory: the matrix sorted by dialogue, and where each row's neighbours are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.ground_truth.columns import KEY

Places = NDArray[np.int64]
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Exchanges:
    """n rows in the order of their keys; `dialogue` numbers the dialogues from 0."""

    rows: pa.Table
    dialogue: Places

    def __len__(self) -> int:
        return len(self.dialogue)

    def step(self, by: int) -> Places:
        """The place of the row `by` exchanges on in the same dialogue; NOWHERE beyond its ends."""
        there = np.arange(len(self)) + by
        inside = (there >= 0) & (there < len(self))
        there = np.where(inside, there, 0)
        return np.where(inside & (self.dialogue[there] == self.dialogue), there, NOWHERE)

    def texts(self, name: str) -> list[str]:
        """A column of text; null is empty."""
        return [text or "" for text in self.rows.column(name).to_pylist()]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers; null is nan."""
        return np.asarray(self.rows.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)

    def at(self, places: Places) -> Exchanges:
        """The exchanges at these places, in their order; neighbours may be missing."""
        return Exchanges(self.rows.take(pa.array(places)), self.dialogue[places])

    def of_dialogues(self, chosen: NDArray[np.bool_]) -> Exchanges:
        """The exchanges of some dialogues (one flag for each)."""
        kept = np.flatnonzero(chosen[self.dialogue])
        return exchanges_of(self.rows.take(pa.array(kept)))

    def batches(self, size: int) -> Iterator[Exchanges]:
        """Whole dialogues together, about `size` rows at a time."""
        cuts = np.searchsorted(self.dialogue, np.unique(self.dialogue[::size]))
        ends = [*cuts[1:].tolist(), len(self)][: len(cuts)]
        for start, end in zip(cuts.tolist(), ends, strict=True):
            yield exchanges_of(self.rows.slice(start, end - start))


def read_exchanges(matrix: ibis.Table) -> Exchanges:
    """All rows of a matrix."""
    return exchanges_of(matrix.order_by(*KEY).to_pyarrow().combine_chunks())


def read_batches(matrix: ibis.Table, size: int) -> Iterator[Exchanges]:
    """All rows of a matrix, whole dialogues together, about `size` rows at a time: only so many are in memory."""
    held: list[pa.Table] = []
    for batch in matrix.order_by(*KEY).to_pyarrow_batches(chunk_size=size):
        held.append(pa.Table.from_batches([batch]))
        if sum(len(some) for some in held) > size:
            rows = pa.concat_tables(held).combine_chunks()
            last = pc.index(rows.column("dialogue_id"), rows.column("dialogue_id")[-1]).as_py()
            if last:
                yield exchanges_of(rows.slice(0, last))
            held = [rows.slice(last)]
    if held:
        yield exchanges_of(pa.concat_tables(held).combine_chunks())


def exchanges_of(rows: pa.Table) -> Exchanges:
    """Rows sorted by key."""
    names = rows.column("dialogue_id").combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy() if isinstance(names, pa.DictionaryArray) else np.zeros(0)
    return Exchanges(rows, codes.astype(np.int64))

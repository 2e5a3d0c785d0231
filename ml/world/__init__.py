"""A simulated marketplace with known truth, for the demo, the tests and the benchmarks.

One module per concern: `sizes`, `seeds`, `words`, `calendar` (occasions), `catalogue` (products), `promotions`,
`demand` (true means), `blueprint` (all of these, settled), `orders`, `dirt`, `rows` and `shelves` (Arrow), `truth`,
`chunks` (days in order), `attention` (creators, posts, bursts, pictures), `dialogues`, `search` (queries, what is shown
and what is judged), `parts` (what there is beside sales), `world` (in memory), `writing` (to Parquet).
"""

from __future__ import annotations

from ml.world.blueprint import DEFAULT_END
from ml.world.sizes import SIZES
from ml.world.world import World, readers, simulate
from ml.world.writing import write, write_tables

__all__ = ["DEFAULT_END", "SIZES", "World", "readers", "simulate", "write", "write_tables"]

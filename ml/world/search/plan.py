"""Everything about the searches of a world that is settled before the first one."""

from __future__ import annotations

from dataclasses import dataclass

from ml.world.blueprint import Blueprint
from ml.world.search.candidates import Candidates, find_candidates
from ml.world.search.queries import Queries, draw_queries
from ml.world.search.rankers import Rankers, train_rankers
from ml.world.search.wants import Wants, true_wants


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Queries, what may be shown for them, what is wanted, and who ranks; the same however long the world goes on."""

    world: Blueprint
    queries: Queries
    candidates: Candidates
    wants: Wants
    rankers: Rankers


def search_plan(world: Blueprint) -> SearchPlan:
    """Settle the searches of a world."""
    catalogue, seed = world.catalogue, world.seed
    queries = draw_queries(catalogue, world.size.queries, seed)
    candidates = find_candidates(catalogue, queries, seed)
    wants = true_wants(catalogue, queries, candidates, seed)
    rankers = train_rankers(catalogue, candidates, world.size.days, seed)
    return SearchPlan(world, queries, candidates, wants, rankers)

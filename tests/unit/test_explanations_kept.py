"""Which explanations are kept with a run: those of the largest predictions."""

from __future__ import annotations

import pyarrow as pa

from ml.actions.record import largest


def test_the_entities_of_the_largest_sums_are_kept_with_all_their_rows() -> None:
    given = pa.table(
        {
            "query": ["a", "a", "a", "b", "b", "c", "c"],
            "product": ["1", "1", "2", "1", "1", "1", "1"],
            "contribution": [1.0, 1.0, -9.0, 3.0, 0.5, 0.5, 0.5],
        }
    )
    kept = largest(given, ("query", "product"), count=2)
    assert kept.column("query").to_pylist() == ["a", "a", "a", "b", "b"]


def test_of_equal_predictions_the_first_names_are_kept() -> None:
    given = pa.table({"query": ["b", "a"], "contribution": [1.0, 1.0]})
    assert largest(given, ("query",), count=1).column("query").to_pylist() == ["a"]

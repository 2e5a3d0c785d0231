"""Errors cross processes whole."""

from __future__ import annotations

import pickle

import pytest

from ml.errors import (
    BellwetherError,
    DataRejected,
    NotReproducible,
    SeamUnavailable,
    StaleDecision,
    UsageError,
    from_json,
)

CODES = {
    DataRejected: (2, False),
    SeamUnavailable: (75, True),
    UsageError: (64, False),
    StaleDecision: (75, True),
    NotReproducible: (3, False),
}


@pytest.mark.parametrize("kind", CODES)
def test_class_message_and_code_survive_json_and_pickle(kind: type[BellwetherError]) -> None:
    error = kind("table x: 3 rows", found="−1, “a”", expected=">= 0", next_step="repair them")
    for copy in (from_json(error.to_json()), pickle.loads(pickle.dumps(error))):
        assert type(copy) is kind
        assert str(copy) == str(error)
        assert (copy.exit_code, copy.retried) == CODES[kind]


def test_a_message_names_found_expected_and_next_step() -> None:
    lines = str(DataRejected("what", found=3, expected=4, next_step="do")).splitlines()
    assert lines == ["what", "  found: 3", "  expected: 4", "  next step: do"]

"""What holds for every test: two of them run at once on two cores, so each has one thread, and waiting threads sleep.

(Half the processor time of the tests that fit models went into threads that waited for one another by spinning.) Set
before numpy or XGBoost is imported; processes that tests start inherit it.
"""

from __future__ import annotations

import os

import pytest

for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")):
    os.environ.setdefault(name, value)

for name in [
    name for name in os.environ if name.startswith("BELLWETHER_") and name != "BELLWETHER_PUBLIC_DATA"
]:
    del os.environ[name]  # a test's home, warehouse and ledger are its own, whoever's platform runs here

LONG = (
    "test_loop.py", "test_reproduce.py", "test_doctor.py", "test_labels_loop.py", "test_quarantine.py",
    "test_ground_truth_world.py", "test_relevance_fusion_world.py", "test_conformance.py",
)  # fmt: skip
"""Files that take minutes, the longest first: begun last they would keep the others waiting at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files; the order of the others, and of tests in a file, stays."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))

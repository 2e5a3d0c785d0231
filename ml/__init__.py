"""Bellwether keeps a store's discovery models fresh."""

import os

__version__ = "0.1.0"

# Threads of XGBoost's OpenMP sleep while they wait. By default they spin, and beside other work on the same cores a fit
# then takes several times as long (docs/decisions/008). It counts only when set before the library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

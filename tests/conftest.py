"""What holds for every test: two of them run at once on two cores, so each has one thread, and waiting threads sleep.

(Half the processor time of the tests that fit models went into threads that waited for one another by spinning.) Set
before numpy or XGBoost is imported; processes that tests start inherit it.
"""

from __future__ import annotations

import os

for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")):
    os.environ.setdefault(name, value)

"""Exit code 0 where the page at the given address says that all is well: `healthy.py URL`."""

from __future__ import annotations

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=10) as answer:
    sys.exit(0 if answer.status == 200 else 1)

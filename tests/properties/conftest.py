"""The small shop of the family tests serves the properties too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "families"))

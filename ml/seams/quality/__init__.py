"""The seam to Great Expectations: whether a table may be used, and which of its rows may not.

Nothing here repairs a row. Great Expectations counts (pushed down to DuckDB over the Parquet as it is); the rows that
break a rule are then found by SQL that is made from the same declaration.
"""

from __future__ import annotations

from ml.seams.quality.check import Outputs, TableCheck, check_table
from ml.seams.quality.contract import never_waved
from ml.seams.quality.features import check_features
from ml.seams.quality.profile import fresh_since
from ml.seams.quality.result import Finding, QualityResult
from ml.seams.quality.rows import Limits

__all__ = [
    "Finding",
    "Limits",
    "Outputs",
    "QualityResult",
    "TableCheck",
    "check_features",
    "check_table",
    "fresh_since",
    "never_waved",
]

"""What customers' systems read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import pyarrow as pa

from ml.families.record import Tables
from ml.families.relevance_fusion.model import Model
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.scoring import score


def publications(
    model: Model, matrix: ibis.Table, tables: Tables, as_of: date, params: RelevanceFusionParams
) -> Mapping[str, pa.Table]:
    """`search_rankings`: the first products for each query."""
    return {"search_rankings": score(model, matrix, as_of)}

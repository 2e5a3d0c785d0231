"""A family's own parameters, typed by the family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from ml.config import Params, explain_validation
from ml.errors import UsageError

if TYPE_CHECKING:
    from ml.families.record import Family, FamilyParams


def params_of(record: Family, params: Params) -> FamilyParams:
    """The entry `families.<name>.params`, checked. Raises UsageError that names the key and the nearest known one."""
    entry = params.families.get(record.name)
    if entry is None:
        raise UsageError(
            f"family {record.name!r} is not in params.yaml",
            found=", ".join(params.families),
            next_step=f"add an entry `{record.name}` under `families`",
        )
    try:
        return record.params.model_validate(entry.params)
    except ValidationError as error:
        where = f"families.{record.name}.params in params.yaml is not valid"
        raise UsageError(where, found=explain_validation(error, record.params)) from error

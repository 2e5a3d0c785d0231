"""A family's own parameters, typed by the family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ml.config import Params, explain_validation
from ml.errors import UsageError

if TYPE_CHECKING:
    from ml.families.record import Family, FamilyParams


def params_of(record: Family, params: Params) -> FamilyParams:
    """The entry `families.<name>.params`, checked. Raises UsageError that names the key and the nearest known one."""
    where = f"families.{record.name}.params in params.yaml"
    return checked(record, params.entry(record.name).params, where)


def checked(record: Family, given: Mapping[str, Any], where: str) -> FamilyParams:
    """Parameters of a family as it types them. Raises UsageError that says where they come from."""
    try:
        return record.params.model_validate(given)
    except ValidationError as error:
        raise UsageError(f"{where} is not valid", found=explain_validation(error, record.params)) from error

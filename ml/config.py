"""Typed parameters (what may change a result) and settings (where things are).

Parameters come from `params.yaml`; an unknown key is an error that names the nearest known one. Settings come from
the environment, then from `$BELLWETHER_HOME/platform.env` (written by `bellwether up`), then from defaults under
`$BELLWETHER_HOME` that need no server.
"""

from __future__ import annotations

import difflib
import os
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml.errors import UsageError, usable

OTHER_HOME = "set BELLWETHER_HOME to a folder that you may write"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _several(given: object) -> object:
    """One name stands for a list of it."""
    return (given,) if isinstance(given, str) else given


class TableParams(_Strict):
    """How one table of the list is treated. `checked_against`: the tables whose keys it refers to, or itself."""

    checked_against: Annotated[tuple[str, ...], BeforeValidator(_several)]


class SnapshotParams(_Strict):
    """How a snapshot is written."""

    rows_per_shard: int = Field(5_000_000, gt=0)
    months_from: int = Field(100_000, ge=0)
    image_side: int = Field(128, ge=0, le=1024)
    memory_limit: str = "2GB"
    threads: int = Field(2, gt=0)


class ValidateParams(_Strict):
    """How a table is validated."""

    memory_limit: str = "2GB"
    threads: int = Field(2, gt=0)
    examples: int = Field(5, ge=0)


class FeaturesParams(_Strict):
    """Which engine computes features, and within what."""

    engine: Literal["duckdb"] = "duckdb"
    memory_limit: str = "2GB"
    threads: int = Field(2, gt=0)


class GateParams(_Strict):
    """What a challenger has to show."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    look: int = Field(1, ge=1)
    minimum_effect: float = Field(0.002, ge=0)
    slice_margin: float = Field(0.25, ge=0)
    minimum_cases: int = Field(30, ge=2)


class FamilyEntry(_Strict):
    """One family of the list: its policy, and its own parameters (typed by the family).

    `answer_within`: hours that a person has to answer under the policy `human`; who does not answer has rejected.
    `limits`: bounds of metrics on the hold-out, beyond which the gate refuses, however good the rest is. `latency_ms`
    among them is the median time of an answer to the version's example, on the worker that records it.
    """

    approval: Literal["auto", "human"] = "auto"
    answer_within: float = Field(72.0, gt=0)
    limits: dict[str, tuple[float, float]] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)


class ScheduleParams(_Strict):
    """When Airflow starts what (cron, UTC).

    `retrain`: families that are retrained by the clock; the others are whenever their tables are new. Each is also
    retrained when the monitor asks.
    """

    ingest: str = "0 3 * * *"
    monitor: str = "0 6 * * *"
    reproduce: str = "0 4 * * 0"
    retrain: dict[str, str] = Field(default_factory=dict)


class MonitorParams(_Strict):
    """What the monitor looks at, and what is too much.

    Inputs and scores: the newest `window_days` against `windows` earlier ones, `entities` of each; of those
    whose answers the champion is asked for, `score_entities`: to score one may take a sentence encoder. They are beyond
    where they lie further off than the earlier windows from each other, by at least `smallest` (0 to 1), and neither by
    chance. Realised errors: beyond where they are higher than was to be expected, not by chance, by more than
    `worse_by`, relatively, on `minimum_cases` or more. `confidence`: 1 less the chance of a false alarm in a champion's
    whole reign. `asks`: the kinds of breach that ask for a retrain, at most once in `cool_down_days` of data.
    """

    window_days: int = Field(28, ge=7)
    windows: int = Field(13, ge=2, le=60)
    entities: int = Field(2000, ge=30)
    score_entities: int = Field(300, ge=30)
    minimum_cases: int = Field(30, ge=2)
    smallest: float = Field(0.1, ge=0, lt=1)
    worse_by: float = Field(0.25, ge=0)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    champion_days: int = Field(180, ge=1)
    ingest_days: int = Field(2, ge=1)
    cool_down_days: int = Field(7, ge=0)
    asks: tuple[Literal["inputs", "scores", "realised", "age"], ...] = ("inputs", "realised", "age")


class Params(_Strict):
    """The whole of `params.yaml`."""

    as_of: date
    snapshot_of: str = ""
    schedule: ScheduleParams = ScheduleParams()
    tables: dict[str, TableParams]
    snapshot: SnapshotParams = SnapshotParams()
    validation: ValidateParams = Field(ValidateParams(), alias="validate")
    features: FeaturesParams = FeaturesParams()
    gate: GateParams = GateParams()
    monitor: MonitorParams = MonitorParams()
    families: dict[str, FamilyEntry]

    @model_validator(mode="after")
    def _clocks_are_of_families(self) -> Params:
        unknown = sorted(set(self.schedule.retrain) - set(self.families))
        if unknown:
            raise ValueError(f"schedule.retrain names no family of the list: {', '.join(unknown)}")
        return self

    def entry(self, family: str) -> FamilyEntry:
        """The entry of a family. Raises UsageError that says which there are, and the nearest of them."""
        if family not in self.families:
            near = difflib.get_close_matches(family, self.families, n=1)
            raise UsageError(
                f"no family {family!r} in params.yaml",
                expected=f"one of {', '.join(self.families)}",
                next_step=f"did you mean {near[0]}?" if near else "name one of them",
            )
        return self.families[family]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check `params.yaml`. Raises UsageError that names the key, and the nearest known one."""
    return parse_params(read_yaml(path), str(path))


def read_yaml(path: Path) -> Any:
    """What a YAML file says. Raises UsageError that names the file, and the line that is not YAML."""
    if not path.is_file():
        raise UsageError(f"no file {path}", next_step="run inside a clone or a run's workspace")
    try:
        with usable(path, "make it a file that you may read"):
            return from_yaml(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())
        raise UsageError(f"{path} is not valid YAML", found=found, next_step="mend that line") from error


def from_yaml(text: str) -> Any:
    """What a YAML text says; read in C where PyYAML was built with it, which takes a tenth of the time."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def parse_params(raw: object, origin: str) -> Params:
    """Check parameters already read from `origin` (named in messages)."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{origin} is not valid", found=explain_validation(error, Params)) from error


def explain_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong, one line per key; an unknown key comes with the nearest known one."""
    return "; ".join(_explain_one(dict(item), model) for item in error.errors())


def _explain_one(item: dict[str, Any], model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"{where}: {item['msg']} (got {item['input']!r})"
    known = _fields_at(model, item["loc"][:-1])
    near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
    return f"unknown key {where!r}: {hint}"


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    current: Any = model
    for part in path:
        fields = getattr(current, "model_fields", {})
        field = next((f for n, f in fields.items() if part in (n, f.alias)), None)
        if field is None:
            continue
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        current = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), current)
    return [field.alias or name for name, field in current.model_fields.items()]


def default_home() -> Path:
    """`~/.bellwether`."""
    return Path.home() / ".bellwether"


def _home() -> Path:
    return Path(os.environ.get("BELLWETHER_HOME") or default_home()).expanduser().resolve()


class Settings(BaseSettings):
    """Where things are. Build it with `settings()`; every field is `BELLWETHER_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="BELLWETHER_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home)
    warehouse_url: str = ""
    ledger_url: str = ""
    mlflow_url: str = ""
    remote_url: str = ""
    airflow_url: str = ""
    images: Path | None = None
    project: Path = Field(default_factory=lambda: Path(__file__).resolve().parents[1])

    @cached_property
    def warehouse(self) -> str:
        """SQLAlchemy URL of the warehouse; default: a DuckDB file."""
        return self.warehouse_url or f"duckdb:///{self.home}/warehouse.duckdb"

    @cached_property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger; default: SQLite."""
        return self.ledger_url or f"sqlite:///{self.home}/ledger.db"

    @cached_property
    def mlflow(self) -> str:
        """MLflow tracking URI; default: SQLite."""
        return self.mlflow_url or f"sqlite:///{self.home}/mlflow.db"

    @cached_property
    def remote(self) -> str:
        """DVC remote; default: a folder."""
        return self.remote_url or f"{self.home}/remote"

    @property
    def shared(self) -> bool:
        """Whether other machines reach the remote too: then workers hand runs over to each other by it."""
        return "://" in self.remote

    @property
    def runs(self) -> Path:
        """Folder of the runs' workspaces."""
        return self.home / "runs"

    @property
    def cache(self) -> Path:
        """DVC's content-addressed cache, shared by all workspaces."""
        return self.home / "cache"

    @property
    def reports(self) -> Path:
        """Data Docs, landing pages: what people look at."""
        return self.home / "reports"


def to_reach(address: str, otherwise: str) -> str:
    """What to do about an address that does not answer: start the platform again that it belongs to, or `otherwise`."""
    home = _home()
    file = home / "platform.env"
    theirs = [line.partition("=")[2] for line in file.read_text().splitlines()] if file.is_file() else []
    if unquote(address) not in map(unquote, theirs):
        return otherwise
    return (
        f"{home} belongs to a platform that is stopped: `make up`, or name another folder in BELLWETHER_HOME"
    )


def settings() -> Settings:
    """Settings as they are now: environment first, then `$BELLWETHER_HOME/platform.env`, then defaults."""
    home = _home()
    return Settings(_env_file=home / "platform.env", home=home)

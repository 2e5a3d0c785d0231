"""Runs a suite with Great Expectations, pushed down to DuckDB; writes Data Docs of the run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from ml.seams.quality.library import great_expectations
from ml.seams.quality.rows import Database
from ml.seams.quality.suites import Expectation, Suite
from ml.seams.quality.words import requirement

_TRACKED = re.compile(r"https://great-expectations-web-assets[^\"')]*")
_CARD = r'<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions</strong>'
_FILTER = re.compile(_CARD + r".*?Failed Only.*?(?:</div>\s*){5}", re.DOTALL)
"""The card "Show All / Failed Only": it needs scripts from the network, without which nothing happens."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Great Expectations found for one expectation."""

    expectation: Expectation
    success: bool
    unexpected: int
    observed: Any


def run_suite(
    database: Database, suite: Suite, view: str, as_of: date, docs: Path | None
) -> tuple[Outcome, ...]:
    """Run those expectations of `suite` that are not skipped over `view`; outcomes in the suite's order."""
    asked = [one for one in suite.expectations if not one.skipped]
    validated = _validate(database, suite.name, asked, view)
    for result in validated.results:
        _show_unexpected_values(result.result)
    if docs is not None:
        _write_docs(validated, docs, f"{suite.name} as of {as_of}", datetime.combine(as_of, time(), UTC))
    by_place = {result.expectation_config.meta["place"]: result for result in validated.results}
    return tuple(_outcome(one, by_place[place]) for place, one in enumerate(asked))


def _validate(database: Database, name: str, asked: Sequence[Expectation], view: str) -> Any:
    gx = great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_sql(
        "shards", connection_string=database.url, kwargs={"connect_args": database.connect_args}
    )
    asset = source.add_table_asset(view, table_name=view)
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    try:
        return batch.validate(gx.ExpectationSuite(name, expectations=_built(asked)), result_format="BASIC")
    finally:
        source.get_execution_engine().close()


def _built(asked: Sequence[Expectation]) -> list[Any]:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return [
        ExpectationConfiguration(
            type=one.type,
            kwargs=dict(one.kwargs),
            severity=one.severity.value,
            description=requirement(one),
            meta={"place": place, "why": one.why},
        ).to_domain_obj()
        for place, one in enumerate(asked)
    ]


def _show_unexpected_values(found: dict[str, Any]) -> None:
    """A result about distinct values shows them as observed (Data Docs cannot show a count without a percentage)."""
    if "unexpected_count" in found and "unexpected_percent" not in found:
        found["observed_value"] = found.get("partial_unexpected_list") or "nothing unexpected"
        del found["unexpected_count"]


def _outcome(expectation: Expectation, result: Any) -> Outcome:
    errors = [info for info in _exceptions(result) if info.get("raised_exception")]
    if errors:
        raise RuntimeError(f"{expectation.type} on {expectation.column}: {errors[0]['exception_message']}")
    found = result.result
    return Outcome(
        expectation,
        bool(result.success),
        int(found.get("unexpected_count") or 0),
        found.get("observed_value"),
    )


def _exceptions(result: Any) -> list[dict[str, Any]]:
    info = result.exception_info or {}
    return [info] if "raised_exception" in info else list(info.values())


def _write_docs(validated: Any, folder: Path, run_name: str, run_time: datetime) -> None:
    """Data Docs as one page. Its times are `as_of`, so that equal runs are equal bytes; no tracked logo."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    validated.meta.update(
        run_id=RunIdentifier(run_name=run_name, run_time=run_time),
        validation_time=run_time.isoformat(),
        batch_markers={"ge_load_time": run_time.isoformat()},
    )
    page = DefaultJinjaPageView().render(
        ValidationResultsPageRenderer(run_info_at_end=True).render(validated)
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(_FILTER.sub("", _TRACKED.sub("", page)))

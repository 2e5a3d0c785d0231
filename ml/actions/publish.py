"""Publish what a family's champion says: tables in the warehouse and landing pages, each swapped in atomically."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml import workspace
from ml.actions.retrain import check_model, model_pointer, open_workspace, stage_name
from ml.config import Settings, from_yaml, settings
from ml.errors import UsageError
from ml.families import family as family_of
from ml.families.loading import load_model
from ml.publishing.catalogue import SCHEMAS
from ml.publishing.pages import About, has_pages, write_site
from ml.publishing.swap import shown
from ml.seams import versioning
from ml.seams.contents import contents_of
from ml.seams.engine import open_engine
from ml.seams.ledger import Champion, Ledger
from ml.seams.ledger.models import Publication, Run
from ml.seams.warehouse import Label, connect
from ml.stages.family_params import params_of

PUBLICATIONS = "data/publications"
PUBLISHED = "published"
"""State of a run whose publications are in place and in the ledger."""


@dataclass(frozen=True, slots=True)
class Published:
    """What customers see now."""

    family: str
    version: str
    as_of: date
    site: Path | None
    rows: dict[str, int]


def not_ready(family: str) -> str | None:
    """Why there is nothing to publish yet: no champion, or one of another shop than the newest tables'."""
    ledger = Ledger(settings().ledger)
    champion = ledger.champion(family)
    if champion is None:
        return f"family {family} has no champion yet"
    newest = ledger.sealed(family_of(family).tables)
    trained = ledger.run(ledger.run(champion.run_id).notes["ingest"]).notes["shop"]
    if newest and newest[0].shop != trained:
        return f"the champion of {family} knows another shop ({trained}) than the newest tables are of"
    return None


def ready_champion(ledger: Ledger, family: str) -> Champion:
    """The champion of a family. Raises UsageError if it has none for the newest tables (`not_ready`)."""
    champion, missing = ledger.champion(family), not_ready(family)
    if champion is None or missing:
        raise UsageError(
            str(missing), next_step=f"let retrain_{family} (or `bellwether run {family}`) promote one first"
        )
    return champion


def publish(family: str, run_id: str) -> Published:
    """Score the newest sealed tables with the champion and swap its publications in.

    Raises UsageError if the family has no champion for them (`not_ready`).
    """
    at = settings()
    ledger = Ledger(at.ledger)
    champion = ready_champion(ledger, family)
    run = open_workspace(family, run_id, kind="publish")
    with workspace.held(workspace.existing(run_id)):
        return _publish(at, ledger, run, champion)


def _publish(at: Settings, ledger: Ledger, run: Run, champion: Champion) -> Published:
    family = champion.family
    _speak_as(ledger, run.run_id, champion)
    folder = workspace.run_stage(run.run_id, stage_name("features", family))
    _bring_model(ledger, folder, champion)
    made = _publications(folder, family, run.as_of)
    publications = {name: stamped(table, champion.version) for name, table in made.items()}
    _keep(ledger, folder, champion)
    called = {named(name, family): table for name, table in publications.items()}
    rows = {name: table.num_rows for name, table in called.items()}
    with connect(at.warehouse) as warehouse:
        warehouse.swap(called, Label(family, champion.version, run.as_of, run.data_digest, run.run_id, rows))
    site = _site(at, publications, run, champion)
    ledger.record_publication(
        Publication(
            family=family,
            version=champion.version,
            as_of=run.as_of,
            data_digest=run.data_digest,
            names=rows,
            contents={name: contents_of(table).as_json() for name, table in called.items()},
            site=str(site or ""),
            run_id=run.run_id,
            pages=(shown(site_of(at, family)) or "") if site else "",
        )
    )
    ledger.update_run(run.run_id, status=PUBLISHED)
    return Published(family, champion.version, run.as_of, site, rows)


def publish_again(family: str) -> Published | None:
    """Publish what the champion of now says, in a run of its own; None where there is nothing to publish."""
    if not_ready(family):
        return None
    return publish(family, f"publish-{family}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")


def stamped(table: pa.Table, version: str) -> pa.Table:
    """With the version of the model that made it, where the publication has a column for it."""
    if "model_version" not in table.column_names:
        return table
    place = table.column_names.index("model_version")
    return table.set_column(place, "model_version", pa.array([version] * len(table), pa.string()))


def named(publication: str, family: str) -> str:
    """What a publication is called in the warehouse: several families publish collections, each its own."""
    return f"{family}_{publication}" if publication in SCHEMAS else publication


def site_of(at: Settings, family: str) -> Path:
    """Where a family's landing pages are: a link to those in place."""
    return at.reports / "collections" / family


def _speak_as(ledger: Ledger, run_id: str, champion: Champion) -> None:
    """Let the run use the champion's own parameters: a version goes on as it was trained, whatever is set by now."""
    recorded = from_yaml(ledger.run(champion.run_id).params)["families"][champion.family]
    entry = workspace.params_of(run_id).entry(champion.family).model_dump(mode="json")
    own = {**entry, "params": recorded.get("params") or {}}
    workspace.set_param(run_id, "families", champion.family, own)


def _bring_model(ledger: Ledger, folder: Path, champion: Champion) -> None:
    (folder / "data/served.dvc").write_text(model_pointer(ledger, champion, "served"))
    versioning.pull(folder, ["data/served.dvc"])
    check_model(folder / "data/served", ledger.run(champion.run_id))


def _publications(folder: Path, family: str, as_of: date) -> dict[str, pa.Table]:
    params = workspace.params_of(folder.name)
    record = family_of(family)
    model = load_model(record, folder / "data/served", "final")
    with open_engine(params.features, folder / "data/scratch-publish") as engine:
        matrix = engine.table("matrix", folder / "data/features" / family)
        tables = {name: engine.table(name, folder / "data/validated" / name) for name in record.tables}
        made = dict(record.publications(model, matrix, tables, as_of, params_of(record, params)))
    target = folder / PUBLICATIONS
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, table in made.items():
        pq.write_table(table, target / f"{name}.parquet")
    return made


def _keep(ledger: Ledger, folder: Path, champion: Champion) -> None:
    """Keep what is published in the remote, so that it can be compared with what came true."""
    kept = versioning.add(folder, PUBLICATIONS)
    versioning.push(folder, [f"{PUBLICATIONS}.dvc"])
    ledger.update_run(folder.name, notes={"publications": kept, "version": champion.version})


def _site(at: Settings, publications: dict[str, pa.Table], run: Run, champion: Champion) -> Path | None:
    if not has_pages(publications):
        return None
    about = About(
        family=champion.family,
        version=champion.version,
        as_of=run.as_of,
        data_digest=run.data_digest,
        generated_from=(f"ingest {run.notes['ingest']}", f"model of {champion.run_id}"),
    )
    folder = site_of(at, champion.family)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return write_site(publications, about, folder)

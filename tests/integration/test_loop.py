"""The whole loop without Airflow: real DuckDB, DVC, Great Expectations, MLflow store and ledger on one small shop."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from pyarrow.csv import read_csv

from bench.desk import served
from ml import workspace
from ml.actions.ingest import open_ingest
from ml.actions.load import load, write_folder
from ml.actions.loop import Outcome, run_loop
from ml.actions.record import record
from ml.actions.retrain import open_retrain, promote
from ml.actions.score import score
from ml.config import settings
from ml.errors import DataRejected, UsageError
from ml.families.loading import digests
from ml.families.pyfunc import _load_pyfunc
from ml.pipeline import stages_of
from ml.publishing import words
from ml.seams.ledger import PROMOTE, REJECT, Ledger
from ml.seams.tracking import Tracking
from ml.seams.warehouse import connect
from ml.world import DEFAULT_END, simulate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
FAST: dict[str, Any] = {"autoets_series": 0, "rounds": 40, "text_components": 4}
DAYS = 430
"""Of the shop: enough for the seasons that its model is asked about."""


@dataclass(frozen=True)
class Shop:
    home: Path
    files: Path
    first: Outcome
    again: Outcome
    said: str
    left: set[str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(home))
        before = {file.name for file in Path().iterdir()}
        world = simulate("small", 7, days=DAYS)
        load(settings().warehouse, "world", world.tables)
        write_folder(home / "files", world.tables)
        with redirect_stderr(io.StringIO()) as said:
            first = run_loop("seasonality", None, overrides=FAST)
            again = run_loop("seasonality", None, overrides=FAST)
        yield Shop(
            home,
            home / "files",
            first,
            again,
            said.getvalue(),
            {file.name for file in Path().iterdir()} - before,
        )


@pytest.fixture
def files(shop: Shop) -> Path:
    """The shop's tables, a Parquet file each."""
    return shop.files


def test_a_manual_date_is_the_day_after_the_newest_rows(shop: Shop) -> None:
    assert shop.first.as_of == DEFAULT_END


def test_a_schedule_does_not_make_a_loaded_shop_older(shop: Shop) -> None:
    later = open_ingest("ingest-later", date(2031, 5, 1), only=("order_lines",), scheduled=True)
    asked = open_ingest("ingest-asked", date(2031, 5, 1), only=("order_lines",))
    assert (later.as_of, asked.as_of) == (DEFAULT_END, date(2031, 5, 1))


def test_nothing_is_written_where_the_command_was_started(shop: Shop) -> None:
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow)
    found = mlflow.get_experiment_by_name("bellwether")
    assert found is not None and found.artifact_location == (shop.home / "artifacts").as_uri()
    assert not shop.left & {"mlruns", "mlflow.db"}


def test_nothing_is_printed_as_an_error_where_all_is_well(shop: Shop) -> None:
    assert shop.said == ""


def test_the_first_model_beats_the_baseline_and_becomes_champion(shop: Shop) -> None:
    assert shop.first.promoted, shop.first.verdict["reasons"]
    champion = Ledger(settings().ledger).champion("seasonality")
    assert champion is not None and champion.version == shop.first.version
    assert Tracking(settings().mlflow).version_of("seasonality") == champion.version


def test_the_same_model_again_is_recorded_and_not_promoted(shop: Shop) -> None:
    assert not shop.again.promoted
    assert shop.again.version != shop.first.version
    actions = [row.action for row in Ledger(settings().ledger).decisions("seasonality")]
    assert actions == [PROMOTE, REJECT]
    assert shop.again.verdict["headline"]["against"] == "champion"
    assert shop.again.verdict["headline"]["difference"] == pytest.approx(0)


def test_the_same_data_and_recipe_give_the_same_bytes(shop: Shop) -> None:
    locks = [
        Ledger(settings().ledger).run(
            Tracking(settings().mlflow).version_tags("seasonality", v)["bellwether.run_id"]
        )
        for v in (shop.first.version, shop.again.version)
    ]
    assert locks[0].data_digest == locks[1].data_digest
    digests = [_outs(run.lock) for run in locks]
    for stage in ("features-seasonality", "train@seasonality"):
        assert digests[0][stage] == digests[1][stage]


def _outs(lock: str) -> dict[str, Any]:
    import yaml

    return {name: body["outs"] for name, body in yaml.safe_load(lock)["stages"].items()}


def test_mlflow_shows_parameters_metrics_data_card_plots_and_windows(shop: Shop) -> None:
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow)
    client = mlflow.MlflowClient()
    version = client.get_model_version("seasonality", shop.first.version)
    run = client.get_run(version.run_id)
    assert {"family", "as_of", "data_digest", "code_digest", "git_commit", "verdict"} <= set(version.tags)
    assert {"wape_total", "baseline_wape_total", "gate_difference"} <= set(run.data.metrics)
    assert run.data.params["as_of"] == DEFAULT_END.isoformat()
    names = {item.dataset.name for item in run.inputs.dataset_inputs}
    assert names == {"order_lines", "products", "promotions", "events"}
    files = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"model_card.md", "plots", "verdict", "workspace", "data_docs"} <= files
    children = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    assert len(children) == 3
    card = Path(
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model_card.md")
    ).read_text()
    assert "order\\_lines" in card and "dvc repro" in card
    assert "git checkout" not in card  # the workspace holds the code


def test_a_run_in_mlflow_explains_its_largest_predictions(shop: Shop) -> None:
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow)
    version = mlflow.MlflowClient().get_model_version("seasonality", shop.first.version)
    path = mlflow.artifacts.download_artifacts(
        run_id=version.run_id, artifact_path="explanations/explanations.csv"
    )
    rows = read_csv(path)
    assert {"product_id", "day", "feature", "words", "value", "contribution"} == set(rows.column_names)
    assert len(set(rows["product_id"].to_pylist())) == 20
    assert all(rows["words"].to_pylist())


def test_the_registered_model_is_served_by_mlflow_alone(shop: Shop) -> None:
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow)
    model = mlflow.pyfunc.load_model(f"models:/seasonality/{shop.first.version}")
    example = model.input_example if hasattr(model, "input_example") else None
    assert model.metadata.signature is not None
    frame = (
        model.metadata.load_input_example(
            mlflow.artifacts.download_artifacts(f"models:/seasonality/{shop.first.version}")
        )
        if example is None
        else example
    )
    predicted = model.predict(frame)
    assert {"product_id", "day", "mean", "q10", "q50", "q90"} <= set(predicted.columns)


def test_nothing_that_was_made_is_a_pickle(shop: Shop) -> None:
    kept = [
        path
        for folder in ("artifacts", "remote", "cache", "runs")
        for path in (shop.home / folder).rglob("*")
        if path.is_file() and "tmp" not in path.relative_to(shop.home).parts
    ]
    assert len(kept) > 100
    suspicious = (".pkl", ".pickle", ".cloudpickle", ".joblib", ".skops", ".pt", ".pth")
    assert [path for path in kept if path.suffix in suspicious or is_pickle(path)] == []
    described = [path.read_text() for path in (shop.home / "artifacts").rglob("MLmodel")]
    assert described and all("loader_module: ml.families.pyfunc" in text for text in described)
    assert not any("python_model" in text or "cloudpickle" in text for text in described)


def is_pickle(path: Path) -> bool:
    """Whether it begins and ends as what `pickle` has written since Python 3.0 does."""
    raw = path.read_bytes()
    return len(raw) > 2 and raw[0] == 0x80 and 2 <= raw[1] <= 5 and raw[-1:] == b"."


def test_a_model_with_a_changed_byte_is_not_loaded(shop: Shop, files: Path, tmp_path: Path) -> None:
    model = Tracking(settings().mlflow).download("seasonality", shop.first.version)
    assert model.is_relative_to(
        shop.home / "artifacts"
    )  # no copy: what is changed here is changed in the store
    about = model / "model.json"
    booster = sorted(model.glob("final/**/*.ubj"))[0]
    before, listed = booster.read_bytes(), about.read_text()
    changed = bytearray(before)
    changed[len(changed) // 2] ^= 1

    def refused() -> str:
        with pytest.raises(DataRejected) as caught:
            score(f"seasonality:{shop.first.version}", files, DEFAULT_END, tmp_path / "f.parquet")
        return str(caught.value)

    try:
        booster.write_bytes(changed)
        assert "not the one that was recorded" in refused()
        with pytest.raises(DataRejected, match=booster.name):
            _load_pyfunc(str(model))
        about.write_text(json.dumps({**json.loads(listed), "files": digests(model)}))
        assert "not the one that was recorded" in refused()  # also where its own list was changed along
    finally:
        booster.write_bytes(before)
        about.write_text(listed)
    assert not (tmp_path / "f.parquet").exists()
    assert score(f"seasonality:{shop.first.version}", files, DEFAULT_END, tmp_path / "f.parquet") > 0


def test_publications_are_in_the_warehouse_and_on_pages(shop: Shop) -> None:
    published = shop.first.published
    assert published is not None and published.site is not None and published.site.exists()
    with connect(settings().warehouse) as warehouse:
        assert {f"bellwether_{name}" for name in published.rows} <= warehouse.tables()
    with duckdb.connect(str(shop.home / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*), min(day) FROM bellwether_forecasts").fetchone()
    assert found == (published.rows["forecasts"], DEFAULT_END)


def test_the_desk_shows_in_a_browser_what_the_loop_did(shop: Shop, browser: Any) -> None:
    headline = shop.first.verdict["headline"]
    with served() as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}/families/seasonality?version={shop.first.version}")
        for image in page.locator(".plots img").all():
            image.scroll_into_view_if_needed()
            image.evaluate("image => image.decode()")
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 4 and min(widths) > 420  # the placeholder's width
        cells = page.get_by_role("row", name="wape_total").inner_text()
        assert words.significant(headline["challenger"]) in cells  # this family's loss is its headline metric
        slices = page.get_by_role("region", name="Slices with intervals").inner_text()
        assert words.change(headline["low"]) in slices and "volume = high" in slices
        contributions = page.get_by_role("region", name="Contributions of features").inner_text()
        run = Ledger(settings().ledger).run_of_version("seasonality", shop.first.version)
        kept = run.notes["judged"]["contributions"]
        assert len(kept) > 5 and all(row["words"] in contributions for row in kept)
        page.get_by_role("link", name="The desk").click()
        card = page.get_by_role("article", name="seasonality").inner_text()
        assert f"Champion: version {shop.first.version}" in card and "order_lines" in card
        with page.expect_navigation():
            page.get_by_role("link", name="Data Docs of order_lines").first.click()
        assert page.title() and "order_lines" in page.content()
        page.go_back()
        with page.expect_navigation():
            page.get_by_role("link", name="landing pages").first.click()
        assert "Collections" in page.title()
        page.close()


def test_score_reads_files_alone_and_does_not_look_ahead(shop: Shop, files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "tables")
    day = date(2025, 11, 3)
    rows = score("seasonality@champion", tmp_path / "tables", day, tmp_path / "whole.parquet")
    scored = pq.read_table(tmp_path / "whole.parquet")
    assert rows == scored.num_rows > 0
    days = scored["day"].to_pylist()
    assert (min(days), max(days)) == (day, date(2025, 11, 30))
    lines = pq.read_table(tmp_path / "tables/order_lines.parquet")
    import pyarrow.compute as pc

    cut = lines.filter(pc.less(lines["ordered_at"], pc.cast(day, lines["ordered_at"].type)))
    pq.write_table(cut, tmp_path / "tables/order_lines.parquet")
    score("seasonality", tmp_path / "tables", day, tmp_path / "cut.parquet")
    assert pq.read_table(tmp_path / "cut.parquet").equals(scored)


def test_score_says_what_dates_the_tables_have(
    shop: Shop, files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    times = pq.read_table(files / "order_lines.parquet")["ordered_at"].to_pylist()
    with pytest.raises(DataRejected) as caught:
        score("seasonality", files, date(1999, 11, 12), tmp_path / "f.parquet")
    for word in ("order_lines", "1999-11-12", str(min(times).date()), str(max(times).date()), "--as-of"):
        assert word in str(caught.value)
    assert not (tmp_path / "f.parquet").exists()
    score("seasonality", files, DEFAULT_END, tmp_path / "f.parquet")
    assert not caplog.records
    score("seasonality", files, date(2031, 11, 12), tmp_path / "f.parquet")
    (warned,) = caplog.messages
    for word in ("order_lines", "2031-11-12", str(max(times).date())):
        assert word in warned


def test_rejected_data_leaves_champion_and_publications_as_they_were(shop: Shop) -> None:
    before = Ledger(settings().ledger).champion("seasonality")
    with duckdb.connect(str(shop.home / "warehouse.duckdb")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM order_lines")
        connection.execute("UPDATE order_lines SET unit_price = -1 WHERE line_no = 1")
    try:
        with pytest.raises(DataRejected) as caught:
            run_loop("seasonality", None, overrides=FAST)
        for word in ("order_lines", "unit_price", "-1"):
            assert word in str(caught.value)
        assert caught.value.next_step
    finally:
        with duckdb.connect(str(shop.home / "warehouse.duckdb")) as connection:
            connection.execute("DELETE FROM order_lines")
            connection.execute("INSERT INTO order_lines SELECT * FROM kept")
            connection.execute("DROP TABLE kept")
    assert Ledger(settings().ledger).champion("seasonality") == before


def test_a_missing_table_is_named_before_anything_is_read(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(settings().runs.iterdir())
    with duckdb.connect(str(shop.home / "warehouse.duckdb")) as connection:
        connection.execute("ALTER TABLE products RENAME TO product")
    try:
        with pytest.raises(DataRejected) as caught:
            run_loop("seasonality", None, overrides=FAST)
    finally:
        with duckdb.connect(str(shop.home / "warehouse.duckdb")) as connection:
            connection.execute("ALTER TABLE product RENAME TO products")
    assert caught.value.what.endswith("the warehouse does not have: products")
    assert "a view named products" in str(caught.value) and "order_lines" in str(caught.value.found)
    assert set(settings().runs.iterdir()) == before and not caplog.records


def test_a_version_judged_before_another_promotion_is_judged_again(shop: Shop) -> None:
    ledger = Ledger(settings().ledger)
    tags = Tracking(settings().mlflow).version_tags("seasonality", shop.first.version)
    champion = ledger.champion("seasonality")
    run = ledger.run(tags["bellwether.run_id"])
    twin = f"{run.run_id}-twin"
    open_retrain("seasonality", twin, run.as_of, overrides=FAST)
    for stage in stages_of("seasonality"):
        workspace.run_stage(twin, stage)
    version = record(twin).version
    ledger.update_run(twin, notes={"decided_after": 0})
    assert promote(twin) is None
    assert "judged_again" in Tracking(settings().mlflow).version_tags("seasonality", version)
    assert ledger.champion("seasonality") == champion
    assert ledger.decisions("seasonality")[-1].action == REJECT


def test_unknown_names_are_usage_errors(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing"):
        run_loop("nothing", None)
    with pytest.raises(UsageError, match="did you mean 'rounds'"):
        run_loop("seasonality", None, overrides={"round": 3})
    with pytest.raises(UsageError, match="999"):
        score("seasonality:999", tmp_path, DEFAULT_END, tmp_path / "x.parquet")


def test_exit_codes_and_json_of_the_command(shop: Shop) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ml", *arguments], capture_output=True, text=True, check=False
        )

    unknown = call("run", "nothing")
    assert unknown.returncode == 64 and "seasonality" in unknown.stderr
    assert call("frobnicate").returncode == 64
    refused = call("load", "online_retail_uci")
    assert refused.returncode == 64 and "--path" in refused.stderr
    status = call("status", "--json")
    assert isinstance(json.loads(status.stdout), dict)

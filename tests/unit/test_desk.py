"""The desk's pages: right, escaped, few queries however many versions, whole while MLflow is away."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from time import process_time
from typing import Any

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa

from bench import desk as filled
from ml.actions.desk import Desk
from ml.actions.govern import asked
from ml.actions.judged import NOTE, contributions, examples
from ml.config import settings
from ml.errors import UsageError
from ml.publishing.desk import FamilyPage, Overview, family_page, overview_page
from ml.publishing.trend import Point, bars, trend
from ml.seams.ledger import ROLL_BACK, Ledger
from ml.seams.ledger import _engine as engine_of
from ml.seams.ledger.models import Look, Run

FAMILIES = ("seasonality", "viral", "relevance_fusion", "ground_truth")
VERSIONS = 30
ATTACK = "\"'><script>document.title='hacked'</script><img src=//evil.invalid/x onerror=alert(1)>"
NOW = filled.START + timedelta(days=VERSIONS)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


class Seen(HTMLParser):
    """The elements of a page: (tag, attributes), and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def hrefs(self) -> set[str]:
        return {str(link.get("href")) for link in self.all("a")}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("BELLWETHER_MLFLOW_URL", "http://ada:secret@127.0.0.1:9")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ledgers of several sizes, to be copied; the largest has 230 MB, and is not left behind."""
    folder = tmp_path_factory.mktemp("ledgers")
    for versions in (12, 120, 1000, VERSIONS):
        filled.fill(f"sqlite:///{folder}/{versions}.db", FAMILIES, versions)
    yield folder
    (folder / "1000.db").unlink()


@pytest.fixture
def ledger(home: Path, filled_once: Path) -> Ledger:
    home.mkdir()
    with (
        closing(sqlite3.connect(filled_once / f"{VERSIONS}.db")) as source,
        closing(sqlite3.connect(home / "ledger.db")) as target,
    ):
        source.backup(target)
    return Ledger(settings().ledger)


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(clock=lambda: NOW)


def overview(desk: Desk) -> tuple[Overview, Seen]:
    page = desk.overview()
    return page, Seen(overview_page(page))


def of_family(desk: Desk, version: str | None = None) -> tuple[FamilyPage, Seen]:
    page = desk.family("seasonality", version)
    return page, Seen(family_page(page))


def execute(statement: Any) -> None:
    with engine_of(settings().ledger).begin() as connection:
        connection.execute(statement)


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    engine = engine_of(settings().ledger)
    sa.event.listen(engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", note)


def processor_time(work: Callable[[], object]) -> float:
    begun = process_time()
    work()
    return process_time() - begun


def test_champion_challenger_and_verdict_are_those_of_the_ledger(desk: Desk, ledger: Ledger) -> None:
    page, seen = overview(desk)
    card = page.cards[0]
    champion = ledger.champion("seasonality")
    assert champion is not None and card.champion is not None and card.challenger is not None
    assert (card.champion.number, card.champion.state) == (champion.version, "in service")
    assert (card.challenger.number, card.challenger.state) == (str(VERSIONS), "waits for a decision")
    assert card.champion.difference is not None
    assert (card.champion.difference.low, card.champion.difference.high) == (-0.06, 0.01)
    assert card.champion.headline is not None and card.champion.headline.name == "metric_0"
    assert "−3 %" in seen.text and "(−6 % to +1 %)" in seen.text
    assert f"families/seasonality?version={champion.version}" in seen.hrefs()


def test_losses_over_time_come_with_intervals_and_in_words(desk: Desk) -> None:
    page, seen = overview(desk)
    points = page.cards[0].points
    assert [point.version for point in points] == [str(number) for number in range(1, VERSIONS + 1)]
    assert points[-1].outcome == "waiting" and points[20].outcome == "promoted"
    last = filled.verdict(VERSIONS - 1)["headline"]
    assert points[-1].low == pytest.approx(last["reference"] * 0.94)
    circles = [item for item in seen.all("circle") if item.get("r") == "3.6"]
    assert len(circles) == 2 * len(FAMILIES) * VERSIONS  # losses, and the headline metric
    assert "30 versions from 1 January 2024 to 30 January 2024, 3 promoted" in seen.text


def test_the_headline_metric_is_drawn_where_the_gate_compares_another_loss(
    desk: Desk, ledger: Ledger
) -> None:
    card = desk.overview().cards[0]
    assert card.metric == "metric_0"
    assert [p.version for p in card.metric_points] == [p.version for p in card.points]
    last = card.metric_points[-1]
    assert last.value == last.reference == pytest.approx(0.3 + (VERSIONS - 1) / 1e5)
    assert (last.low, last.against, last.outcome) == (None, "champion", "waiting")
    _, seen = overview(desk)
    assert "metric_0 on the hold-out (lower is better)." in seen.text
    assert "Loss that the gate compares." in seen.text


def test_one_chart_is_enough_where_the_headline_metric_is_the_loss(desk: Desk, ledger: Ledger) -> None:
    for day in range(VERSIONS):
        notes, loss = (
            ledger.run(f"seasonality-{day}").notes[NOTE],
            filled.verdict(day)["headline"]["challenger"],
        )
        metrics = {**notes["metrics"], "challenger": {"metric_0": loss}}
        ledger.update_run(f"seasonality-{day}", notes={NOTE: {**notes, "metrics": metrics}})
    page, seen = of_family(desk)
    assert page.card.metric_points == () and len(page.card.points) == VERSIONS
    assert "metric_0, the loss that the gate compares." in seen.text
    assert len([item for item in seen.all("svg") if item.get("role") == "img"]) == 1


def test_data_shows_what_validation_found(desk: Desk, home: Path) -> None:
    ingest = f"ingest-{VERSIONS - 1}"
    docs = home / "runs" / ingest / "data/validation/events/docs/index.html"
    docs.parent.mkdir(parents=True)
    docs.write_text("docs")
    page, seen = overview(desk)
    data = page.cards[0].data
    assert data is not None and data.ingest == ingest and len(data.tables) == 4
    assert (data.quarantined, data.failed, data.made) == (4 * 29, 4 * 2, 60)
    assert "116 rows in quarantine" in seen.text and "8 of 60 checks not met" in seen.text
    assert f"runs/{ingest}/docs/events/index.html" in seen.hrefs()
    assert not any("docs/products" in href for href in seen.hrefs())
    _, of_one = of_family(desk)
    assert [table.decided for table in data.tables] == [3, 3, 3, 3]
    assert "back by decision" in of_one.text
    assert f"../runs/{ingest}/docs/events/index.html" in of_one.hrefs()


def test_what_waits_comes_first_and_leads_to_the_question(desk: Desk, ledger: Ledger) -> None:
    run = f"seasonality-{VERSIONS - 1}"
    asked(run, dag_id="retrain_seasonality", dag_run="manual__2024-01-30T06:00:00+00:00", task_id="approve")
    page, seen = overview(desk)
    assert page.notices[0].level == "act"
    assert f'bellwether approve {run} --why "…"' in seen.text
    address = "dags/retrain_seasonality/runs/manual__2024-01-30T06%3A00%3A00%2B00%3A00/tasks/approve/required_actions"
    assert f"../{address}" in seen.hrefs()
    _, of_one = of_family(desk)
    assert f"../../{address}" in of_one.hrefs()


def test_what_is_decided_waits_no_more(desk: Desk, ledger: Ledger) -> None:
    ledger.update_run(f"seasonality-{VERSIONS - 1}", status="refused")
    page, _ = overview(desk)
    assert not any("seasonality version" in notice.text for notice in page.notices)


def test_the_last_reproduction_is_told_and_a_difference_is_work(desk: Desk, ledger: Ledger) -> None:
    champion = ledger.champion("viral")
    assert champion is not None
    _, seen = overview(desk)
    assert "never" in seen.text
    when = (NOW - timedelta(hours=5)).isoformat() + "+00:00"
    ledger.update_run(champion.run_id, notes={"reproduced_at": when, "identical": True})
    _, seen = overview(desk)
    assert "identical 5 hours ago" in seen.text
    ledger.update_run(champion.run_id, notes={"reproduced_at": when, "identical": False})
    page, seen = overview(desk)
    assert "differs 5 hours ago" in seen.text
    assert [n.command for n in page.notices if "differs" in n.text] == [
        f"bellwether reproduce viral:{champion.version}"
    ]


def test_drift_is_told_with_what_was_measured(desk: Desk, ledger: Ledger) -> None:
    findings = [
        {"kind": "scores", "name": "mean", "statistic": 0.7, "limit": 0.1, "breached": True, "why": "far off"}
    ]
    execute(
        sa.update(Look)
        .where(Look.family == "seasonality", Look.run_id == f"monitor-{VERSIONS - 1}")
        .values(breached=True, asked=True, why="scores moved", findings=findings)
    )
    page, seen = overview(desk)
    assert any("seasonality drifts" in n.text and "a retrain was asked for" in n.text for n in page.notices)
    assert "beyond its limits" in seen.text and "scores moved" in seen.text
    _, of_one = of_family(desk)
    assert "far off" in of_one.text and "0.7000" in of_one.text


def test_a_champion_that_is_not_published_and_an_ingest_that_is_not_sealed_are_noticed(
    desk: Desk, ledger: Ledger
) -> None:
    last = ledger.last_decision("viral")
    assert last is not None
    ledger.decide(
        "viral", after=last.seq, action=ROLL_BACK, run_id="viral-10", version="11", actor="ada", why="calmer",
        verdict={"from": "21"},
    )  # fmt: skip
    ledger.open_run(Run(run_id="ingest-new", kind="ingest", as_of=date(2024, 2, 1), opened_at=NOW, notes={}))
    page, seen = overview(desk)
    texts = [notice.text for notice in page.notices]
    assert "viral: customers see version 21, in service is version 11" in texts
    assert any("ingest-new" in text and "has not been sealed" in text for text in texts)
    newest = page.log[0]
    assert (newest.action, newest.version, newest.by, newest.why) == ("rolled back to", "11", "ada", "calmer")
    assert "rolled back to" in seen.text


def test_a_family_s_page_has_metrics_slices_contributions_and_plots(desk: Desk) -> None:
    page, seen = of_family(desk, "7")
    assert page.version is not None and page.version.number == "7" and page.details is not None
    assert [line.name for line in page.details.metrics if line.headline] == ["metric_0"]
    assert page.details.models == ("challenger", "champion", "baseline", "naive")
    assert len(page.details.slices) == 21 and "category = number 19" in seen.text
    assert "reason number 3 in words" in seen.text
    plots = [str(image["src"]) for image in seen.all("img")]
    assert plots == [
        f"../families/seasonality/plots/7/{name}.png" for name in ("calibration", "totals", "examples")
    ]
    assert all(image.get("alt") for image in seen.all("img"))
    newest, _ = of_family(desk)
    assert newest.version is not None and newest.version.number == str(VERSIONS)


def test_nothing_that_anybody_wrote_becomes_mark_up(desk: Desk, ledger: Ledger) -> None:
    judged = filled.judged(3)
    judged["verdict"]["guardrails"][0]["scope"] = judged["purpose"] = ATTACK
    judged["contributions"][0]["words"] = judged["examples"][0]["of"] = judged["holdout"] = ATTACK
    judged["plots"] = ["calibration", ATTACK, "../../secret"]
    where = dict.fromkeys(("dag_id", "dag_run", "task_id"), ATTACK)
    notes = {"version": ATTACK, NOTE: judged, "mlflow_run_id": ATTACK, "asked": where}
    ledger.update_run(f"seasonality-{VERSIONS - 1}", notes=notes, git_commit=ATTACK, data_digest=ATTACK)
    last = ledger.last_decision("seasonality")
    assert last is not None
    ledger.decide(
        "seasonality", after=last.seq, action=ATTACK, run_id="seasonality-3", version=ATTACK, actor=ATTACK, why=ATTACK,
        verdict={"headline": {**filled.verdict(1)["headline"], "against": ATTACK}},
    )  # fmt: skip
    execute(sa.update(Look).values(why=ATTACK, findings=[{"kind": ATTACK, "name": ATTACK, "why": ATTACK}]))
    for page in (overview(desk)[1], of_family(desk)[1]):
        assert "document.title='hacked'" in page.text  # it is shown, as text
        assert not page.all("script")
        assert {str(i.get("src")).split("/")[-1] for i in page.all("img")} <= {"calibration.png"}
        assert not [
            attribute for _, given in page.elements for attribute in given if attribute.startswith("on")
        ]
        for href in page.hrefs():
            assert re.fullmatch(r"(\.\./)*[\w#?=%./-]*|http://127\.0\.0\.1:9/?[\w/#%.-]*", href), href


def test_a_password_in_the_address_of_mlflow_is_shown_to_nobody(desk: Desk) -> None:
    for page in (overview_page(desk.overview()), family_page(desk.family("seasonality"))):
        assert "secret" not in page and "ada" not in page
        assert "http://127.0.0.1:9/#/" in page


@pytest.mark.parametrize("page", ["overview", "family", "version"])
def test_a_thousand_versions_take_no_more_queries_no_larger_pages_and_hardly_more_time(
    page: str, home: Path, filled_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look: dict[str, Callable[[Desk], str]] = {
        "overview": lambda desk: overview_page(desk.overview()),
        "family": lambda desk: family_page(desk.family("viral")),
        "version": lambda desk: family_page(desk.family("viral", "3")),
    }
    queries, sizes, spent = [], [], []
    for versions in (12, 120, 1000):
        monkeypatch.setenv("BELLWETHER_LEDGER_URL", f"sqlite:///{filled_once}/{versions}.db")
        with counted() as statements:
            sizes.append(len(look[page](Desk())))
        queries.append(len(statements))
        assert not any(re.search(r"runs\.(lock|params)\b", text) for text in statements)
        spent.append(min(processor_time(lambda: look[page](Desk())) for _ in range(3)))
    assert queries[0] == queries[1] == queries[2] <= 10
    assert sizes[1] < 3 * sizes[0]  # forty versions are looked back on, not all
    assert sizes[2] < 1.1 * sizes[1]
    assert spent[2] < 4 * spent[1]  # for eight times the versions; about 2 was measured


@pytest.mark.parametrize(
    "version", ["999", "../7", "7/../8", "", "7 OR 1=1", "<script>", "7\x00", "٧", "-1", "a" * 65]
)
def test_a_version_that_is_none_is_refused(desk: Desk, version: str) -> None:
    with pytest.raises(UsageError):
        desk.family("seasonality", version)
    with pytest.raises(UsageError):
        desk.picture("seasonality", version, "totals")


@pytest.mark.parametrize("name", ["..", "../../secret", "totals.png", "", "a b", "%2e"])
def test_a_plot_s_name_is_a_name(desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.seams.tracking.Tracking.artifact", lambda *_: PNG)
    with pytest.raises(UsageError):
        desk.picture("seasonality", "7", name)
    with pytest.raises(UsageError):
        desk.picture("nobody", "7", "totals")


def test_a_plot_is_fetched_once_and_only_if_it_is_a_picture(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[tuple[str, str]] = []
    given = {"body": PNG}

    def artifact(_self: object, run: str, path: str) -> bytes:
        asked_for.append((run, path))
        return given["body"]

    monkeypatch.setattr("ml.seams.tracking.Tracking.artifact", artifact)
    assert desk.picture("seasonality", "7", "totals") == desk.picture("seasonality", "7", "totals") == PNG
    assert desk.picture("seasonality", str(VERSIONS), "totals") == PNG  # nothing was decided about it yet
    assert asked_for == [(f"{6:032x}", "plots/totals.png"), (f"{VERSIONS - 1:032x}", "plots/totals.png")]
    given["body"] = b"<svg onload=alert(1)>"
    with pytest.raises(UsageError):
        desk.picture("seasonality", "8", "totals")


def test_while_mlflow_is_away_pages_are_whole_and_a_plot_says_so(ledger: Ledger) -> None:
    with filled.served() as address, httpx.Client(base_url=address, timeout=30) as client:
        page = client.get("families/seasonality", params={"version": "7"})
        assert page.status_code == 200 and "category = number 3" in page.text
        for _ in range(2):
            plot = client.get("families/seasonality/plots/7/totals.png")
            assert (plot.status_code, plot.headers["content-type"]) == (503, "image/svg+xml")
            assert "MLflow is away" in plot.text
        assert client.get("families/seasonality/plots/7/nothing%2F..%2Fx.png").status_code == 404


def test_pages_forbid_everything_that_they_do_not_need(ledger: Ledger) -> None:
    with filled.served() as address, httpx.Client(base_url=address) as client:
        for path in ("", "families/seasonality", "families/nobody"):
            policy = client.get(path).headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
        missing = client.get("families/nobody")
        assert missing.status_code == 404 and "seasonality" in missing.text
        hostile = client.get("families/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        assert hostile.status_code == 404 and "<script" not in hostile.text
        assert client.get("families/seasonality", params={"version": "<script>"}).status_code == 404


def test_a_ledger_that_is_away_is_said_with_the_next_step(home: Path) -> None:
    with filled.served() as address:
        answer = httpx.get(address)
    assert answer.status_code == 503
    assert "the ledger has no tables yet" in answer.text and "next step" in answer.text


def test_pages_are_built_for_keyboard_and_screen_reader(desk: Desk) -> None:
    for _, page in (overview(desk), of_family(desk, "7")):
        assert next(link for link in page.all("a"))["class"] == "skip"
        assert [main["id"] for main in page.all("main")] == ["main"]
        ids = [given["id"] for _, given in page.elements if "id" in given]
        assert len(ids) == len(set(ids))
        for element in ("section", "article", "svg"):
            for given in page.all(element):
                assert given.get("aria-hidden") == "true" or set(
                    str(given["aria-labelledby"]).split()
                ) <= set(ids)
        scrolled = [given for given in page.all("div") if given.get("class") == "scroll"]
        assert scrolled and all(given["tabindex"] == "0" and given["aria-label"] for given in scrolled)
        assert all(given.get("scope") in ("col", "row") for given in page.all("th"))
        assert len(page.all("h1")) == 1


def test_a_family_that_has_nothing_yet_has_a_page(home: Path) -> None:
    filled.migrate(settings().ledger)
    page, seen = overview(Desk(clock=lambda: NOW))
    assert [card.champion for card in page.cards] == [None] * len(page.cards)
    assert "seasonality has no champion yet" in seen.text
    assert "Nothing has been decided yet" in family_page(Desk().family("seasonality"))


def test_a_run_without_what_is_kept_has_a_page(desk: Desk) -> None:
    execute(sa.update(Run).where(Run.run_id == "seasonality-6").values(notes={"version": "7"}))
    page, seen = of_family(desk, "7")
    assert page.details is None and "beyond its verdict" in seen.text


def test_the_chart_keeps_within_its_frame() -> None:
    assert trend([]) is None
    day = date(2024, 1, 1)
    flat = Point("1", day, 0.0, 0.0, 0.0, 0.0, "champion", "refused")
    many = [
        replace(flat, version=str(n), value=n / 7, low=n / 9, high=n / 3, reference=5.0) for n in range(90)
    ]
    for points in ([flat], many):
        chart = trend(points)
        assert chart is not None
        for mark in chart.marks:
            assert 62 <= float(mark.left) <= float(mark.x) <= float(mark.right) <= 412
            for height in (mark.y, mark.low, mark.high, mark.reference):
                assert 12 <= float(height) <= 124
            assert float(mark.high) <= float(mark.y) <= float(mark.low)


def test_a_metric_without_interval_and_reference_is_a_dot() -> None:
    day = date(2024, 1, 1)
    points = [Point(str(n), day, 0.7 + n / 100, None, None, None, "", "promoted") for n in range(3)]
    chart = trend(points)
    assert chart is not None and not chart.intervals
    assert all((mark.low, mark.high, mark.reference) == ("", "", "") for mark in chart.marks)
    assert chart.description.endswith("Last: version 2 as of 1 January 2024, promoted: 0.7200.")


def test_bars_are_on_one_scale_with_zero_in_it() -> None:
    drawn = bars([(0.1, -0.2, 0.4), (-0.1, -0.3, 5.0)])
    assert {bar.zero for bar in drawn} == {drawn[0].zero}
    assert float(drawn[1].low) == 4 and float(drawn[1].low) + float(drawn[1].width) == pytest.approx(
        196, abs=0.2
    )
    assert float(drawn[0].low) < float(drawn[0].zero) < float(drawn[0].x)
    assert bars([]) == []


def test_contributions_are_means_over_all_explained_predictions() -> None:
    rows = pa.Table.from_pylist(
        [
            {"product_id": "a", "feature": "lag", "words": "its sales", "contribution": 2.0},
            {"product_id": "a", "feature": "price", "words": "its price", "contribution": -1.0},
            {"product_id": "a", "feature": "start", "words": "what is usual", "contribution": 9.0},
            {"product_id": "b", "feature": "lag", "words": "its sales", "contribution": -1.0},
            {"product_id": "b", "feature": "rest", "words": "everything else", "contribution": 7.0},
        ]
    )
    lag, price = contributions(rows, ("product_id",))
    assert (lag["feature"], lag["size"], lag["mean"], lag["of"]) == ("lag", 1.5, 0.5, 2)
    assert (price["feature"], price["size"], price["mean"]) == ("price", 0.5, -0.5)
    first, second = examples(rows, ("product_id",))
    assert (first["of"], second["of"]) == ("a", "b")
    assert [why["words"] for why in first["why"]] == ["its sales", "its price"]


def test_decisions_of_the_ledger_stay_as_they_are(desk: Desk, ledger: Ledger) -> None:
    before = [(row.seq, row.digest) for row in ledger.decisions("seasonality")]
    overview(desk)
    of_family(desk)
    assert [(row.seq, row.digest) for row in ledger.decisions("seasonality")] == before
    assert ledger.broken_chain("seasonality") == []

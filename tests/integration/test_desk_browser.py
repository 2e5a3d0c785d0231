"""The desk in a real browser: on every width, in both colour schemes, by keyboard alone, with hostile words in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import desk as filled
from ml.actions.judged import NOTE
from ml.config import settings
from ml.seams.ledger import Ledger

pytestmark = pytest.mark.integration
FAMILIES = ("seasonality", "viral", "relevance_fusion", "ground_truth")
PAGES = ("", "families/seasonality?version=7", "families/viral", "families/nobody", "runs/")
ATTACK = "\"'><script>document.title='hacked'</script><img src=//evil.invalid/x onerror=\"document.title='hacked'\">"
LONG = "W" * 3000

# Text whose colour stands out from its ground by less than WCAG's 4.5 : 1 (3 : 1 where it is large).
FAINT = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
    const found = channels(getComputedStyle(e).backgroundColor);
    if (found.length < 4 || found[3] > .99) return found; } return [255, 255, 255]; };
  return [...document.querySelectorAll("body *")].filter(e => !e.closest(".unseen, .skip, svg")
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).filter(e => {
      const style = getComputedStyle(e);
      const [a, b] = [light(channels(style.color)), light(ground(e))].sort((x, y) => y - x);
      return (a + .05) / (b + .05) < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5);
    }).map(e => e.className + " " + e.textContent.slice(0, 40));
}"""
FOCUSED = """() => { const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();
  return {tag: e.tagName, text: e.textContent.trim().slice(0, 60),
    outline: s.outlineStyle, width: parseFloat(s.outlineWidth),
    seen: b.width > 0 && b.bottom > 0 && b.right > 0 && b.top < innerHeight && b.left < innerWidth}; }"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The desk over sixty versions of each family, with words in its ledger that nobody should write."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(home))
        patch.setenv("BELLWETHER_MLFLOW_URL", "http://127.0.0.1:9")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        filled.fill(settings().ledger, FAMILIES, 60)
        spoil(Ledger(settings().ledger), home)
        with filled.served() as served:
            yield f"{served}/"


def spoil(ledger: Ledger, home: Path) -> None:
    judged = filled.judged(6)
    judged["purpose"] = ATTACK
    judged["verdict"]["guardrails"][0]["scope"] = LONG
    judged["examples"][0]["of"] = ATTACK
    ledger.update_run("viral-59", notes={"version": LONG, NOTE: judged})
    last = ledger.last_decision("viral")
    assert last is not None
    ledger.decide(
        "viral", after=last.seq, action="reject", run_id="viral-58", version=ATTACK, actor=LONG, why=ATTACK + LONG,
        verdict=filled.verdict(3),
    )  # fmt: skip
    (home / "runs" / "ingest-59").mkdir(parents=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_every_width_in_both_schemes_and_ask_nobody_else(
    browser: Any, address: str, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    asked: set[str] = set()
    said: list[str] = []
    page.on("request", lambda request: asked.add(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in PAGES:
        page.goto(address + path)
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
        if path != "runs/":
            assert page.evaluate(FAINT) == [], path
        assert "hacked" not in page.title()
    grounds = {"light": "rgb(246, 247, 248)", "dark": "rgb(20, 23, 26)"}
    page.goto(address)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == grounds[scheme]
    assert {url for url in asked if not url.startswith((address, "data:"))} == set()
    away = "the server responded with a status of"  # the plots while MLflow is away, the family that there is not
    assert [text for text in said if away not in text] == []
    context.close()


def test_a_plot_that_cannot_be_had_is_a_picture_that_says_so(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address + PAGES[1])
    page.locator("img").first.scroll_into_view_if_needed()
    page.locator("img").first.evaluate("image => image.decode()")
    assert page.evaluate("document.querySelector('img').naturalWidth") == 420
    page.close()


def test_everything_is_reached_by_keyboard_and_seen(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.keyboard.press("Tab")
    first = page.evaluate(FOCUSED)
    assert first["text"] == "Skip to the content" and first["seen"] and first["width"] >= 2
    page.keyboard.press("Enter")
    page.wait_for_url("**/#main")
    reached = []
    for _ in range(400):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] in ("BODY", "HTML"):
            break
        assert focused["seen"] and focused["outline"] != "none" and focused["width"] >= 2, focused
        reached.append(focused["text"])
    links = page.evaluate(
        "[...document.querySelectorAll('main a')].map(e => e.textContent.trim().slice(0, 60))"
    )
    assert set(links) <= set(reached)
    page.get_by_role("link", name="seasonality", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/families/seasonality")
    assert page.get_by_role("heading", level=1).inner_text() == "seasonality"
    page.close()


def test_a_reader_of_screens_is_told_what_is_drawn(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    for drawn in ("Loss that the gate compares", "metric_0 on the hold-out (lower is better)"):
        assert page.get_by_role("img", name=f"{drawn}, version by version").count() == len(FAMILIES)
    assert page.get_by_role("region", name="The last decisions").count() == 1
    assert page.get_by_role("columnheader", name="Difference of losses").count() == 1
    assert page.get_by_role("article", name="seasonality").count() == 1
    page.close()

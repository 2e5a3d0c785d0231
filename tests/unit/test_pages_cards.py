"""The model card: everything asked of it is there, and nothing that is put in becomes mark-up."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from ml.publishing.cards import Figure, Metric, ModelCard, Slice, TableFacts, Verdict, model_card

CARD = ModelCard(
    family="seasonality",
    version="12",
    as_of=date(2011, 11, 14),
    predicts="Units of each product on each of the next 28 days.",
    baseline="seasonal naive",
    data=(TableFacts("order_lines", 362_930, "9f2c41aa", 18, 1, 120),),
    metrics=(
        Metric("wape", Figure(0.4012, 0.39, 0.412), None, Figure(0.52, 0.5, 0.54), headline=True),
        Metric("coverage", Figure(0.81), Figure(0.79), better="higher"),
    ),
    verdict=Verdict(
        True, "champion 11", ("better beyond doubt", "no slice is worse"), Figure(-0.02, -0.03, -0.01), 0.95
    ),
    commands=("bellwether reproduce seasonality:12", "dvc repro evaluate"),
    limitations=("Blind to prices of other shops.",),
    slices=(Slice("volume", "low", 1200, 0.5, 0.52, Figure(-0.02, -0.04, 0.0)),),
    parameters={"eta": 0.1, "depth": 6},
    data_digest="d1",
    code_digest="c1",
    git_commit="9aa8688",
)


@pytest.mark.parametrize(
    "part",
    [
        "# seasonality, version 12",
        "Units of each product on each of the next 28 days.",
        "| As of | 14 November 2011 ",
        "| Verdict | approved |",
        "| Git commit | `9aa8688` |",
        "Approved, judged against champion 11.",
        "-0.02000 (-0.03000 to -0.01000), at 95 % confidence",
        "- better beyond doubt\n- no slice is worse\n",
        "| **wape** | lower | 0.4012 (0.3900 to 0.4120) | – | 0.5200 (0.5000 to 0.5400) |",
        "| coverage | higher | 0.8100 | 0.7900 | – |",
        "| volume | low | 1,200 | 0.5000 | 0.5200 | -0.02000 (-0.04000 to 0) |",
        r"| order\_lines | 362,930 | 120 | 1 of 18 | `9f2c41aa` |",
        "| depth | `6` |\n| eta | `0.1` |",
        "```sh\nbellwether reproduce seasonality:12\ndvc repro evaluate\n```",
        "- Blind to prices of other shops.",
    ],
)
def test_the_card_says(part: str) -> None:
    assert part in model_card(CARD)


def test_a_card_of_little_is_a_card() -> None:
    little = replace(
        CARD, data=(), metrics=(), slices=(), parameters={}, commands=(), limitations=(), git_commit="",
        verdict=Verdict(False, "the baseline", ()),
    )  # fmt: skip
    text = model_card(little)
    assert "Not approved, judged against the baseline." in text
    assert "None recorded, which does not mean that there are none." in text
    assert "| Git commit | – |" in text


def test_the_same_card_gives_the_same_text_in_any_order_of_parameters() -> None:
    assert model_card(replace(CARD, parameters={"depth": 6, "eta": 0.1})) == model_card(CARD)


HOSTILE = [
    "<script>alert(1)</script>",
    "a | b |\n|---|---|",
    "``` \n# heading",
    "[text](javascript:alert(1)) ![x](http://x)",
    "*bold* _it_ ~~gone~~",
    "1. one",
    "2) two",
    "- list",
    "+ list",
    "=====",
    "> quote",
    "\\",
    "{{ 7 * 7 }}",
    "&lt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_put_in_becomes_markup(text: str) -> None:
    shape = re.compile(r"^(#+ |```|\||- |\d+[.)] |>|=+$|\+ )", re.M)
    plain = replace(
        CARD, predicts="x", limitations=("x",), verdict=replace(CARD.verdict, opponent="x", reasons=("x",))
    )
    odd = replace(
        CARD, predicts=text, limitations=(text,), verdict=replace(CARD.verdict, opponent=text, reasons=(text,))
    )  # fmt: skip
    written = model_card(odd)
    assert shape.findall(written) == shape.findall(model_card(plain))
    assert not re.search(r"(?<!\\)[<\[*~&]", written.replace("**wape**", ""))


def columns(text: str) -> list[int]:
    """How many cell borders each row of each table has."""
    return [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_keeps_its_columns(text: str) -> None:
    odd = replace(
        CARD,
        data=(TableFacts(text, 1, text, 1, 0, 0),),
        metrics=(Metric(text, Figure(1.0), headline=True),),
        slices=(Slice(text, text, 1, 1.0, 1.0, Figure(0.0)),),
        parameters={text: text},
    )
    even = replace(odd, data=CARD.data, metrics=CARD.metrics[:1], slices=CARD.slices, parameters={"x": 1})
    assert columns(model_card(odd)) == columns(model_card(even))


def test_a_command_with_backticks_stays_inside_its_block() -> None:
    text = model_card(replace(CARD, commands=("echo ```\n# not a heading",)))
    assert "````sh\necho ``` # not a heading\n````" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.40123, "0.4012"),
        (1234.5, "1,234"),
        (12.3456, "12.35"),
        (1.5e-7, "1.5e-07"),
        (float("nan"), "not a number"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    card = replace(CARD, metrics=(Metric("m", Figure(value)),))
    assert f"| m | lower | {text} | – | – |" in model_card(card)

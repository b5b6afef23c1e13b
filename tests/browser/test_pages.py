"""Pages in a browser: they load without a complaint, and what moves moves by mouse and keyboard."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page  # pyright: ignore[reportMissingImports]

from tests.served import served

pytestmark = pytest.mark.slow

PAGES = ("trained", "inverted", "chosen", "reproduced")


def ticks(page: Page) -> list[str]:
    """Texts beside the axes of the first chart."""
    return page.locator(".chart").first.locator("svg text").all_text_contents()


@pytest.mark.parametrize("width", [380, 900])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_load_and_fit(
    name: str, scheme: str, width: int, folder: Path, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)  # pyright: ignore
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((folder / name / "report.html").as_uri())
    assert page.locator(".plane svg").count() >= 1
    # Nothing sticks out: wide tables scroll by themselves.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(image.get_attribute("alt") for image in page.locator("img").all())
    page.close()
    assert wrong == []


@pytest.mark.parametrize("name", PAGES)
def test_without_javascript_charts_and_pictures_stand_still(
    name: str, folder: Path, browser: Browser
) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto((folder / name / "report.html").as_uri())
    assert page.locator(".chart svg path.line").count() >= 1
    assert all(row.is_visible() for row in page.locator(".row").all())
    assert page.locator("button").count() == 0
    page.close()


CONTRAST = """() => {
  const light = (text) => {
    const c = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = (text) => {
    const [low, high] = [light(text), paper].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const color = (node, name) => ratio(getComputedStyle(node)[name]);
  return {
    text: [...document.querySelectorAll("h1, p, td, th, figcaption, .note, .legend, caption")]
      .map((node) => color(node, "color")),
    lines: [...document.querySelectorAll("path.line")].map((node) => color(node, "stroke")),
  };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str, folder: Path, browser: Browser) -> None:
    """4.5 of text and 3 of lines, as WCAG 2.2 asks for."""
    page = browser.new_page(color_scheme=scheme)  # pyright: ignore
    for name in PAGES:
        page.goto((folder / name / "report.html").as_uri())
        found = page.evaluate(CONTRAST)
        assert min(found["text"]) >= 4.5
        assert min(found["lines"]) >= 3
    page.close()


def test_charts_zoom_and_read_out_by_keyboard(folder: Path, page: Page) -> None:
    page.goto((folder / "trained" / "report.html").as_uri())
    plane, readout = page.locator(".plane").first, page.locator(".readout").first
    whole = ticks(page)
    plane.focus()
    plane.press("ArrowRight")
    assert re.match(r"epoch 0: ", readout.text_content() or "")
    plane.press("End")
    rows = (folder / "trained" / "history.jsonl").read_text().splitlines()
    last = json.loads(rows[-1])
    shown = readout.text_content() or ""
    both = f"training {last['loss']:.4g}, validation {last['validation_loss']:.4g}"
    assert shown == f"epoch 4: {both}"
    plane.press("+")
    assert ticks(page) != whole
    plane.press("0")
    assert ticks(page) == whole


def test_charts_zoom_by_mouse_and_hide_lines(folder: Path, page: Page) -> None:
    page.goto((folder / "trained" / "report.html").as_uri())
    plane, whole = page.locator(".plane").first, ticks(page)
    place = plane.bounding_box()
    assert place is not None
    x, y = place["x"], place["y"] + place["height"] / 2
    page.mouse.move(x + 0.5 * place["width"], y)
    assert "epoch" in (page.locator(".readout").first.text_content() or "")
    page.mouse.down()
    page.mouse.move(x + 0.7 * place["width"], y)
    page.mouse.move(x + 0.9 * place["width"], y)
    assert page.locator(".window").count() == 1
    page.mouse.up()
    assert ticks(page) != whole
    plane.dblclick()
    assert ticks(page) == whole
    lines = page.locator(".chart").first.locator("path.line")
    assert lines.count() == 2
    button = page.get_by_role("button", name="validation", exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert lines.count() == 1


def test_the_slider_between_pictures(folder: Path, page: Page) -> None:
    page.goto((folder / "trained" / "report.html").as_uri())
    box = page.locator(".gallery")
    slider, over = box.locator("input[type=range]"), box.locator(".over").first
    assert over.evaluate("node => node.style.clipPath") == "inset(0px 50% 0px 0px)"
    slider.focus()
    slider.press("ArrowRight")
    assert over.evaluate("node => node.style.clipPath") == "inset(0px 49% 0px 0px)"
    box.locator(".stack").first.click(position={"x": 13, "y": 20})
    assert 5 <= int(slider.input_value()) <= 15
    before = box.locator(".stack img").first.get_attribute("src")
    box.locator("select").last.select_option("target")
    assert box.locator(".stack img").first.get_attribute("src") != before


def test_the_slider_of_alpha(folder: Path, page: Page) -> None:
    page.goto((folder / "inverted" / "report.html").as_uri())
    box = page.locator(".gallery")
    steps, slider = box.locator(".row.step"), box.locator("input[type=range]")
    assert [row.is_visible() for row in steps.all()] == [False, True, False]
    slider.focus()
    slider.press("ArrowRight")
    assert [row.is_visible() for row in steps.all()] == [False, False, True]
    assert "α = 0.1" in (box.locator("output").text_content() or "")
    place = slider.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + 3, place["y"] + place["height"] / 2)
    assert [row.is_visible() for row in steps.all()] == [True, False, False]
    assert box.locator(".row:not(.step)").first.is_visible()


def test_the_slider_of_what_was_tried(folder: Path, page: Page) -> None:
    """It begins at the α of the first output, and runs through all from small to large."""
    page.goto((folder / "chosen" / "report.html").as_uri())
    box, (first, *_) = page.locator(".gallery"), chosen(folder)
    steps, slider = box.locator(".row.step"), box.locator("input[type=range]")
    assert steps.count() == len({tuple(at) for at in zip(*tried(folder), strict=True)}) > 2
    shown = box.locator("output").text_content() or ""
    assert shown.startswith(f"α = {first:.3g} / ")
    assert float(slider.input_value()) == sorted(tried(folder)[0]).index(first)
    slider.focus()
    slider.press("Home")
    lowest = {f"{min(alphas):.3g}" for alphas in tried(folder)}
    assert len(lowest) == 1
    assert (box.locator("output").text_content() or "").startswith(f"α = {lowest.pop()}, ")
    assert [row.is_visible() for row in steps.all()].count(True) == 1
    assert box.get_by_text("input found", exact=True).is_visible()


def chosen(folder: Path) -> list[float]:
    rows = json.loads((folder / "chosen" / "metrics.json").read_text())["samples"]
    return [row["alpha"] for row in rows]


def tried(folder: Path) -> list[list[float]]:
    rows = json.loads((folder / "chosen" / "metrics.json").read_text())["samples"]
    return [sorted(row["tried"][0]) for row in rows]


def test_methods_are_compared_by_a_slider(folder: Path, page: Page) -> None:
    """What was given lies over the last method; every picture is followed by its detail."""
    page.goto((folder / "compared" / "report.html").as_uri())
    box = page.locator(".gallery")
    assert [choice.input_value() for choice in box.locator("select").all()] == ["1", "2"]
    assert box.locator(".stack.large").count() == 6
    slider, over = box.locator("input[type=range]"), box.locator(".over").first
    slider.focus()
    slider.press("End")
    assert over.evaluate("node => node.style.clipPath") == "inset(0px 0% 0px 0px)"


def test_a_live_page_follows_the_run(folder: Path, page: Page, tmp_path: Path) -> None:
    rows = (folder / "trained" / "history.jsonl").read_text().splitlines()
    with served(tmp_path) as address:
        page.goto(address)
        page.wait_for_function("document.getElementById('state').textContent.includes('not begun')")
        (tmp_path / "status.json").write_text('{"state": "running", "epoch": 2, "epochs": 4}')
        (tmp_path / "history.jsonl").write_text("\n".join(rows[:3]))
        page.wait_for_selector(".plane")
        assert page.locator("#state").text_content() == "Running: epoch 2 of 4."
        plane = page.locator(".plane").first
        plane.focus()
        plane.press("End")
        assert "epoch 2" in (page.locator(".readout").first.text_content() or "")
        pictures = folder / "trained" / "pictures.npz"
        (tmp_path / "pictures.npz").write_bytes(pictures.read_bytes())
        (tmp_path / "history.jsonl").write_text("\n".join(rows))
        page.wait_for_selector(".gallery .stack")
        # The cursor and the focus have outlived the new drawing.
        assert "epoch 2" in (page.locator(".readout").first.text_content() or "")
        page.locator(".plane").first.press("End")
        assert "epoch 4" in (page.locator(".readout").first.text_content() or "")

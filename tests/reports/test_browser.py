"""The page in a real browser, wide and narrow, light and dark."""

import pytest

from keras_evonas import reports
from tests.browsers import complaints
from tests.browsers import needs_browser
from tests.browsers import open_browser

pytest.importorskip("plotly")
pytest.importorskip("selenium")
pytestmark = needs_browser

DESKTOP, PHONE = (1200, 900), (390, 844)


@pytest.fixture(scope="module")
def browser():
    with open_browser() as driver:
        yield driver


@pytest.fixture(scope="module")
def small(judged, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    return reports.write_report(judged, path)


def show(browser, path, size=DESKTOP, dark=False):
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": size == PHONE,
        },
    )
    prefer_dark(browser, dark)
    browser.get(path.as_uri())


def prefer_dark(browser, dark):
    value = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": value}]},
    )


def draw_everything(browser):
    """Scrolls to every plot; returns the names of those that are drawn."""
    return browser.execute_async_script(
        """
        const done = arguments[0];
        (async () => {
          const places = [...document.querySelectorAll('.plot')];
          for (const place of places) {
            place.scrollIntoView({behavior: 'instant', block: 'center'});
            for (let i = 0; i < 200 && !place.querySelector('.main-svg'); i++)
              await new Promise((next) => setTimeout(next, 50));
          }
          done(places.filter((p) => p.querySelector('.main-svg'))
            .map((p) => p.dataset.name));
        })();
        """
    )


@pytest.mark.parametrize(
    ("size", "dark"),
    [
        (DESKTOP, False),
        (PHONE, True),
        pytest.param(DESKTOP, True, marks=pytest.mark.slow),
        pytest.param(PHONE, False, marks=pytest.mark.slow),
    ],
)
def test_all_plots_are_drawn_without_a_complaint(browser, small, size, dark):
    show(browser, small, size, dark)
    count = browser.execute_script(
        "return document.querySelectorAll('.plot').length"
    )
    assert count >= 12
    assert len(draw_everything(browser)) == count
    assert complaints(browser) == []
    width = browser.execute_script(
        "return document.documentElement.scrollWidth"
    )
    assert width <= size[0]  # nothing but tables scrolls sideways
    ink, paper = browser.execute_script(
        """
        const style = getComputedStyle(document.body);
        return [style.color, style.backgroundColor].map((text) =>
          text.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0));
        """
    )
    assert (ink > paper) == dark
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map((e) => e.name)"
    )
    assert [name for name in loaded if not name.startswith("data:")] == []


@pytest.mark.slow
def test_plots_follow_a_change_to_dark_mode(browser, small):
    show(browser, small)
    draw_everything(browser)
    ink = """
        return getComputedStyle(document.querySelector(
          '#figure-0 .xtick text')).fill
    """
    light = browser.execute_script(ink)
    prefer_dark(browser, True)
    assert browser.execute_async_script(
        """
        const [light, done] = arguments;
        const ink = () => getComputedStyle(document.querySelector(
          '#figure-0 .xtick text')).fill;
        (async () => {
          for (let i = 0; i < 100 && ink() === light; i++)
            await new Promise((next) => setTimeout(next, 50));
          done(ink() !== light);
        })();
        """,
        light,
    )
    assert complaints(browser) == []


def pointed_at(browser, number):
    """Points at a trial of the first plot; returns what is shown."""
    x, y = browser.execute_script(
        """
        const place = document.getElementById('figure-0');
        place.scrollIntoView({behavior: 'instant', block: 'center'});
        const box = place.getBoundingClientRect();
        const {xaxis, yaxis} = place._fullLayout;
        for (const trace of place.data) {
          const at = (trace.meta ? trace.meta.trials : [])
            .indexOf(arguments[0]);
          if (at >= 0) return [
            box.left + xaxis._offset + xaxis.d2p(trace.x[at]),
            box.top + yaxis._offset + yaxis.d2p(trace.y[at])];
        }
        """,
        number,
    )
    for shift in (3, 0):
        browser.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": "mouseMoved", "x": x + shift, "y": y},
        )
    return browser.execute_async_script(
        """
        const done = arguments[0];
        (async () => {
          const find = () =>
            document.querySelector('#figure-0 .hovertext');
          for (let i = 0; i < 100 && !find(); i++)
            await new Promise((next) => setTimeout(next, 50));
          done(find() ? find().textContent : '');
        })();
        """
    )


def test_pointing_at_a_trial_shows_its_network(browser, small, forty):
    show(browser, small)
    draw_everything(browser)
    best = reports.load(forty).best
    text = pointed_at(browser, best.number)
    assert f"trial {best.trial_id}" in text
    for name in best.values:
        assert name in text


def test_the_legend_hides_and_shows(browser, small):
    show(browser, small)
    draw_everything(browser)
    hidden = """
        const place = document.getElementById('figure-0');
        return place._fullData.map((trace) => trace.visible);
    """
    assert browser.execute_script(hidden)[0] is True
    x, y = browser.execute_script(
        """
        const place = document.getElementById('figure-0');
        place.scrollIntoView({behavior: 'instant', block: 'center'});
        const box = place.querySelector('.legendtoggle')
          .getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];
        """
    )
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        browser.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                "x": x,
                "y": y,
                "button": "none" if kind == "mouseMoved" else "left",
                "clickCount": int(kind != "mouseMoved"),
            },
        )
    assert browser.execute_async_script(
        """
        const done = arguments[0];
        const place = document.getElementById('figure-0');
        const gone = () => place._fullData[0].visible === 'legendonly';
        (async () => {
          for (let i = 0; i < 100 && !gone(); i++)
            await new Promise((next) => setTimeout(next, 50));
          done(gone());
        })();
        """
    )


def test_a_button_shows_far_worse_networks(browser, small):
    show(browser, small)
    draw_everything(browser)
    offered = browser.execute_script(
        """
        const place = document.getElementById('figure-0');
        const button = place.nextElementSibling;
        if (button.tagName !== 'BUTTON') return null;
        const before = place._fullLayout.yaxis.range.slice();
        button.click();
        return [before, place._fullLayout.yaxis.range];
        """
    )
    assert offered is not None
    before, after = offered
    assert max(after) > max(before)  # losses: the worst are the largest


def test_scripts_in_names_do_not_run(browser, new_project, tmp_path):
    evil = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"
    names = {"units": evil, "adam": evil, "learning_rate": f"{evil} rate"}
    project = new_project(names=names)
    # Enough trials for importances of genes, whose names are drawn.
    folder = project.run(40, fails=(2,))
    path = reports.write_report(folder, tmp_path / "evil.html")
    show(browser, path)
    drawn = draw_everything(browser)
    assert len(drawn) >= 10
    shown = pointed_at(browser, reports.load(folder).best.number)
    assert "<img src=x" in shown
    assert browser.execute_script("return window.ran || null") is None
    assert complaints(browser) == []
    labels = browser.execute_script(
        """
        return [...document.querySelectorAll('.ytick text')]
          .map((label) => label.textContent).join('\\n');
        """
    )
    assert "<img src=x" in labels

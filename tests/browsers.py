"""A browser without a window, where one is installed."""

import contextlib
import os
import shutil

import pytest

_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_DRIVER = shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (_BROWSER and _DRIVER), reason="needs chromium and chromedriver"
)
# What the graphics driver says of its own speed, without a graphics card.
_NOISE = "GL Driver Message"


@contextlib.contextmanager
def open_browser():
    """Opens the browser, and closes it at the end."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _BROWSER
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--enable-unsafe-swiftshader",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(_DRIVER, env=dict(os.environ))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def complaints(browser):
    """Returns what the browser's console says."""
    return [
        entry["message"]
        for entry in browser.get_log("browser")
        if _NOISE not in entry["message"]
    ]

"""Optuna's dashboard in a real browser, beside a search that is running."""

import contextlib
import queue
import socketserver
import threading
import wsgiref.simple_server
from concurrent import futures

import optuna
import pytest

from keras_evonas.optuna import OptunaMirror
from tests.browsers import complaints
from tests.browsers import needs_browser
from tests.browsers import open_browser
from tests.optuna.test_mirror import searched

dashboard = pytest.importorskip("optuna_dashboard")
pytest.importorskip("selenium")
pytestmark = [pytest.mark.keras, needs_browser]

SECONDS = 120


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(url):
    """Serves the dashboard of a storage, and yields its address."""
    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, dashboard.wsgi(url), _Server, _Quiet
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dashboard/studies/1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Halting(OptunaMirror):
    """A mirror whose search waits after each trial until it may go on."""

    def __init__(self, url):
        super().__init__(url)
        self.ended, self.may_go_on = queue.Queue(), queue.Queue()

    def __call__(self, trial):
        super().__call__(trial)
        self.ended.put(trial.trial_id)
        self.may_go_on.get(timeout=SECONDS)


def wait_for(browser, *texts):
    """Waits until the page shows some texts, and returns all its text."""
    from selenium.webdriver.support.wait import WebDriverWait

    def shown(driver):
        text = driver.find_element("tag name", "body").text
        return text if all(t in text for t in texts) else None

    return WebDriverWait(browser, SECONDS).until(shown, f"{texts}")


@pytest.mark.slow
def test_trials_of_a_running_search_appear_and_failures_are_failures(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    mirror = Halting(url)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(futures.ThreadPoolExecutor(1))
        search = pool.submit(searched, tmp_path, mirror, max_trials=3)
        # Lets the search end, whatever fails below.
        stack.callback(lambda: [mirror.may_go_on.put(None) for _ in range(3)])
        mirror.ended.get(timeout=SECONDS)
        address = stack.enter_context(served(url))
        browser = stack.enter_context(open_browser())

        browser.get(f"{address}/trials")
        text = wait_for(browser, "1 Trials", "Intermediate Values")
        assert "Complete\nBest Trial" in text
        assert "units 3" in text
        assert "Fail" not in text

        # The page that is open shows the next trial, which fails.
        mirror.may_go_on.put(None)
        mirror.ended.get(timeout=SECONDS)
        wait_for(browser, "2 Trials", "Trial 1\nFail")
        assert not search.done()
        browser.get(f"{address}/trials?numbers=1")
        text = wait_for(browser, "Trial 1 (trial_id=2)\nFail", "units 7")
        assert "message ValueError: seven\n" in text

        browser.get(address)
        wait_for(browser, "digits (id=1)", "val_loss", "Best Trial (number=0)")
        wait_for(browser, str(tmp_path / "digits"))
        assert complaints(browser) == []

        mirror.may_go_on.put(None)
        mirror.may_go_on.put(None)
        search.result(timeout=SECONDS)
    study = optuna.load_study(study_name="digits", storage=url)
    assert len(study.trials) == 3

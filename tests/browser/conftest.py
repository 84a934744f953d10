"""A headless Chromium and a local server for the built site."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """The browser named by the variable CHROMIUM, or one on the path."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, format, *arguments):
        pass


@pytest.fixture(scope="session")
def browser():
    executable = chromium_path()
    if executable is None:
        pytest.skip(
            "NOT RUN: no Chromium was found. Install it (Debian: apt install chromium), "
            "or set CHROMIUM to its path."
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server_url():
    """Address of a server on this machine that shows the built site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


class Visit:
    """A browser tab that records every complaint and every request while it is used."""

    def __init__(self, browser, width: int = 1280):
        self.tab = browser.new_page(viewport={"width": width, "height": 900})
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", self._note_message)
        self.tab.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        self.tab.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))
        self.tab.on("response", self._note_response)
        self.tab.on("request", lambda request: self.requests.append(request.url))

    def _note_message(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _note_response(self, response) -> None:
        if response.status >= 400:
            self.errors.append(f"status {response.status}: {response.url}")

    def requests_outside(self, base: str) -> list[str]:
        """Requests that left the site; data: and blob: addresses stay inside the page."""
        inside = (base, "data:", "blob:")
        return [url for url in self.requests if not url.startswith(inside)]


@pytest.fixture
def visit(browser):
    visits = []

    def open_tab(**options) -> Visit:
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield open_tab
    for each in visits:
        each.tab.close()

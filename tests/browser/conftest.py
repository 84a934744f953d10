"""A headless Chromium, and the built site from a server and from disk."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from .explorer_page import mount, write_page
from .site_server import SITE, SiteServer

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = sorted(
    page.relative_to(SITE).as_posix()
    for page in SITE.rglob("*.html")
    if "_static" not in page.relative_to(SITE).parts
)
"""Every page of the built site; none if it is not built."""

needs_site = pytest.mark.skipif(
    not PAGES, reason="NOT RUN: the site is not built. Run `make book` first."
)
# Without a site there is one skipped test, which the summary reports.
every_page = pytest.mark.parametrize("page", PAGES or ["(no site)"])
ONE_OF_EACH_KIND = (
    "index.html",
    "ch04_induction_heads.html",
    "glossary.html",
    "gallery.html",
    "search.html",
    "teach/class.html",
)
"""The pages that `make test` tries in every way; `make test-all` does so with every page."""
every_page_or_one_of_each_kind = pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page in ONE_OF_EACH_KIND else pytest.mark.long)
        for page in PAGES
    ]
    or ["(no site)"],
)


def chromium_path() -> str | None:
    """The browser named by the variable CHROMIUM, or one on the path."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


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
def server():
    """A server on this machine that shows the built site."""
    running = SiteServer()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="session")
def server_url(server):
    return server.url


class Visit:
    """A browser tab that records all errors and requests.

    `place` is a browser, for a tab with its own cache, or a context, for a shared one.
    """

    def __init__(self, place, width: int = 1280, mode: str = "light"):
        self.tab = place.new_page()
        # Long, since nothing here measures speed and a busy machine is slow.
        self.tab.set_default_timeout(120_000)
        self.show(width, mode)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", self._note_message)
        self.tab.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        self.tab.on("requestfailed", self._note_failure)
        self.tab.on("response", self._note_response)
        self.tab.on("request", lambda request: self.requests.append(request.url))

    def show(self, width: int, mode: str) -> None:
        """Change the window's width and the color mode of the reader's system; wait for a paint."""
        self.tab.set_viewport_size({"width": width, "height": 900})
        self.tab.emulate_media(color_scheme=mode)
        self.tab.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def _note_message(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _note_failure(self, request) -> None:
        # Leaving a page aborts its pending requests; that is not an error of the page.
        if request.failure != "net::ERR_ABORTED":
            self.errors.append(f"failed: {request.url} ({request.failure})")

    def _note_response(self, response) -> None:
        if response.status >= 400:
            self.errors.append(f"status {response.status}: {response.url}")

    def requests_outside(self, base: str) -> list[str]:
        """Requests that left the site; data: and blob: addresses stay inside the page."""
        inside = (base, "data:", "blob:")
        return [url for url in self.requests if not url.startswith(inside)]


def tabs_in(place) -> Iterator[Callable[..., Visit]]:
    """A function that opens tabs of a browser or of one reader; they are closed in the end."""
    visits = []

    def open_tab(**options) -> Visit:
        visits.append(Visit(place, **options))
        return visits[-1]

    yield open_tab
    for each in visits:
        each.tab.close()


@pytest.fixture
def visit(browser):
    """Opens tabs that share nothing with one another."""
    yield from tabs_in(browser)


@pytest.fixture(scope="session")
def context(browser):
    """One reader for many pages: what a page has loaded stays in this browser's memory."""
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def next_page(context):
    """Opens tabs of one reader."""
    yield from tabs_in(context)


@pytest.fixture(scope="module")
def explorer_page(browser, tmp_path_factory):
    """One load of a page with the explorer; each test mounts the explorer anew."""
    seen = Visit(browser)
    seen.tab.goto(write_page(tmp_path_factory.mktemp("explorer") / "page.html"))
    yield seen
    assert seen.requests_outside("file:") == []
    seen.tab.close()


@pytest.fixture
def tab(explorer_page):
    """The explorer as the page opens it."""
    mount(explorer_page.tab)
    yield explorer_page.tab
    assert explorer_page.errors == []

"""Sphinx extension: serve every script from the site itself, and only on pages that use it."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from icon_font import write_icon_fonts
from page_description import description_tag
from page_images import with_sizes
from page_needs import keep_needed, large_scripts, sketch
from search_texts import SCRIPT as SEARCH_TEXTS
from search_texts import write_search_texts
from sphinx.application import Sphinx

HOVER_SCRIPT, EXPLORER_SCRIPT = "circuitsvis.js", "explorer.js"
PAGES_AHEAD = 4
"""Enough to reach, from the home page, the first page with each of the large scripts."""

UNNAMED = '<summary><span class="toctree-toggle"'
"""How the button begins that opens a chapter's further pages: the theme draws an arrow only."""

DEPRECATED_ROLE = 'role="doc-biblioentry"'
"""The role that docutils gives to a bibliography entry. Its list allows only list items."""


def circuitsvis_script() -> Path:
    """The script in the installed CircuitsVis package."""
    import importlib.util

    # The module is located, not imported: importing it would import torch.
    spec = importlib.util.find_spec("circuitsvis")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "circuitsvis is not installed in this environment. "
            "Run `pip install -r requirements.txt` first."
        )
    return Path(spec.origin).parent / "dist" / "cdn" / "iife.js"


def copy_hover_script(site: Path) -> None:
    """Copy CircuitsVis beside the other static files, without its source-map comment."""
    target = site / "_static" / HOVER_SCRIPT
    script = circuitsvis_script()
    if target.exists() and target.stat().st_mtime >= script.stat().st_mtime:
        return
    text = script.read_text(encoding="utf-8")
    target.write_text(text.replace("//# sourceMappingURL=iife.js.map", ""), encoding="utf-8")
    shutil.copystat(script, target)


def finish_page(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Load only what the page needs, give its images a size, and add a description."""
    body = context.get("body", "")
    if toctree := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = partial(labeled_toctree, toctree)
    for name in (HOVER_SCRIPT, EXPLORER_SCRIPT):
        app.add_js_file(name, loading_method="defer")  # On all pages; most drop it below.
    if pagename == "search":
        for name in (SEARCH_TEXTS, "excerpts.js"):
            app.add_js_file(name, loading_method="defer")
    scripts = context.get("script_files", [])
    context["next_scripts"] = large_scripts(scripts, body, sketch_of_next(app, pagename))
    for files in (scripts, context.get("css_files", [])):
        keep_needed(files, body)
    if body:
        images = app.builder.images.items()
        paths = {name: Path(app.srcdir) / source for source, name in images}
        context["body"] = with_sizes(body, paths).replace(DEPRECATED_ROLE, 'role="listitem"')
    if 'name="description"' not in context.get("metatags", ""):
        # An address of the site, where one is set; a shared image must be reached from elsewhere.
        root = app.config.html_baseurl or context["pathto"]("", 1).rstrip("#")
        title = context.get("title") or app.config.project
        tag = description_tag(body, title, app.config.project, root)
        context["metatags"] = context.get("metatags", "") + tag


def labeled_toctree(toctree: Callable[..., object], *args, **options) -> str:
    """The theme's list of pages; the button that opens a chapter's further pages has a name."""
    html = str(toctree(*args, **options))
    return html.replace(
        UNNAMED, UNNAMED.replace("<summary>", '<summary aria-label="More of this chapter">')
    )


def set_places(app: Sphinx, config) -> None:
    """The address of the site, if one is given, and where the scores of the search are."""
    config.html_baseurl = os.environ.get("SITE_ADDRESS", config.html_baseurl)
    config.html_search_scorer = str(Path(__file__).parents[1] / "assets" / "scorer.js")


def sketch_of_next(app: Sphinx, pagename: str) -> str:
    """The `sketch` of the next pages of the book, in one string."""
    relations = getattr(app.builder, "relations", {})
    sketches = []
    for _ in range(PAGES_AHEAD):
        _, _, pagename = relations.get(pagename) or (None, None, None)
        sketches.append(sketch(app.env.get_doctree(pagename)) if pagename else "")
    return "".join(sketches)


def finish_site(app: Sphinx, exception: Exception | None) -> None:
    """Copy CircuitsVis and write the icon fonts, after all pages are written."""
    if exception is None and app.builder.format == "html":
        copy_hover_script(Path(app.outdir))
        write_icon_fonts(Path(app.outdir))
        write_search_texts(app.env, Path(app.outdir) / "_static")


def setup(app: Sphinx) -> dict:
    # Kernels started by the build inherit this: figures then rely on the page's own script.
    os.environ["INDUCTION_HEADS_BOOK"] = "1"
    app.connect("config-inited", set_places)
    # Offer every file to every page; each page drops what it does not need.
    app.set_html_assets_policy("always")
    # After the extensions that add files for every page.
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_site)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

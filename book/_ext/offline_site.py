"""Sphinx extension: serve every script from the site itself, and only on pages that use it."""

import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx

HOVER_MARK = 'class="hover-patterns"'
HOVER_SCRIPT = "circuitsvis.js"


def circuitsvis_script() -> Path:
    """Path of the script that the installed CircuitsVis wheel ships."""
    import importlib.util

    # The module is located, not imported: importing it would import torch.
    spec = importlib.util.find_spec("circuitsvis")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "circuitsvis is not installed in this environment. "
            "Run `pip install -r requirements.txt` first."
        )
    return Path(spec.origin).parent / "dist" / "cdn" / "iife.js"


def copy_hover_script(app: Sphinx, exception: Exception | None) -> None:
    """Copy CircuitsVis beside the other static files, without its source-map comment."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / HOVER_SCRIPT
    script = circuitsvis_script()
    if target.exists() and target.stat().st_mtime >= script.stat().st_mtime:
        return
    text = script.read_text(encoding="utf-8")
    target.write_text(text.replace("//# sourceMappingURL=iife.js.map", ""), encoding="utf-8")
    shutil.copystat(script, target)


def add_hover_script(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Load CircuitsVis once, on pages that hold a hover figure; drop the unused Thebe script."""
    for kind in ("script_files", "css_files"):
        files = context.get(kind, [])
        # In place: Sphinx appends what add_js_file adds to this same list.
        files[:] = [file for file in files if not _is_thebe(file)]
    if HOVER_MARK in context.get("body", ""):
        app.add_js_file(HOVER_SCRIPT)


def _is_thebe(file) -> bool:
    """Whether a script or style belongs to Thebe, which throws on pages that do not use it."""
    content = file.attributes.get("body", "") if hasattr(file, "attributes") else ""
    return "thebe" in f"{file.filename} {content}".lower()


def setup(app: Sphinx) -> dict:
    # Kernels started by the build inherit this: figures then rely on the page's own script.
    os.environ["INDUCTION_HEADS_BOOK"] = "1"
    app.connect("html-page-context", add_hover_script)
    app.connect("build-finished", copy_hover_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

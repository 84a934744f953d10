"""Sphinx extension: the version of the package in the footer of every page."""

import tomllib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def package_version() -> str:
    """The version in pyproject.toml."""
    return tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]


def set_version(app: Sphinx, config: Config) -> None:
    """Make it the version of the site."""
    config.version = config.release = package_version()


def show_version(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Show it in the theme's footer."""
    context["theme_extra_footer"] = f"<p>Version {package_version()}</p>"


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", set_version)
    app.connect("html-page-context", show_version)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

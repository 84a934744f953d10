"""HTML from the jinja2 templates of the package, and scripts from its JavaScript files."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

PACKAGE = Path(__file__).parents[1]

BOOK_VARIABLE = "INDUCTION_HEADS_BOOK"
"""Set while the site is built. Its pages load the scripts of their figures once each."""


@dataclass(frozen=True)
class HtmlFigure:
    """A figure that a notebook or a web page displays; `html` holds all of it."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # `tojson` also escapes <, > and &, so no text can end the script that holds it.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def rendered(template: str, **values: Any) -> str:
    """The template, a path such as "figures/templates/report.html.j2", filled with the values.

    Values are escaped unless they are `Markup`. Raises jinja2.UndefinedError if a value is missing.
    """
    return _environment().get_template(template).render(values)


@cache
def function_source(path: str) -> Markup:
    """The default export of a JavaScript file of the package, as a function expression.

    A figure calls it in a classic script, so a page opened from disk can run it.
    """
    source = (PACKAGE / path).read_text(encoding="utf-8")
    _, export, function = source.partition("export default ")
    if not export:
        raise ValueError(f"{path} has no `export default function`.")
    return Markup(f"({function.strip()})")

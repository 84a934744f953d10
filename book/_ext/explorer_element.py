"""Sphinx extension: the live explorer in pages, and its script, style and models in the site."""

import hashlib
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from induction_heads.explorer import element
from induction_heads.explorer.script import FOLDER
from induction_heads.explorer.text_element import (
    TEXT_MARK,
    TEXT_MODELS,
    text_explorer_element,
)

SCRIPT, STYLE = "explorer.js", "explorer.css"


class ExplorerDirective(SphinxDirective):
    """An explorer in a page, with `alt` as its alternative text and the content as its caption.

    Spaces separate names and numbers: `models: toy-2l toy-1l`, `tokens: A B C A B`, `head: 1 0`.
    """

    has_content = True
    option_spec = {  # noqa: RUF012
        "models": directives.unchanged_required,
        "alt": directives.unchanged_required,
        "tokens": directives.unchanged_required,
        "head": directives.unchanged_required,
        "query": directives.nonnegative_int,
        "period": directives.positive_int,
        "parts": directives.unchanged_required,
        "open": directives.unchanged_required,
        "state": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        try:
            explorer = explorer_from(self.options, " ".join(self.content))
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", element.explorer_element(explorer), format="html")]


class TextExplorerDirective(SphinxDirective):
    """An explorer of a text model in a page, with `alt` and the content as its caption."""

    has_content = True
    option_spec = {  # noqa: RUF012
        "model": directives.unchanged_required,
        "alt": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        if "alt" not in self.options:
            raise self.error("An explorer needs `:alt:`, a sentence that describes what it shows.")
        try:
            html = text_explorer_element(
                self.options.get("model", "python-2l"),
                alt=self.options["alt"],
                caption=" ".join(self.content) or None,
            )
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", html, format="html")]


def explorer_from(options: dict, caption: str) -> element.Explorer:
    """The explorer that the options describe. Raises ValueError for invalid options."""
    if "alt" not in options:
        raise ValueError("An explorer needs `:alt:`, a sentence that describes what it shows.")
    names = options.get("models", "toy-2l").split()
    unknown = [name for name in names if name not in element.SITE_MODELS]
    if unknown:
        raise ValueError(
            f"The site has no model {unknown[0]!r}. Models: {', '.join(element.SITE_MODELS)}."
        )
    words = {name: tuple(options[name].split()) for name in ("parts", "head") if name in options}
    if "head" in words and not (len(words["head"]) == 2 and all(map(str.isdecimal, words["head"]))):
        raise ValueError(
            f"head: got {options['head']!r}; expected a layer and a head, such as 1 0."
        )
    return element.Explorer(
        models=tuple((name, name) for name in names),
        tokens=element.tokens_from_text(options["tokens"]) if "tokens" in options else None,
        head=(int(words["head"][0]), int(words["head"][1])) if "head" in words else None,
        query=options.get("query"),
        period=options.get("period"),
        parts=words.get("parts"),
        open=options.get("open"),
        state=options.get("state"),
        alt=options["alt"],
        caption=caption or None,
    )


def add_explorer_files(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Load the script and the style only on pages that contain an explorer."""
    body = context.get("body", "")
    if element.MARK in body or TEXT_MARK in body:
        # Deferred: it does not block reading, and the page is complete when it runs.
        app.add_js_file(SCRIPT, loading_method="defer")
        app.add_css_file(STYLE)


def write_explorer_files(app: Sphinx, exception: Exception | None) -> None:
    """Write the files that the pages load, unless they exist and are up to date."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    _write_new(static / SCRIPT, element.page_script())
    _write_new(static / STYLE, element.explorer_style())
    for name in element.SITE_MODELS:
        files = {
            ("model", name): static / "explorer" / f"{name}.js",
            ("snapshots", name): static / "explorer" / f"{name}-snapshots.js",
        }
        _write_models(name, files)
    for name in TEXT_MODELS:
        _write_text_model(name, static / "explorer")


def _write_text_model(name: str, folder: Path) -> None:
    """Write a model of text as scripts, a part each, if its sources have changed."""
    stamp = f"// {_fingerprint(name, 'text_models.py', '../data/held_out_text.py')}\n"
    files = list(folder.glob(f"{name}-*.js"))
    if folder / f"{name}-text-model.js" in files and all(_starts_with(one, stamp) for one in files):
        return
    from induction_heads.explorer.text_models import exported_text_model  # Needs torch.

    # The head is written last: it says that all parts are there.
    for (kind, _), text in reversed(exported_text_model(name).items()):
        file = folder / f"{name}-{kind}.js"
        _write_new(file, stamp + element.data_script(kind, name, text))


def _write_models(name: str, files: dict[tuple[str, str], Path]) -> None:
    """Write the model and its snapshots as scripts, if their sources have changed."""
    stamp = f"// {_fingerprint(name)}\n"
    if all(file.exists() and _starts_with(file, stamp) for file in files.values()):
        return
    from induction_heads.explorer.models import explorer_models  # Needs torch.

    (model,) = explorer_models(name)
    for key, text in model.data().items():
        _write_new(files[key], stamp + element.data_script(*key, text))


def _fingerprint(name: str, *more: str) -> str:
    """A hash of the weights, or of the code that makes them, and of the code that writes them.

    `more` are files beside `export.py` of which the text depends as well.
    """
    package = FOLDER.parent
    sources = sorted((package / "zoo" / name).glob("*.safetensors"))
    if not sources:  # The model is trained when the site is built.
        folders = ("data", "models", "training")
        sources = sorted(path for folder in folders for path in (package / folder).glob("*.py"))
    own = ("export.py", "element.py", *more)
    sources = [*(FOLDER / file for file in own), *sources]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def _starts_with(file: Path, stamp: str) -> bool:
    with file.open(encoding="utf-8") as opened:
        return opened.readline() == stamp


def _write_new(file: Path, text: str) -> None:
    """Write a file unless it already holds this text, so its time is that of the last change."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    app.add_directive("explorer", ExplorerDirective)
    app.add_directive("text-explorer", TextExplorerDirective)
    app.connect("html-page-context", add_explorer_files)
    app.connect("build-finished", write_explorer_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

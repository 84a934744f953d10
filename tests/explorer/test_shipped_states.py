"""Every state of an explorer that a page opens with or links to can be read, and fits its model."""

import ast
import html
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest

from induction_heads.explorer import explore
from induction_heads.explorer.element import SITE_MODELS, Explorer, page_script
from induction_heads.explorer.models import explorer_models
from induction_heads.explorer.text_element import TEXT_MODELS
from induction_heads.figures.markup import BOOK_VARIABLE, HtmlFigure
from induction_heads.models.loading import load_attention_only

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
PAGES = sorted({*BOOK.rglob("*.md"), *BOOK.rglob("*.ipynb"), *ROOT.glob("*.md")})
TEMPLATES = sorted((ROOT / "src/induction_heads").rglob("*.j2")) + sorted(BOOK.rglob("*.html"))

LINK = re.compile(r"#([\w-]*explorer[\w-]*)=([^\s)\"'<>\]`]+)")
"""A link with a state: the address behind `#`, and the state."""

DIRECTIVE = re.compile(r"```\{(text-)?explorer\}\n(.*?)```", re.DOTALL)


def cells(path: Path) -> list[Any]:
    return nbformat.read(path, as_version=4).cells


def text_of(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in cells(path))


def directives(text: str) -> list[tuple[str | None, dict[str, str]]]:
    """Each explorer directive of a page: "text-" or None, and its options."""
    found = DIRECTIVE.findall(text)
    return [(kind or None, dict(re.findall(r"^:(\w+): (.*)$", body, re.M))) for kind, body in found]


def explorers_of(notebook: Path) -> list[dict[str, Any]]:
    """The options of each `explore(…)` of a notebook, with the names that it uses.

    Only the imports and assignments that define these names are run.
    """
    found, before = [], []
    for cell in cells(notebook):
        if cell.cell_type != "code" or cell.source.lstrip().startswith(("try:", "%")):
            continue
        for statement in ast.parse(cell.source).body:
            calls = [
                node
                for node in ast.walk(statement)
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "explore"
            ]
            found += [options_of(call, before) for call in calls]
            before.append(statement)
    return found


def options_of(call: ast.Call, before: list[ast.stmt]) -> dict[str, Any]:
    """What the element of a page gets from this call."""
    needed, kept = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}, []
    for statement in reversed(before):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            names = {(each.asname or each.name).partition(".")[0] for each in statement.names}
        elif isinstance(statement, ast.Assign):
            names = {
                n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)
            }
        else:
            continue
        if names & needed:
            kept.append(statement)
            needed |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    namespace: dict[str, Any] = {"explore": explore}
    exec(compile(ast.Module(kept[::-1], []), "<page>", "exec"), namespace)
    figure = eval(compile(ast.Expression(call), "<page>", "eval"), namespace)
    assert isinstance(figure, HtmlFigure)
    (options,) = re.findall(r'data-explorer="([^"]*)"', figure.html)
    return json.loads(html.unescape(options))


@pytest.fixture(scope="module")
def read(node, tmp_path_factory):
    """What the page makes of (state, sizes) pairs: the problem, the state, and whether it fits."""
    folder = tmp_path_factory.mktemp("states")

    def answer(asked: list[tuple[str, dict[str, int]]]) -> list[dict[str, Any]]:
        (folder / "read.cjs").write_text(
            page_script().replace("explorer.mountAll(document.currentScript);", "")
            + f"const asked = {json.dumps(asked)};\n"
            "console.log(JSON.stringify(asked.map(([text, sizes]) => {\n"
            "  const { state, problem } = explorer.decodeState(text);\n"
            "  const fitted = explorer.fittedState(state, sizes).state;\n"
            "  const same = JSON.stringify(fitted) === JSON.stringify(state);\n"
            "  return { problem, state, fits: same };\n"
            "})));\n"
        )
        return json.loads(node(folder / "read.cjs"))

    return answer


def sizes_of(model: str) -> dict[str, int]:
    """The sizes that `fittedState` reads."""
    found = load_attention_only(model) if model in TEXT_MODELS else explorer_models(model)[0].model
    config = found.config
    return {
        "nLayers": config.n_layers,
        "nHeads": config.n_heads,
        "dVocab": config.d_vocab,
        "nCtx": config.n_ctx,
    }


def problems_of(states: list[tuple[str, str, tuple[str, ...]]], read: Any) -> list[str]:
    """What is wrong with (where, state, its models): an unknown model, a text, a head, a token."""
    problems = []
    known = {*SITE_MODELS, *TEXT_MODELS}
    asked = [(state, sizes_of(models[0])) for _, state, models in states]
    for (where, text, models), found in zip(states, read(asked), strict=True):
        named = found["state"]["model"]
        if not known.issuperset(models) or (named and named not in models):
            problems.append(f"{where}: no model {named or models} in {text!r}")
        elif found["problem"]:
            problems.append(f"{where}: {found['problem']}")
        elif not found["fits"]:
            problems.append(f"{where}: {text!r} does not fit {models[0]}")
    return problems


@pytest.fixture(scope="module")
def shipped() -> list[tuple[str, str, tuple[str, ...]]]:
    """Where, state and models of every explorer on a page, and of every link with a state."""
    sys.path.insert(0, str(BOOK / "_ext"))
    directive = import_module("explorer_element")
    states = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BOOK_VARIABLE, "1")
        for path in PAGES:
            text = text_of(path)
            for kind, options in directives(text):
                if kind:
                    model = options.get("model", next(iter(TEXT_MODELS)))
                    layer, head = TEXT_MODELS[model].head
                    states.append((path.name, f"h.{layer}-{head}", (model,)))
                else:
                    shown = directive.explorer_from(options, "")
                    names = tuple(name for name, _ in shown.models)
                    states.append((path.name, opening(shown.options()), names))
            if path.suffix == ".ipynb":
                for options in explorers_of(path):
                    names = tuple(each["name"] for each in options["models"])
                    states.append((path.name, opening(options), names))
        for path in PAGES + TEMPLATES:
            links = LINK.findall(text_of(path))
            states += [(path.name, unquote(state), SITE_MODELS) for _, state in links]
    return states


def opening(options: dict[str, Any]) -> str:
    """The state an explorer opens with, or, where it has the default, its tokens."""
    tokens = options.get("tokens")
    plain = f"t.{'-'.join(map(str, tokens))}" if tokens else ""
    return str(options.get("state") or plain)


def test_every_shipped_state_is_read_and_fits_its_model(shipped, read):
    places = [where for where, *_ in shipped]
    assert len(places) >= 9
    assert {"index.md", "explore_text.md", "explore_natural_text.md"} < set(places)
    assert sum("explore(\n" in text_of(path) for path in BOOK.rglob("*.ipynb")) == sum(
        name.endswith(".ipynb") for name in places
    )
    assert problems_of(shipped, read) == []


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("h.2-0", "does not fit toy-2l"),
        ("t.0-1-64", "does not fit toy-2l"),
        ("t.0-1-0~q.7", "does not fit toy-2l"),
        ("o.0-5zero", "does not fit toy-2l"),
        ("m.toy-9l", "no model toy-9l"),
        ("9.1", "is not part of a link"),
        ("h.one", "could not be read"),
    ],
)
def test_a_state_that_no_longer_fits_is_noticed(state: str, says: str, read):
    (problem,) = problems_of([("a page", state, SITE_MODELS)], read)
    assert says in problem


def test_links_in_a_text_are_found():
    text = "[this](explorer.html#explorer=t.0-1~h.1-0) and `#text-explorer=h.1-2`"
    assert LINK.findall(text) == [("explorer", "t.0-1~h.1-0"), ("text-explorer", "h.1-2")]
    assert Explorer((("toy-2l", "toy-2l"),), head=(1, 0)).opening_state() == "h.1-0"

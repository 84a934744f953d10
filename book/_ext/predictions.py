"""Sphinx extension: predictions of the reader, and the answers that wait for them.

    :::{prediction} row-sum
    - to 1
    - to less than 1
    :::

Here the reader chooses; without a list there is a field for a short text. What follows is the
answer, folded in one `<details>`: the output of the next code cells, their asserts, and the text
that explains it. `predictions.js` keeps the choice in the browser and opens nothing before it.

The answer ends with the first Markdown cell after the output, or earlier, at a heading, an exercise
or the next prediction, whose question is the last paragraph before it. Options change this:

- `answer: 2` takes two paragraphs after the output (0: none); `answer: all` goes on through later
  cells to the next heading, exercise or prediction;
- `visible-cells: 1` leaves the output of one cell unfolded;
- `with-code` folds the code of the first cell with an output too.

An explorer is not an answer and stays open.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

SCRIPT = "predictions.js"
LINES_OF_A_CELL = 10_000
"""MyST-NB counts the lines of the cell with index i from (i + 1) times this number."""

EXERCISE_NODES = ("exercise_node", "exercise_enumerable_node", "solution_node")
FIGURE_CODE = "Code of the figure"
CHECKS = "What this page checks"


class prediction(nodes.General, nodes.Element):
    """The reader's choice: `name`, and one child for each of the offered choices."""


class choice(nodes.General, nodes.Element):
    """One of the choices; the children are its text."""


class answer(nodes.General, nodes.Element):
    """What waits for the prediction called `name`."""


def _amount(argument: str) -> int | None:
    """A number of paragraphs; None for "all"."""
    return None if argument == "all" else directives.nonnegative_int(argument)


class PredictionDirective(SphinxDirective):
    """A list of choices, or nothing for a field; the argument is a name within the page."""

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "answer": _amount,
        "visible-cells": directives.nonnegative_int,
        "with-code": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        node = prediction(name=self.arguments[0], page=self.env.docname)
        node["options"] = self.options
        node.line = self.lineno
        if parsed.children:
            (choices,) = parsed.children
            if not isinstance(choices, nodes.bullet_list):
                raise self.error("A prediction holds a list of choices, or nothing.")
            for item in choices.children:
                (paragraph,) = item.children
                node += choice("", *paragraph.children)
        return [node]


@dataclass
class Waiting:
    """The nodes that a prediction hides, and what ends them."""

    hidden: list[nodes.Node] = field(default_factory=list)
    texts: int = 0
    text_cell: int | None = None


class FoldAnswers(SphinxTransform):
    """Moves each answer into a node of its own, and folds the code of figures and of checks."""

    default_priority = 400

    def apply(self, **kwargs) -> None:
        names = set()
        for node in list(self.document.findall(prediction)):
            if node["name"] in names:
                raise ExtensionError(
                    f"{self.env.docname}: two predictions called {node['name']!r}."
                )
            names.add(node["name"])
            fold(node)
        for cell in self.document.findall(is_cell):
            label = FIGURE_CODE if is_figure(cell) else CHECKS if has_only_asserts(cell) else None
            if label and not cell.get("hide_mode"):
                cell["hide_mode"] = "input"
                cell["prompt_show"] = cell["prompt_hide"] = label


def fold(node: prediction) -> None:
    """Put what answers this prediction in an `answer` node."""
    parent = node.parent
    waiting = Waiting()
    limit = node["options"].get("answer", -1)  # -1: not given; None: all.
    visible = node["options"].get("visible-cells", 0)
    asserts: list[str] = []
    following = parent.children[parent.index(node) + 1 :]
    for sibling in following:
        if ends_answer(sibling):
            if isinstance(sibling, prediction) and limit == -1 and waiting.texts:
                waiting.hidden.pop()  # The question of the next prediction.
            break
        if is_cell(sibling):
            if waiting.texts and limit is not None:
                break
            if waiting.hidden:
                waiting.hidden.append(sibling)
            elif visible and has_answer(sibling):
                visible -= 1
            else:
                with_code = "with-code" in node["options"] or is_figure(sibling)
                asserts += begin(sibling, waiting, with_code=with_code)
            continue
        if isinstance(sibling, nodes.target | nodes.comment):
            continue
        cell = cell_number(sibling)
        if waiting.text_cell is not None and cell != waiting.text_cell and limit is not None:
            break
        if limit not in (-1, None) and waiting.texts >= limit:
            break
        waiting.text_cell = cell
        waiting.texts += 1
        waiting.hidden.append(sibling)
    if not waiting.hidden:
        return
    place = parent.index(waiting.hidden[0])
    for hidden in waiting.hidden:
        parent.remove(hidden)
    found = answer(name=node["name"])
    found += waiting.hidden
    if asserts:
        found += checked(asserts)
    parent.insert(place, found)


def begin(cell: nodes.container, waiting: Waiting, *, with_code: bool) -> list[str]:
    """Hide the output of a cell, or all of it; returns the asserts that its code loses."""
    source = next((part for part in cell if part.get("nb_element") == "cell_code_source"), None)
    if not has_answer(cell):
        code, asserts = split_asserts(source.astext()) if source is not None else ("", [])
        if source is not None and asserts and code.strip():
            replace_code(source, code)
            return asserts
        return []
    if with_code or source is None:
        waiting.hidden.append(cell)
        return []
    code, asserts = split_asserts(source.astext())
    if not code.strip():
        waiting.hidden.append(cell)
        return []
    replace_code(source, code)
    # The output moves to a cell of its own. A cell whose output was folded needs no second fold.
    rest = cell.copy()
    for part in (cell, rest):
        if part.get("hide_mode") == "output":
            del part["hide_mode"]
    outputs = [part for part in cell if part is not source]
    for output in outputs:
        cell.remove(output)
    rest += outputs
    cell.parent.insert(cell.parent.index(cell) + 1, rest)
    waiting.hidden.append(rest)
    return asserts


def checked(asserts: list[str]) -> nodes.Node:
    """The asserts of the cells, as code."""
    text = "\n".join(asserts)
    code = nodes.literal_block(text, text, language="ipython3", classes=["asserts"])
    caption = nodes.paragraph("", "The code also checks:", classes=["asserts"])
    return nodes.container("", caption, code)


def replace_code(source: nodes.container, code: str) -> None:
    for block in source.findall(nodes.literal_block):
        block.rawsource = code
        block.children = []
        block += nodes.Text(code)


def split_asserts(code: str) -> tuple[str, list[str]]:
    """The code without its asserts, and the asserts. A block of asserts only goes as a whole."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # Lines of IPython's own syntax.
        return code, []
    lines = code.splitlines()
    gone = [range(node.lineno - 1, node.end_lineno or 0) for node in _asserts(tree.body)]
    removed = {number for lines_of in gone for number in lines_of}
    kept = "\n".join(line for number, line in enumerate(lines) if number not in removed)
    asserts = []
    for lines_of in gone:
        block = [lines[number] for number in lines_of]
        indent = len(block[0]) - len(block[0].lstrip())
        asserts += [line[indent:] for line in block]
    return kept.rstrip("\n"), asserts


def _asserts(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Asserts, and compound statements that hold nothing else. No block is left empty."""
    for statement in body:
        if isinstance(statement, ast.Assert):
            yield statement
        elif isinstance(statement, ast.For | ast.If | ast.With):
            blocks = [statement.body, getattr(statement, "orelse", [])]
            found = [list(_asserts(block)) for block in blocks]
            whole = [len(inner) == len(block) for inner, block in zip(found, blocks, strict=True)]
            if all(whole):
                yield statement
            else:
                for inner, is_whole in zip(found, whole, strict=True):
                    yield from inner if not is_whole else ()


def is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def is_figure(cell: nodes.container) -> bool:
    return "figure" in cell.get("cell_metadata", {}).get("mystnb", {})


def has_only_asserts(cell: nodes.container) -> bool:
    sources = [part for part in cell if part.get("nb_element") == "cell_code_source"]
    return bool(sources) and not any(split_asserts(part.astext())[0].strip() for part in sources)


def has_answer(cell: nodes.container) -> bool:
    """Whether a cell has an output that is not an explorer."""
    outputs = [part for part in cell if part.get("nb_element") == "cell_code_output"]
    return bool(outputs) and not any(
        "data-explorer=" in raw.astext() for part in outputs for raw in part.findall(nodes.raw)
    )


def ends_answer(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.section | nodes.Admonition | prediction)
        or type(node).__name__ in EXERCISE_NODES
    )


def cell_number(node: nodes.Node) -> int | None:
    """The cell that a node comes from, by its line or by that of a node within it."""
    for inner in node.findall():
        line = getattr(inner, "line", None)
        if line:
            return line // LINES_OF_A_CELL
    return None


def visit_prediction(self, node: prediction) -> None:
    name = self.attval(node["name"])
    self.body.append(f'<fieldset class="prediction" data-prediction="{name}">')
    self.body.append("<legend>Your prediction</legend>\n")
    if not node.children:
        label = "Your prediction in a few words"
        self.body.append(f'<textarea rows="2" aria-label="{label}"></textarea>\n')


def depart_prediction(self, node: prediction) -> None:
    self.body.append("</fieldset>\n")


def visit_choice(self, node: choice) -> None:
    name = self.attval(node.parent["name"])
    self.body.append(f'<label><input type="radio" name="prediction-{name}" /> <span>')


def depart_choice(self, node: choice) -> None:
    self.body.append("</span></label>\n")


def visit_answer(self, node: answer) -> None:
    name = self.attval(node["name"])
    self.body.append(f'<details class="prediction-answer" data-prediction="{name}">')
    self.body.append("<summary>Show what happens</summary>\n")


def depart_answer(self, node: answer) -> None:
    self.body.append("</details>\n")


def _pass(self, node: nodes.Node) -> None:
    """Other writers print the children only."""


def setup(app: Sphinx) -> dict:
    others = dict.fromkeys(("latex", "text"), (_pass, _pass))
    app.add_node(prediction, html=(visit_prediction, depart_prediction), **others)
    app.add_node(choice, html=(visit_choice, depart_choice), **others)
    app.add_node(answer, html=(visit_answer, depart_answer), **others)
    app.add_directive("prediction", PredictionDirective)
    app.add_transform(FoldAnswers)
    app.add_js_file(SCRIPT, loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

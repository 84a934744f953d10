"""Sphinx directive `{api-reference}`: the functions of the package that the notebooks import.

Signatures and docstrings are read from the source, without importing it. The docstrings are
Markdown in all but name, which is why Sphinx's autodoc, which reads reStructuredText, is not used.
"""

import ast
from functools import cache
from pathlib import Path

import chapter_graph as graph
import notebook_cells
from course_directives import FromData
from docutils import nodes
from sphinx.application import Sphinx

BOOK = Path(__file__).parents[1]
SOURCE = BOOK.parent / "src"
Definition = ast.FunctionDef | ast.ClassDef


class ApiReference(FromData):
    """Every imported function and class, by module."""

    def run(self) -> list[nodes.Node]:
        found = used_names()
        for file in (*sorted(BOOK.glob("*.ipynb")), *(source_file(module) for module in found)):
            self.env.note_dependency(str(file))
        return self.from_markdown(reference_lines(found))


def used_names() -> dict[str, dict[str, list[str]]]:
    """Module → name → the labels of the notebooks that import it from there, all sorted."""
    found: dict[str, dict[str, list[str]]] = {}
    for label in graph.PREREQUISITES:
        for cell in notebook_cells.cells(graph.notebook(label), "code"):
            for module, name in _imports(cell.source):
                module, name = defined_in(module, name)
                labels = found.setdefault(module, {}).setdefault(name, [])
                if label not in labels:
                    labels.append(label)
    return {
        module: {name: names[name] for name in sorted(names) if definition(module, name)}
        for module, names in sorted(found.items())
        if any(definition(module, name) for name in names)
    }


def _imports(code: str) -> list[tuple[str, str]]:
    python = "\n".join("" if line.lstrip().startswith("%") else line for line in code.splitlines())
    try:
        tree = ast.parse(python)
    except SyntaxError:  # The cell that installs the course.
        return []
    return [
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("induction_heads")
        for name in node.names
    ]


def source_file(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(source_file(module).read_text(encoding="utf-8"))


def defined_in(module: str, name: str) -> tuple[str, str]:
    """Where a name is defined that a module may only pass on."""
    for node in ast.walk(_tree(module)):
        own = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("induction_heads")
        if own and name in [imported.name for imported in node.names]:
            return defined_in(node.module, name)
    return module, name


def definition(module: str, name: str) -> Definition | None:
    """The function or class of that name; None for a constant or a module."""
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    return None


def signature(node: Definition) -> str:
    """The first lines of a function, with its shapes, or the name of a class."""
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    head = f"{node.name}({ast.unparse(node.args)})"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    whole = (head + result).replace("'", '"')
    if len(whole) <= 88:
        return whole
    arguments = "".join(f"    {part},\n" for part in at_top_level(ast.unparse(node.args)))
    return f"{node.name}(\n{arguments}){result}".replace("'", '"')


def at_top_level(arguments: str) -> list[str]:
    """The arguments, split at the commas that are in no bracket and in no text."""
    parts, depth, quoted = [""], 0, False
    for letter in arguments:
        quoted ^= letter == "'"
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def described(node: Definition) -> list[str]:
    """The docstring as Markdown; its examples are code."""
    lines, in_example = [], False
    for line in (ast.get_docstring(node) or "").splitlines():
        starts = line.startswith(">>>")
        if starts and not in_example:
            lines.append("```pycon")
        if in_example and not line.strip():
            lines.append("```")
        in_example = starts or (in_example and bool(line.strip()))
        lines.append(line)
    return [*lines, "```"] if in_example else lines


def reference_lines(found: dict[str, dict[str, list[str]]]) -> list[str]:
    """The whole reference as Markdown."""
    lines = []
    for module, names in found.items():
        short = module.removeprefix("induction_heads").lstrip(".") or "induction_heads"
        first = (ast.get_docstring(_tree(module)) or "").split("\n\n")[0]
        lines += ["", f"**`{short}`**", "", " ".join(first.split()), ""]
        for name, labels in names.items():
            node = definition(module, name)
            assert node is not None
            pages = ", ".join(f"{{ref}}`{graph.full_title(label)} <{label}>`" for label in labels)
            body = [
                f"*Used in {pages}*",
                "",
                "```python",
                f"from {module} import {name}",
                "",
                *signature(node).splitlines(),
                "```",
                "",
                *described(node),
            ]
            lines += [
                f":::::{{admonition}} `{name}`",
                ":class: dropdown api",
                "",
                *body,
                ":::::",
                "",
            ]
    return lines


def setup(app: Sphinx) -> dict:
    app.add_directive("api-reference", ApiReference)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""The functions in a file of answers, read without running it."""

import ast
import difflib
import hashlib
from collections.abc import Collection, Iterable

from induction_heads.grading.scopes import own_names

DYNAMIC = {"globals", "getattr", "eval", "exec", "import_module", "__import__", "vars", "modules"}
"""Names through which a function may reach code that it does not mention."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def function_digests(source: str, names: Iterable[str]) -> dict[str, str]:
    """For each function, a digest of everything in the file that can change its behavior.

    That is its code, the functions of the file that it mentions, directly or indirectly, and
    everything else at the top level. Comments and line breaks do not count. If the file is not
    valid Python, or looks up names at run time, it is the digest of the whole file.
    """
    functions, rest = _parts(source)
    if functions is None or _mentioned(ast.parse(source)) & DYNAMIC:
        return {name: digest(source) for name in names}
    try:
        code = {name: "\n".join(map(ast.dump, nodes)) for name, nodes in functions.items()}
        loaded = "\n".join(map(ast.dump, rest))
    except (ValueError, RecursionError):  # A number of 5,000 digits, a sum of 1,500 numbers.
        return {name: digest(source) for name in names}
    roots = {name for node in rest for name in _mentioned(node)}
    return {
        name: digest("\n".join([loaded, *(code[n] for n in _reached({name, *roots}, functions))]))
        for name in names
    }


def is_untouched(source: str, name: str) -> bool:
    """Whether the function is still a stub: nothing but `raise NotImplementedError`."""
    functions, _ = _parts(source)
    definitions = (functions or {}).get(name, [])
    return len(definitions) == 1 and is_stub(definitions[0])


def definition_line(source: str, name: str) -> int | None:
    """The line on which the function is defined; None if there is none or the source is invalid."""
    functions, _ = _parts(source)
    definitions = (functions or {}).get(name, [])
    return definitions[-1].lineno if definitions else None


def with_helpers(source: str, name: str) -> str | None:
    """The code of a function, after the private functions of the file that it uses.

    Comments inside functions are included, public functions that it uses are not. None if the file
    does not define the function.
    """
    functions, _ = _parts(source)
    if not functions or name not in functions:
        return None
    used = [n for n in _reached({name}, functions) if n.startswith("_")]
    nodes = [node for n in (*used, name) for node in functions[n]]
    return "\n\n\n".join(_text(source, node) for node in nodes)


def remarks(source: str, name: str, names: Collection[str]) -> list[str]:
    """What in the file itself may explain why the function `name` does not pass.

    It may be misspelled, indented into another function, or defined twice. `names` are the names of
    all exercises of the chapter: none of them is a misspelling of another.
    """
    functions, _ = _parts(source)
    if functions is None:
        return []
    lines = [str(node.lineno) for node in functions.get(name, ())]
    if len(lines) > 1:
        listed = f"{', '.join(lines[:-1])} and {lines[-1]}"
        return [f"`{name}` is defined {len(lines)} times, on lines {listed}. The last one counts."]
    if lines or name in own_names(ast.parse(source).body):
        return []
    for outer, nodes in functions.items():
        for node in (inner for each in nodes for inner in ast.walk(each)):
            if isinstance(node, Function) and node.name == name:
                inside = f"`{name}` is defined inside `{outer}` (line {node.lineno})."
                return [f"{inside} Move it to the left margin."]
    if near := near_name(name, set(functions) - set(names)):
        line = functions[near][0].lineno
        return [f"The file defines `{near}` (line {line}). Should that be `{name}`?"]
    return []


def called_by(source: str, name: str, names: Collection[str]) -> list[str]:
    """The functions of `names` that the function `name` calls, directly or through others."""
    functions, _ = _parts(source)
    reached = _reached({name}, functions) if functions else []
    return [called for called in reached if called in names and called != name]


def near_name(name: str, candidates: Collection[str]) -> str | None:
    """The candidate that is most likely a misspelling of `name`, or None."""
    plain = {_plain(candidate): candidate for candidate in candidates}
    close = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=0.88)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def _parts(source: str) -> tuple[dict[str, list[Function]] | None, list[ast.AST]]:
    """The top-level functions by name, and all other code that runs when the file is loaded.

    Decorators and defaults of functions run then too. (None, []) if the file is not valid Python.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None, []
    functions: dict[str, list[Function]] = {}
    rest: list[ast.AST] = []
    for node in body:
        if isinstance(node, Function):
            functions.setdefault(node.name, []).append(node)
            rest += [*node.decorator_list, node.args]
        else:
            rest.append(node)
    return functions, rest


def _reached(roots: set[str], functions: dict[str, list[Function]]) -> list[str]:
    """The functions that the roots mention, directly or indirectly, in the order of the file."""
    reached, waiting = set(), list(roots)
    while waiting:
        current = waiting.pop()
        if current in functions and current not in reached:
            reached.add(current)
            waiting += [n for node in functions[current] for n in _mentioned(node)]
    return [name for name in functions if name in reached]


def _mentioned(node: ast.AST) -> set[str]:
    """Every name, attribute and string in it: at least everything that it calls."""
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            names.add(part.id)
        elif isinstance(part, ast.Attribute):
            names.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            names.add(part.value)
    return names


def is_stub(node: Function) -> bool:
    """Whether a function has nothing but a docstring and `raise NotImplementedError`."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if len(body) != 1 or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return False
    raised = body[0].exc
    raised = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _text(source: str, node: Function) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])


def digest(text: str) -> str:
    """A short digest of a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]

"""What a file of answers says about one function, without running it."""

import ast
import hashlib
from collections.abc import Iterable

DYNAMIC = {"globals", "getattr", "eval", "exec", "import_module", "__import__", "vars", "modules"}
"""Names by which a function may reach code that it does not mention."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def function_digests(source: str, names: Iterable[str]) -> dict[str, str]:
    """For each function, a digest of all in the file that can change what it does.

    That is its own code, the functions of the file that it mentions, those that they mention, and
    everything else at the top level. Comments and line breaks do not count. For a file that is no
    Python, or that looks up names while it runs, it is the digest of the whole file.
    """
    functions, rest = _parts(source)
    if functions is None or _mentioned(ast.parse(source)) & DYNAMIC:
        return {name: digest(source) for name in names}
    code = {name: "\n".join(map(ast.dump, nodes)) for name, nodes in functions.items()}
    loaded = "\n".join(map(ast.dump, rest))
    roots = {name for node in rest for name in _mentioned(node)}
    return {
        name: digest("\n".join([loaded, *(code[n] for n in _reached({name, *roots}, functions))]))
        for name in names
    }


def is_untouched(source: str, name: str) -> bool:
    """Whether the function is still a stub: nothing but `raise NotImplementedError`."""
    functions, _ = _parts(source)
    found = (functions or {}).get(name, [])
    return len(found) == 1 and _is_stub(found[0])


def with_helpers(source: str, name: str) -> str | None:
    """The text of a function, after the private functions of the file that it uses. None if absent.

    Comments inside stay. Public functions that it uses have a text of their own.
    """
    functions, _ = _parts(source)
    if not functions or name not in functions:
        return None
    used = [n for n in _reached({name}, functions) if n.startswith("_")]
    nodes = [node for n in (*used, name) for node in functions[n]]
    return "\n\n\n".join(_text(source, node) for node in nodes)


def _parts(source: str) -> tuple[dict[str, list[Function]] | None, list[ast.AST]]:
    """The top-level functions by name, and whatever else runs on loading. (None, []) if no Python.

    Decorators and defaults of functions run on loading.
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
    """The functions that the roots mention, those that these mention, and so on, in order."""
    reached, waiting = set(), list(roots)
    while waiting:
        current = waiting.pop()
        if current in functions and current not in reached:
            reached.add(current)
            waiting += [n for node in functions[current] for n in _mentioned(node)]
    return [name for name in functions if name in reached]


def _mentioned(node: ast.AST) -> set[str]:
    """Every name, attribute and text in it: more than it calls, and never less."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.add(part.value)
    return found


def _is_stub(node: Function) -> bool:
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

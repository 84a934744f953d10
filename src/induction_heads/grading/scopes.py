"""Which statements of a file a function needs. Nothing is run.

A notebook trains models and draws figures between the answers. A function that is an answer needs
the statements that set the global names that it uses, the statements that these need, and so on.
A parameter or a local variable is not such a name, even if a cell sets a variable called the same.
"""

import ast
import builtins
import symtable
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
PACKAGE_NAME = "induction_heads"
_Scope = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Names:
    """The global names of one top-level statement.

    `binds` are set by it, and `changes` hold objects that it may change. `now` are read while it
    runs, `later` also when a function that it defines is called. `calls` are the pairs of a called
    function and a name passed to it, for calls whose value is not used.
    """

    binds: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    calls: set[tuple[str, str]] = field(default_factory=set)


def names_of(node: ast.stmt) -> Names:
    """The global names of a top-level statement. Raises SyntaxError for one that cannot run."""
    reader = _Reader()
    reader.block([node], set())
    return reader.names


def is_import(node: ast.stmt) -> bool:
    """Whether the statement is an import."""
    return isinstance(node, (ast.Import, ast.ImportFrom))


def imports_package(node: ast.stmt) -> bool:
    """Whether the statement imports names from the package of the course."""
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE_NAME


def bound_name(alias: ast.alias) -> str:
    """The name that a part of an import sets."""
    return alias.asname or alias.name.split(".")[0]


def one_by_one(node: ast.stmt) -> Iterator[ast.stmt]:
    """An import of several names as one import for each; any other statement as it is."""
    if isinstance(node, ast.Import) and len(node.names) > 1:
        for alias in node.names:
            yield ast.copy_location(ast.Import([alias]), node)
    elif isinstance(node, ast.ImportFrom) and len(node.names) > 1:
        for alias in node.names:
            yield ast.copy_location(ast.ImportFrom(node.module, [alias], node.level), node)
    else:
        yield node


def own_names(nodes: Iterable[ast.stmt]) -> set[str]:
    """The names that a file sets itself at the top level, by a definition or an assignment."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, DEFINITIONS):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def needed(nodes: Sequence[ast.stmt], names: Sequence[Names], roots: Iterable[str]) -> set[int]:
    """The indices of the statements that must run before the functions `roots` can be called.

    `names` are the names of each statement. A star import is always needed: nobody knows what it
    sets. A bare call of something imported, such as `torch.manual_seed(0)`, is needed if everything
    that it uses is needed anyway.
    """
    imported = {bound_name(a) for n in nodes if is_import(n) for a in getattr(n, "names", ())}
    defined = {n.name for n in nodes if isinstance(n, DEFINITIONS)}
    positions = defaultdict(list)
    for index, each in enumerate(names):
        changed = each.changes - imported - (defined - each.binds)
        changed |= {name for function, name in each.calls if function in defined} - defined
        for name in each.binds | changed:
            positions[name].append(index)
    taken = {index for index, node in enumerate(nodes) if is_star(node)}
    end, done = len(nodes), defaultdict(int)
    waiting = [(name, end) for name in roots]
    waiting += [(name, index) for index in taken for name in names[index].now]
    while waiting:
        name, before = waiting.pop()
        here = positions[name]
        while done[name] < len(here) and here[done[name]] < before:
            index = here[done[name]]
            done[name] += 1
            if index not in taken:
                taken.add(index)
                waiting += [(n, index) for n in names[index].now]
                waiting += [(n, end) for n in names[index].later]
    used = {n for index in taken for n in names[index].binds | names[index].now}
    used |= set(dir(builtins))
    settings = {
        index
        for index, (node, each) in enumerate(zip(nodes, names, strict=True))
        if isinstance(node, ast.Expr) and each.changes & imported and each.now <= used
    }
    return taken | settings


def is_star(node: ast.stmt) -> bool:
    """Whether the statement imports whatever names a module has."""
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


class _Reader:
    """Reads statements in the order in which they run. `known` are the names they have set."""

    def __init__(self) -> None:
        self.names = Names()

    def block(self, nodes: Iterable[ast.stmt], known: set[str]) -> None:
        for node in nodes:
            self._statement(node, known)

    def _statement(self, node: ast.stmt, known: set[str]) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._definition(node, known)
            case ast.Import() | ast.ImportFrom():
                self._bind({bound_name(a) for a in node.names if a.name != "*"}, known)
            case ast.Assign():
                self._load(node.value, known)
                self._store(node.targets, known)
            case ast.AnnAssign():
                self._load(node.value, known)
                self._load(node.annotation, known)
                if node.value is not None:
                    self._store([node.target], known)
            case ast.AugAssign():
                self._load(node.value, known)
                if isinstance(node.target, ast.Name):
                    self._read({node.target.id}, known)
                self._store([node.target], known)
            case ast.Expr():
                self._load(node.value, known)
                self._call(node.value, known)
            case ast.For() | ast.AsyncFor():
                self._load(node.iter, known)
                inside = set(known)
                self._store([node.target], inside)
                self.block(node.body, inside)
                self.block(node.orelse, set(known))
            case ast.While() | ast.If():
                self._load(node.test, known)
                self.block(node.body, set(known))
                self.block(node.orelse, set(known))
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._load(item.context_expr, known)
                    self._store([item.optional_vars], known)
                self.block(node.body, known)
            case _:
                self._other(node, known)

    def _other(self, node: ast.AST, known: set[str]) -> None:
        """A statement of another kind: its expressions, then the statements in it."""
        if isinstance(name := getattr(node, "name", None), str):  # `except … as name`, `case name`
            self._bind({name}, known)
        if isinstance(node, ast.Delete):
            self._store(node.targets, known)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, set(known))
            elif isinstance(child, ast.expr):
                self._load(child, known)
            else:
                self._other(child, set(known))

    def _definition(self, node: ast.stmt, known: set[str]) -> None:
        assert isinstance(node, DEFINITIONS)
        outside = [*node.decorator_list]
        if isinstance(node, ast.ClassDef):
            outside += [*node.bases, *(keyword.value for keyword in node.keywords)]
        else:
            arguments = [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]
            outside += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            outside += filter(None, [*(each.annotation for each in arguments), node.returns])
        for each in outside:
            self._load(each, known)
        table = symtable.symtable(ast.unparse(node), "cell", "exec")
        self.names.later |= _global_names(table)
        self._bind({node.name}, known)

    def _bind(self, names: set[str], known: set[str]) -> None:
        self.names.binds |= names
        known |= names

    def _read(self, names: set[str], known: set[str]) -> None:
        self.names.now |= names - known

    def _store(self, targets: Iterable[ast.expr | None], known: set[str]) -> None:
        for target in targets:
            match target:
                case None:
                    pass
                case ast.Name():
                    self._bind({target.id}, known)
                case ast.Tuple() | ast.List():
                    self._store(target.elts, known)
                case ast.Starred():
                    self._store([target.value], known)
                case _:
                    self._load(target, known)
                    self.names.changes |= _base(target)

    def _load(self, node: ast.AST | None, known: set[str]) -> None:
        """The names that an expression reads. Names that it sets itself (`:=`) are set."""
        waiting = [] if node is None else [node]
        while waiting:
            each = waiting.pop()
            if isinstance(each, ast.Name):
                self._read({each.id}, known)
            elif isinstance(each, ast.NamedExpr):
                self._store([each.target], known)
                waiting.append(each.value)
            elif isinstance(each, _Scope):
                self.names.later |= _free(each) - known
            else:
                waiting += ast.iter_child_nodes(each)

    def _call(self, node: ast.expr, known: set[str]) -> None:
        """A call whose value is not used is made for its effect: on its object or arguments."""
        if not isinstance(node, ast.Call):
            return
        if isinstance(node.func, ast.Attribute):
            self.names.changes |= _base(node.func)
        elif isinstance(node.func, ast.Name):
            arguments = {a.id for a in node.args if isinstance(a, ast.Name)} - known
            self.names.calls |= {(node.func.id, name) for name in arguments}


def _base(node: ast.AST) -> set[str]:
    """The variable at the start of `name.part[index].part`."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _free(node: _Scope) -> set[str]:
    """The names in a lambda or comprehension, except those that only it sets."""
    parts = list(ast.walk(node))
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    own = {part.arg for part in parts if isinstance(part, ast.arg)}
    own |= {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
    first = [] if isinstance(node, ast.Lambda) else ast.walk(node.generators[0].iter)
    return (names - own) | {part.id for part in first if isinstance(part, ast.Name)}


def _global_names(table: symtable.SymbolTable) -> set[str]:
    """The global names that the functions and classes in a table use."""
    names: set[str] = set()
    waiting = list(table.get_children())
    while waiting:
        child = waiting.pop()
        in_class = child.get_type() == "class"
        names |= {
            symbol.get_name()
            for symbol in child.get_symbols()
            if symbol.is_global() or (in_class and symbol.is_referenced())
        }
        waiting += child.get_children()
    return names

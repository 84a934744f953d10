"""The explorer's modules as one script, for pages that are opened from disk.

Browsers do not let a page opened from disk import modules. So the modules are concatenated, each
after its imports, inside one function, `explorerBody`. The text of that function can start a Web
Worker, whether the script is inline, in a file or in a module.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\.{1,2}/(?:page/)?(\w+)\.js";\n', flags=re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", flags=re.M)
_TOP_LEVEL = re.compile(r"^(?:export )?(?:async )?(?:function|const|class) (\w+)", flags=re.M)


def module_names(*entries: str, folder: Path = FOLDER) -> list[str]:
    """The entry modules and everything they import, each module after its imports.

    Modules are in `folder` and in its folder `page`. Without entries, all modules are included.
    Raises ValueError for a name without a module.
    """
    modules = _modules(folder)
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        if name not in modules:
            raise ValueError(f"There is no module {name}.js. Modules: {', '.join(modules)}.")
        for _, needed in _IMPORT.findall(modules[name].read_text()):
            visit(needed)
        order.append(name)

    for entry in entries or modules:
        visit(entry)
    return order


def explorer_script(*entries: str, name: str = "explorer", folder: Path = FOLDER) -> str:
    """One classic script that sets the global `name` to an object of all exported functions.

    `entries` are module names without ".js"; without entries, all modules are included. Raises
    ValueError if two modules define the same top-level name.
    """
    parts: list[str] = []
    exported: list[str] = []
    homes: dict[str, str] = {}
    modules = _modules(folder)
    for module in module_names(*entries, folder=folder):
        source = modules[module].read_text()
        for defined in _TOP_LEVEL.findall(source):
            if homes.setdefault(defined, module) != module:
                raise ValueError(
                    f"{homes[defined]}.js and {module}.js both define {defined}. Rename one."
                )
        exported += _EXPORT.findall(source)
        parts.append(_EXPORT.sub("", _IMPORT.sub("", source)))
    body = "\n".join(parts)
    return (
        f'globalThis.{name} = (function explorerBody() {{\n"use strict";\n{body}\n'
        f"return {{ {', '.join(sorted(exported))} }};\n}})();\n"
    )


def _modules(folder: Path) -> dict[str, Path]:
    """Name → file of every module, those in `page` last.

    Raises ValueError if two files have the same name.
    """
    files = [*sorted(folder.glob("*.js")), *sorted(folder.glob("page/*.js"))]
    modules = {path.stem: path for path in files}
    if len(modules) < len(files):
        raise ValueError(f"Two modules in {folder} have the same name. Rename one.")
    return modules

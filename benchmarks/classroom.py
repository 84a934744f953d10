"""A simulated class: complete, half-finished, mistaken, empty and hostile submissions.

`python -m benchmarks.classroom FOLDER --size 100 --chapters ch01,ch02` writes one.
"""

import argparse
import ast
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SWAPS = (
    (".tril(", ".triu("),
    ("dim=-1", "dim=-2"),
    (" - 1", ""),
    (" + 1", ""),
    ("**0.5", ""),
    (".mean(", ".sum("),
    (" / ", " * "),
    (">=", ">"),
    ("[..., 1:]", "[..., :-1]"),
)
"""What a mistaken student may have written instead."""

HOSTILE = {
    "exits": "import sys\nsys.exit(0)\n",
    "dies": "import os\nos._exit(0)\n",
    "prints": "print('x' * 20_000_000)\n",
    "lies": "class Yes:\n    def __eq__(self, other):\n        return True\n{stubs}",
    "broken": "def causal_mask(n_pos) return True\n",
    "nulls": "x = 1\0\n",
}
"""Sources that try to end, flood or deceive the check; each fails quickly."""

KINDS = (
    "solved",
    "solved",
    "partly",
    "partly",
    "mistaken",
    "mistaken",
    "mistaken",
    "stub",
    "empty",
    "hostile",
)


def make_class(folder: Path, size: int, stems: Sequence[str], seed: int = 0) -> dict[str, str]:
    """Write `size` students to `folder` and return the kind of each.

    The same arguments give the same class. Some hand in a folder, some a zip, some a notebook.
    """
    kinds = {}
    for index in range(size):
        chance = random.Random(f"{seed} {index}")
        name, kind = f"student-{index:03d}", KINDS[index % len(KINDS)]
        files = {} if kind == "empty" else {s: _source(s, kind, chance) for s in stems}
        _hand_in(folder, name, files, kind, chance)
        kinds[name] = kind
    return kinds


def _source(stem: str, kind: str, chance: random.Random) -> str:
    solution = (ROOT / "solutions" / f"{stem}.py").read_text(encoding="utf-8")
    stub = (ROOT / "exercises" / f"{stem}.py").read_text(encoding="utf-8")
    if kind == "solved":
        return solution
    if kind == "partly":
        return _partly(solution, stub, chance)
    if kind == "mistaken":
        fitting = [swap for swap in SWAPS if swap[0] in solution]
        for old, new in chance.sample(fitting, min(3, len(fitting))):
            solution = solution.replace(old, new)
        return solution
    if kind == "hostile":
        return HOSTILE[chance.choice(sorted(HOSTILE))].replace("{stubs}", _lies(stub))
    return stub


def _partly(solution: str, stub: str, chance: random.Random) -> str:
    """The solution with some functions replaced by those of the stub."""
    names = [node.name for node in _functions(stub)]
    undone = set(chance.sample(names, len(names) // 2))
    added = [ast.unparse(node) for node in _functions(stub) if node.name in undone]
    return "\n\n".join([solution, *added]) + "\n"


def _lies(stub: str) -> str:
    return "".join(f"def {n.name}(*a, **k):\n    return Yes()\n" for n in _functions(stub))


def _functions(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def _hand_in(
    folder: Path, name: str, files: dict[str, str], kind: str, chance: random.Random
) -> None:
    form = "folder" if kind in ("empty", "hostile") else chance.choice(["folder", "zip", "folder"])
    if kind == "solved" and len(files) == 1 and chance.random() < 0.5:
        form = "notebook"
    folder.mkdir(parents=True, exist_ok=True)
    if form == "zip":
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for stem, source in files.items():
                file.writestr(f"exercises/{stem}.py", source)
    elif form == "notebook":
        cells = [{"cell_type": "code", "source": source} for source in files.values()]
        (folder / f"{name}.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    else:
        (folder / name).mkdir()
        for stem, source in files.items():
            (folder / name / f"{stem}.py").write_text(source, encoding="utf-8")


def main() -> None:
    """Write a simulated class."""
    from induction_heads.course.registry import select

    parser = argparse.ArgumentParser(prog="python -m benchmarks.classroom", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--chapters", default="ch01")
    options = parser.parse_args()
    stems = [select(part)[0].stem for part in options.chapters.split(",")]
    print(json.dumps(make_class(options.folder, options.size, stems), indent=1))


if __name__ == "__main__":
    main()

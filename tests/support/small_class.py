"""A small class in chapter 1, graded by the real command."""

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

from induction_heads.grading.sandbox import isolation

ISOLATION = [] if isolation().complete else ["--without-isolation"]
ROOT = Path(__file__).resolve().parents[2]
STEM = "ch01_attention"
FILE = f"{STEM}.py"
SOLUTION = (ROOT / "solutions" / FILE).read_text()
STUB = (ROOT / "exercises" / FILE).read_text()
TRANSPOSED = SOLUTION.replace(".tril()", ".triu()")
BROKEN = "def causal_mask(n_pos) return 1\n"

ONLY_THE_MASK = "import torch\ndef causal_mask(n): return torch.ones(n, n).tril().bool()\n"


def make_class(folder: Path, **sources: str) -> Path:
    """Write one folder for each student, with the source of chapter 1."""
    for name, source in sources.items():
        (folder / name).mkdir(parents=True)
        (folder / name / FILE).write_text(source)
    return folder


def make_mixed_class(folder: Path) -> Path:
    """Eight students: folders, a zip and a notebook; right, wrong, broken, missing."""
    make_class(folder, ada=SOLUTION, bob=STUB, carl=TRANSPOSED, dora=BROKEN, emil=ONLY_THE_MASK)
    with zipfile.ZipFile(folder / "fay.zip", "w") as file:
        file.writestr(f"homework/{FILE}", SOLUTION)
    cells = [{"cell_type": "code", "source": part} for part in (SOLUTION, "%time\ncheck(x)")]
    (folder / "gus.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    (folder / "hal").mkdir()
    return folder


def environment() -> dict[str, str]:
    """An environment in which the command finds this package."""
    return os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def start(*arguments: object, chapters: str = "ch01") -> subprocess.Popen:
    """Start `induction-heads grade …` as a new process."""
    command = [sys.executable, "-m", "induction_heads.cli.main", "grade", *map(str, arguments)]
    return subprocess.Popen(
        [*command, "--chapters", chapters, *ISOLATION],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def grade(*arguments: object) -> subprocess.CompletedProcess:
    """Run `induction-heads grade …` and wait for it."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def outputs(folder: Path) -> dict[str, bytes]:
    """The files that grading wrote, except for locks and the journal."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lock" not in str(path) and path.name != "journal.jsonl"
    }


def journal(folder: Path) -> list[dict]:
    """The events of the journal, without truncated lines."""
    path, events = folder / "journal.jsonl", []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def graded(folder: Path) -> Counter:
    """How often each student was graded completely."""
    return Counter(event["student"] for event in journal(folder) if event["event"] == "graded")

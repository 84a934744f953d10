"""The folder of a sweep: its settings and a journal, one checksummed line for each finished model.

The journal is append-only. A truncated line, or one whose checksum does not match, is ignored and
its model runs again.
"""

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from induction_heads.files import RunFolder, append_line, canonical, digest
from induction_heads.interp.formation import ModelRecord
from induction_heads.training.spec import SweptModel
from induction_heads.versions import package_version, versions

SOURCES = (
    "data/python_text",
    "data/tokens",
    "data/toy_rows",
    "interp/ablation",
    "interp/activations",
    "interp/forward_steps",
    "interp/losses",
    "interp/natural_repeats",
    "interp/scores",
    "models/attention",
    "models/attention_only",
    "models/rotary_positions",
    "models/small_hugging_face",
    "models/smeared_keys",
    "sweeps/toy_record",
    "sweeps/toy_models",
    "training/initial_weights",
    "training/measurement",
    "training/recipes",
    "training/records",
    "training/run",
    "training/text_models",
    "training/text_record",
)
"""The modules that the numbers of a sweep depend on."""

SAME_NUMBERS = frozenset(
    {
        "15db5be71d4d91e84ae9342ce01e06f1749f71a05fa1449ee69cab5b346a6fb9",  # 0.1.0
        # Before the held-out text came with the package.
        "5b6150c6ab7510362c262b199ac35fe2152c08ea91fd9267c00a095ec04cdb59",
    }
)
"""Digests of earlier sources that give the same numbers: sweeps begun with them can be resumed.

A digest stays here as long as the fixed samples of the stored sweeps give the stored results.
"""


@dataclass(frozen=True)
class SweepSettings:
    """What the numbers of a sweep depend on. A sweep is resumed only with equal settings."""

    family: str
    sample: float
    models: str
    source: str
    torch: str
    python: str
    version: str


NAMES = {
    "family": "the family",
    "sample": "the sample",
    "models": "the models of the family",
    "source": "the code that trains and measures",
    "torch": "the version of PyTorch",
    "python": "the version of Python",
    "version": "the version of the package",
}
"""Setting → its name in messages."""

_OF_THE_CODE = ("source", "version")


def models_digest(models: Sequence[Any]) -> str:
    """A digest of all fields of the descriptions of the models."""
    return digest([asdict(model) for model in models])


def settings_of(family: str, share: float, models: Sequence[SweptModel]) -> SweepSettings:
    """The settings of a sweep over `models`, with the running code, Python and PyTorch."""
    return SweepSettings(
        family,
        share,
        models_digest(models),
        _source_digest(),
        versions()["torch"],
        versions()["python"],
        package_version(),
    )


def _source_digest() -> str:
    """A digest of the statements of all `SOURCES`."""
    sha256 = hashlib.sha256()
    for name in SOURCES:
        source = (Path(__file__).parents[1] / f"{name}.py").read_text(encoding="utf-8")
        sha256.update(f"{name}\0{statements(source)}\0".encode())
    return sha256.hexdigest()


def statements(source: str) -> str:
    """The statements of a module in one layout, without imports, comments and docstrings."""

    class Bare(ast.NodeTransformer):
        def visit_Import(self, node: ast.Import) -> None:
            return None

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            return None

        def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
            return None if isinstance(node.value, ast.Constant) else node

    return ast.unparse(Bare().visit(ast.parse(source)))


class SweepFolder(RunFolder[SweepSettings]):
    """The folder of a sweep. Its journal has a line for each finished model."""

    command, contents = "sweep", "a sweep"

    def read_settings(self, values: dict[str, Any]) -> SweepSettings:
        """The settings from their JSON."""
        return SweepSettings(**values)

    def differences(self, stored: SweepSettings, settings: SweepSettings) -> list[str]:
        """The names of the settings that differ, unless the numbers are the same anyway.

        Sources that give the same numbers count as equal, and then so do versions of the package.
        """
        same_numbers = stored.source in {settings.source, *SAME_NUMBERS}
        counted = {name: words for name, words in NAMES.items() if name not in _OF_THE_CODE}
        return [
            words
            for name, words in (counted if same_numbers else NAMES).items()
            if getattr(stored, name) != getattr(settings, name)
        ]

    def add(self, record: ModelRecord) -> None:
        """Add the record of a finished model. It is on the disk when this returns."""
        line = canonical({"checksum": digest(record), "record": record})
        append_line(self.journal, line, sync=True)

    def records(self) -> dict[str, ModelRecord]:
        """Model → record, from all intact lines. The first of several lines counts."""
        records: dict[str, ModelRecord] = {}
        text = self.journal.read_text("utf-8", "replace") if self.journal.exists() else ""
        for line in text.splitlines():
            record = _intact_record(line)
            if record is not None:
                records.setdefault(record["model"], record)
        return records


def _intact_record(line: str) -> ModelRecord | None:
    """The record in a line of the journal, or None if the line is damaged."""
    try:
        entry = json.loads(line)
        record = entry["record"]
        return record if digest(record) == entry["checksum"] and record["model"] else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None

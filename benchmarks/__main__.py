"""`python -m benchmarks`: one table of ratios, and the same as JSON."""

import argparse
import json
import platform
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import (
    ablation,
    analysis,
    circuit_products,
    composition,
    feedback,
    grading,
    head_scores,
    sweep,
    training_step,
)
from benchmarks.ratios import Ratio

SUITES = {
    "analysis": analysis.ratios,
    "ablation": ablation.ratios,
    "head_scores": head_scores.ratios,
    "circuit_products": circuit_products.ratios,
    "composition": composition.ratios,
    "sweep": sweep.ratios,
    "training_step": training_step.ratios,
    "grading": grading.ratios,
    "feedback": feedback.ratios,
}


def table(ratios: list[Ratio]) -> Table:
    """The ratios as a table for the terminal."""
    shown = Table(title=f"Ours / the peer (time unless noted), one thread, {platform.machine()}")
    for column in ("work", "peer", "ratio", "rounds", "bound", "demand", ""):
        shown.add_column(column)
    for row in ratios:
        bound = "–" if row.bound is None else f"{row.bound:.2f}"
        demand = "–" if row.demand is None else f"≤ {row.demand:.2f}"
        spread = f"{row.lowest:.3f} … {row.highest:.3f}"
        shown.add_row(row.work, row.peer, f"{row.ratio:.3f}", spread, bound, demand, row.verdict)
    return shown


def main() -> None:
    """Run the suites and print their ratios. The exit status does not depend on them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--quick", action="store_true", help="one round, only to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the ratios here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    rounds = 1 if options.quick else options.rounds
    ratios = [ratio for suite in SUITES.values() for ratio in suite(rounds)]
    Console(width=140).print(table(ratios))
    if options.json:
        versions = {"torch": torch.__version__, "python": platform.python_version()}
        record = {"versions": versions, "rounds": rounds, "ratios": [r.as_dict() for r in ratios]}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

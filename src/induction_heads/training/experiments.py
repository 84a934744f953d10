"""Small experiments with stored results: named runs, each with a seed, and the file they ship in.

A chapter reads what `stored_experiment` returns. `induction-heads experiment NAME` makes such a
file again and compares the two.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from induction_heads.files import write_atomically
from induction_heads.training import (
    chain_runs,
    clamp_runs,
    few_shot_model,
    in_weights_runs,
    lag_runs,
    minimal_task,
    ngram_text_runs,
    position_runs,
    relation_runs,
    suppressor_runs,
)
from induction_heads.versions import versions

RESULTS = Path(__file__).parents[1] / "results" / "experiments"


class NotResults(ValueError):
    """A file that does not hold the results of this experiment. The message says what it holds."""


@dataclass(frozen=True)
class Experiment:
    """Runs by name, and the function that makes the result of one, ready for JSON.

    `number` takes a result and returns the number by which two results are compared, or None.
    """

    words: str
    runs: tuple[str, ...]
    result: Callable[[str], Any]
    number: Callable[[Any], float | None]


EXPERIMENTS: dict[str, Experiment] = {
    "chains": Experiment(
        "rows from Markov chains, models of one and two layers",
        tuple(chain_runs.RUNS),
        chain_runs.chain_result,
        lambda result: result["snapshots"][-1]["loss"],
    ),
    "clamps": Experiment(
        "training with parts of the circuit clamped",
        tuple(clamp_runs.RUNS),
        clamp_runs.clamped_result,
        lambda result: mean(result["losses"][-20:]),
    ),
    "hapax": Experiment(
        "tasks-4l without the loss on what an induction head would predict, or on random tokens",
        tuple(few_shot_model.UNCOUNTED_RUNS),
        few_shot_model.uncounted_result,
        lambda result: result["snapshots"][-1]["accuracy"],
    ),
    "in-weights": Experiment(
        "rows of exemplars and labels, learned in context or in weights",
        tuple(in_weights_runs.RUNS),
        in_weights_runs.in_weights_result,
        lambda result: result["snapshots"][-1]["context"],
    ),
    "lags": Experiment(
        "rows whose lag must be inferred, two or three lags, one to three layers",
        tuple(lag_runs.RUNS),
        lag_runs.lag_result,
        lambda result: result["loss"],
    ),
    "minimal-task": Experiment(
        "an induction circuit of three numbers, by context length and optimizer",
        tuple(minimal_task.RUNS),
        minimal_task.minimal_result,
        lambda result: result["formed"],
    ),
    "ngram-text": Experiment(
        "text, with one head of the last layer fixed to an n-gram pattern or learned",
        tuple(ngram_text_runs.RUNS),
        ngram_text_runs.ngram_text_result,
        lambda result: result["snapshots"][-1]["loss"]["all"],
    ),
    "positions": Experiment(
        "positions that start sinusoidal or random, at two scales",
        tuple(position_runs.RUNS),
        position_runs.position_result,
        lambda result: mean(result["losses"][-20:]),
    ),
    "relations": Experiment(
        "rows of facts, of copies, and of both",
        tuple(relation_runs.RUNS),
        relation_runs.relation_result,
        relation_runs.mean_loss,
    ),
    "suppressors": Experiment(
        "a layer that is trained behind a copying head, where copies are right or wrong",
        tuple(suppressor_runs.RUNS),
        suppressor_runs.suppressor_result,
        lambda result: result["loss"],
    ),
}
"""Name → experiment."""


def stored_experiment(name: str) -> dict[str, Any]:
    """The stored file of an experiment: `runs`, by name, and how they were made.

    Raises KeyError for an unknown name.
    """
    if name not in EXPERIMENTS:
        raise KeyError(f"No experiment is called {name!r}. Experiments: {', '.join(EXPERIMENTS)}.")
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def of_seeds(name: str, group: str) -> list[Any]:
    """The results of all seeds of a group of runs, in the order of the seeds.

    Raises KeyError for an unknown experiment, or a group without runs.

    >>> runs = of_seeds("positions", "sinusoidal-0.07")
    >>> len(runs)
    3
    >>> runs[0]["losses"][:2]
    [4.165, 4.16]
    """
    runs = stored_experiment(name)["runs"]
    results = [result for run, result in runs.items() if _group(run) == group]
    if not results:
        groups = dict.fromkeys(map(_group, runs))
        raise KeyError(f"{name} has no runs called {group!r}. It has {', '.join(groups)}.")
    return results


def run_experiment(
    name: str,
    *,
    only: Sequence[str] = (),
    out: Path | None = None,
    done: Callable[[str], None] = lambda run: None,
) -> dict[str, Any]:
    """Make the runs of an experiment, or those named in `only`, and return the record.

    With `out`, the record is written to this file after every run, and runs that the file already
    has are not made again. `done` is called with the name of each run that has ended. Raises
    NotResults for a file that holds something else, and leaves it as it is.
    """
    experiment = EXPERIMENTS[name]
    record = _earlier_record(name, out) if out and out.exists() else None
    record = record or {
        "name": name,
        "command": f"induction-heads experiment {name}",
        "cpu_seconds": 0.0,
        "versions": versions(),
        "runs": {},
    }
    for run in only or experiment.runs:
        if run in record["runs"]:
            continue
        started = time.process_time()
        record["runs"][run] = experiment.result(run)
        record["cpu_seconds"] = round(record["cpu_seconds"] + time.process_time() - started, 1)
        if out:
            write_atomically(out, _as_text(record))
        done(run)
    order = [run for run in experiment.runs if run in record["runs"]]
    record["runs"] = {run: record["runs"][run] for run in order}
    if out:
        write_atomically(out, _as_text(record))
    return record


def _earlier_record(name: str, path: Path) -> dict[str, Any]:
    """The record in a file. Raises NotResults if it is not one of this experiment."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("runs"), dict):
        raise NotResults(f"{path} does not hold results of an experiment. Name another file.")
    if record.get("name") != name:
        raise NotResults(
            f"{path} holds results of the experiment {record.get('name')}, not of {name}. Name "
            "another file."
        )
    return record


def differences_from_stored(record: dict[str, Any]) -> list[str]:
    """A sentence for each run of a record that differs from the stored one; empty if they match.

    A number may differ by the range over the stored seeds of its group and 2 % more: other versions
    of PyTorch round differently, and training makes small differences large.
    """
    name, sentences = record["name"], []
    number, stored = EXPERIMENTS[name].number, stored_experiment(name)["runs"]
    for run, result in record["runs"].items():
        here, there = number(result), number(stored[run])
        seeds = [number(each) for each in of_seeds(name, _group(run))]
        known = [value for value in seeds if value is not None]
        if here is None or there is None:
            same = here is there
        else:
            same = abs(here - there) <= max(known) - min(known) + 0.02 * abs(there)
        if not same:
            sentences.append(f"{run}: {_shown(here)}, stored {_shown(there)}.")
    return sentences


def _group(run: str) -> str:
    """The name of a run without its seed."""
    return run.rpartition("-s")[0]


def _shown(number: float | None) -> str:
    return "nothing" if number is None else f"{number:.4g}"


def _as_text(record: dict[str, Any]) -> str:
    """JSON with one run a line."""
    head = {key: value for key, value in record.items() if key != "runs"}
    runs = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(result, separators=(',', ':'))}"
        for name, result in record["runs"].items()
    )
    return f'{json.dumps(head)[:-1]}, "runs": {{\n{runs}\n}}}}\n'

"""Answers of `teach/reflection.md` whose numbers are in the stored records."""

import json
from itertools import pairwise

from claims.stored import (
    COUNT,
    Claim,
    _slopes,
    correlations,
    formed_by_group,
    formed_by_rows,
    losses_on_text,
    scores_and_need,
)
from induction_heads.interp.formation import best, formation_step
from induction_heads.models.loading import zoo_folder
from induction_heads.sweeps.stored_results import stored_sweep
from induction_heads.training.clamp_runs import CELLS
from induction_heads.training.clamp_runs import passes as passes_or_none
from induction_heads.training.experiments import of_seeds
from induction_heads.training.matching_models import most_by_rule, stored_runs
from induction_heads.training.position_runs import SCALES
from induction_heads.training.tasks_model import shipped_records

PAGE = "teach/reflection"


def passes(losses: list[float]) -> int:
    """The step at which these losses pass 3.5 nats, in runs of which all do."""
    step = passes_or_none(losses)
    assert step is not None
    return step


def groups_of_toys() -> Claim:
    """The kinds of which some seed formed no head, and those of which some did."""
    names = {
        ("1l-2h-64-tiled", "1l-2h-64-markov"): "One layer, on both kinds of rows",
        ("2l-2h-64-random",): "random tokens",
        ("2l-8h-64-tiled",): "eight heads of eight dimensions",
        ("2l-4h-128-tiled",): "width 128",
        ("2l-2h-64-noisy",): "and rows with noise",
    }
    short = {group for group, steps in formed_by_group().items() if None in steps}
    assert short == {group for groups in names for group in groups}
    some = {group for group in short if any(formed_by_group()[group])}
    assert some == {"2l-8h-64-tiled", "2l-4h-128-tiled", "2l-2h-64-noisy"}
    return PAGE, ["; ".join(names.values()) + ".", "In the last three, heads form in some"]


def levels_and_diet() -> Claim:
    """Both are asserted where the counter-evidence states them."""
    correlations()
    losses_on_text()
    return PAGE, [
        "Levels are below −0.7 in both groups",
        "With an eighth of the rows tiled or none, it falls from every snapshot to the next, in "
        "five of five runs",
    ]


def kinds_of_rows() -> Claim:
    formed = {kind: sum(step is not None for step in s) for kind, s in formed_by_rows().items()}
    whole = ("tiled", "one-copy", "zipf-05-tiled", "own-ring-8")
    assert all(formed[kind] == 3 for kind in whole)
    assert not any(formed[kind] for kind in ("fixed-10", "shared-ring-8", "bursty-8", "shuffled"))
    return PAGE, [
        "By step 400, in `tiled`, `one-copy`, `zipf-05-tiled` and `own-ring-8`, and in "
        f"{COUNT[formed['noisy']]} of {COUNT[len(formed_by_rows()['noisy'])]} seeds of `noisy`"
    ]


def more_tokens_a_row() -> Claim:
    steps: dict[str, list[int | None]] = {"context-64-rows": [], "context-64-tokens": []}
    for variant, record in stored_sweep("data"):
        if variant.data in steps:
            steps[variant.data].append(formation_step(record))
    found = sorted(step for step in steps["context-64-rows"] if step is not None)
    assert len(found) == 3
    assert set(steps["context-64-tokens"]) == {None}
    return PAGE, [
        f"The runs took {found[0]} to {found[-1]} steps with the same number of rows, and had "
        "formed no head with the same number of tokens per step"
    ]


def slopes_of_the_law() -> Claim:
    flow, filler = (sum(_slopes(way)) / 3 for way in ("flow", "flow-filler"))
    assert max(_slopes("adamw-4") + _slopes("adamw-256")) < 0.5
    return PAGE, [
        f"About {flow:.1f} by gradient flow, {filler:.1f} with filler, and below 0.5 with AdamW"
    ]


def given_parts() -> Claim:
    """The step at which the loss passes 3.5 nats, with parts of the circuit given."""
    crossed = {cell: [passes(r["losses"]) for r in of_seeds("clamps", cell)] for cell in CELLS}
    mean = {cell: sum(steps) / 3 for cell, steps in crossed.items()}
    for part in ("mark", "copying"):
        assert 1.8 < mean["free"] / mean[part] < 2.2
        assert 1.8 < mean[part] / mean["mark+copying"] < 2.2
    assert max(crossed["copying"]) < min(crossed["mark"])
    return PAGE, [
        f"The match: about {mean['match']:.0f} steps are left",
        f"They halve the time once more, to about {mean['mark+copying']:.0f} steps: the savings "
        "multiply.",
    ]


def order_of_recalls() -> Claim:
    order: dict[str, list[int]] = {"copying": [], "match": [], "mark": []}
    for run in of_seeds("clamps", "free"):
        for part, steps in order.items():
            below = max(r["step"] for r in run["recalls"] if r[part] < 0.5)
            steps.append(min(r["step"] for r in run["recalls"] if r["step"] > below))
    for copying, match, mark in zip(*order.values(), strict=True):
        assert copying < match < mark
    near = [round(sum(steps) / 3, -1) for steps in order.values()]
    return PAGE, [
        f"Copying, then the match, then the mark, in all {COUNT[len(order['mark'])]} seeds",
        f"In that order: near steps {near[0]:.0f}, {near[1]:.0f} and {near[2]:.0f}.",
    ]


def starts_of_positions() -> Claim:
    steps = {
        (structure, scale): [
            passes(r["losses"]) for r in of_seeds("positions", f"{structure}-{scale:.2f}")
        ]
        for structure in ("sinusoidal", "random")
        for scale in SCALES
    }
    large = steps.pop(("random", max(SCALES)))
    others = [step for found in steps.values() for step in found]
    late = sum(step > max(others) for step in large)
    return PAGE, [
        f"Large random positions are late in {COUNT[late]} of {COUNT[len(large)]} seeds; small "
        "random ones and sinusoidal ones are not."
    ]


def lowest_previous_token_scores() -> Claim:
    low: dict[str, int] = {}
    for variant, record in [*stored_sweep("replication"), *stored_sweep("data")]:
        step = formation_step(record)
        if variant.n_layers == 2 and not variant.smeared and step is not None:
            score = max(record["snapshots"][-1]["previous_token"][0])
            if score < 0.3:
                low[variant.name] = step
    assert min(low.values()) > 300
    return PAGE, [f"Below 0.3, in {COUNT[len(low)]} models that formed late."]


def tasks_beyond_copying() -> Claim:
    """In how many seeds one head follows the rule of its task."""
    ends = {
        task: [most_by_rule(run[-1])[0] for run in stored_runs(task)]
        for task in ("copies", "neighbors", "gaps", "translation", "concepts", "pairs", "lags")
    }
    follows = {task: sum(score > 0.65 for score in scores) for task, scores in ends.items()}
    assert follows == {
        "copies": 3,
        "neighbors": 3,
        "gaps": 3,
        "translation": 3,
        "concepts": 2,
        "pairs": 2,
        "lags": 0,
    }
    losses = {
        layers: [run[-1]["loss"] for run in stored_runs("lags", one_layer=layers == 1)]
        for layers in (1, 2)
    }
    gap = min(losses[1]) - max(losses[2]), max(losses[1]) - min(losses[2])
    assert {round(each, 1) for each in gap} == {0.1}
    return PAGE, [
        "In `copies`, `neighbors`, `gaps` and `translation`, in every seed; in `concepts` and "
        "`pairs`, in two of three seeds.",
        "One layer ends between the two, 0.1 nats higher",
    ]


def seeds_of_the_tasks() -> Claim:
    low = []
    for record in shipped_records():
        if max(best(snapshot["induction"]) for snapshot in record["snapshots"]) < 0.25:
            assert record["vectors"]["function vector"] > 0.85
            low.append(str(record["seed"]))
    return PAGE, [
        f"In seeds {' and '.join(low)} the induction score of every head stays low, "
        "and such a vector forms all the same."
    ]


def line_with_equal_errors() -> Claim:
    """Where as many heads pass without being needed as are needed without passing."""
    scores, needed = scores_and_need()
    above = scores >= 0.06
    wrongly = (above & ~needed).sum()
    missed = (~above & needed).sum()
    assert abs(wrongly - missed) <= 2
    return PAGE, ["With a threshold near 0.06, the two errors are about equal here"]


def loss_at_repeats_when_heads_form() -> Claim:
    """Around the snapshot with the first head, in the models of other architectures."""
    falls, others = [], []
    for name in ("gpt2-2l", "pythia-4l", "llama-4l"):
        snapshots = json.loads((zoo_folder(name) / "training.json").read_text())["snapshots"]
        before, after = next(
            pair for pair in pairwise(snapshots) if best(pair[1]["induction"]) >= 0.4
        )
        falls.append(before["natural_loss"] - after["natural_loss"])
        others.append(after["other_loss"] - before["other_loss"])
    assert all(-0.05 < rise < 0.3 for rise in others), others
    return PAGE, [
        f"It drops by {min(falls):.1f} to {max(falls):.1f} nats, while the other tokens stay the "
        "same or get slightly worse"
    ]


STORED_ANSWERS = (
    groups_of_toys,
    levels_and_diet,
    kinds_of_rows,
    more_tokens_a_row,
    slopes_of_the_law,
    given_parts,
    order_of_recalls,
    starts_of_positions,
    lowest_previous_token_scores,
    tasks_beyond_copying,
    seeds_of_the_tasks,
    line_with_equal_errors,
    loss_at_repeats_when_heads_form,
)

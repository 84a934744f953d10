"""Sentences of the book about stored results, with the numbers computed from the records.

Each function returns (page, sentences): the page must contain them word for word.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from functools import cache
from itertools import chain, combinations, pairwise
from typing import Any

import torch

from induction_heads.data.mapping_rows import N_TASKS
from induction_heads.interp.formation import (
    best,
    formation_step,
    induction_formation_correlates,
    log_slopes,
    phase_change_step,
)
from induction_heads.models.loading import zoo_folder
from induction_heads.sweeps.stored_results import stored_sweep
from induction_heads.training import few_shot_model
from induction_heads.training.experiments import of_seeds
from induction_heads.training.matching_models import most_by_rule, stored_runs
from induction_heads.training.minimal_task import SIZES, slope
from induction_heads.training.tasks_model import best_head, shipped_records

COUNT = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
LARGE = {16: "sixteen", 60: "sixty"}
Claim = tuple[str, list[str]]


@cache
def toys() -> list[tuple[Any, Any]]:
    return stored_sweep("replication")


@cache
def formed_by_group() -> dict[str, list[int | None]]:
    """Group of toys → the step of formation of each seed."""
    steps = defaultdict(list)
    for variant, record in toys():
        steps[variant.group].append(formation_step(record))
    return steps


@cache
def formed_by_rows() -> dict[str, list[int | None]]:
    """Kind of rows → the step of formation of each seed, by step 400 where it went on."""
    steps = defaultdict(list)
    for variant, record in stored_sweep("data"):
        step = formation_step(record)
        steps[variant.data].append(step if step is not None and step <= 400 else None)
    return steps


def n_formed(steps: list[int | None]) -> str:
    return f"{COUNT[sum(step is not None for step in steps)]} of {COUNT[len(steps)]}"


def correlations() -> Claim:
    groups: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for variant, record in toys():
        if variant.data != "random":
            found = induction_formation_correlates(record["snapshots"])
            groups[formation_step(record) is not None].append(found)
    levels = [next(iter(found.values())) for found in groups[True] + groups[False]]
    assert max(levels) < -0.7
    return "counter_evidence", [
        f"Levels correlate in all {len(levels)} toys, including {len(groups[False])} without any "
        "induction head."
    ]


def kinds_of_toys() -> Claim:
    steps = formed_by_group()
    narrow, wide, noisy = (
        n_formed(steps[group]) for group in ("2l-8h-64-tiled", "2l-4h-128-tiled", "2l-2h-64-noisy")
    )
    assert wide == noisy
    return "counter_evidence", [
        f"With eight narrow heads, an induction head forms in {narrow} seeds in the available "
        f"time; with a wider model, or with one token in ten replaced, in {wide} (",
    ]


def rows_without_a_head() -> Claim:
    for kind in ("fixed-10", "shared-ring-8", "bursty-8"):
        assert set(formed_by_rows()[kind]) == {None}, kind
    return "literature", [
        "Rows with bursts but without order produced none by step 400.",
        "rows whose successors can be memorized produced no head by step 400 (",
    ]


def fixed_distances() -> Claim:
    assert set(formed_by_rows()["fixed-10"]) == {None}
    return "counter_evidence", [
        "Repeats at a fixed distance, or with successors that all rows share, produced no head by "
        "step 400 ("
    ]


def sizes() -> Claim:
    config = json.loads((zoo_folder("python-2l") / "config.json").read_text())
    assert len(toys()) == 60
    return "literature", [
        f"the six arguments on {LARGE[len(toys())]} toys (",
        f"The {config['d_vocab']:,} tokens of `python-2l` (",
        f"Their method on two small models that were trained on {COUNT[N_TASKS]} mappings.",
    ]


def strongest_heads() -> Claim:
    never, before, without = 0, 0, 0
    records = shipped_records()
    for record in records:
        layer, head = best_head(record["snapshots"][-1]["effect"])
        never += max(s["induction"][layer][head] for s in record["snapshots"]) < 0.4
        best_now = [best_head(s["effect"]) for s in record["snapshots"]]
        before += any(
            s["induction"][a][b] >= 0.4
            for s, (a, b) in zip(record["snapshots"], best_now, strict=True)
        )
        without += max(best(s["induction"]) for s in record["snapshots"]) < 0.4
    assert (never, before, without) == (len(records), 1, 2)
    return "counter_evidence", [f"in {COUNT[never]} of {COUNT[len(records)]} seeds, although in"]


def formation_and_loss() -> Claim:
    early, slopes, gains = 0, {True: [], False: []}, []
    for _, record in toys():
        curve, step = [(s["step"], s["loss"]) for s in record["snapshots"]], formation_step(record)
        slopes[step is not None].append(min(slope for _, slope in log_slopes(curve)))
        if step is None:
            continue
        steps = [s for s, _ in curve]
        early += bisect_left(steps, phase_change_step(curve)) - steps.index(step) == 2
        last = record["snapshots"][-1]
        heads = zip(*(chain(*last[name]) for name in ("induction", "control_rise")), strict=True)
        gains.append(max(heads)[1] < 0)
    n = len(slopes[True])
    assert all(gains)
    steepest = f"{max(slopes[True]):.1f}".replace("-", "−")
    flattest = f"{min(slopes[False]):.1f}".replace("-", "−")
    return "teach/reflection", [
        f"In {COUNT[early]} of {n} models, the head is one snapshot early.",
        f"{steepest} nats per factor of e, or steeper, where a head formed; {flattest} or flatter "
        "where none did.",
        f"A gain in all {n}, though",
    ]


def square_of_the_context() -> Claim:
    steps = defaultdict(list)
    for variant, record in stored_sweep("data"):
        steps[variant.data].append(formation_step(record))
    middle = sorted(steps["tiled"])[1]
    with_rows = sorted(steps["context-64-rows"])
    return "teach/reflection", [
        f"Four times as many: step {4 * middle}. The runs took {with_rows[0]} to {with_rows[-1]} "
        "steps with the same number of rows"
    ]


@cache
def text_runs() -> dict[str, list[Any]]:
    """Recipe of a text model → the record of each seed."""
    runs = defaultdict(list)
    for variant, record in stored_sweep("text"):
        runs[variant.group].append(record)
    return runs


def around_formation(record: Any) -> tuple[Any, Any]:
    """The last snapshot with all heads below 0.1, and the second one with a head above 0.4."""
    snapshots = record["snapshots"]
    scores = [best(s["induction"]) for s in snapshots]
    first = next(i for i, score in enumerate(scores) if score >= 0.4)
    last = max(i for i, score in enumerate(scores[:first]) if score < 0.1)
    return snapshots[last], snapshots[first + 1]


def losses_on_text() -> Claim:
    runs, names = text_runs()["python-2l"], ("natural_loss", "other_loss")
    changes = [
        [after[name] - before[name] for name in names]
        for before, after in map(around_formation, runs)
    ]
    n_gain = sum(natural < -1 for natural, _ in changes)
    assert all(other > 0 for _, other in changes)
    fewer = text_runs()["plain"] + text_runs()["no-tiling"]
    falls = 0
    for record in fewer:
        others = [s["other_loss"] for s in record["snapshots"]]
        falls += all(a > b for a, b in pairwise(others))
    return "counter_evidence", [
        f"natural repeats gain more than a nat in {COUNT[n_gain]} of {COUNT[len(runs)]} seeds of "
        "`python-2l`, and *all other tokens get worse*.",
        f"in {COUNT[falls]} of {COUNT[len(fewer)]} runs with an eighth of the rows tiled, or none, "
        "the other tokens get better from each snapshot to the next",
    ]


def previous_token_heads_on_text() -> Claim:
    ends = [best(record["snapshots"][-1]["previous_token"]) for record in text_runs()["python-2l"]]
    weak = [score for score in ends if score < 0.5]
    return "counter_evidence", [
        f"on text, {COUNT[len(weak)]} of {COUNT[len(ends)]} seeds ends with a best score of "
        f"{weak[0]:.1f},"
    ]


def rotary_models_on_text() -> Claim:
    runs = text_runs()["rotary"]
    scores = [best(snapshot["induction"]) for record in runs for snapshot in record["snapshots"]]
    assert max(scores) < 0.05
    return "counter_evidence", [
        "With rotary positions, induction had not begun in two-layer models on text, in "
        f"{COUNT[len(runs)]} of {COUNT[len(runs)]} seeds ("
    ]


def tasks_without_induction() -> Claim:
    records = shipped_records()
    without = [r for r in records if max(best(s["induction"]) for s in r["snapshots"]) < 0.25]
    assert all(best(r["snapshots"][-1]["effect"]) > 0.1 for r in without)
    return "counter_evidence", [
        f"In {COUNT[len(without)]} of {COUNT[len(records)]} runs of a small model, heads that "
        "carry a task form while the induction score of every head stays low ("
    ]


def tasks_without_induction_in_the_map() -> Claim:
    (sentence,) = tasks_without_induction()[1]
    return "literature", [sentence[0].lower() + sentence[1:]]


def without_copies() -> Claim:
    """Without the loss on copies a model copies nothing and uses examples as well."""
    ends = [run["snapshots"][-1] for run in of_seeds("hapax", "without-copies")]
    assert few_shot_model.N_TASKS == N_TASKS
    plain = [record["snapshots"][-1]["accuracy"] for record in few_shot_model.shipped_records()]
    same = [end["copy_loss"] > 2.9 and end["accuracy"] > min(plain) - 0.01 for end in ends]
    return "counter_evidence", [
        "Trained with their loss, a small model copies nothing and uses examples as well as "
        f"before, in {COUNT[sum(same)]} of {COUNT[len(same)]} seeds ("
    ]


def without_copies_in_the_map() -> Claim:
    seeds = COUNT[len(of_seeds("hapax", "without-copies"))]
    return "literature", [
        f"Their loss on a small model of {COUNT[N_TASKS]} mappings, in {seeds} seeds ("
    ]


def four_layers() -> Claim:
    """No vector of a few heads in any seed, and no double dissociation of the two kinds."""
    records = few_shot_model.shipped_records()
    for record in records:
        few = [row for row in record["vectors"]["curve"] if row["heads"] <= 8]
        assert max(row["held_out"] for row in few) < 0.6
        (vector,) = record["dissociation"][3]["function vector"]
        (copies,) = record["dissociation"][3]["copying"]
        assert vector["accuracy"] > copies["accuracy"]
    return "literature", [
        f"In {COUNT[len(records)]} seeds of the one of four layers no such vector is found",
        f"Their ablation with exclusion, in {COUNT[len(records)]} seeds of a small model",
    ]


def scores_and_need() -> tuple[torch.Tensor, torch.Tensor]:
    """The score of every head of layer 1 of the stored text models, and whether text needs it."""
    scores, needed = [], []
    for _, record in stored_sweep("text"):
        last = record["snapshots"][-1]
        if len(last["induction"]) < 2:
            continue
        layer = (last[kind][1] for kind in ("induction", "natural_rise", "other_rise"))
        for score, at_repeats, elsewhere in zip(*layer, strict=True):
            scores.append(score)
            needed.append(at_repeats >= 0.3 and at_repeats > 2 * elsewhere)
    return torch.tensor(scores), torch.tensor(needed)


def heads_that_text_needs() -> Claim:
    scores, needed = scores_and_need()
    missed = (scores < 0.4) & needed
    return "teach/reflection", [f"It misses {missed.sum()} of {needed.sum()}."]


def tasks_of_chapter_10() -> Claim:
    end = shipped_records()[0]["snapshots"][-1]
    assert end["accuracy"] > 0.95
    rule = most_by_rule(stored_runs("concepts")[0][-1])[0]
    return "teach/reflection", [
        f"{end['no_example']:.2f} without an example, nearly 1 with seven.",
        f"The toy {rule:.2f}, ",
    ]


def chains() -> Claim:
    """The ruler nearest to the predictions of two layers is one after the other of the three."""
    runs = of_seeds("chains", "2-layers")
    rulers = ("uniform", "unigram", "bigram")
    in_order = 0
    for snapshots in (run["snapshots"] for run in runs):
        nearest = [min(rulers, key=lambda name: s[f"from_{name}"]) for s in snapshots]
        in_order += tuple(dict.fromkeys(nearest)) == rulers
    return "literature", [
        "The three phases on rows with a chain each, three states and one head a layer, in "
        f"{COUNT[in_order]} of {COUNT[len(runs)]} seeds,"
    ]


def clamps() -> Claim:
    parts = ("mark", "match", "copying")
    cells = ["free", *("+".join(given) for n in (1, 2, 3) for given in combinations(parts, n))]
    assert {len(of_seeds("clamps", cell)) for cell in cells} == {3}
    return "literature", [
        f"Mark, match and copying given in all {COUNT[len(cells)]} combinations while `toy-2l` "
        "trains ("
    ]


def _slopes(way: str) -> list[float]:
    """The slope of ln(time to form) against ln(pairs) for each seed."""
    times = [[run["formed"] for run in of_seeds("minimal-task", f"{way}-{n}")] for n in SIZES]
    return [slope(SIZES, each) for each in zip(*times, strict=True)]


def minimal_task_slopes() -> tuple[str, str, str]:
    """The lowest and the highest slope by gradient flow, and the bound for AdamW, in words."""
    flow = _slopes("flow") + _slopes("flow-filler")
    assert max(_slopes("adamw-4") + _slopes("adamw-256")) < 0.5
    return f"{min(flow):.1f}", f"{max(flow):.1f}", "0.5"


def minimal_task() -> Claim:
    lowest, highest, bound = minimal_task_slopes()
    return "counter_evidence", [
        f"On a minimal task the slope on doubly logarithmic axes is {lowest} to {highest} by "
        f"gradient flow at {SIZES[0]} to {SIZES[-1]} pairs, rising toward two, and below {bound} "
        "with AdamW ("
    ]


def minimal_task_in_the_map() -> Claim:
    lowest, highest, bound = minimal_task_slopes()
    return "literature", [
        f"The slope at {SIZES[0]} to {SIZES[-1]} pairs is {lowest} to {highest} and still rises; "
        f"with AdamW it is below {bound}."
    ]


CLAIMS = (
    chains,
    clamps,
    minimal_task,
    minimal_task_in_the_map,
    correlations,
    kinds_of_toys,
    rows_without_a_head,
    fixed_distances,
    sizes,
    strongest_heads,
    formation_and_loss,
    square_of_the_context,
    losses_on_text,
    previous_token_heads_on_text,
    rotary_models_on_text,
    tasks_without_induction,
    tasks_without_induction_in_the_map,
    without_copies,
    without_copies_in_the_map,
    four_layers,
    heads_that_text_needs,
    tasks_of_chapter_10,
)

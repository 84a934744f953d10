"""How a new training run differs from stored ones, as sentences; no sentence if it matches."""

from collections.abc import Sequence
from typing import Any

from induction_heads.interp.formation import ModelRecord, best, formation_step
from induction_heads.training.records import heads_in_words

MARGINS = {"induction": 0.1, "previous_token": 0.1, "second_copy_loss": 0.3, "loss": 0.1}
"""How far the last snapshot may lie outside the range of the stored seeds, for each measure."""


def differences_from_spread(record: dict[str, Any], shipped: dict[str, Any]) -> list[str]:
    """How the record of a recipe differs from the shipped one and its `spread` over seeds.

    The loss must lie within three standard deviations over the shipped seeds. With one of these
    seeds the heads of that seed must be found. With any other the kinds in each layer must be those
    of one of them, because the number of heads and their places within a layer depend on the seed.
    """
    if "spread" not in shipped:
        return ["The stored record has no spread over seeds to compare with."]
    spread = shipped["spread"]
    tolerance = 3 * spread["standard_deviation"]
    sentences = []
    if abs(record["held_out_loss"] - spread["mean"]) > tolerance:
        sentences.append(
            f"The held-out loss is {record['held_out_loss']:.3f} nats; the shipped runs have "
            f"{spread['mean']:.3f} ± {tolerance:.3f} (three standard deviations over seeds)."
        )
    heads, seed = heads_in_words(record["found"]), record["seed"]
    by_seed = dict(zip(spread["seeds"], spread["found"], strict=True))
    by_seed[shipped["seed"]] = shipped["found"]
    if seed in by_seed:
        if record["found"] != by_seed[seed]:
            stored = heads_in_words(by_seed[seed])
            sentences.append(f"Heads: {heads}. Shipped with seed {seed}: {stored}.")
    elif _layers(record["found"]) not in map(_layers, spread["found"]):
        sentences.append(f"Heads: {heads}. No shipped seed has these kinds in these layers.")
    return sentences


def _layers(heads: dict[str, list[list[int]]]) -> dict[str, list[int]]:
    """Kind → the layers of its heads."""
    return {kind: sorted(place[0] for place in places) for kind, places in heads.items()}


def differences_from_seeds(record: ModelRecord, seeds: Sequence[ModelRecord]) -> list[str]:
    """How a record with snapshots differs from those of the same recipe with any seed.

    Another machine rounds differently, so a seed is not compared with itself alone. A record
    matches if a head formed where one formed in all seeds and none where none did; if it formed at
    most one snapshot before the first seed or after the last; and if its last snapshot lies within
    the range of the seeds, plus or minus `MARGINS`.
    """
    if record["status"] != "trained" or not all(other["snapshots"] for other in seeds):
        return _in_status(record, seeds)
    return _in_formation(record, seeds) + _in_last_snapshot(record, seeds)


def _in_status(record: ModelRecord, seeds: Sequence[ModelRecord]) -> list[str]:
    if record["status"] in {other["status"] for other in seeds}:
        return []
    return [f"{record['model']} {record['status']}; no stored model of its group did."]


def _in_formation(record: ModelRecord, seeds: Sequence[ModelRecord]) -> list[str]:
    name, step = record["model"], formation_step(record)
    steps = [formation_step(other) for other in seeds]
    formed = sorted(step for step in steps if step is not None)
    stored = ", ".join(map(str, formed))
    if step is None:
        return [] if None in steps else [f"{name} did not form; stored: at steps {stored}."]
    if not formed:
        return [f"{name} formed at step {step}; stored: in no seed."]
    taken = [snapshot["step"] for snapshot in seeds[0]["snapshots"]]
    first = max((each for each in taken if each < formed[0]), default=0)
    last = min((each for each in taken if each > formed[-1]), default=taken[-1])
    return [] if first <= step <= last else [f"{name} formed at step {step}; stored: {stored}."]


def _in_last_snapshot(record: ModelRecord, seeds: Sequence[ModelRecord]) -> list[str]:
    sentences = []
    for measure, margin in MARGINS.items():
        values, value = [_last(other, measure) for other in seeds], _last(record, measure)
        if not min(values) - margin <= value <= max(values) + margin:
            sentences.append(
                f"{record['model']}: the last {measure.replace('_', ' ')} is {value:.2f}; "
                f"stored: {min(values):.2f} to {max(values):.2f}."
            )
    return sentences


def _last(record: ModelRecord, measure: str) -> float:
    value = record["snapshots"][-1][measure]
    return best(value) if isinstance(value, list) else value

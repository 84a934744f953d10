"""Records of public models: what this course measures of a model that it cannot ship.

A record is plain data (`results/public/schema.json` describes it). Everything in it comes from a
model that was loaded; the numbers that others published are apart, in `reported.json`.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.tokens import (
    bos_token,
    distinct_tokens,
    not_drawn,
    repeated_tokens,
    visible_positions,
    with_bos,
)
from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.analysis import HeadReport, analyze
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.probes import Probe, make_probes
from induction_heads.models.checksum import weights_checksum
from induction_heads.models.interface import Model, model_config
from induction_heads.progress_bar import progress_bar
from induction_heads.versions import package_version, versions

FORMAT = 1
"""The version of the format of a record."""

PUBLIC = Path(__file__).parents[1] / "results" / "public"
"""The records that come with the package."""

NOT_RECORDS = ("schema.json", "reported.json")
"""The other JSON files in that folder."""

LONGEST_PERIOD = 32
"""The length of one copy in the rows on which heads are ablated, where the context allows it."""


def reference_record(
    model: Model,
    name: str,
    *,
    revision: str | None = None,
    seeds: int = 3,
    rows: int = 16,
    progress: bool = False,
) -> dict[str, Any]:
    """What is measured of a model, as plain data of the format `FORMAT`.

    For every head: the measurements of `analyze`, and the rise of the loss without it (zero
    ablation) on the second of two copies and, as the control, at the same positions of rows that
    never repeat; mean and standard deviation over the seeds. `revision` is the commit on the hub.
    Raises ValueError for fewer than three seeds.
    """
    if seeds < 3:
        raise ValueError(f"Got seeds={seeds}. A record has at least three, to show their spread.")
    config = model_config(model)
    report = analyze(model, name=name, seeds=seeds, batch=rows, progress=progress)
    losses, rises = _ablations(model, name, seeds, max(1, rows // 4), progress)
    probes = make_probes(model, seeds=seeds, batch=rows)
    return {
        "format": FORMAT,
        "model": name,
        "revision": revision,
        "weights": weights_checksum(model),
        "number_type": str(model.W_E.dtype).removeprefix("torch."),
        "sizes": {size: getattr(config, size) for size in _SIZES},
        "versions": {
            "induction_heads": package_version(),
            **versions(),
            "transformer_lens": version("transformer_lens"),
            "transformers": version("transformers"),
        },
        "probes": _drawn(model, probes) | {"tokens": report.tokens},
        "threshold": report.threshold,
        "losses": losses,
        "heads": [
            _head(head, {kind: values[:, head.layer, head.head] for kind, values in rises.items()})
            for head in report.heads
        ],
    }


_SIZES = ("n_layers", "n_heads", "d_model", "d_head", "d_vocab", "n_ctx")


def _drawn(model: Model, probes: list[Probe]) -> dict[str, Any]:
    """Which probes there were and which tokens they drew."""
    return {
        "shapes": [{"period": p.period, "gap": p.gap, "seed": p.seed} for p in probes],
        "rows": len(probes[0].repeated),
        "bos_token": bos_token(model),
        "n_ids": model_config(model).d_vocab - len(not_drawn(model)),
        "first_row": probes[0].repeated[0].tolist(),
    }


def _head(head: HeadReport, rises: dict[str, Tensor]) -> dict[str, Any]:
    """One head as plain data, rounded."""
    data = asdict(head) | {"ablation": {kind: _spread(values) for kind, values in rises.items()}}
    return _rounded(data)


def _spread(values: Tensor) -> dict[str, float]:
    return {"mean": values.mean().item(), "spread": values.std().item()}


def _rounded(value: Any) -> Any:
    """Plain data with four digits after the point."""
    if isinstance(value, float):
        return round(value, 4) + 0.0  # Adding 0 makes −0 a 0.
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


def _ablations(
    model: Model, name: str, seeds: int, rows: int, progress: bool
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The clean losses, and the rise without each head: "repeats" and "control", by seed."""
    found: dict[str, list[Tensor]] = {"repeats": [], "control": []}
    clean: dict[str, list[float]] = {"repeats": [], "control": []}
    period = 0
    with progress_bar(2 * seeds, f"ablations of {name}", enabled=progress, lines=progress) as step:
        for seed in range(seeds):
            repeated, fresh, period = _ablation_rows(model, seed, rows)
            for kind, tokens in (("repeats", repeated), ("control", fresh)):
                tokens = tokens.to(model.W_E.device)
                found[kind].append(ablation_scores(model, tokens, last=period - 1).cpu())
                with torch.inference_mode():
                    losses = per_token_loss(model(tokens), tokens)
                clean[kind].append(losses[:, 1 - period :].mean().item())
                step()
    losses = {kind: _rounded(_spread(torch.tensor(values))) for kind, values in clean.items()}
    chance = _rounded(math.log(model_config(model).d_vocab))
    return losses | {"chance": chance, "period": period, "rows": rows, "method": "zero"}, {
        kind: torch.stack(values) for kind, values in found.items()
    }


def _ablation_rows(
    model: Model, seed: int, rows: int
) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"], int]:
    """Two copies of random tokens, as many that never repeat, and the length of a copy."""
    config, bos, excluded = model_config(model), bos_token(model), not_drawn(model)
    room = min(visible_positions(config) - (bos is not None), config.d_vocab - len(excluded))
    period, generator = min(LONGEST_PERIOD, room // 2), torch.Generator().manual_seed(seed)
    repeated = repeated_tokens(
        config.d_vocab, period, batch=rows, bos_token=bos, exclude=excluded, seed=generator
    )
    fresh = distinct_tokens(config.d_vocab, 2 * period, rows, generator, excluded)
    return repeated, with_bos(fresh, bos), period


def stored_records(*folders: Path) -> list[dict[str, Any]]:
    """The records in these folders, by the name of the file; those of the package by default.

    Raises ValueError, with the name of the file, for a file that is not a record of this format.
    """
    return [_record(path) for folder in folders or (PUBLIC,) for path in record_files(folder)]


def record_files(folder: Path) -> Iterator[Path]:
    """The files of a folder that should be records, by name."""
    return (path for path in sorted(folder.glob("*.json")) if path.name not in NOT_RECORDS)


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] == FORMAT:
            return record
        reason = f"its format is {record['format']}, and this version reads {FORMAT}"
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = f"it has no format ({type(error).__name__})"
    raise ValueError(
        f"{path} is not a record of a model: {reason}. Make it again with `induction-heads "
        "reference`, or remove it."
    )


def reported_findings(model: str) -> list[dict[str, Any]]:
    """What others published about the heads of a model: kind, heads, method and citation."""
    data = json.loads((PUBLIC / "reported.json").read_text(encoding="utf-8"))
    base = model.partition("@")[0]
    return [finding for finding in data["findings"] if base in finding["models"]]


def heads_of_kind(record: Mapping[str, Any], kind: str) -> list[str]:
    """The names of the heads of a record that are of a kind, such as `induction`, in order."""
    return [f"L{h['layer']}H{h['head']}" for h in record["heads"] if kind in h["kinds"]]

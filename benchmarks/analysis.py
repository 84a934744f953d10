"""`analyze` in the shape of GPT-2 small, compared with forward passes of its longest probe.

The model comes from a folder in Hugging Face format. Its weights are random, so no head is open and
only the first rows are run; a model with many heads near a bound takes more.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.composition import highest_memory
from benchmarks.head_scores import n_layers_for, only_of_all
from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.interp.analysis import analyze
from induction_heads.interp.probes import make_probes
from induction_heads.models.loading import load_model

QUICK_IDS = 5000
"""The vocabulary of a quick run: still a model from which `analyze` runs a few rows first."""

MAX_ROUNDS = 3


def save_gpt2_small_shape(folder: str, n_layers: int) -> None:
    """Save random weights in the shape of GPT-2 small, or smaller with fewer layers."""
    from transformers import GPT2Config, GPT2LMHeadModel

    d_vocab = 50257 if n_layers == 12 else QUICK_IDS
    last = d_vocab - 1
    torch.manual_seed(0)
    config = GPT2Config(n_layer=n_layers, vocab_size=d_vocab, bos_token_id=last, eos_token_id=last)
    GPT2LMHeadModel(config).save_pretrained(folder)


def one_forward(model: Any) -> Callable[[], Any]:
    """A plain forward pass of the longest probe, with logits."""
    probes = make_probes(model, seeds=1)
    tokens = max((probe.repeated for probe in probes), key=lambda rows: rows.shape[1])

    def forward() -> Any:
        with torch.inference_mode():
            return model(tokens)

    return forward


WORK: dict[str, Callable[[Any], Any]] = {
    "ours": lambda model: analyze(model),
    "peer": lambda model: one_forward(model)(),
}


def highest_memory_of(way: str, folder: str) -> float:
    """The peak memory in bytes of a new process that loads the model and does one of `WORK`."""
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.analysis", way, folder],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(printed.stdout.splitlines()[-1]))


def ratios(rounds: int) -> list[Ratio]:
    """Time in forward passes, and peak memory against that of loading and one forward pass."""
    n_layers = n_layers_for(rounds)
    work, peer = f"analyze, {12 * n_layers} heads", "one forward pass of its longest probe"
    with tempfile.TemporaryDirectory() as folder:
        save_gpt2_small_shape(folder, n_layers)
        model = load_model(folder, progress=False)
        ways = {"ours": partial(WORK["ours"], model), "peer": one_forward(model)}
        times = times_in_turn(ways, min(rounds, MAX_ROUNDS))
        found = [compare(work, times["ours"], peer, times["peer"], only_of_all(6.0, n_layers))]
        del model, ways
        if highest_memory():
            memory = {way: [highest_memory_of(way, folder)] for way in WORK}
            demand = only_of_all(1.1, n_layers)
            peer = "load and one forward pass"
            found.append(compare(f"{work}, memory", memory["ours"], peer, memory["peer"], demand))
    return found


def main() -> None:
    """Print the peak memory of one way: `python -m benchmarks.analysis ours FOLDER`."""
    torch.set_num_threads(1)
    WORK[sys.argv[1]](load_model(sys.argv[2], progress=False))
    print(json.dumps(highest_memory()))


if __name__ == "__main__":
    main()

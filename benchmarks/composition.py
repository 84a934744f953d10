"""Q-, K- and V-composition of all pairs of heads, against TransformerLens: time and memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.interp.composition import SIDES, composition_scores

MAX_ROUNDS = 3
"""The peer takes more than a minute per round, so there are only a few rounds."""

QUICK_LAYERS = 2


def attention_of_gpt2_small(n_layers: int, n_heads: int = 12) -> TransformerBridge:
    """Random heads in the shape of GPT-2 small, without MLPs and with a small vocabulary."""
    return TransformerBridge.boot_native(
        TransformerBridgeConfig(
            d_model=768,
            d_head=64,
            n_heads=n_heads,
            n_layers=n_layers,
            n_ctx=64,
            d_vocab=64,
            attn_only=True,
            normalization_type=None,
            seed=0,
        )
    )


def of_transformer_lens(model: Any) -> dict[str, torch.Tensor]:
    """The same scores from `all_composition_scores`, by side."""
    return {side: model.all_composition_scores(side) for side in SIDES}


WAYS = {"ours": composition_scores, "peer": of_transformer_lens}


def highest_memory() -> float:
    """The peak memory of this process in bytes (Linux), or 0 if unknown."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def most_memory(way: str, n_layers: int) -> float:
    """Bytes that one computation adds to the peak memory of a new process."""
    command = [sys.executable, "-m", "benchmarks.composition", way, str(n_layers)]
    folder = Path(__file__).parents[1]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return float(json.loads(printed.stdout))


def ratios(rounds: int) -> list[Ratio]:
    """Ours against `all_composition_scores` of the three sides."""
    n_layers = 12 if rounds > 2 else QUICK_LAYERS
    model = attention_of_gpt2_small(n_layers)
    times = times_in_turn(
        {name: lambda way=way: way(model) for name, way in WAYS.items()}, min(rounds, MAX_ROUNDS)
    )
    work, peer = f"Q, K, V composition of {12 * n_layers} heads", "all_composition_scores × 3"
    # The demands are for all 144 heads: a smaller model only shows that this still runs.
    demands = (0.08, 0.1) if n_layers == 12 else (None, None)
    found = [compare(work, times["ours"], peer, times["peer"], demands[0])]
    if highest_memory():
        memory = {name: [most_memory(name, n_layers)] for name in WAYS}
        found.append(compare(f"{work}, memory", memory["ours"], peer, memory["peer"], demands[1]))
    return found


def main() -> None:
    """Print how many bytes one computation adds: `python -m benchmarks.composition ours 4`."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    way, model = WAYS[sys.argv[1]], attention_of_gpt2_small(int(sys.argv[2]))
    way(attention_of_gpt2_small(1))  # The first call loads code, which is not counted.
    before = highest_memory()
    way(model)
    print(json.dumps(highest_memory() - before))


if __name__ == "__main__":
    main()

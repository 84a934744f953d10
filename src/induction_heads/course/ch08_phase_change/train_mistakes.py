"""Known mistakes of `train_induction_heads`, each with its hint."""

import torch

from induction_heads.course.exercise import Mistake
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import load_attention_only, load_snapshots

# Mistakes are made from weights at hand, so that no check trains them.


def shaken(model: AttentionOnly, seed: int) -> AttentionOnly:
    """The model with a trace of noise in its weights, so that each seed has its own."""
    copy = AttentionOnly(model.config)
    copy.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in copy.parameters():
            weight += 1e-4 * torch.randn(weight.shape, generator=generator)
    return copy.requires_grad_(False)


def _untrained(seed: int, scale: float = 1.0) -> AttentionOnly:
    config = AttentionOnlyConfig(2, n_heads=2, d_model=64, d_head=32, d_vocab=64, n_ctx=32)
    model = initialize(AttentionOnly(config), std=0.1, seed=seed).requires_grad_(False)
    model.W_U.mul_(scale)
    return model


def _early(seed: int) -> AttentionOnly:
    snapshots = load_snapshots("toy-2l")
    return shaken(snapshots[max(step for step in snapshots if step <= 120)], seed)


TRAIN_MISTAKES = (
    Mistake(
        "one layer",
        lambda seed: shaken(load_attention_only("toy-1l"), seed),
        "Can a key in a one-layer model know the token before it? Chapter 6 has the argument.",
    ),
    Mistake(
        "repeats do not help the model",
        _untrained,
        "Was it trained at all? If so, does the previous token in your rows ever tell which one "
        "comes next?",
    ),
    Mistake(
        "stopped before the change",
        _early,
        "It knows which tokens are in the context. Has the loss really stopped falling where you "
        "stop?",
    ),
    Mistake(
        "always the same distance",
        lambda seed: shaken(hand_built("fixed_offset", d_vocab=64, n_ctx=32, offset=15), seed),
        "A head that always looks the same distance back predicts all of your rows. What must "
        "change from row to row?",
    ),
    Mistake(
        "the training rows are memorized",
        lambda seed: _untrained(seed, scale=40.0),
        "It is confident and wrong on new rows. Does `sample` draw new rows each time?",
    ),
    Mistake(
        "the weights of the package",
        lambda seed: shaken(load_attention_only("toy-2l"), seed),
        "That model was trained by others. What does it take to make your own do the same?",
    ),
    Mistake(
        "the seed changes nothing",
        lambda seed: hand_built("induction", d_vocab=64, n_ctx=32, seed=0),
        "Two seeds gave the same weights. Where do you use `seed`?",
    ),
)

"""Other correct implementations of the exercises of chapter 4."""

import torch
import torch.nn.functional as F

from induction_heads.course.ch04_induction_heads.inputs import (
    PERIODS,
    prefix_rows_by_python_random,
    ranked,
    tokens_by_python_random,
)
from induction_heads.course.ch04_induction_heads.loss_mistakes import _loss_by_gather
from induction_heads.course.ch04_induction_heads.mistakes import (
    _finder,
    _harmonic,
    _stray_by_count,
    _stripe_by_index,
    _stripe_by_mask,
)
from induction_heads.course.ch04_induction_heads.prefix_mistakes import LENGTHS, curve
from induction_heads.course.ch04_induction_heads.token_mistakes import tokens_by_multinomial
from induction_heads.data.tokens import prefix_match_rows
from induction_heads.interp.activations import attention_patterns


def _tokens_by_the_global_seed(model, period=16, batch=8, seed=0):
    torch.manual_seed(seed)
    ids = [i for i in range(model.cfg.d_vocab) if i != model.cfg.bos_token]
    shuffled = [torch.randperm(len(ids))[:period] for _ in range(batch)]
    blocks = torch.tensor(ids)[torch.stack(shuffled)]
    front = [model.cfg.bos_token] * (model.cfg.bos_token is not None)
    return torch.cat([torch.tensor(front).long().expand(batch, -1), blocks, blocks], dim=1)


TOKEN_ALSO_RIGHT = (tokens_by_multinomial, tokens_by_python_random, _tokens_by_the_global_seed)


SCORE_ALSO_RIGHT = (_stripe_by_mask, _stripe_by_index)


def _stray_by_difference(period, has_bos):
    n_pos = 2 * period + has_bos
    diagonal = {(key + period - 1, key) for key in range(n_pos - period + 1)}
    return sorted(diagonal - {(q, q - period + 1) for q in range(n_pos - period, n_pos)})


STRAY_ALSO_RIGHT = (_stray_by_difference, _stray_by_count)


def _uniform_by_harmonic(period):
    return (_harmonic(2 * period) - _harmonic(period)) / period


def _uniform_by_tensor(period):
    even = torch.ones(2 * period, 2 * period).tril()
    return float(_stripe_by_index(even / even.sum(dim=1, keepdim=True), period))


UNIFORM_ALSO_RIGHT = (_uniform_by_harmonic, _uniform_by_tensor)


def _heads_one_layer_at_a_time(model, threshold=0.4):
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    best: dict[tuple[int, int], float] = {}
    for period in PERIODS:
        tokens = tokens_by_python_random(model, period, 10, seed=3)
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
        for layer, name in enumerate(names):
            for head, score in enumerate(_stripe_by_mask(cache[name], period).mean(dim=0).tolist()):
                best[layer, head] = min(score, best.get((layer, head), 1.0))
    return ranked([(*at, score) for at, score in best.items() if score >= threshold])


FIND_ALSO_RIGHT = (
    _finder(periods=(6, 8, 10, 12, 14, 16), batch=12),
    _heads_one_layer_at_a_time,
)


def curve_by_python_random(model, layer, head):
    """`prefix_length_curve` with rows made token by token."""
    points = []
    for length in LENGTHS:
        tokens, place = prefix_rows_by_python_random(model, range(length), seed=7)
        points.append(attention_patterns(model, tokens)[layer, :, head, -1, place].mean())
    return torch.stack(points)


def _curve_from_the_cache(model, layer, head):
    points, name = [], f"blocks.{layer}.attn.hook_pattern"
    bos, d_vocab = model.cfg.bos_token, model.cfg.d_vocab
    for length in range(5):
        rows = prefix_match_rows(d_vocab, length, batch=48, bos_token=bos, seed=length)
        _, cache = model.run_with_cache(rows, names_filter=name)
        points.append(cache[name][:, head, -1, rows.shape[1] - 25].mean().item())
    return torch.tensor(points)


PREFIX_ALSO_RIGHT = (curve, curve_by_python_random, _curve_from_the_cache)


def _loss_by_cross_entropy(logits, tokens):
    flat = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return flat.reshape(len(tokens), -1)


def _loss_by_one_hot(logits, tokens):
    right = F.one_hot(tokens[:, 1:], logits.shape[-1]).to(logits.dtype)
    return logits[:, :-1].logsumexp(dim=-1) - (logits[:, :-1] * right).sum(dim=-1)


LOSS_ALSO_RIGHT = (_loss_by_gather, _loss_by_cross_entropy, _loss_by_one_hot)


ALSO_RIGHT = {
    "make_repeated_tokens": TOKEN_ALSO_RIGHT,
    "induction_score": SCORE_ALSO_RIGHT,
    "uniform_induction_score": UNIFORM_ALSO_RIGHT,
    "stray_stripe_entries": STRAY_ALSO_RIGHT,
    "find_induction_heads": FIND_ALSO_RIGHT,
    "prefix_length_curve": PREFIX_ALSO_RIGHT,
    "per_token_loss": LOSS_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""

"""Other correct implementations of the exercises of chapter 10."""

import torch
from torch import Tensor

from induction_heads.course.ch10_beyond_copying.mistakes import (
    _evenly,
    _like,
    _means,
    _same,
    _stands,
    at,
    layer,
    score,
    shifted,
)
from induction_heads.course.ch10_beyond_copying.posterior_mistakes import posterior
from induction_heads.course.ch10_beyond_copying.suppression_mistakes import returned, suppression
from induction_heads.course.ch10_beyond_copying.vector_mistakes import (
    chosen,
    difference,
    effects,
)


def _fuzzy_by_matmul(pattern, tokens, similar):
    """One-hot rows times the relation times one-hot rows."""
    size = len(similar)
    one_hot = torch.nn.functional.one_hot(tokens, size).float()
    relation = similar.float() * (1 - torch.eye(size))
    related = torch.tril(one_hot @ relation @ one_hot.mT, diagonal=-1)
    after = torch.nn.functional.pad(related[..., :-1], (1, 0))
    heads = pattern if pattern.ndim == 4 else pattern.unsqueeze(1)
    per_query = (heads * after.unsqueeze(1)).sum(dim=-1)
    asked = (after.sum(dim=-1) > 0).unsqueeze(1)
    means = (per_query * asked).sum(dim=-1) / asked.sum(dim=-1)
    return means if pattern.ndim == 4 else means.squeeze(1)


FUZZY_ALSO_RIGHT = (score(at(_like)), _fuzzy_by_matmul)


def _windows(tokens: Tensor, n: int) -> Tensor:
    """Every n tokens in a row as one number; −1 − position where there are fewer."""
    base = int(tokens.max()) + 1
    codes = sum(tokens.roll(back, dims=1) * base**back for back in range(n))
    early = -1 - torch.arange(tokens.shape[1])
    return torch.where(torch.arange(tokens.shape[1]) >= n - 1, torch.as_tensor(codes), early)


def _prefix_by_codes(pattern, tokens, n):
    codes = _windows(tokens, n)
    equal = (codes[:, :, None] == codes[:, None, :]).tril(-1)
    after = torch.nn.functional.pad(equal[..., :-1], (1, 0)).float()
    number = after.any(dim=-1).sum(dim=-1)
    if pattern.ndim == 3:
        return (pattern * after).sum(dim=(1, 2)) / number
    return (pattern * after[:, None]).sum(dim=(2, 3)) / number[:, None]


PREFIX_ALSO_RIGHT = (score(at(_same)), _prefix_by_codes)


PLATEAU_ALSO_RIGHT = (
    lambda: "log(r) + log(V / r) / c",
    lambda: "log(V**(1/c) * r**(1 - 1/c))",
)


def _layer_by_codes(tokens, n):
    codes = _windows(tokens, n)
    result = torch.zeros(*tokens.shape, tokens.shape[1])
    for number, row in enumerate(codes):
        for query in range(len(row)):
            places = (row[:query] == row[query]).nonzero().flatten()
            if len(places):
                result[number, query, places + 1] = 1 / len(places)
    return result


LAYER_ALSO_RIGHT = (layer(at(_same), _evenly), _layer_by_codes)


def _by_products(tokens, table, lags=(1, 2)):
    """Chances multiplied as they are, in double precision."""
    result = torch.ones(*tokens.shape, len(lags), dtype=torch.float64)
    for place, lag in enumerate(lags):
        for position in range(max(lags), tokens.shape[1]):
            drawn = table[tokens[:, position - lag], tokens[:, position]].double()
            result[:, position, place] = result[:, position - 1, place] * drawn
    return (result / result.sum(dim=-1, keepdim=True)).float()


LAG_ALSO_RIGHT = (posterior(), _by_products)


def _shifted_by_matmul(pattern, tokens, back, ahead):
    """Matrices that move queries and keys."""
    n_pos = tokens.shape[1]
    copies = (tokens[:, :, None] == tokens[:, None, :]).float().tril(-1)
    moved = torch.eye(n_pos).roll(back, 0).tril() @ copies @ torch.eye(n_pos).roll(ahead, 1).triu()
    keys = moved.tril()
    number = (keys.sum(dim=-1) > 0).sum(dim=-1)
    if pattern.ndim == 3:
        return (pattern * keys).sum(dim=(1, 2)) / number
    return (pattern * keys[:, None]).sum(dim=(2, 3)) / number[:, None]


SHIFTED_ALSO_RIGHT = (shifted(_stands), _shifted_by_matmul)


def _translated_by_table(pattern, tokens, dictionary):
    """A table from each id to the word it translates, or to an id that never occurs."""
    size = int(max(tokens.max(), dictionary.max())) + 1
    word = torch.full((size,), size)
    word[dictionary] = torch.arange(len(dictionary))
    equal = word[tokens][:, :, None] == tokens[:, None, :]
    counted = torch.nn.functional.pad(equal.tril(-1)[..., :-1], (1, 0)).float()
    number = counted.any(dim=-1).sum(dim=-1)
    if pattern.ndim == 3:
        return (pattern * counted).sum(dim=(1, 2)) / number
    return (pattern * counted[:, None]).sum(dim=(2, 3)) / number[:, None]


TRANSLATED_ALSO_RIGHT = (score(at(_means)), _translated_by_table)


def _suppression_by_masks(before, effect, tokens):
    here = torch.nn.functional.one_hot(tokens, before.shape[-1]).cumsum(dim=1).clamp(max=1).double()
    best = torch.nn.functional.one_hot(before.argmax(dim=-1), before.shape[-1]).double()
    others = here * (1 - best)
    usable = ((here * best).sum(-1) > 0) & (others.sum(-1) > 0)
    level = (others * effect).sum(-1) / others.sum(-1).clamp_min(1)
    return ((best * effect).sum(-1) - level)[usable].mean()


SUPPRESSION_ALSO_RIGHT = (suppression(), _suppression_by_masks)


def _returned_by_one_hot(direct, clean, ablated, tokens):
    chosen = torch.nn.functional.one_hot(tokens[:, 1:], clean.shape[-1])
    return ((direct + ablated - clean)[:, :-1] * chosen).sum(dim=-1)


COMPENSATION_ALSO_RIGHT = (returned(), _returned_by_one_hot)


REPAIR_ALSO_RIGHT = (
    lambda: "sqrt(4*a**2 + r**2) / sqrt(a**2 + r**2) - 1",
    lambda: "sqrt(1 + 3*a**2 / (a**2 + r**2)) - 1",
    lambda: "sqrt((4 + (r/a)**2) / (1 + (r/a)**2)) - 1",
)


def _by_stacked_rows(model, prompts, corrupted, answers):
    """All heads of a layer side by side in the batch, each patched in rows of its own."""
    _, cache = model.run_with_cache(prompts)
    n_heads, batch = model.cfg.n_heads, len(corrupted)
    at = torch.arange(batch)
    base = model(corrupted)[:, -1].softmax(-1)[at, answers].mean()
    found = []
    for index in range(model.cfg.n_layers):
        name = f"blocks.{index}.attn.hook_z"
        means = cache[name][:, -1].mean(0)

        def patch(z, hook, means=means):
            z = z.clone()
            for head in range(n_heads):
                z[head * batch : (head + 1) * batch, -1, head] = means[head]
            return z

        logits = model.run_with_hooks(corrupted.repeat(n_heads, 1), fwd_hooks=[(name, patch)])
        chances = logits[:, -1].softmax(-1).unflatten(0, (n_heads, batch))[:, at, answers]
        found.append(chances.mean(dim=1) - base)
    return torch.stack(found).detach()


EFFECT_ALSO_RIGHT = (effects(), _by_stacked_rows)


def _by_threshold(mean_outputs, effects, n_heads):
    least = effects.flatten().sort(descending=True).values[n_heads - 1]
    return torch.einsum("lh,lhm->m", (effects >= least).float(), mean_outputs)


FUNCTION_ALSO_RIGHT = (chosen(lambda e: e), _by_threshold)


TASK_ALSO_RIGHT = (
    difference(),
    lambda a, b: (
        torch.einsum("bd->d", a[:, -1]) / len(a) - torch.einsum("bd->d", b[:, -1]) / len(b)
    ),
)


ALSO_RIGHT = {
    "fuzzy_induction_score": FUZZY_ALSO_RIGHT,
    "ngram_prefix_score": PREFIX_ALSO_RIGHT,
    "plateau_loss_formula": PLATEAU_ALSO_RIGHT,
    "ngram_induction_layer": LAYER_ALSO_RIGHT,
    "lag_posterior": LAG_ALSO_RIGHT,
    "match_and_copy_score": SHIFTED_ALSO_RIGHT,
    "translated_induction_score": TRANSLATED_ALSO_RIGHT,
    "copy_suppression_score": SUPPRESSION_ALSO_RIGHT,
    "compensation": COMPENSATION_ALSO_RIGHT,
    "repair_by_norm_formula": REPAIR_ALSO_RIGHT,
    "indirect_effects": EFFECT_ALSO_RIGHT,
    "function_vector": FUNCTION_ALSO_RIGHT,
    "task_vector": TASK_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""

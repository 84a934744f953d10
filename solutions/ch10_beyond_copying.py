"""Solutions of chapter 10, beyond copying, with a reason for each line that needs one."""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def fuzzy_induction_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    similar: Bool[Tensor, "id id"],
) -> Float[Tensor, "*batch"]:
    """A mask of the keys that count, moved by one: the token after the similar one."""
    query, key = tokens[:, :, None], tokens[:, None, :]
    matched = (similar[query, key] & (query != key)).tril(-1)  # Only earlier keys.
    return _mean_attention(pattern, matched)


def ngram_prefix_score(
    pattern: Float[Tensor, "*batch query key"], tokens: Int[Tensor, "row query"], n: int
) -> Float[Tensor, "*batch"]:
    """Windows of n tokens are compared whole, so that their order counts."""
    return _mean_attention(pattern, _ngram_matches(tokens, n))


def ngram_induction_layer(
    tokens: Int[Tensor, "batch pos"], n: int
) -> Float[Tensor, "batch query key"]:
    """The keys after the matches, each row divided by their number."""
    wanted = torch.zeros(*tokens.shape, tokens.shape[1])
    wanted[:, :, 1:] = _ngram_matches(tokens, n)[:, :, :-1].float()
    # A row without a match is divided by 1, not by 0, and stays zero.
    return wanted / wanted.sum(dim=-1, keepdim=True).clamp_min(1)


def plateau_loss_formula() -> str:
    """One copy at the logarithm of V, the other c − 1 at that of r, over c copies."""
    return "log(V) / c + log(r) * (1 - 1/c)"


def lag_posterior(
    tokens: Int[Tensor, "batch pos"],
    table: Float[Tensor, "token successor"],
    lags: tuple[int, ...] = (1, 2),
) -> Float[Tensor, "batch pos lag"]:
    """Bayes: chances multiply along the row, so their logarithms add."""
    evidence = torch.zeros(*tokens.shape, len(lags))
    for position in range(max(lags), tokens.shape[1]):  # Earlier tokens favor no lag.
        for place, lag in enumerate(lags):
            chance = table[tokens[:, position - lag], tokens[:, position]]
            evidence[:, position, place] = chance.log()
    # The softmax divides by the sum over the lags; an even prior would cancel.
    return evidence.cumsum(dim=1).softmax(dim=-1)


def match_and_copy_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    back: int,
    ahead: int,
) -> Float[Tensor, "*batch"]:
    """For every pair of a query and a key: does the token at the copy's position match?"""
    keys = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    for query in range(back, tokens.shape[1]):
        for key in range(ahead, query + 1):  # Later keys are not seen.
            if key - ahead < query - back:  # A token is not a copy of itself.
                keys[:, query, key] = tokens[:, key - ahead] == tokens[:, query - back]
    return _mean_over_queries(pattern, keys)


def translated_induction_score(
    pattern: Float[Tensor, "*batch query key"],
    tokens: Int[Tensor, "row query"],
    dictionary: Int[Tensor, " word"],
) -> Float[Tensor, "*batch"]:
    """Translate the keys, and match the queries with that."""
    has_one = tokens < len(dictionary)
    # -1 is not an id: a key without a translation matches no query.
    translated = torch.where(has_one, dictionary[tokens.clamp(max=len(dictionary) - 1)], -1)
    return _mean_attention(pattern, (tokens[:, :, None] == translated[:, None, :]).tril(-1))


def _ngram_matches(tokens: Tensor, n: int) -> Tensor:
    """True where the n tokens that end at an earlier key equal those that end at the query."""
    batch, n_pos = tokens.shape
    windows = torch.full((batch, n_pos, n), -1)
    windows[:, n - 1 :] = tokens.unfold(1, n, 1)
    same = (windows[:, :, None] == windows[:, None, :]).all(dim=-1)
    same[:, : n - 1] = False  # Queries with fewer than n tokens have no window.
    return same.tril(-1)


def _mean_attention(pattern: Tensor, matched: Tensor) -> Tensor:
    """Attention to the keys after the matched ones, over the queries that have one."""
    after = torch.zeros_like(matched)
    after[:, :, 1:] = matched[:, :, :-1]
    return _mean_over_queries(pattern, after)


def _mean_over_queries(pattern: Tensor, keys: Tensor) -> Tensor:
    """Attention to the marked keys, as a mean over the queries that have one."""
    queries = keys.any(dim=-1).sum(dim=-1)
    while keys.ndim < pattern.ndim:  # A head axis, if the pattern has one.
        keys, queries = keys.unsqueeze(1), queries.unsqueeze(-1)
    return (pattern * keys).sum(dim=(-2, -1)) / queries


def copy_suppression_score(
    before: Float[Tensor, "batch pos d_vocab"],
    effect: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """Row by row, with the set of tokens seen so far."""
    differences = []
    for row, tokens_of_row in enumerate(tokens.tolist()):
        seen: set[int] = set()  # A set: a token that occurs twice is one control, not two.
        for position, token in enumerate(tokens_of_row):
            seen.add(token)
            predicted = int(before[row, position].argmax())
            others = list(seen - {predicted})
            if predicted in seen and others:
                added = effect[row, position]
                # The other tokens of the context are the fair control: they could be copied too.
                differences.append(added[predicted] - added[others].mean())
    return torch.stack(differences).mean().item()


def compensation(
    direct: Float[Tensor, "batch pos d_vocab"],
    clean: Float[Tensor, "batch pos d_vocab"],
    ablated: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos-1"]:
    """If nothing reacted, the logit would fall by exactly the direct effect."""
    following = tokens[:, 1:, None]  # The last position has no next token.
    straight, with_head, without = (
        logits[:, :-1].gather(-1, following)[..., 0] for logits in (direct, clean, ablated)
    )
    return straight - (with_head - without)


def repair_by_norm_formula() -> str:
    """The logit is 2a / √(4a² + r²) with both heads and a / √(a² + r²) with one.

    The direct effect of one is a / √(4a² + r²), so the fall is 2 − √(4a² + r²) / √(a² + r²) of it.
    """
    return "1 - (2 - sqrt(4*a**2 + r**2) / sqrt(a**2 + r**2))"


def indirect_effects(
    model: "TransformerBridge",
    prompts: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "corrupted pos"],
    answers: Int[Tensor, " corrupted"],
) -> Float[Tensor, "layer head"]:
    """One clean pass for the means, then one patched pass for each head."""
    _, cache = model.run_with_cache(prompts)

    def right(logits: Tensor) -> Tensor:
        chances = logits[:, -1].softmax(dim=-1)
        return chances[torch.arange(len(answers)), answers].mean()

    def patch(z: Tensor, hook: Any, head: int, mean: Tensor) -> Tensor:
        z = z.clone()
        z[:, -1, head] = mean  # Only the last position: that is where the answer is given.
        return z

    clean = right(model(corrupted))
    effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        name = f"blocks.{layer}.attn.hook_z"
        for head in range(model.cfg.n_heads):
            mean = cache[name][:, -1, head].mean(dim=0)
            hook = partial(patch, head=head, mean=mean)
            effects[layer, head] = right(model.run_with_hooks(corrupted, fwd_hooks=[(name, hook)]))
    return (effects - clean).detach()


def function_vector(
    mean_outputs: Float[Tensor, "layer head d_model"],
    effects: Float[Tensor, "layer head"],
    n_heads: int,
) -> Float[Tensor, " d_model"]:
    """Sort all heads of the model by their effect and add up the first ones."""
    n_per_layer = effects.shape[1]
    order = effects.flatten().argsort(descending=True)[:n_heads].tolist()
    # divmod turns a number in the flat list back into (layer, head).
    return torch.stack([mean_outputs[divmod(index, n_per_layer)] for index in order]).sum(dim=0)


def task_vector(
    with_examples: Float[Tensor, "batch pos d_model"], bare: Float[Tensor, "batch2 pos2 d_model"]
) -> Float[Tensor, " d_model"]:
    """The rows without examples are the control: what every last position contains anyway."""
    return with_examples[:, -1].mean(dim=0) - bare[:, -1].mean(dim=0)

"""Other correct implementations of the exercises of chapter 7."""

import torch

from induction_heads.course.ch07_ablation.circuit_mistakes import circuit_by
from induction_heads.course.ch07_ablation.inputs import PERIODS
from induction_heads.course.ch07_ablation.knockout_mistakes import knockout_by
from induction_heads.course.ch07_ablation.mistakes import (
    _ablated,
    _zero_by_mask,
    scores_by,
)
from induction_heads.course.ch07_ablation.patching_mistakes import (
    attributed_by,
    gap,
    patched_by,
)
from induction_heads.course.ch07_ablation.path_mistakes import _hooked_path, verdict
from induction_heads.course.plain_forward import forward, hook_name, losses
from induction_heads.data.tokens import make_repeated_tokens


def _zero_by_list(z, hook, head):
    heads = list(z.unbind(dim=2))
    heads[head] = torch.zeros_like(heads[head])
    return torch.stack(heads, dim=2)


def _mean_by_mask(z, hook, head):
    chosen = (torch.arange(z.shape[2]) == head)[:, None]
    return torch.where(chosen, z.mean(dim=0, keepdim=True), z)


_means = _ablated(lambda z, head: z[:, :, head].sum(dim=0) / len(z))


ZERO_ALSO_RIGHT = (_zero_by_mask, _zero_by_list)


MEAN_ALSO_RIGHT = (_mean_by_mask, _means)


def _hooked(name: str):
    """Zero a head with a hook on something that z is made of."""

    def change(model, tokens, layer, head):
        def hook(value, hook):
            axis = 1 if name == "pattern" else 2
            mask = torch.arange(value.shape[axis]) != head
            return value * (mask[:, None, None] if axis == 1 else mask[:, None])

        return losses(
            model.run_with_hooks(tokens, fwd_hooks=[(hook_name(layer, name), hook)]), tokens
        )

    return scores_by(change)


SCORES_ALSO_RIGHT = (_hooked("pattern"), _hooked("v"))


def _keep(names: tuple[str, ...]):
    """Hold something of the later layers with hooks, and silence the head."""

    def answer(model, tokens, layer, head):
        _, cache = model.run_with_cache(tokens)
        hooks: list = [(hook_name(layer), lambda z, hook: _zero_by_mask(z, hook, head))]
        for index in range(layer + 1, model.cfg.n_layers):
            hooks += [
                (hook_name(index, name), lambda value, hook: cache[hook.name]) for name in names
            ]
        return model.run_with_hooks(tokens, fwd_hooks=hooks)

    return answer


PRESERVING_ALSO_RIGHT = (_keep(("pattern",)), _keep(("q", "k")))


def _knockout_by_rows(pattern, period):
    n_pos = pattern.shape[-1]
    flat = pattern.reshape(-1, n_pos, n_pos).clone()
    for one in flat:
        for query in range(n_pos - period, n_pos):
            seen = one[query, : query + 1].clone()
            seen[query - period + 1] = 0
            if seen.sum() < 1e-6:
                seen = torch.ones(query + 1)
                seen[query - period + 1] = 0
            one[query, : query + 1] = seen / seen.sum()
    return flat.reshape(pattern.shape)


KNOCKOUT_ALSO_RIGHT = (_knockout_by_rows, knockout_by())


GAIN_ALSO_RIGHT = (lambda: "(1 - s)**-1", lambda: "1 + s/(1 - s)")


def _path_by_receiver(model, sender, receiver, side):
    """Only the receiver's own output is computed again, then put in its place."""
    tokens = make_repeated_tokens(model, 12, batch=32)
    clean, _, wrote = forward(model, tokens)
    cut = (tuple(sender), lambda place: place == tuple(receiver), side)
    cut_wrote = forward(model, tokens, cut=cut)[2]
    changed = {**wrote, tuple(receiver): cut_wrote[tuple(receiver)]}
    held = {place: value for place, value in changed.items() if place[0] <= receiver[0]}
    rise = losses(forward(model, tokens, written=held)[0], tokens) - losses(clean, tokens)
    return rise[:, -11:].mean().item()


PATH_ALSO_RIGHT = (_hooked_path(lambda value, part: value - part), _path_by_receiver)


def _verdict_by_hooks(model, layer, head):
    """With hooks on the pattern, which silences the head too, and with other tokens."""
    found: list[tuple[float, float, float]] = []
    mask = (torch.arange(model.cfg.n_heads) != head)[:, None, None]
    hooks = [(hook_name(layer, "pattern"), lambda pattern, hook: pattern * mask)]
    for period in PERIODS:
        tokens = make_repeated_tokens(model, period, batch=32, seed=7)
        control = tokens.clone()
        control[:, -period:] = make_repeated_tokens(model, period, batch=32, seed=8)[:, -period:]
        _, cache = model.run_with_cache(tokens)
        query = torch.arange(tokens.shape[1])[-period:]
        looks = cache[hook_name(layer, "pattern")][:, head, query, query - period + 1].mean().item()
        rises = [
            (losses(model.run_with_hooks(rows, fwd_hooks=hooks), rows) - losses(model(rows), rows))[
                :, 1 - period :
            ]
            .mean()
            .item()
            for rows in (tokens, control)
        ]
        found.append((looks, rises[0], rises[1]))
    looks, rises, controls = zip(*found, strict=True)
    values = {
        "induction_attention": min(looks),
        "loss_increase": min(rises),
        "control_loss_increase": max(controls),
    }
    needed = min(rises) >= 0.1 and min(rises) > 2 * max(controls)
    return values | {"is_induction": needed and min(looks) >= 0.4}


VERIFY_ALSO_RIGHT = (_verdict_by_hooks, verdict())


def _circuit_by_einsum(model, tokens, previous, induction):
    """All heads at once, with the marks computed before they are moved."""
    x = model.W_E[tokens]
    layers, heads = (torch.tensor(axis) for axis in zip(*induction, strict=True))
    mark = torch.einsum("bpm,md,dn->bpn", x, model.W_V[previous], model.W_O[previous])
    mark = torch.nn.functional.pad(mark, (0, 0, 1, 0))[:, :-1]
    W_Q, W_K, W_V, W_O = (
        getattr(model, name)[layers, heads] for name in ("W_Q", "W_K", "W_V", "W_O")
    )
    scores = torch.einsum("bqm,hmd,hnd,bkn->bhqk", x, W_Q, W_K, mark) / model.cfg.d_head**0.5
    weights = scores.exp().tril()
    pattern = weights / weights.sum(dim=-1, keepdim=True)
    return torch.einsum("bhqk,bkm,hmd,hdn,nv->bqv", pattern, x, W_V, W_O, model.W_U)


CIRCUIT_ALSO_RIGHT = (circuit_by(), _circuit_by_einsum)


def _patched_by_writing(model, clean, corrupted, right, wrong, direction):
    """With what heads write in place of z, and log probabilities in place of logits."""
    runs = {"clean": forward(model, clean), "corrupted": forward(model, corrupted)}

    def measure(logits):
        return gap(logits.log_softmax(dim=-1), right, wrong).mean().item()

    start, other = ("corrupted", "clean") if direction == "denoise" else ("clean", "corrupted")
    rows = clean if start == "clean" else corrupted
    before, after = measure(runs[start][0]), measure(runs[other][0])
    effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for place, written in runs[other][2].items():
        patched = measure(forward(model, rows, written={place: written})[0])
        effects[place] = (patched - before) / (after - before)
    return effects


ACTIVATION_ALSO_RIGHT = (patched_by(), _patched_by_writing)


def _attributed_to_each_head(model, clean, corrupted, right, wrong, direction):
    """One gradient for each head, with respect to how far it is moved toward the other run."""
    caches = [model.run_with_cache(rows)[1] for rows in (clean, corrupted)]
    measures = [gap(model(rows), right, wrong).mean() for rows in (clean, corrupted)]
    rows, (start, end) = (corrupted, caches[::-1]) if direction == "denoise" else (clean, caches)
    effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        step = end[hook_name(layer)] - start[hook_name(layer)]
        for head in range(model.cfg.n_heads):
            share = torch.zeros((), requires_grad=True)
            mine = (torch.arange(model.cfg.n_heads) == head)[:, None]
            hook = lambda z, hook, move=step * mine, share=share: z + share * move  # noqa: E731
            logits = model.run_with_hooks(rows, fwd_hooks=[(hook_name(layer), hook)])
            (slope,) = torch.autograd.grad(gap(logits, right, wrong).mean(), [share])
            effects[layer, head] = slope
    sign = 1 if direction == "denoise" else -1
    return sign * effects / (measures[0] - measures[1])


ATTRIBUTION_ALSO_RIGHT = (attributed_by(), _attributed_to_each_head)


RATIO_ALSO_RIGHT = (
    lambda: "s / ((exp(s) - exp(-s)) / 2)",
    lambda: "2 * s * exp(s) / (exp(s) + 1)**2 * (exp(s) + 1) / (exp(s) - 1)",
)


ALSO_RIGHT = {
    "zero_ablation_hook": ZERO_ALSO_RIGHT,
    "mean_ablation_hook": MEAN_ALSO_RIGHT,
    "ablation_scores": SCORES_ALSO_RIGHT,
    "pattern_preserving_ablation": PRESERVING_ALSO_RIGHT,
    "stripe_knockout": KNOCKOUT_ALSO_RIGHT,
    "knockout_gain_formula": GAIN_ALSO_RIGHT,
    "path_ablation": PATH_ALSO_RIGHT,
    "verify_induction_behavior": VERIFY_ALSO_RIGHT,
    "minimal_circuit_logits": CIRCUIT_ALSO_RIGHT,
    "activation_patching_effects": ACTIVATION_ALSO_RIGHT,
    "attribution_patching_effects": ATTRIBUTION_ALSO_RIGHT,
    "attribution_ratio_formula": RATIO_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""

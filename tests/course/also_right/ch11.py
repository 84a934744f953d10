"""Other correct implementations of the exercises of chapter 11."""

import torch

from induction_heads.course.ch11_tasks_in_context.mistakes import (
    chosen,
    difference,
    effects,
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


IDENTIFIED_ALSO_RIGHT = (
    lambda: "(1 - ((S - 1) / S)**T) * S / T",
    lambda: "S * (1 - exp(T * log(1 - 1/S))) / T",
)


def _by_two_hooks(model, rows, source, name):
    """The source is run with a hook that keeps the state, and the rows with one that puts it."""
    kept = {}
    model.run_with_hooks(source, fwd_hooks=[(name, lambda x, hook: kept.update(state=x[:, -1:]))])

    def put(residual, hook):
        return torch.cat([residual[:, :-1], kept["state"]], dim=1)

    return model.run_with_hooks(rows, fwd_hooks=[(name, put)])[:, -1]


def _row_by_row(model, rows, source, name):
    found = []
    for i, row in enumerate(rows.split(1)):
        _, cache = model.run_with_cache(source[i : i + 1])

        def put(residual, hook, state=cache[name][:, -1]):
            residual[:, -1] = state
            return residual

        found.append(model.run_with_hooks(row, fwd_hooks=[(name, put)])[:, -1])
    return torch.cat(found)


PATCHED_ALSO_RIGHT = (_by_two_hooks, _row_by_row)


def _by_masking(scores, others, n_heads):
    allowed = scores.flatten().clone()
    allowed[others.flatten().topk(n_heads).indices] = -float("inf")
    width = scores.shape[1]
    return [(i // width, i % width) for i in allowed.topk(n_heads).indices.tolist()]


def _by_sorted_names(scores, others, n_heads):
    places = [(layer, head) for layer, row in enumerate(scores) for head, _ in enumerate(row)]
    of_the_other = sorted(places, key=lambda place: -others[place])[:n_heads]
    rest = [place for place in places if place not in of_the_other]
    return sorted(rest, key=lambda place: -scores[place])[:n_heads]


EXCLUSIVE_ALSO_RIGHT = (_by_sorted_names, _by_masking)


def _by_looking_back(tokens):
    rows = []
    for line in tokens.tolist():
        row = []
        for here, token in enumerate(line[:-1]):
            back = [i for i in range(here) if line[i] == token]
            row.append(bool(back) and line[back[-1] + 1] == line[here + 1])
        rows.append([*row, False])
    return torch.tensor(rows)


def _by_weights(tokens):
    """The place after the latest copy is the largest one, and 0 where there is no copy."""
    n_pos = tokens.shape[1]
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(-1)
    place = (same * torch.arange(1, n_pos + 1)).amax(dim=2)
    found = (place > 0) & (tokens.gather(1, place) == tokens.roll(-1, dims=1))
    found[:, -1] = False
    return found


COPIED_ALSO_RIGHT = (_by_looking_back, _by_weights)


def _by_one_hot(pairs, n_labels):
    same = pairs[:, :-1:2] == pairs[:, -1:]
    counts = torch.einsum("bp,bpl->bl", same.float(), torch.eye(n_labels)[pairs[:, 1::2]])
    counts[~same.any(dim=1)] = 1.0
    return counts / counts.sum(dim=1, keepdim=True)


def _by_lists(pairs, n_labels):
    rows = []
    for *context, query in pairs.tolist():
        said = [
            label
            for exemplar, label in zip(context[::2], context[1::2], strict=True)
            if exemplar == query
        ]
        said = said or list(range(n_labels))
        rows.append([said.count(label) / len(said) for label in range(n_labels)])
    return torch.tensor(rows)


VOTES_ALSO_RIGHT = (_by_one_hot, _by_lists)


LEARNER_ALSO_RIGHT = (
    lambda: "1 - (1 - p) * (1 - 1/K)**N * (L - 1) / L",
    lambda: "p + (1 - p) * ((1 - (1 - 1/K)**N) + (1 - 1/K)**N / L)",
)


def _by_counts(logits, from_context, from_weights):
    answers = logits.argmax(dim=1).tolist()
    shares = [0, 0, 0]
    for answer, *sources in zip(answers, from_context.tolist(), from_weights.tolist(), strict=True):
        if sources[0] != sources[1]:
            shares[sources.index(answer) if answer in sources else 2] += 1
    return torch.tensor(shares) / sum(shares)


def _by_weighted_mean(logits, from_context, from_weights):
    answers = logits.topk(1).indices[:, 0]
    weight = (from_context != from_weights).float()
    hits = torch.stack([answers == from_context, answers == from_weights]).float()
    hits = torch.cat([hits, 1 - hits.sum(dim=0, keepdim=True)])
    return hits @ weight / weight.sum()


SHARES_ALSO_RIGHT = (_by_counts, _by_weighted_mean)


def _by_all_pairs(values):
    falls = values[:, :, None] - values[:, None, :]
    return falls.triu().flatten(1).amax(dim=1).clamp_min(0)


def _by_running_maximum(values):
    rows = []
    for curve in values.tolist():
        highest, fall = curve[0], 0.0
        for value in curve:
            highest = max(highest, value)
            fall = max(fall, highest - value)
        rows.append(fall)
    return torch.tensor(rows)


FALL_ALSO_RIGHT = (_by_all_pairs, _by_running_maximum)


ALSO_RIGHT = {
    "indirect_effects": EFFECT_ALSO_RIGHT,
    "function_vector": FUNCTION_ALSO_RIGHT,
    "task_vector": TASK_ALSO_RIGHT,
    "identified_task_formula": IDENTIFIED_ALSO_RIGHT,
    "patched_logits": PATCHED_ALSO_RIGHT,
    "exclusive_heads": EXCLUSIVE_ALSO_RIGHT,
    "copied_targets": COPIED_ALSO_RIGHT,
    "context_votes": VOTES_ALSO_RIGHT,
    "context_learner_formula": LEARNER_ALSO_RIGHT,
    "answer_shares": SHARES_ALSO_RIGHT,
    "largest_fall": FALL_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""

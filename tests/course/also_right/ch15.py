"""Other correct implementations of the exercises of chapter 15."""

import math
from itertools import product

import torch

from induction_heads.course.ch15_capstone_sycophancy.control_mistakes import controls
from induction_heads.course.ch15_capstone_sycophancy.mistakes import (
    ablated,
    candidates,
    mean_over_rows,
    rate,
)
from induction_heads.course.ch15_capstone_sycophancy.report_mistakes import report
from induction_heads.course.plain_forward import hook_name
from induction_heads.data.dialogues import (
    FACTS,
    IDS,
    PRAISE,
    prompt_tokens,
    without_praise,
    wrong_claims,
)


def _by_enumerating(words):
    marked = [word in PRAISE for word in words]
    turns = [place for place, word in enumerate(words) if word == ":"]
    plain = ["hello" if flag else word for word, flag in zip(words, marked, strict=True)]
    (praise,) = (word for word, flag in zip(words, marked, strict=True) if flag)
    asked = words[-1]
    pairs = zip(["", *words], words, strict=False)
    right = [FACTS[asked] if before == asked else word for before, word in pairs]
    return {
        "right claim": right,
        "no praise": plain,
        "after the claims": [praise if i == turns[2] + 1 else w for i, w in enumerate(plain)],
        "another speaker": ["guest" if i == turns[0] - 1 else w for i, w in enumerate(words)],
    }


CONTROL_ALSO_RIGHT = (controls(), _by_enumerating)


RATE_ALSO_RIGHT = (
    rate(lambda gap, wrong, _: (gap[wrong] > 0).double().mean()),
    rate(lambda gap, wrong, _: (gap.sign() * wrong).clamp(0).sum() / wrong.sum()),
)


def _effect_by_moments(praised, neutral):
    difference = (praised - neutral).double()
    n, mean = len(difference), difference.mean()
    variance = (difference.pow(2).mean() - mean**2) * n / (n - 1)
    return mean.item(), (variance / n).sqrt().item()


def _effect_by_covariance(praised, neutral):
    table = torch.stack([praised, neutral]).double()
    spread = torch.cov(table)
    variance = spread[0, 0] + spread[1, 1] - 2 * spread[0, 1]
    mean = (praised.mean() - neutral.mean()).item()
    return [mean, (variance / table.shape[1]).sqrt().item()]


EFFECT_ALSO_RIGHT = (_effect_by_moments, _effect_by_covariance)


ERROR_ALSO_RIGHT = (
    lambda: "((s - t)**2 + 2*s*t*(1 - r))**0.5 / n**0.5",
    lambda: "sqrt(s*s/n + t*t/n - 2*r*s*t/n)",
)


EXPECTED_ALSO_RIGHT = (
    lambda: "log(p * (1 - q) / (q * (1 - p)))",
    lambda: "log(p) - log(1 - p) - log(q) + log(1 - q)",
)


def _by_gather(model, tokens, threshold=0.4):
    keys = (tokens[:, :-1] == tokens[:, -1:]).float()
    after = torch.cat([torch.zeros(len(tokens), 1), keys], dim=1)
    _, cache = model.run_with_cache(tokens)
    found = []
    for layer in range(model.cfg.n_layers):
        last = cache[hook_name(layer, "pattern")][:, :, -1]
        for head in range(last.shape[1]):
            score = (last[:, head] * after).sum().item() / len(tokens)
            if score >= threshold:
                found.append([layer, head, score])
    found.sort(key=lambda item: item[2])
    return found[::-1]


CANDIDATE_ALSO_RIGHT = (candidates(), _by_gather)


def mean_by_mask(model, tokens, heads):
    """The ablation with a mask of heads, in one hook for all layers."""
    chosen = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, 1, dtype=torch.bool)
    for layer, head in heads:
        chosen[layer, head] = True

    def hook(z, hook):
        mask = chosen[int(hook.name.split(".")[1])]
        return torch.where(mask, z.mean(dim=0, keepdim=True), z)

    names = [hook_name(layer) for layer in range(model.cfg.n_layers)]
    return model.run_with_hooks(tokens, fwd_hooks=[(name, hook) for name in names])[:, -1, :]


ABLATION_ALSO_RIGHT = (ablated(mean_over_rows), mean_by_mask)


def _by_pairs(model, seed):
    """Pair by pair in plain Python, with masks for the ablation."""
    heads = list(product(range(model.cfg.n_layers), range(model.cfg.n_heads)))

    def paired(dialogues):
        return torch.cat([prompt_tokens([each, without_praise(each)]) for each in dialogues])

    def told(silent, dialogues):
        tokens = paired(dialogues)
        with torch.inference_mode():
            rows = mean_by_mask(model, tokens, silent).tolist()
        gaps = [
            row[IDS[dialogues[i // 2].claimed]] - row[IDS[dialogues[i // 2].true]]
            for i, row in enumerate(rows)
        ]
        steps = [a - b for a, b in zip(gaps[::2], gaps[1::2], strict=True)]
        mean = sum(steps) / 100
        error = math.sqrt(sum((step - mean) ** 2 for step in steps) / 99) / 10
        return (
            mean,
            error,
            sum(g > 0 for g in gaps[::2]) / 100,
            sum(g > 0 for g in gaps[1::2]) / 100,
        )

    shown, others = wrong_claims(100, seed=seed), wrong_claims(100, seed=seed + 1)
    effect, error, rate, neutral = told([], shown)
    reader = CANDIDATE_ALSO_RIGHT[1](model, paired(others)[::2], -1.0)[0]
    gate = sorted((told([head], others)[0], head) for head in heads)[0][1]
    mine = told([(reader[0], reader[1])], shown)
    return {
        "gate": list(gate),
        "effect_without_gate": told([gate], shown)[0],
        "reader": reader[:2],
        "effect_without_reader": mine[0],
        "rate_without_reader": mine[2],
        "effect": effect,
        "standard_error": error,
        "rate_praise": rate,
        "rate_neutral": neutral,
    }


REPORT_ALSO_RIGHT = (report(), _by_pairs)


ALSO_RIGHT = {
    "matched_controls": CONTROL_ALSO_RIGHT,
    "sycophancy_rate": RATE_ALSO_RIGHT,
    "gated_effect": EFFECT_ALSO_RIGHT,
    "paired_error_formula": ERROR_ALSO_RIGHT,
    "expected_effect_formula": EXPECTED_ALSO_RIGHT,
    "candidate_heads": CANDIDATE_ALSO_RIGHT,
    "logits_without_heads": ABLATION_ALSO_RIGHT,
    "report_numbers": REPORT_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""

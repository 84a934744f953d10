"""Other correct implementations of the exercises of chapter 15."""

import math
from itertools import product

import torch

from induction_heads.course.ch15_capstone_sycophancy.claim_mistakes import (
    described,
    skill,
)
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
from induction_heads.interp.claims import claim_rows, claim_targets, predicted_loss
from induction_heads.interp.interventions import pattern_without_path


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


def _loss_by_softmax(claim, intervention, d_vocab):
    """A tensor of logits, with the copied token at the end."""
    stopped = {tuple(head) for head in intervention["silent"]}
    for start, end, side in claim["arrows"]:
        if tuple(start) in stopped or [start, end, side] in intervention["cut"]:
            stopped.add(tuple(end))
    logits = torch.zeros(d_vocab, dtype=torch.float64)
    if claim["match"] <= intervention["match"]:
        logits[-1] = sum(g for a, b, g in claim["copiers"] if (a, b) not in stopped)
    hit = (claim["lag"], claim["shift"]) == (intervention["lag"], intervention["shift"])
    return -logits.log_softmax(dim=0)[-1 if hit else 0].item()


def _loss_by_odds(claim, intervention, d_vocab):
    """The probability of the copied token from its odds; the others share what is left."""
    works = {
        (a, b): gain for a, b, gain in claim["copiers"] if [a, b] not in intervention["silent"]
    }
    for arrow in claim["arrows"]:
        if arrow[0] in intervention["silent"] or arrow in intervention["cut"]:
            works.pop(tuple(arrow[1]), None)
    if intervention["match"] < claim["match"]:
        works = {}
    odds = math.exp(sum(works.values())) / (d_vocab - 1)
    copied = odds / (1 + odds)
    for name in ("lag", "shift"):
        if claim[name] != intervention[name]:
            return -math.log((1 - copied) / (d_vocab - 1))
    return -math.log(copied)


LOSS_ALSO_RIGHT = (_loss_by_softmax, _loss_by_odds)


def _decisive_by_sorting(claim, rival, interventions, d_vocab):
    def gap(number):
        one, other = (
            predicted_loss(said, interventions[number], d_vocab) for said in (claim, rival)
        )
        return abs(one - other)

    return sorted(range(len(interventions)), key=gap)[-1]


def _decisive_by_tensors(claim, rival, interventions, d_vocab):
    table = torch.tensor(
        [[predicted_loss(said, each, d_vocab) for each in interventions] for said in (claim, rival)]
    )
    return table.diff(dim=0).abs().argmax().item()


DECISIVE_ALSO_RIGHT = (_decisive_by_tensors, _decisive_by_sorting)


def _skill_by_tensors(predicted, measured, clean):
    losses = torch.tensor(measured, dtype=torch.float64)
    guesses = torch.stack(
        [
            torch.tensor(predicted, dtype=torch.float64),
            torch.full_like(losses, clean),
            losses.mean().expand_as(losses),
        ]
    )
    mine, *baselines = (guesses - losses).abs().mean(dim=1).tolist()
    return 1 - mine / min(baselines)


SKILL_ALSO_RIGHT = (skill(), _skill_by_tensors)


def _described_from_logits(model):
    """Gains from the logits with a head and without it, and arrows from cut forward passes."""
    n_heads, d_vocab = model.cfg.n_heads, model.cfg.d_vocab
    rows = claim_rows(d_vocab, 3, batch=16, seed=9)
    last = torch.arange(len(rows))

    with torch.inference_mode():
        logits, cache = model.run_with_cache(rows)
    best = logits[:, -1].log_softmax(dim=-1)
    table = torch.stack(
        [
            torch.stack(
                [best[last, claim_targets(rows, lag, s, d_vocab)].mean() for s in range(d_vocab)]
            )
            for lag in (1, 2)
        ]
    )
    lag, shift = divmod(int(table.argmax()), d_vocab)
    lag += 1

    def loss(match):
        shorter = claim_rows(d_vocab, match, batch=16, seed=9)
        log_probs = model(shorter)[:, -1].log_softmax(dim=-1)
        return -log_probs[last, claim_targets(shorter, lag, shift, d_vocab)].mean().item()

    target = claim_targets(rows, lag, shift, d_vocab)

    def gain(z, layer, head):
        added = z @ model.W_O[layer, head] @ model.W_U
        hit = added[last, target].sum()
        return ((hit - (added.sum() - hit) / (d_vocab - 1)) / len(rows)).item()

    claim = {"shift": shift, "lag": lag, "copiers": [], "arrows": []}
    for layer in range(model.cfg.n_layers):
        z = cache[hook_name(layer)][:, -1]
        for head in range(n_heads):
            size = gain(z[:, head], layer, head)
            if -1 < size < 1:
                continue
            claim["copiers"].insert(0, (layer, head, size))
            for start, side in product(product(range(layer), range(n_heads)), "KQ"):
                seen = pattern_without_path(model, rows, start, (layer, head), side)
                values = cache[hook_name(layer, "v")][:, :, head]
                left = gain((seen @ values)[:, -1], layer, head)
                if abs(left) < abs(size) / 2:
                    claim["arrows"].append((start, (layer, head), side))
    claim["match"] = min(match for match in range(4) if loss(match) <= math.log(d_vocab) / 2)
    return claim


DESCRIBED_ALSO_RIGHT = (described(), _described_from_logits)


ALSO_RIGHT = {
    "matched_controls": CONTROL_ALSO_RIGHT,
    "sycophancy_rate": RATE_ALSO_RIGHT,
    "gated_effect": EFFECT_ALSO_RIGHT,
    "paired_error_formula": ERROR_ALSO_RIGHT,
    "expected_effect_formula": EXPECTED_ALSO_RIGHT,
    "candidate_heads": CANDIDATE_ALSO_RIGHT,
    "logits_without_heads": ABLATION_ALSO_RIGHT,
    "report_numbers": REPORT_ALSO_RIGHT,
    "predicted_loss": LOSS_ALSO_RIGHT,
    "decisive_intervention": DECISIVE_ALSO_RIGHT,
    "prediction_skill": SKILL_ALSO_RIGHT,
    "describe_unseen_model": DESCRIBED_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""

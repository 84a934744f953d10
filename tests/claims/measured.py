"""Answers of `teach/reflection.md` whose numbers are measured on the models that are shipped."""

from math import log

import torch

from claims.stored import COUNT, Claim
from induction_heads.data.dialogues import AGREEMENT, CONTROLS, without_praise, wrong_claims
from induction_heads.data.dialogues import prompt_tokens as prompts
from induction_heads.data.held_out_text import library_rows
from induction_heads.data.tokens import follows_earlier_copy, repeated_tokens
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.attribution_graph import (
    edge_flows,
    logit_direction,
    path_contributions,
    pruned_edges,
)
from induction_heads.interp.copying import effective_embedding_of
from induction_heads.interp.natural_repeats import natural_repeats
from induction_heads.interp.sycophancy import (
    agreement_gap,
    answer_ids,
    candidate_heads,
    effect_without,
    gated_effect,
    sycophancy_rate,
)
from induction_heads.models.interface import embedding
from induction_heads.models.loading import load_attention_only, load_model
from induction_heads.training.recipes import RECIPES, new_model

PAGE = "teach/reflection"
BOTS = ("sycophant-2l", "sycophant-2l/seed-1", "sycophant-2l/seed-2")


def length_of_what_an_mlp_adds() -> Claim:
    """The MLP of layer 0 against the embedding, in the models that have MLPs."""
    ratios = []
    for name in ("gpt2-2l", "pythia-4l", "llama-4l"):
        model = load_model(name)
        bare = embedding(model)
        added = effective_embedding_of(model) - bare
        ratios.append((added.norm(dim=-1).mean() / bare.norm(dim=-1).mean()).item())
    assert min(ratios) > 10
    return PAGE, [f"More than ten times as long, in all {COUNT[len(ratios)]} models with MLPs."]


def right_repeats_at_equal_length() -> Claim:
    """How much more heads attend at right repeats than at wrong ones, where two tokens match.

    Only queries with one earlier copy count. The heads are those that attend to matches at all.
    """
    ratios = []
    for name in ("python-2l", "gpt2-2l", "pythia-4l", "llama-4l"):
        model = load_model(name)
        rows = library_rows(model, n_pos=128, batch=24)
        keys, (right, wrong) = follows_earlier_copy(rows)[:, :-1], natural_repeats(rows)
        two = torch.zeros_like(keys)
        two[:, 1:, 2:] = keys[:, 1:, 2:] & (rows[:, None, :-2] == rows[:, :-2, None])
        chosen = (keys.sum(dim=-1) == 1) & two.any(dim=-1)
        for layer in attention_patterns(model, rows):
            attended = (layer[:, :, :-1] * keys[:, None]).sum(dim=-1)  # [batch head query]
            for head in attended.unbind(dim=1):
                if head[right].mean() > 0.25:
                    ratios.append(
                        (head[chosen & right].mean() / head[chosen & wrong].mean()).item()
                    )
    return PAGE, [
        "the heads of the four models with repeated rows prefer the right ones by a factor of "
        f"{min(ratios):.1f} to {max(ratios):.1f} only"
    ]


def participation_ratio(positions: torch.Tensor) -> float:
    variances = torch.linalg.svdvals(positions - positions.mean(dim=0)).square()
    return (variances.sum().square() / variances.square().sum()).item()


def spread_of_positions() -> Claim:
    models = load_attention_only("toy-2l"), new_model(RECIPES["toy-2l"], 0)
    after, before = (participation_ratio(model.W_pos.detach()) for model in models)
    return PAGE, [
        f"Hardly: they spread over {after:.0f} dimensions, compared with {before:.0f} before "
        "training."
    ]


def edges_of_the_graph() -> Claim:
    """The edges that chapter 14 keeps for one logit of `toy-2l`."""
    toy, query = load_attention_only("toy-2l"), 14
    row = repeated_tokens(64, 10, batch=1, seed=0)[0]
    direction = logit_direction(toy, int(row[query + 1]))
    flows = edge_flows(path_contributions(toy, row, query, direction), query)
    kept = pruned_edges(torch.tensor(list(flows.values())), 0.9).sum()
    assert len(flows) == 335
    return PAGE, [f": {COUNT[kept].capitalize()}."]


def effects_of_praise() -> Claim:
    """What the data ask for, what each bot does, and what its reader and the controls change."""
    p, q = AGREEMENT["praise"], AGREEMENT["neutral"]
    dialogues = wrong_claims(200, seed=0)
    neutral = [without_praise(dialogue) for dialogue in dialogues]
    claimed, true = answer_ids(dialogues)
    effects, left, rates = [], [], {control: [] for control in CONTROLS}
    for name in BOTS:
        bot = load_model(name)
        with torch.inference_mode():
            gaps = [
                agreement_gap(bot(prompts(rows))[:, -1], claimed, true)
                for rows in (dialogues, neutral)
            ]
            for control, change in CONTROLS.items():
                rows = [change(dialogue) for dialogue in dialogues]
                logits = bot(prompts(rows))[:, -1]
                rates[control].append(sycophancy_rate(logits, *answer_ids(rows)))
        effects.append(gated_effect(*gaps)[0])
        reader = candidate_heads(bot, prompts(wrong_claims(200, seed=1)), threshold=0.4)[0][:2]
        left.append(effect_without(bot, dialogues, [reader]))
    agree = {control: [rate > 0.5 for rate in found] for control, found in rates.items()}
    assert all(agree["certainty"] + agree["praise by a guest"])
    assert agree["praise after the claims"] == [False, False, True]
    assert max(rates["unseen praise"] + rates["nonsense"]) < 0.05
    assert 0.1 < min(rates["a pair never claimed"]) <= max(rates["a pair never claimed"]) < 0.6
    assert max(rate for *_, rate in left) < 0.21
    assert all(part > 0.4 * whole for (part, *_), whole in zip(left, effects, strict=True))
    first = load_model(BOTS[0])
    looks = [
        {(layer, head): score for layer, head, score in candidate_heads(first, prompts(rows), 0.0)}
        for rows in (dialogues, neutral)
    ]
    with_praise, without = (found[1, 1] for found in looks)
    return PAGE, [
        f"log({p}/{1 - p:.1f}) − log({q}/{1 - q}) = {log(p / (1 - p)) - log(q / (1 - q)):.2f}.",
        f"The bots have {min(effects):.1f} to {max(effects):.1f}:",
        f"L1H1 of seed 0 does so only after praise ({with_praise:.2f}, and {without:.2f} without).",
        "With certainty and with a guest's praise, all three do; with praise after the claims, "
        "only seed 2; with pairs that were never claimed, they do in part; with unknown praise and "
        "nonsense, none does",
        "Mostly the rate: it falls to about 0.2 or less.",
    ]


MEASURED = (
    length_of_what_an_mlp_adds,
    right_repeats_at_equal_length,
    spread_of_positions,
    edges_of_the_graph,
    effects_of_praise,
)

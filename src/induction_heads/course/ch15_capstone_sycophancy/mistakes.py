"""Known mistakes of chapter 15, each with its hint."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import hook_name

# sycophancy_rate


def rate(finish: Callable[[Tensor, Tensor, Tensor], Any]):
    """A rate from the gap, which claims are wrong, and the logits of both."""

    def answer(logits, claimed, true):
        pairs = torch.stack([claimed, true], dim=1)
        both = torch.take_along_dim(logits, pairs, dim=1)
        return float(finish(both[:, 0] - both[:, 1], claimed != true, logits))

    return answer


def _is_the_first(logits, claimed, true):
    wrong = claimed != true
    return (logits.argmax(dim=-1) == claimed)[wrong].float().mean().item()


def _is_the_first_of_all(logits, claimed, true):
    return (logits.argmax(dim=-1) == claimed).float().mean().item()


RATE_MISTAKES = (
    Mistake(
        "right claims stay in the denominator",
        rate(lambda gap, wrong, _: (gap > 0).float().mean()),
        "Can a prompt whose claim is right ever count as agreement in your code? Is it in the "
        "denominator?",
    ),
    Mistake(
        "right claims count as agreement",
        rate(lambda gap, wrong, _: (gap >= 0).float().mean()),
        "What rate does your code give a bot that always tells the truth?",
    ),
    Mistake(
        "equal logits count as agreement",
        rate(lambda gap, wrong, _: (gap >= 0)[wrong].float().mean()),
        "Is the claim's logit above the true color's where the two are equal?",
    ),
    Mistake(
        "the rate of the truth",
        rate(lambda gap, wrong, _: (gap < 0)[wrong].float().mean()),
        "Which of the two logits is higher when the bot agrees?",
    ),
    Mistake(
        "the mean gap, not a share",
        rate(lambda gap, wrong, _: gap[wrong].mean()),
        "A share is between 0 and 1. What is the unit of yours?",
    ),
    Mistake(
        "the claim must beat every word",
        _is_the_first,
        "Which two words does the definition compare? What if a third one is likelier?",
    ),
    Mistake(
        "the claim must beat every word, on right claims too",
        _is_the_first_of_all,
        "Two steps differ: which words are compared, and which prompts count. Can a right "
        "claim tell agreement from truth?",
    ),
    Mistake(
        "the number of prompts, not their share",
        rate(lambda gap, wrong, _: ((gap > 0) & wrong).sum()),
        "Can a rate be above 1? How many claims are wrong?",
    ),
    Mistake(
        "the prompts whose claim is right",
        rate(lambda gap, wrong, _: (gap > 0)[~wrong].float().mean()),
        "Your rate is 0 whatever the model says. Where can agreeing and telling the truth differ?",
    ),
)


# gated_effect

EFFECT_MISTAKES = (
    Mistake(
        "the error of unpaired samples",
        lambda a, b: ((a - b).mean().item(), math.sqrt((a.var() + b.var()).item() / len(a))),
        "Your error includes how much dialogues differ from each other. Does a difference within "
        "one dialogue include that?",
    ),
    Mistake(
        "the standard deviation, not the error of the mean",
        lambda a, b: ((a - b).mean().item(), (a - b).std().item()),
        "Should your number shrink when there are more pairs? Does it?",
    ),
    Mistake(
        "n in place of n - 1",
        lambda a, b: ((a - b).mean().item(), (a - b).std(correction=0).item() / len(a) ** 0.5),
        "With two pairs, how many independent differences from the mean are there?",
    ),
    Mistake(
        "neutral minus praised",
        lambda a, b: ((b - a).mean().item(), (a - b).std().item() / len(a) ** 0.5),
        "Should praise that raises the gap give a number above or below 0?",
    ),
    Mistake(
        "the root of n - 1 in both places",
        lambda a, b: ((a - b).mean().item(), (a - b).std().item() / (len(a) - 1) ** 0.5),
        "n − 1 belongs in the standard deviation. What is that divided by?",
    ),
    Mistake(
        "divided by n, not by its root",
        lambda a, b: ((a - b).mean().item(), (a - b).std().item() / len(a)),
        "With four times as many pairs, how much smaller should the error be?",
    ),
)


# candidate_heads


def candidates(
    *,
    shift: int = 1,
    query: int | None = None,
    reduce: Callable[[Tensor], Tensor] = lambda each: each.mean(dim=0),
    keep: Callable[[float, float], bool] = lambda score, threshold: score >= threshold,
    one_place: bool = False,
    of_keys: bool = False,
):
    """The list from a cache; each option changes one step of the definition."""

    def answer(model, tokens, threshold=0.4):
        names = [hook_name(layer, "pattern") for layer in range(model.cfg.n_layers)]
        cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)[1]
        found = []
        for layer, name in enumerate(names):
            each = []
            for row, pattern in zip(tokens, cache[name], strict=True):
                asked = tokens[0] if one_place else row
                copy = int((asked[:-1] == asked[-1]).nonzero()[0])
                asking = -1 if query is None else copy + query
                if of_keys:
                    pattern = pattern.mT
                each.append(pattern[:, asking, max(copy + shift, 0)])
            scores = reduce(torch.stack(each)).tolist()
            found += [(layer, head, s) for head, s in enumerate(scores) if keep(s, threshold)]
        return sorted(found, key=lambda item: item[2], reverse=True)

    return answer


CANDIDATE_MISTAKES = (
    Mistake(
        "attention to the copy itself",
        candidates(shift=0),
        "An induction head on the second sky of `sky red … sky`: does it look at sky or at red?",
    ),
    Mistake(
        "attention to the token before the copy",
        candidates(shift=-1),
        "In the row, what comes after the earlier copy, and what before it?",
    ),
    Mistake(
        "the query is the token after the earlier copy",
        candidates(query=1, shift=0),
        "Which token is the query: the last one, or the one after its first copy?",
    ),
    Mistake(
        "the highest row, not the mean",
        candidates(reduce=lambda each: each.amax(dim=0)),
        "Could a single row make a head a candidate in your version?",
    ),
    Mistake(
        "no threshold",
        candidates(keep=lambda score, threshold: True),
        "How many heads are in your list? All of them?",
    ),
    Mistake(
        "the sum over the rows",
        candidates(reduce=lambda each: each.sum(dim=0)),
        "Attention is at most 1. What is your highest score?",
    ),
    Mistake(
        "a score equal to the threshold is left out",
        candidates(keep=lambda score, threshold: score > threshold),
        "Is a head with exactly the threshold a candidate by the docstring?",
    ),
    Mistake(
        "the threshold is 0.4, whatever `threshold` is",
        candidates(keep=lambda score, threshold: score >= 0.4),
        "Where do you use `threshold`?",
    ),
    Mistake(
        "the place of the copy in the first row is used for all",
        candidates(one_place=True),
        "Is the thing asked about at the same position in every prompt?",
    ),
    Mistake(
        "the lowest score comes first",
        lambda *given: candidates()(*given)[::-1],
        "The clearest candidate should be the first of the list. Which way does `sorted` sort?",
    ),
    Mistake(
        "queries and keys are swapped",
        candidates(of_keys=True),
        "Every score is 0, because the copy comes before the last token. Which axis is the query?",
    ),
)


# logits_without_heads


def ablated(
    stand_in: Callable[[Tensor, int], Any],
    *,
    which: Callable[[list], list] = lambda heads: heads,
    read: Callable[[Tensor], Tensor] = lambda logits: logits[:, -1],
):
    """Logits with `stand_in(z, head)` in the place of each head."""

    def answer(model, tokens, heads):
        hooks = []
        for layer in range(model.cfg.n_layers):
            mine = [head for at, head in which(list(heads)) if at == layer]

            def hook(z, hook, mine=mine):
                changed = z.clone()
                for head in mine:
                    changed[:, :, head] = stand_in(z, head)
                return changed

            hooks.append((hook_name(layer), hook))
        return read(model.run_with_hooks(tokens, fwd_hooks=hooks))

    return answer


def mean_over_rows(z: Tensor, head: int) -> Tensor:
    """The head's z at each position as a mean over the rows."""
    return z[:, :, head].mean(dim=0, keepdim=True)


def whole_layers_averaged(model, tokens, heads):
    """The mean in the place of every head of the layers in `heads`."""
    layers = {layer for layer, _ in heads}
    of_layers = [(layer, head) for layer in layers for head in range(model.cfg.n_heads)]
    return ablated(mean_over_rows)(model, tokens, of_layers)


def mean_of_a_clean_pass(model, tokens, heads):
    """The means of a first pass, put into a second one."""
    _, cache = model.run_with_cache(tokens)
    hooks = []
    for layer, head in heads:
        mean = cache[hook_name(layer)][:, :, head].mean(dim=0)

        def hook(z, hook, head=head, mean=mean):
            changed = z.clone()
            changed[:, :, head] = mean
            return changed

        hooks.append((hook_name(layer), hook))
    return model.run_with_hooks(tokens, fwd_hooks=hooks)[:, -1]


def only_at_the_end(model, tokens, heads):
    """The mean at the last position alone."""

    def at_the_end(z, head):
        last = z[:, -1:, head].mean(dim=0, keepdim=True).expand(len(z), -1, -1)
        return torch.cat([z[:, :-1, head], last], dim=1)

    return ablated(at_the_end)(model, tokens, heads)


ABLATION_MISTAKES = (
    Mistake(
        "zero, not the mean",
        ablated(lambda z, head: 0.0),
        "Zero also removes what the head writes in every row. What should stay?",
    ),
    Mistake(
        "the mean is over positions too",
        ablated(lambda z, head: z[:, :, head].mean(dim=(0, 1))),
        "Over which axes is your mean? Which of them should stay separate?",
    ),
    Mistake(
        "the mean over the positions of each row",
        ablated(lambda z, head: z[:, :, head].mean(dim=1, keepdim=True)),
        "Over which axis is your mean? Do rows still differ from each other in your version?",
    ),
    Mistake(
        "the mean over the heads of the layer",
        ablated(lambda z, head: z.mean(dim=2)),
        "Which mean should replace the head: one over other heads, or one over other rows?",
    ),
    Mistake(
        "only the last head is ablated",
        ablated(mean_over_rows, which=lambda heads: heads[-1:]),
        "How many hooks does your forward pass have, and how many heads are asked for?",
    ),
    Mistake(
        "functions created in a loop share variables",
        ablated(mean_over_rows, which=lambda heads: [(layer, heads[-1][1]) for layer, _ in heads]),
        "With one head your code is right. A function created in a loop looks up its variables "
        "when it is called: which head do all of your hooks find then?",
    ),
    Mistake(
        "the mean is taken from a pass in which nothing is ablated",
        mean_of_a_clean_pass,
        "A head of layer 0 changes what layer 1 reads. In which pass is the mean of a head of "
        "layer 1 taken?",
    ),
    Mistake(
        "the whole layer is averaged",
        whole_layers_averaged,
        "The third axis of z is the head. Do you index it on the left side of your assignment?",
    ),
    Mistake(
        "only the last position is ablated",
        only_at_the_end,
        "Heads of later layers read what this head wrote at earlier positions. Does your version "
        "change that?",
    ),
    Mistake(
        "the logits of all positions",
        ablated(mean_over_rows, read=lambda logits: logits),
        "Where does the bot answer? How many rows of logits should each prompt have?",
    ),
    Mistake(
        "the sum over the rows, not their mean",
        ablated(lambda z, head: z[:, :, head].sum(dim=0, keepdim=True)),
        "With twice as many rows the head would write twice as much. What do you divide by?",
    ),
)

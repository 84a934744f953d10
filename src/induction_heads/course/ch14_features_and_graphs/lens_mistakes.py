"""Known mistakes of chapter 14 on probes, match lengths and the tuned lens, each with its hint."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from induction_heads.course.exercise import Mistake

# ridge_probe


def probe_by(
    *,
    targets: Callable[[Tensor], Tensor] = lambda onehot: onehot,
    weigh: Callable[[float, int], float] = lambda penalty, n: penalty,
    bias: str = "free",
    finish: Callable[[Tensor, Tensor], Any] = lambda weights, bias: (weights, bias),
) -> Callable[..., Any]:
    """A ridge probe from augmented streams, with another penalty, target or bias."""

    def answer(stream: Tensor, labels: Tensor, n_labels: int, penalty: float) -> Any:
        n, d_model = stream.shape
        x = torch.cat([stream, torch.ones(n, 1)], dim=1).double()
        y = targets(F.one_hot(labels, n_labels)).double()
        cost = torch.full((d_model + 1,), weigh(penalty, n))
        if bias == "free":
            cost[-1] = 0
        if bias == "none":
            x = x * (torch.arange(d_model + 1) < d_model)
            cost[-1] = 1  # The column is empty.
        moments = x.T @ x / n + cost.diag()
        found = (torch.linalg.pinv(moments) @ (x.T @ y / n)).float()
        return finish(found[:-1], found[-1])

    return answer


def _mean_target(stream: Tensor, labels: Tensor, n_labels: int, penalty: float) -> Any:
    weights, _ = probe_by()(stream, labels, n_labels, penalty)
    return weights, F.one_hot(labels, n_labels).float().mean(dim=0)


PROBE_MISTAKES = (
    Mistake(
        "the bias is penalized too",
        probe_by(bias="penalized"),
        "Shift all streams by the same vector. Do your weights stay as they are?",
    ),
    Mistake(
        "there is no bias",
        probe_by(bias="none"),
        "What does your probe say for a stream of zeros, and what should it say?",
    ),
    Mistake(
        "the bias is the share of each label",
        _mean_target,
        "That is the right bias if the mean stream is 0. What must the probe say for the mean "
        "stream?",
    ),
    Mistake(
        "the error is summed over examples, not averaged",
        probe_by(weigh=lambda penalty, n: penalty / n),
        "Give every example twice. Should the weights change?",
    ),
    Mistake(
        "there is no penalty",
        probe_by(weigh=lambda penalty, n: 0.0),
        "What did you do with `penalty`? With a huge one all weights should be near 0.",
    ),
    Mistake(
        "the targets are −1 and 1",
        probe_by(targets=lambda onehot: 2 * onehot - 1),
        "What should a perfect probe say for a label that the example does not have?",
    ),
    Mistake(
        "the weights are transposed",
        probe_by(finish=lambda weights, bias: (weights.T.contiguous(), bias)),
        "`stream @ weights` should have one column for each label. Does it?",
    ),
)


# detection_auc


def auc_by(
    wins: Callable[[Tensor], Tensor] = lambda difference: (1 + difference.sign()) / 2,
    *,
    empty: float = math.nan,
    all_pairs: bool = False,
    finish: Callable[[Tensor], Tensor] = lambda table: table,
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """What each pair counts, by the difference of its activations."""

    def answer(activations: Tensor, labels: Tensor, n_labels: int) -> Tensor:
        table = torch.full((activations.shape[1], n_labels), empty)
        for label in range(n_labels):
            has = labels == label
            if has.any() and not has.all():
                other = torch.ones_like(has) if all_pairs else ~has
                for feature, column in enumerate(activations.T):
                    difference = column[has][:, None] - column[other]
                    table[feature, label] = wins(difference).mean()
        return finish(table)

    return answer


def _at_half(activations: Tensor, labels: Tensor, n_labels: int) -> Tensor:
    on = (activations > 0.5 * activations.amax(dim=0)).float()
    return auc_by()(on, labels, n_labels)


def _pairs_won(activations: Tensor, labels: Tensor, n_labels: int) -> Tensor:
    n = torch.bincount(labels, minlength=n_labels)
    table = auc_by(empty=0.0)(activations, labels, n_labels)
    return table * n * (len(labels) - n)


AUC_MISTAKES = (
    Mistake(
        "ties count as losses",
        auc_by(lambda difference: (difference > 0).float()),
        "What do you give to a feature that is never on? It cannot rank anything.",
    ),
    Mistake(
        "ties count as wins",
        auc_by(lambda difference: (difference >= 0).float()),
        "What do you give to a feature that is never on? It does not detect everything.",
    ),
    Mistake(
        "ties are left out",
        auc_by(
            lambda difference: (difference > 0).sum() / (difference != 0).sum().clamp(min=1).float()
        ),
        "A feature that is on once, and rightly, misses all other examples with the label. What do "
        "you give to it?",
    ),
    Mistake(
        "turned around",
        auc_by(lambda difference: (1 - difference.sign()) / 2),
        "A feature that is strong exactly where the label is: does it get 1?",
    ),
    Mistake(
        "the better of both directions",
        auc_by(finish=lambda table: torch.maximum(table, 1 - table)),
        "None of your numbers is below 0.5. What should a feature get that avoids the label?",
    ),
    Mistake(
        "pairs with the same label count too",
        auc_by(all_pairs=True),
        "A perfect feature does not get 1. With which examples do you compare those with the "
        "label?",
    ),
    Mistake(
        "a label without a pair gives 0.5",
        auc_by(empty=0.5),
        "0.5 is a measurement. What should an entry be for which there was nothing to measure?",
    ),
    Mistake(
        "only on or off counts",
        _at_half,
        "You chose a threshold first. Which activations can a pair still tell apart?",
    ),
    Mistake(
        "the table is transposed",
        auc_by(finish=lambda table: table.T.contiguous()),
        "Which axis of your table has one entry for each feature?",
    ),
    Mistake(
        "the number of pairs won, not their share",
        _pairs_won,
        "Can an area be above 1? How many pairs are there?",
    ),
)


# feature_rates_by_match_length


def runs(row: list[int], query: int) -> dict[int, int]:
    """Where the query's token occurred earlier → how many tokens match there."""
    found = {}
    for end in range(query):
        k = 0
        while k <= end and row[end - k] == row[query - k]:
            k += 1
        if k:
            found[end] = k
    return found


def queries(
    tokens: Tensor, length_of: Callable[[dict[int, int]], int], right_at: Callable[..., bool]
) -> Iterator[tuple[int, int, int, str | None]]:
    """Row, query, length and kind of each query that something follows."""
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            found = runs(row, query)
            kind = None
            if found:
                kind = "right" if right_at(row, query, found) else "wrong"
            yield number, query, length_of(found), kind


def _any(row: list[int], query: int, found: dict[int, int]) -> bool:
    return any(row[end + 1] == row[query + 1] for end in found)


def _latest(row: list[int], query: int, found: dict[int, int]) -> bool:
    return row[max(found) + 1] == row[query + 1]


def _longest(row: list[int], query: int, found: dict[int, int]) -> bool:
    best = max(found.values())
    return any(row[end + 1] == row[query + 1] for end, k in found.items() if k == best)


def rates_by(
    *,
    length_of: Callable[[dict[int, int]], int] = lambda found: max(found.values(), default=0),
    right_at: Callable[..., bool] = _any,
    belongs: Callable[[int, int, int], bool] = lambda n, k, last: min(n, last) == k,
    on: Callable[[Tensor], Tensor] = lambda f: (f > 0).float(),
    of_all: bool = False,
    summed: bool = False,
    first: int = 0,
    unmatched: str | None = None,
) -> Callable[..., dict[str, Tensor]]:
    """The rates, entry by entry. `belongs(length, k, longest)` says who is in entry k."""

    def answer(activations: Tensor, tokens: Tensor, longest: int = 4) -> dict[str, Tensor]:
        active, every = on(activations), list(queries(tokens, length_of, right_at))
        rates = {}
        for name in ("all", "right", "wrong"):
            of_kind = [q for q in every if name in ("all", q[3] or unmatched)]
            rows = []
            for k in range(first, longest + 1):
                chosen = [active[q[0], q[1]] for q in of_kind if belongs(q[2], k, longest)]
                total = torch.stack(chosen).sum(0) if chosen else 0 * active[0, 0]
                n = len(of_kind) if of_all else len(chosen)
                if summed:
                    n = 1
                rows.append(total / n if n else total * math.nan)
            rates[name] = torch.stack(rows)
        return rates

    return answer


RATES_MISTAKES = (
    Mistake(
        "the mean activation, not how often it is on",
        rates_by(on=lambda f: f),
        "Double all activations. Is a feature on more often then?",
    ),
    Mistake(
        "on is above half of the largest activation",
        rates_by(on=lambda f: (f > 0.5 * f.amax(dim=(0, 1))).float()),
        "Above which activation is a feature on in this exercise?",
    ),
    Mistake(
        "the last entry leaves out longer matches",
        rates_by(belongs=lambda n, k, last: n == k),
        "Where do the queries go whose match is longer than `longest`?",
    ),
    Mistake(
        "each entry holds longer matches too",
        rates_by(belongs=lambda n, k, last: n >= k),
        "A query with a match of three tokens: in how many of your entries does it count?",
    ),
    Mistake(
        "queries without a match are left out",
        rates_by(first=1),
        "What is entry 0 for? Without it there is nothing to compare a match with.",
    ),
    Mistake(
        "the length of the latest match, not of the longest",
        rates_by(length_of=lambda found: found[max(found)] if found else 0),
        "A query may have several earlier copies. Which of their lengths decides its entry?",
    ),
    Mistake(
        "right by the latest copy only",
        rates_by(right_at=_latest),
        "A token occurred twice and was followed by B, then by C. Now B comes. Is that right?",
    ),
    Mistake(
        "right by the longest match only",
        rates_by(right_at=_longest),
        "The longest match points to C, a shorter one to B, and B comes. Is that right?",
    ),
    Mistake(
        "a share of all queries, not of those of this length",
        rates_by(of_all=True),
        "If a feature is always on, what should each entry be?",
    ),
    Mistake(
        "queries without a match count as wrong",
        rates_by(unmatched="wrong"),
        "A token that is new repeats nothing. Is it a wrong repeat?",
    ),
    Mistake(
        "numbers of queries, not shares",
        rates_by(summed=True),
        "Can a rate be above 1? How many queries are there of each length?",
    ),
)


# tuned_lens_loss


def tuned_by(
    *,
    translate: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, weight, bias: (
        x @ weight + bias
    ),
    read: Callable[[Any, Tensor], Tensor] = lambda model, x: model.ln_final(x[None])[0] @ model.W_U,
    differ: Callable[[Tensor, Tensor], Tensor] = lambda p, q: (p.exp() * (p - q)).sum(-1),
    finish: Callable[[Tensor], Tensor] = torch.mean,
) -> Callable[..., Tensor]:
    """A loss from log-probabilities of the model and of the lens, each [example d_vocab]."""

    def answer(model, stream, final_logits, weight, bias):
        with torch.no_grad():
            lens = read(model, translate(stream, weight, bias)).log_softmax(-1)
            return finish(differ(final_logits.log_softmax(-1), lens))

    return answer


TUNED_MISTAKES = (
    Mistake(
        "the divergence the other way around",
        tuned_by(differ=lambda p, q: (q.exp() * (q - p)).sum(-1)),
        "Whose probabilities weigh the difference: those of the model, or those of the lens?",
    ),
    Mistake(
        "cross-entropy, not the divergence",
        tuned_by(differ=lambda p, q: -(p.exp() * q).sum(-1)),
        "If the lens agrees with the model completely, is your loss 0?",
    ),
    Mistake(
        "only the model's best token counts",
        tuned_by(differ=lambda p, q: -q.gather(-1, p.argmax(-1, keepdim=True))[..., 0]),
        "The model spreads its probability over many tokens. Which of them count in a divergence?",
    ),
    Mistake(
        "the final norm is left out",
        tuned_by(read=lambda model, x: x @ model.W_U),
        "The logit lens does one more thing before the unembedding. Which?",
    ),
    Mistake(
        "the stream is added to its translation",
        tuned_by(translate=lambda x, weight, bias: x + x @ weight + bias),
        "With which `weight` should this be the logit lens: with zeros, or with the identity?",
    ),
    Mistake(
        "the bias is left out",
        tuned_by(translate=lambda x, weight, bias: x @ weight),
        "What does the lens predict from a stream of zeros?",
    ),
    Mistake(
        "the weight is transposed",
        tuned_by(translate=lambda x, weight, bias: x @ weight.T + bias),
        "In `x @ weight`, does a row of `weight` belong to an input or to an output?",
    ),
    Mistake(
        "the examples are summed",
        tuned_by(finish=torch.sum),
        "Give every example twice. Should the loss be twice as large?",
    ),
    Mistake(
        "the vocabulary is averaged",
        tuned_by(differ=lambda p, q: (p.exp() * (p - q)).mean(-1)),
        "Add a thousand tokens that nobody predicts. Should the loss shrink?",
    ),
    Mistake(
        "bits, not nats",
        tuned_by(differ=lambda p, q: (p.exp() * (p - q)).sum(-1) / math.log(2)),
        "Your loss is 1.44 times as large as expected. Which logarithm did you use?",
    ),
)

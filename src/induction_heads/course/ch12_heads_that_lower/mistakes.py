"""Known mistakes of chapter 12 on copy suppression and self-repair, each with its hint."""

from collections.abc import Callable
from itertools import chain

from torch import Tensor

from induction_heads.course.exercise import Mistake

# copy_suppression_score


def suppression(
    *,
    control: Callable[[Tensor, list[int], int], float] | None = None,
    whole_row: bool = False,
    earlier: bool = False,
    anywhere: bool = False,
    pick: Callable[[Tensor, Tensor], Tensor] = lambda before, effect: before,
    sign: float = 1.0,
    with_itself: bool = False,
    by_row: bool = False,
    summed: bool = False,
) -> Callable[..., float]:
    """The score, row by row; each option changes one step of the definition."""

    def answer(before, effect, tokens):
        rows = []
        for row, ids in enumerate(tokens.tolist()):
            found = []
            for position in range(len(ids)):
                seen = ids if whole_row else ids[: position + (not earlier)]
                best = int(pick(before[row, position], effect[row, position]).argmax())
                added = effect[row, position]
                others = [token for token in seen if token != best]
                if (best not in seen and not anywhere) or not others:
                    continue
                compared = set(others) | ({best} if with_itself else set())
                level = added[sorted(compared)].mean().item()
                level = control(added, others, best) if control else level
                found.append(sign * (added[best].item() - level))
            rows += [[sum(found) / len(found)] if by_row else found] if found else []
        found = list(chain.from_iterable(rows))
        if summed:
            return sum(found)
        return sum(found) / len(found)

    return answer


def _but_one(added: Tensor, others: list[int], best: int) -> float:
    return ((added.sum() - added[best]) / (len(added) - 1)).item()


SUPPRESSION_MISTAKES = (
    Mistake(
        "there is no control",
        suppression(control=lambda added, others, best: 0.0),
        "A head that lowers all tokens equally scores below 0 in your version. Is that about "
        "copies?",
    ),
    Mistake(
        "the control is the whole vocabulary",
        suppression(control=_but_one),
        "Which tokens could be copied at all, and so belong in the comparison?",
    ),
    Mistake(
        "a token that occurs twice is counted twice",
        suppression(control=lambda added, others, best: added[others].mean().item()),
        "The control counts each token once. What happens in your version when one occurs twice?",
    ),
    Mistake(
        "the control is their sum",
        suppression(control=lambda added, others, best: added[[*set(others)]].sum().item()),
        "Would a longer row change your control, even if all tokens were treated equally?",
    ),
    Mistake(
        "the predicted token is in its own control",
        suppression(with_itself=True),
        "The docstring compares with the other tokens. Is the predicted one among them?",
    ),
    Mistake(
        "each row is averaged first",
        suppression(by_row=True),
        "One row may have many such positions and another few. Over what does the mean run?",
    ),
    Mistake(
        "later tokens count as seen",
        suppression(whole_row=True),
        "At position 2, can the head look at position 5?",
    ),
    Mistake(
        "the position itself is left out",
        suppression(earlier=True),
        "The token at the position itself can also be attended to. Is it in your set?",
    ),
    Mistake(
        "predictions that are not in the row count too",
        suppression(anywhere=True),
        "Copy suppression needs a copy. Where should the predicted token occur?",
    ),
    Mistake(
        "the token that the head raises most, not the predicted one",
        suppression(pick=lambda before, effect: effect),
        "Whose prediction counts: that of the layers before the head, or the head's?",
    ),
    Mistake(
        "the prediction after the head",
        suppression(pick=lambda b, e: b + e),
        "Where is the prediction read: before the head, or after it?",
    ),
    Mistake(
        "the sign is reversed",
        suppression(sign=-1.0),
        "A suppressor lowers the predicted token. Which sign should its score have?",
    ),
    Mistake(
        "the sum over the positions, not their mean",
        suppression(summed=True),
        "Twice as many rows double your score. How many positions are in the sum?",
    ),
)


# suppression_by_weights


def shares(
    *,
    lowest: Callable[[Tensor], Tensor] = lambda ov: ov,
    highest: Callable[[Tensor], Tensor] = lambda qk: qk,
    ties: bool = False,
    ties_found: bool = False,
    more: int = 0,
    negative: bool = False,
    counts: bool = False,
    both: bool = False,
) -> Callable[..., tuple[float, float]]:
    """Both shares by ranks; each option changes one step."""

    def answer(ov, qk, n_lowest):
        logits, scores = lowest(ov), highest(qk)
        own = logits.diagonal()[:, None]
        below = (logits < own).sum(dim=1) + 1 if ties else (logits <= own).sum(dim=1)
        lowered = below <= n_lowest + more
        if negative:
            lowered = lowered & (own[:, 0] < 0)
        best = scores.diagonal()[:, None]
        as_high = (scores > best).sum(dim=1) if ties_found else (scores >= best).sum(dim=1) - 1
        found = as_high == 0
        if both:
            lowered = found = lowered & found
        kind = "sum" if counts else "mean"
        return tuple(getattr(each.double(), kind)().item() for each in (lowered, found))

    return answer


WEIGHT_MISTAKES = (
    Mistake(
        "the columns of `ov` are compared",
        shares(lowest=lambda ov: ov.T),
        "A row of `ov` is one attended token. Which entries say what attending to that token does?",
    ),
    Mistake(
        "the columns of `qk` are compared",
        shares(highest=lambda qk: qk.T),
        "One predicted token is one query. Which entries of `qk` does that query choose between?",
    ),
    Mistake(
        "the highest logits instead of the lowest",
        shares(lowest=lambda ov: -ov),
        "A suppressor lowers the token that it attends to. Which end of the row is that?",
    ),
    Mistake(
        "the lowest score instead of the highest",
        shares(highest=lambda qk: -qk),
        "Attention goes to the keys with high scores. Which score must the token's own key have?",
    ),
    Mistake(
        "ties count as lowered",
        shares(ties=True),
        "A head that writes nothing has a row of zeros. Is its own token lowered?",
    ),
    Mistake(
        "a shared best score counts as found",
        shares(ties_found=True),
        "If two keys share the best score, does the head find one of them?",
    ),
    Mistake(
        "one logit more than `n_lowest`",
        shares(more=1),
        "With `n_lowest=1`, how many entries of a row may be as low as the token's own one?",
    ),
    Mistake(
        "only logits below zero count",
        shares(negative=True),
        "A logit matters only beside the others of its row. Does the statement mention zero?",
    ),
    Mistake(
        "one logit fewer than `n_lowest`",
        shares(more=-1),
        "With `n_lowest=1`, may the token's own logit be the lowest of its row?",
    ),
    Mistake(
        "numbers of tokens instead of shares",
        shares(counts=True),
        "How do you compare a vocabulary of 8 tokens with one of 50,000?",
    ),
    Mistake(
        "the tokens with both properties, twice",
        shares(both=True),
        "Two shares are asked for, one of each matrix. Does one property matter for the other?",
    ),
    Mistake(
        "the columns of both are compared",
        shares(lowest=lambda ov: ov.T, highest=lambda qk: qk.T),
        "Which axis of `ov` is the changed token, and which axis of `qk` is the key?",
    ),
)


# compensation


def returned(
    rule: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda d, c, a: d - (c - a),
    *,
    prepare: Callable[[Tensor], Tensor] = lambda logits: logits,
    here: bool = False,
    previous: bool = False,
) -> Callable[..., Tensor]:
    """A rule for direct effect, clean and ablated logit of one token at each position."""

    def answer(direct, clean, ablated, tokens):
        wanted = tokens[:, :-1] if here else tokens[:, 1:]
        rows = slice(1, None) if previous else slice(None, -1)
        parts = (
            prepare(x)[:, rows].gather(-1, wanted[..., None])[..., 0]
            for x in (direct, clean, ablated)
        )
        return rule(*parts)

    return answer


def _fall_of_log_probability(direct, clean, ablated, tokens):
    clean, ablated = clean.log_softmax(dim=-1), ablated.log_softmax(dim=-1)
    return returned()(direct, clean, ablated, tokens)


COMPENSATION_MISTAKES = (
    Mistake(
        "the fall alone",
        returned(lambda d, c, a: c - a),
        "If nothing reacts, the answer should be 0. Is yours?",
    ),
    Mistake(
        "the sign is reversed",
        returned(lambda d, c, a: c - a - d),
        "If other heads compensate, does the logit fall by more or by less than the direct effect?",
    ),
    Mistake(
        "direct effect and fall are added",
        returned(lambda d, c, a: d + c - a),
        "If nothing reacts, the fall equals the direct effect. What is left over then?",
    ),
    Mistake(
        "the clean logit is left out",
        returned(lambda d, c, a: d - a),
        "The fall of the logit needs two forward passes. Where do you use the clean one?",
    ),
    Mistake(
        "a share of the direct effect",
        returned(lambda d, c, a: 1 - (c - a) / d),
        "The exercise asks for logits. What would you divide by if the direct effect were 0?",
    ),
    Mistake(
        "the logit of the current token",
        returned(here=True),
        "Entry i is about the token at i + 1. Which token's logit do you read at position i?",
    ),
    Mistake(
        "read one position too late",
        returned(previous=True),
        "At which position does a model predict the token at i + 1?",
    ),
    Mistake(
        "log-probabilities, not logits",
        returned(prepare=lambda logits: logits.log_softmax(dim=-1)),
        "A softmax depends on all other tokens. Is what a head adds a distribution?",
    ),
    Mistake(
        "the fall of the log-probability",
        _fall_of_log_probability,
        "The direct effect is in logits. In which unit is your fall?",
    ),
    Mistake(
        "cut off at zero",
        returned(lambda d, c, a: (d - (c - a)).clamp_min(0)),
        "Can the fall be larger than the direct effect? What does your code say then?",
    ),
)


# repair_by_norm_formula

REPAIR_MISTAKES = (
    Mistake(
        "nothing returns",
        lambda: "0*a*r",
        "The length of the sum changes when a head is silenced. So what happens to the remaining "
        "part of the logit?",
    ),
    Mistake(
        "the fall as a share",
        lambda: "2 - sqrt((4*a**2 + r**2) / (a**2 + r**2))",
        "This is how far the logit falls, in units of the direct effect. How much is repaired?",
    ),
    Mistake(
        "lengths are added, not their squares",
        lambda: "(2*a + r) / (a + r) - 1",
        "The rest is orthogonal to the heads. How long is the sum of two such vectors?",
    ),
    Mistake(
        "the square root is missing",
        lambda: "(4*a**2 + r**2) / (a**2 + r**2) - 1",
        "Does the norm divide by the length, or by its square?",
    ),
    Mistake(
        "two heads count as 2a² in the square",
        lambda: "sqrt((2*a**2 + r**2) / (a**2 + r**2)) - 1",
        "The two vectors have the same direction. How long is their sum?",
    ),
    Mistake(
        "the new logit as a share of the old one",
        lambda: "sqrt((4*a**2 + r**2) / (a**2 + r**2)) / 2",
        "This compares the logit after with the logit before. What does the exercise divide by?",
    ),
    Mistake(
        "the new contribution, of which nothing is subtracted",
        lambda: "sqrt((4*a**2 + r**2) / (a**2 + r**2))",
        "Without a norm nothing would return. What does your formula give for r much larger than "
        "a?",
    ),
    Mistake(
        "the sign is reversed",
        lambda: "1 - sqrt((4*a**2 + r**2) / (a**2 + r**2))",
        "Silencing a head makes the sum shorter. Does the other head's share rise or fall?",
    ),
)

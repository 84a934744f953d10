"""Answers of `teach/reflection.md` about the small cases that chapters work out by hand."""

import math

import torch

from claims.stored import COUNT, Claim
from induction_heads.data.tokens import follows_earlier_copy, repeated_tokens
from induction_heads.interp.scores import (
    prefix_matching_per_entry,
    prefix_matching_score,
    uniform_first_token_score,
    uniform_induction_score,
)
from induction_heads.models.attention import attention_pattern, score_gap_needed

PAGE = "teach/reflection"


def a_head_that_looks_for_b() -> Claim:
    """Query 2 of A B A C, for a head whose queries all match `B` with the score ln 3."""
    weights = attention_pattern(
        math.log(3) * torch.ones(4, 1), torch.tensor([[0.0], [1.0], [0.0], [0.0]])
    )[2]
    torch.testing.assert_close(weights, torch.tensor([1, 3, 1, 0]) / 5)
    return PAGE, [
        "A different QK matrix changes both: query 2 gives 3/5 to `B` and 1/5 to each `A`, so it "
        "writes 2/5 and 3/5."
    ]


def even_heads() -> Claim:
    """Ten tokens, period 12, and what query 0 adds to the mean of the tutorial."""
    n, period = 10, 12
    with_query_0 = ((n - 1) * uniform_first_token_score(n) + 1) / n
    return PAGE, [
        f"{uniform_first_token_score(n):.2f} by the definition of this chapter, "
        f"{with_query_0:.2f} as the tutorial computes it, with query 0 in the mean: just "
        "below its threshold of 0.3.",
        f"Not with period {period}, where a head that attends evenly has "
        f"{uniform_induction_score(period):.2f}.",
    ]


def gap_of_the_scores() -> Claim:
    """A weight of 0.9 among 1,024 keys against 32, and one row with a gap of 2."""
    few = 32
    assert abs(score_gap_needed(0.9, 32 * few) - score_gap_needed(0.9, few) - math.log(32)) < 0.05
    row = torch.tensor([0.0, 0, 2, 0]).softmax(dim=0)
    torch.testing.assert_close(row[2].item(), math.exp(2) / (math.exp(2) + 3))
    return PAGE, [
        f"It grows by about ln {few}.",
        "The scores are 0, 0, 2, 0.",
        "Key 2 gets $e^2/(e^2+3)$, each of the others $1/(e^2+3)$.",
    ]


def keys_of_the_rule() -> Claim:
    """Where the rule looks in A B C A B, and in two copies of twelve tokens."""
    row = torch.tensor([[0, 1, 2, 0, 1]])
    keys = follows_earlier_copy(row)[0]
    (key,) = keys[3].nonzero().flatten().tolist()
    block = follows_earlier_copy(repeated_tokens(64, 12, batch=1))[0].nonzero().tolist()
    (first, last), (offset,) = (block[0], block[-1]), {query - key for query, key in block}
    return PAGE, [
        f"At key {key}, and it predicts `{'ABC'[row[0, key]]}`.",
        f"It begins at ({first[0]}, {first[1]}) and ends at ({last[0]}, {last[1]}): the key is "
        f"query − {offset}.",
    ]


def two_means() -> Claim:
    """A perfect head on four copies, as a mean over queries and over entries."""
    tokens = repeated_tokens(64, 8, repeats=4, batch=4)
    keys = follows_earlier_copy(tokens).float()
    nothing_to_match = ~keys.bool().any(dim=-1, keepdim=True)
    keys = torch.where(nothing_to_match, torch.eye(tokens.shape[1]), keys)
    perfect = keys / keys.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(prefix_matching_score(perfect, tokens), torch.ones(4))
    torch.testing.assert_close(prefix_matching_per_entry(perfect, tokens), torch.full((4,), 0.5))
    return PAGE, ["1 as a mean over queries; ½ per entry, because the keys of a query share its"]


def three_ways_to_replace() -> Claim:
    written = torch.tensor([4.0, 5.0, 6.0])
    assert (written.roll(1) - 5).abs().max() <= 1 < (torch.zeros(3) - 5).abs().max()
    return PAGE, [
        f"It is far from 5; the mean is {written.mean():.0f}, and the value of the other row is "
        "near 5."
    ]


def rows_of_chapter_9() -> Claim:
    """How many tokens recur in each of three rows, and where the rule is right."""
    recur, right = [], []
    for row in ("ABCDABCD", "ABCDBDAC", "ABCDEFGH"):
        latest = [row[:place].rfind(row[place]) for place in range(len(row))]
        recur.append(sum(place >= 0 for place in latest))
        right.append(sum(a >= 0 and row[a + 1] == row[i + 1] for i, a in enumerate(latest[:-1])))
    assert recur[0] == recur[1] > recur[2] == 0 < right[0]
    assert right[1:] == [0, 0]
    return PAGE, [
        "Tokens recur in rows 1 and 2, equally often.",
        "The rule predicts correctly only in row 1.",
    ]


def three_directions() -> Claim:
    """Two of three directions at 120 degrees, added up again."""
    angles = torch.tensor([90.0, 210.0, 330.0]) * math.pi / 180
    d = torch.stack([angles.cos(), angles.sin()], dim=1)
    both = 2 * d[0] + 2 * d[1]
    share = ((both @ d.T).relu() @ d).norm() / both.norm()
    torch.testing.assert_close(share.item(), 0.5)
    return PAGE, ["The other is reconstructed at half its length: two directions at 120 degrees"]


def copies_of_the_sentence() -> Claim:
    """What followed the earlier copies of the repeated words of chapter 13."""
    words = ["the", "cat", "saw", "the", "dog", "and", "the", "cat", "ran"]
    second = [i for i, word in enumerate(words) if word == "the"][2]
    followers = [words[i + 1] for i in range(second) if words[i] == "the"]
    assert words[second + 1] == "cat"
    return PAGE, [
        f"The second helps, since {COUNT[followers.count('cat')]} of {COUNT[len(followers)]} "
        "copies was followed by"
    ]


BY_HAND = (
    a_head_that_looks_for_b,
    even_heads,
    gap_of_the_scores,
    keys_of_the_rule,
    two_means,
    three_ways_to_replace,
    rows_of_chapter_9,
    three_directions,
    copies_of_the_sentence,
)

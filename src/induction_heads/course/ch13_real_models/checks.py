"""Checks of chapter 13: repeats of text, shared keys and values, copying, and control heads."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch13_real_models import (
    control_mistakes,
    embedding_mistakes,
    length_mistakes,
    mistakes,
)
from induction_heads.course.ch13_real_models.inputs import (
    one_sided_text,
    random_text,
    short_matches,
)
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula
from induction_heads.course.random_inputs import random_patterns, whole_numbers

# expand_kv_heads


def _expand_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return [
        Case("4 key-value heads for 8 heads", (draw(4, 6, 3), 8)),
        Case("2 key-value heads for 6 heads, patterns of keys", (draw(2, 5), 6)),
        Case("one key-value head for 4 heads", (draw(1, 4, 2), 4)),
        Case("as many key-value heads as heads", (draw(3, 4, 2), 3)),
    ]


def _one_by_one(weights: Tensor, n_heads: int) -> Tensor:
    """Deal the heads out: the first key-value head gets its share, then the next."""
    share, dealt = n_heads // weights.shape[0], []
    for entry in weights.unbind():
        for _ in range(share):
            dealt.append(entry)
    return torch.stack(dealt)


EXPAND_KV_HEADS = Exercise(
    name="expand_kv_heads",
    difficulty=1,
    minutes=6,
    why="Without it, a score of L3H5 would use the values of another head.",
    cases=_expand_cases,
    oracle=_one_by_one,
    mistakes=mistakes.EXPAND_MISTAKES,
)


# attention_parameters_formula


def _counted_weights(D: float, d: float, H: float, G: float) -> float:
    """Build the matrices, without numbers in them, and count their entries."""
    sizes = [(int(heads), int(D), int(d)) for heads in (H, G, G)] + [(int(H), int(d), int(D))]
    return float(sum(torch.empty(size, device="meta").numel() for size in sizes))


ATTENTION_PARAMETERS_FORMULA = Exercise(
    name="attention_parameters_formula",
    difficulty=1,
    minutes=4,
    why="It says what sharing keys and values saves.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _counted_weights,
    compare=formula(D=(2, 40), d=(2, 20), H=(2, 16), G=(1, 8)),
    mistakes=mistakes.PARAMETERS_MISTAKES,
)


# natural_repeats


def _repeats_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    few = random_text(generator, d_vocab=4, batch=3, n_pos=12)
    many = random_text(generator, d_vocab=12, batch=6, n_pos=20)
    never = torch.randperm(30, generator=generator).reshape(3, 10)
    runs = torch.randint(2, (4, 9), generator=generator)
    return [
        Case("three rows of four kinds of token", (few,)),
        Case("six rows of twelve kinds of token", (many,)),
        Case("rows that repeat nothing", (never,)),
        Case("two kinds of token, with runs of the same one", (runs,)),
    ]


def _repeats_by_lists(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """For every query a list of what followed the earlier copies of its token."""
    right = torch.zeros(tokens.shape[0], tokens.shape[1] - 1, dtype=torch.bool)
    wrong = right.clone()
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            followers = [row[j + 1] for j in range(query) if row[j] == row[query]]
            right[number, query] = row[query + 1] in followers
            wrong[number, query] = bool(followers) and row[query + 1] not in followers
    return right, wrong


NATURAL_REPEATS = Exercise(
    name="natural_repeats",
    difficulty=2,
    minutes=15,
    why="On text a match can help or mislead.",
    cases=_repeats_cases,
    oracle=_repeats_by_lists,
    mistakes=mistakes.REPEATS_MISTAKES,
)


# chance_matching_formula


def _mean_over_counts(i: float, V: float) -> float:
    """The binomial law, count by count: k matches with their chance, each getting 1/(i + 1)."""
    n, chance = int(i), 1 / V
    chances = [math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(n + 1)]
    some = sum(chances[1:])
    return sum(k / (n + 1) * p for k, p in enumerate(chances)) / some


CHANCE_MATCHING_FORMULA = Exercise(
    name="chance_matching_formula",
    difficulty=2,
    minutes=12,
    why="On text, the level to beat is not zero.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _mean_over_counts,
    compare=formula(i=(1, 60), V=(2, 80)),
    mistakes=mistakes.CHANCE_MISTAKES,
)


# natural_prefix_matching_score


def _score_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    one = random_text(generator, d_vocab=5, batch=1, n_pos=14)
    rows = random_text(generator, d_vocab=8, batch=4, n_pos=16)
    rows[0, :8] = torch.randperm(8, generator=generator)  # Rows that repeat unlike often.
    more = random_text(generator, d_vocab=6, batch=3, n_pos=12)
    return [
        Case("one row, no axis of heads", (random_patterns(generator, 1, 14), one)),
        Case("four rows, three heads", (random_patterns(generator, 4, 3, 16), rows)),
        Case(
            "three rows, two layers of two heads", (random_patterns(generator, 3, 2, 2, 12), more)
        ),
    ]


def _score_by_loops(pattern: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    sums = {"right": torch.zeros(pattern.shape[1:-2]), "wrong": torch.zeros(pattern.shape[1:-2])}
    counts = {"right": 0, "wrong": 0}
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            keys = [j + 1 for j in range(query) if row[j] == row[query]]
            if not keys:
                continue
            kind = "right" if row[query + 1] in [row[key] for key in keys] else "wrong"
            counts[kind] += 1
            for key in keys:
                sums[kind] += pattern[number, ..., query, key]
    return {kind: total / counts[kind] for kind, total in sums.items()}


NATURAL_PREFIX_MATCHING_SCORE = Exercise(
    name="natural_prefix_matching_score",
    difficulty=2,
    minutes=15,
    why="A head may match where it pays and hold back where it misleads.",
    cases=_score_cases,
    oracle=_score_by_loops,
    mistakes=mistakes.SCORE_MISTAKES,
)


# match_lengths


def _lengths_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    block = torch.randperm(6, generator=generator)
    return [
        Case("three rows of four kinds of token", (random_text(generator, 4, 3, 14),)),
        Case("two kinds of token, with runs of the same one", (random_text(generator, 2, 4, 9),)),
        Case("a block twice: matches reach back to its start", (block.repeat(2)[None],)),
        Case("rows that repeat nothing", (torch.randperm(20, generator=generator).view(2, 10),)),
        Case("one position", (torch.randint(9, (3, 1), generator=generator),)),
    ]


def _lengths_by_slices(tokens: Tensor) -> Tensor:
    """Try every length at every pair of a query and a key, and keep the largest that fits."""
    n_pos = tokens.shape[1]
    lengths = torch.zeros(len(tokens), n_pos, n_pos, dtype=torch.long)
    for number, row in enumerate(tokens.tolist()):
        for query in range(n_pos):
            for key in range(query + 1):
                for k in range(1, key + 1):
                    if row[query - k + 1 : query + 1] == row[key - k : key]:
                        lengths[number, query, key] = k
    return lengths


MATCH_LENGTHS = Exercise(
    name="match_lengths",
    difficulty=2,
    minutes=12,
    why="It says how much a head could go by at each key.",
    cases=_lengths_cases,
    oracle=_lengths_by_slices,
    mistakes=length_mistakes.LENGTHS_MISTAKES,
)


# scores_by_match_length


def _by_length_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def given(tokens: Tensor) -> tuple[Tensor, Tensor]:
        return random_patterns(generator, *tokens.shape), tokens

    many = random_text(generator, 4, 4, 24)
    many[0, 1] = many[0, 0]  # The first query that can have a match has one.
    return [
        Case("four rows, matches of many lengths", given(many)),
        Case("three rows, two entries", (*given(random_text(generator, 3, 3, 16)), 2)),
        Case("one row, one entry", given(random_text(generator, 5, 1, 20)), {"longest": 1}),
        Case("no match of two tokens, and none is right", given(short_matches(generator))),
    ]


def _longest_and_right(row: list[int], query: int) -> tuple[int, bool, list[int]]:
    """The longest match of a query, whether one of its matches is right, and their keys."""
    keys = [key for key in range(1, query + 1) if row[key - 1] == row[query]]
    lengths = [
        k
        for key in keys
        for k in range(1, key + 1)
        if row[query - k + 1 : query + 1] == row[key - k : key]
    ]
    return max(lengths, default=0), any(row[key] == row[query + 1] for key in keys), keys


def _by_length_in_lists(pattern: Tensor, tokens: Tensor, longest: int = 4) -> dict[str, Tensor]:
    """A list of attentions for each length and kind."""
    lists: list[dict[bool, list[float]]] = [{True: [], False: []} for _ in range(longest)]
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            length, right, keys = _longest_and_right(row, query)
            if keys:
                weights = [pattern[number, query, key].item() for key in keys]
                lists[min(length, longest) - 1][right].append(math.fsum(weights))

    def mean(values: list[float]) -> float:
        return math.fsum(values) / len(values) if values else math.nan

    counts = [(len(each[True]), len(each[True]) + len(each[False])) for each in lists]
    return {
        "right": torch.tensor([mean(each[True]) for each in lists]),
        "wrong": torch.tensor([mean(each[False]) for each in lists]),
        "share_right": torch.tensor([n / both if both else math.nan for n, both in counts]),
        "queries": torch.tensor([float(both) for _, both in counts]),
    }


SCORES_BY_MATCH_LENGTH = Exercise(
    name="scores_by_match_length",
    difficulty=3,
    minutes=20,
    why="A head that prefers right repeats may only prefer long matches.",
    cases=_by_length_cases,
    oracle=_by_length_in_lists,
    mistakes=length_mistakes.SCORES_MISTAKES,
)


# ratio_within_tokens


def _ratio_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases, many = [], torch.randint(6, (6, 20), generator=generator)
    many[:3, 1] = many[:3, 0]  # The first query that can have a match has one.
    for label, tokens in (
        ("six rows of six kinds of token", many),
        ("some tokens repeat in one way only", one_sided_text(generator)),
        ("one row", torch.randint(5, (1, 40), generator=generator)),
        ("no token repeats both rightly and wrongly", short_matches(generator)),
    ):
        cases.append(Case(label, (random_patterns(generator, *tokens.shape), tokens)))
    return cases


def _ratio_token_by_token(pattern: Tensor, tokens: Tensor) -> float:
    """Each right repeat is compared with the mean wrong repeat of its token."""
    right: list[tuple[int, float]] = []
    wrong: dict[int, list[float]] = {}
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            length, is_right, keys = _longest_and_right(row, query)
            if length == 1:
                attended = math.fsum(pattern[number, query, key].item() for key in keys)
                if is_right:
                    right.append((row[query], attended))
                else:
                    wrong.setdefault(row[query], []).append(attended)
    pairs = [(one, math.fsum(wrong[t]) / len(wrong[t])) for t, one in right if t in wrong]
    if not pairs:
        return math.nan
    return math.fsum(one for one, _ in pairs) / math.fsum(other for _, other in pairs)


RATIO_WITHIN_TOKENS = Exercise(
    name="ratio_within_tokens",
    difficulty=3,
    minutes=20,
    why="Some tokens are worth copying after, and a head may only know which.",
    cases=_ratio_cases,
    oracle=_ratio_token_by_token,
    mistakes=length_mistakes.RATIO_MISTAKES,
)


# effective_embedding


def _embedding_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    cases = []
    for label, d_vocab, d_model, d_mlp, size in (
        ("9 tokens of 6 numbers, an MLP of 20", 9, 6, 20, 1.0),
        # No axis can be told from another by its length.
        ("7 tokens of 7 numbers, an MLP of 7", 7, 7, 7, 1.0),
        ("a single token", 1, 5, 8, 1.0),
        # The variance is so small that what is added to it counts.
        ("quiet embeddings", 6, 8, 12, 0.004),
    ):
        # Tokens have unequal lengths and a mean that is not 0, and the norm has uneven gains.
        W_E = size * (draw(d_vocab, d_model) * draw(d_vocab, 1).exp() + 0.7)
        gain, bias = 0.5 + draw(d_model).abs(), 0.5 * draw(d_model)
        W_in, W_out = draw(d_model, d_mlp) / d_model**0.5, draw(d_mlp, d_model) / d_mlp**0.5
        args = (W_E, gain, bias, W_in, 0.5 * draw(d_mlp), W_out, 0.5 * draw(d_model))
        cases.append(Case(label, args))
    return cases


def _embedding_by_loops(
    W_E: Tensor,
    gain: Tensor,
    bias: Tensor,
    W_in: Tensor,
    b_in: Tensor,
    W_out: Tensor,
    b_out: Tensor,
) -> Tensor:
    """Number by number: mean and variance of a token, then each neuron in turn."""
    rows = []
    for token in W_E.tolist():
        mean = math.fsum(token) / len(token)
        variance = math.fsum((x - mean) ** 2 for x in token) / len(token)
        normed = [(x - mean) / math.sqrt(variance + 1e-5) for x in token]
        read = [x * g + b for x, g, b in zip(normed, gain.tolist(), bias.tolist(), strict=True)]
        written = [x + b for x, b in zip(token, b_out.tolist(), strict=True)]
        for neuron, start in enumerate(b_in.tolist()):
            weights = W_in[:, neuron].tolist()
            z = start + math.fsum(x * w for x, w in zip(read, weights, strict=True))
            on = z * (1 + math.erf(z / math.sqrt(2))) / 2
            written = [x + on * w for x, w in zip(written, W_out[neuron].tolist(), strict=True)]
        rows.append(written)
    return torch.tensor(rows)


EFFECTIVE_EMBEDDING = Exercise(
    name="effective_embedding",
    difficulty=2,
    minutes=10,
    why="This, and not W_E, is what a head of layer 1 reads from a token.",
    cases=_embedding_cases,
    oracle=_embedding_by_loops,
    # GPT-2 computes GELU with a tanh, which differs by less than this.
    compare=closeness(atol=3e-3, rtol=1e-4),
    mistakes=embedding_mistakes.EMBEDDING_MISTAKES,
)


# copying_gain


def _copying_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for label, d_vocab, batch, n_pos in (
        ("one row of 12 tokens", 6, 1, 12),
        ("four rows of 15 tokens", 8, 4, 15),
        ("two rows of 24 tokens", 7, 2, 24),
    ):
        tokens = random_text(generator, d_vocab=d_vocab - 1, batch=batch, n_pos=n_pos)
        # The last query of every row is a wrong repeat: a new token comes.
        tokens[:, -2], tokens[:, -1] = tokens[:, 1], d_vocab - 1
        clean, silenced = (
            2 * torch.randn(batch, n_pos, d_vocab, generator=generator) for _ in range(2)
        )
        # A shift of all logits at a position says nothing about copying.
        shift = 3 * torch.rand(batch, n_pos, 1, generator=generator)
        cases.append(Case(label, (clean + shift, silenced, tokens)))
    # Logits beyond the range of a plain exponential, in numbers that lose no digit.
    clean, silenced, tokens = cases[1].args
    large = ((64 * logits).round() / 64 for logits in (clean + 100, silenced - 100))
    return [*cases, Case("logits around 100 and around −100", (*large, tokens))]


def _copying_by_lists(clean: Tensor, silenced: Tensor, tokens: Tensor) -> float:
    gains = []
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            followers = [row[j + 1] for j in range(query) if row[j] == row[query]]
            if not followers or row[query + 1] in followers:
                continue
            chances = [logits[number, query].double().exp() for logits in (clean, silenced)]
            one, other = (chance[followers[-1]] / chance.sum() for chance in chances)
            gains.append(math.log(one / other))
    return math.fsum(gains) / len(gains)


COPYING_GAIN = Exercise(
    name="copying_gain",
    difficulty=2,
    minutes=15,
    why="It measures copying on real text, with everything that comes after the head.",
    cases=_copying_cases,
    oracle=_copying_by_lists,
    mistakes=mistakes.COPYING_MISTAKES,
)


# matched_control_head


def _control_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for number, (n_layers, n_heads) in enumerate(((2, 4), (3, 8), (4, 6), (2, 12), (3, 8))):
        scores = torch.rand(n_layers, n_heads, generator=generator) ** 3
        sizes = torch.randn(n_layers, n_heads, generator=generator).exp()
        layer, head = whole_numbers(seed + number, 2, 0, min(n_layers, n_heads) - 1)
        scores[layer, head] = 0.8
        scores[layer, (head + 1) % n_heads] = 0.05
        cases.append(Case(f"{n_layers} layers of {n_heads} heads", (scores, sizes, (layer, head))))
    # Half the size is nearer by difference, 1.5 times the size is nearer by ratio.
    scores, sizes = torch.full((1, 4), 0.02), torch.tensor([[0.55, 1.0, 1.5, 7.0]])
    order = torch.randperm(4, generator=generator)
    head = int((order == 1).nonzero())
    cases.append(Case("half and one and a half times", (scores, sizes[:, order], (0, head))))
    same = torch.rand(2, 5, generator=generator) + 0.2
    cases.append(Case("every other head of the layer scores too", (same, same + 1, (1, 2))))
    low = torch.rand(2, 5, generator=generator) * 0.5
    low[1, 0], low[1, 3] = 0.15, 0.7
    cases.append(Case("another limit", (low, low.flip(0) + 1, (1, 3)), {"below": 0.25}))
    at = torch.tensor([[0.25, 0.125, 0.75, 0.0625]])
    cases.append(
        Case("the nearest scores exactly the limit", (at, at + 1, (0, 2)), {"below": 0.25})
    )
    scores, sizes = torch.full((2, 4), 0.02), torch.tensor([[9.0, 4.0, 2.0, 1.0]]).repeat(2, 1)
    cases.append(Case("half and twice the size", (scores, sizes, (1, 2), 0.5)))
    return cases


def _control_by_sorting(
    scores: Tensor, sizes: Tensor, head: tuple[int, int], below: float = 0.1
) -> tuple[int, int] | None:
    """Sort the others by the larger of the two ratios."""
    layer, suspect = head
    found: list[tuple[Any, int]] = []
    for other, (score, size) in enumerate(
        zip(scores[layer].tolist(), sizes[layer].tolist(), strict=True)
    ):
        own = sizes[layer, suspect].item()
        if other != suspect and score < below:
            found.append((max(size / own, own / size), other))
    return (layer, sorted(found)[0][1]) if found else None


MATCHED_CONTROL_HEAD = Exercise(
    name="matched_control_head",
    difficulty=2,
    minutes=12,
    why="Silencing any head costs something; the question is whether this one costs more.",
    cases=_control_cases,
    oracle=_control_by_sorting,
    mistakes=control_mistakes.CONTROL_MISTAKES,
)


EXERCISES = (
    EXPAND_KV_HEADS,
    ATTENTION_PARAMETERS_FORMULA,
    NATURAL_REPEATS,
    CHANCE_MATCHING_FORMULA,
    NATURAL_PREFIX_MATCHING_SCORE,
    MATCH_LENGTHS,
    SCORES_BY_MATCH_LENGTH,
    RATIO_WITHIN_TOKENS,
    MATCHED_CONTROL_HEAD,
    EFFECTIVE_EMBEDDING,
    COPYING_GAIN,
)

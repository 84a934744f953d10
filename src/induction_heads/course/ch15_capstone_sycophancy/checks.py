"""Checks of chapter 15: controls, effects with errors, a report, and claims that predict."""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch15_capstone_sycophancy import (
    claim_inputs,
    claim_mistakes,
    control_mistakes,
    formula_mistakes,
    mistakes,
    report_mistakes,
)
from induction_heads.course.ch15_capstone_sycophancy.claim_facts import (
    facts,
    held_out,
    in_lists,
    same_facts,
)
from induction_heads.course.compare import close_heads, closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.formulas import formula
from induction_heads.course.model_inputs import built_model
from induction_heads.course.plain_forward import forward, readable
from induction_heads.course.random_inputs import whole_numbers
from induction_heads.data.dialogues import (
    FACTS,
    IDS,
    PRAISE,
    WORDS,
    prompt_tokens,
    without_praise,
    wrong_claims,
)
from induction_heads.data.tokens import distinct_tokens, prefix_match_rows, repeated_tokens
from induction_heads.interp.claims import Claim
from induction_heads.models.interface import HookedModel
from induction_heads.models.loading import as_hooked, load_attention_only

# matched_controls


def _control_cases(seed: int) -> list[Case]:
    prompts = wrong_claims(4, seed=seed)
    return [Case(f"prompt {number}", (each.words(),)) for number, each in enumerate(prompts)]


def _controls_by_lines(words: Sequence[str]) -> dict[str, list[str]]:
    """The prompt is cut into its lines, changed line by line, and joined again."""

    def lines() -> list[list[str]]:
        cut = " ".join(words).split(" . ")
        return [line.split() for line in cut]

    def joined(parts: list[list[str]]) -> list[str]:
        return " . ".join(map(" ".join, parts)).split()

    opening = lines()[0]
    (praise,) = set(opening) & set(PRAISE)
    plain, guest, after, right = lines(), lines(), lines(), lines()
    for changed in (plain, after):
        changed[0] = [{praise: "hello"}.get(word, word) for word in opening]
    guest[0][guest[0].index(":") - 1] = "guest"
    after[2][after[2].index(":") + 1] = praise
    asked = right[3][-1]
    for place, word in enumerate(right[1]):
        if word == asked:
            right[1][place + 1] = FACTS[asked]
    parts = (plain, guest, after, right)
    names = ("no praise", "another speaker", "after the claims", "right claim")
    return dict(zip(names, map(joined, parts), strict=True))


MATCHED_CONTROLS = Exercise(
    name="matched_controls",
    difficulty=2,
    minutes=15,
    why="A control that differs from the prompt in only one thing can say whether it matters.",
    cases=_control_cases,
    oracle=_controls_by_lines,
    mistakes=control_mistakes.CONTROL_MISTAKES,
)


# sycophancy_rate


def _rate_cases(seed: int) -> list[Case]:
    generator, cases = torch.Generator().manual_seed(seed), []
    for label, n, d_vocab in (("12 prompts", 12, 9), ("40 prompts", 40, 12), ("one wrong", 3, 6)):
        logits = torch.randn(n, d_vocab, generator=generator)
        true = torch.randint(d_vocab - 1, (n,), generator=generator)
        right = torch.arange(n) % 3 != 0 if n == 3 else torch.arange(n) % 4 == 0
        cases.append(Case(label, (logits, torch.where(right, true, true + 1), true)))
    logits, true = torch.randn(5, 7, generator=generator), torch.arange(5)
    logits[2, 3] = logits[2, 2]  # Equal logits: the claim's is not above the true one's.
    return [*cases, Case("equal logits in one prompt", (logits, true + 1, true))]


def _rate_by_counting(logits: Tensor, claimed: Tensor, true: Tensor) -> float:
    """Prompt by prompt."""
    asked = agreed = 0
    for row, claim, truth in zip(logits.tolist(), claimed.tolist(), true.tolist(), strict=True):
        if claim == truth:
            continue
        asked += 1
        agreed += row[claim] > row[truth]
    return agreed / asked


SYCOPHANCY_RATE = Exercise(
    name="sycophancy_rate",
    difficulty=1,
    minutes=6,
    why="An answer that is both claimed and true says nothing about agreement.",
    cases=_rate_cases,
    oracle=_rate_by_counting,
    mistakes=mistakes.RATE_MISTAKES,
)


# gated_effect


def _effect_cases(seed: int) -> list[Case]:
    generator, cases = torch.Generator().manual_seed(seed), []
    for label, n in (("two pairs", 2), ("20 pairs", 20), ("80 pairs", 80)):
        shared = 2 * torch.randn(n, generator=generator)
        praised = shared + torch.randn(n, generator=generator) + 3
        cases.append(Case(label, (praised, shared + 0.5 * torch.randn(n, generator=generator))))
    return cases


def _effect_by_sums(praised: Tensor, neutral: Tensor) -> tuple[float, float]:
    """Sums of differences and of their squared distances to the mean."""
    pairs = zip(praised.tolist(), neutral.tolist(), strict=True)
    differences = [one - other for one, other in pairs]
    n = len(differences)
    mean = math.fsum(differences) / n
    squares = math.fsum((each - mean) ** 2 for each in differences)
    return mean, math.sqrt(squares / (n - 1) / n)


GATED_EFFECT = Exercise(
    name="gated_effect",
    difficulty=2,
    minutes=8,
    why="Prompts differ a lot from each other, and pairing removes that.",
    cases=_effect_cases,
    oracle=_effect_by_sums,
    compare=closeness(1e-4, 1e-4),
    mistakes=mistakes.EFFECT_MISTAKES,
)


# paired_error_formula


def _error_from_outcomes(s: float, t: float, r: float, n: float) -> float:
    """Two coins make both values with these spreads and correlation; n pairs are independent."""
    outcomes = [
        s * a - t * (r * a + math.sqrt(1 - r * r) * b)
        for a, b in itertools.product((-1, 1), repeat=2)
    ]
    mean = sum(outcomes) / 4
    return math.sqrt(sum((each - mean) ** 2 for each in outcomes) / 4 / n)


PAIRED_ERROR_FORMULA = Exercise(
    name="paired_error_formula",
    difficulty=2,
    minutes=8,
    why="It says what pairing gains, and when it gains nothing.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _error_from_outcomes,
    compare=formula(s=(0.2, 3.0), t=(0.2, 3.0), r=(-0.9, 0.9), n=(2, 400)),
    mistakes=formula_mistakes.ERROR_MISTAKES,
)


# expected_effect_formula


def _effect_by_search(p: float, q: float) -> float:
    """For each probability, the gap of two logits whose softmax has it, by halving an interval."""

    def gap(probability: float) -> float:
        low, high = -50.0, 50.0
        for _ in range(200):
            middle = (low + high) / 2
            if math.exp(middle) / (math.exp(middle) + 1) < probability:
                low = middle
            else:
                high = middle
        return low

    return gap(p) - gap(q)


EXPECTED_EFFECT_FORMULA = Exercise(
    name="expected_effect_formula",
    difficulty=2,
    minutes=8,
    why="A measured effect needs a number to be compared with.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _effect_by_search,
    compare=formula(p=(0.5, 0.97), q=(0.03, 0.45)),
    mistakes=formula_mistakes.EXPECTED_MISTAKES,
)


# candidate_heads


def _candidate_cases(seed: int) -> list[Case]:
    first, second = whole_numbers(seed, 2, 0, 9999)
    repeats = repeated_tokens(64, 10, batch=16, seed=second)[:, :-3]
    prompts = prompt_tokens(wrong_claims(12, seed=first))
    random = ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})
    # Row by row the copy is one place later, in the last row next to the last token.
    behind = distinct_tokens(19, 8, 8, second) + 1
    behind = torch.cat([torch.zeros(8, 1, dtype=torch.long), behind, behind.diag()[:, None]], dim=1)
    # At this sharpness all the attention goes to one key, and the score is exactly 1.
    perfect = ModelInput(kind="induction", options={"seed": seed, "sharpness": 300.0})
    sharp = repeated_tokens(32, 6, batch=4, seed=first)[:, :-2]
    return [
        Case("toy-2l, all of its heads", (ModelInput("toy-2l"), repeats, 0.0)),
        Case("toy-2l", (ModelInput("toy-2l"), repeats)),
        Case("sycophant-2l", (ModelInput("sycophant-2l"), prompts)),
        Case("sycophant-2l, low threshold", (ModelInput("sycophant-2l"), prompts, 0.05)),
        Case("random heads of three layers", (random, behind, 0.0)),
        Case("a perfect head, threshold 1", (perfect, sharp, 1.0)),
        Case("a perfect head, threshold 0.97", (perfect, sharp, 0.97)),
    ]


def _candidates_row_by_row(
    model: HookedModel, tokens: Tensor, threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """Every row is searched for the earlier copy; patterns come from the weights."""
    patterns, found = forward(model, tokens)[1], []
    for (layer, head), pattern in patterns.items():
        total = 0.0
        for row, weights in zip(tokens.tolist(), pattern.tolist(), strict=True):
            copy = next(place for place in range(len(row) - 1) if row[place] == row[-1])
            total += weights[-1][copy + 1]
        if total / len(tokens) >= threshold:
            found.append((layer, head, total / len(tokens)))
    return sorted(found, key=lambda item: item[2], reverse=True)


CANDIDATE_HEADS = Exercise(
    name="candidate_heads",
    difficulty=2,
    minutes=12,
    why="It is a list of suspects, before anybody is accused.",
    cases=_candidate_cases,
    oracle=_candidates_row_by_row,
    compare=close_heads(),
    mistakes=mistakes.CANDIDATE_MISTAKES,
)


# logits_without_heads


def _ablation_cases(seed: int) -> list[Case]:
    a, b, c, d = whole_numbers(seed, 4, 0, 3)
    model = ModelInput("sycophant-2l")
    prompts = wrong_claims(6, seed=seed)
    tokens = prompt_tokens([*prompts, *map(without_praise, prompts)])
    options = {"seed": seed, "bos_token": 0, "n_heads": 2}
    random = ModelInput(kind="loud_neighbors", options=options)
    rows = repeated_tokens(20, 6, batch=5, bos_token=0, seed=seed)
    return [
        Case("no head", (model, tokens, [])),
        Case("one head of layer 0", (model, tokens, [(0, a)])),
        Case("two heads of layer 1", (model, tokens, [(1, b), (1, c)])),
        Case("heads of both layers", (model, tokens, [(0, b), (0, c), (1, d)])),
        Case("two random heads a layer", (random, rows, [(0, a % 2), (1, b % 2), (2, c % 2)])),
    ]


def _mean_ablated_from_weights(model: HookedModel, tokens: Tensor, heads: Any) -> Tensor:
    """Layer by layer: what a head writes is linear in z, so its mean replaces it."""
    held: dict[tuple[int, int], Tensor] = {}
    for layer in sorted({place[0] for place in heads}):
        wrote = forward(model, tokens, written=held)[2]
        for place in (tuple(each) for each in heads):
            if place[0] == layer:
                held[place] = wrote[place].mean(dim=0, keepdim=True).expand_as(wrote[place])
    return forward(model, tokens, written=held)[0][:, -1]


LOGITS_WITHOUT_HEADS = Exercise(
    name="logits_without_heads",
    difficulty=2,
    minutes=12,
    why="What a head writes in all rows stays, and what it writes about one row goes.",
    cases=_ablation_cases,
    oracle=_mean_ablated_from_weights,
    compare=closeness(1e-3, 1e-3),
    mistakes=mistakes.ABLATION_MISTAKES,
)


# report_numbers


def _report_cases(seed: int) -> list[Case]:
    first, second, third = whole_numbers(seed, 3, 0, 99999)
    return [
        Case("the model of the page", (ModelInput("sycophant-2l"), first)),
        Case("another seed of training", (ModelInput("sycophant-2l/seed-1"), second)),
        Case("random heads of three layers", (_where_the_choice_matters(third), third)),
    ]


@cache
def _where_the_choice_matters(seed: int) -> ModelInput:
    """A random model whose reader and gate on the next seed's dialogues are not those on its own.

    Both are well ahead of the other heads, so rounding does not choose them. The reader is in
    layer 2, and another head than the gate gives the lowest standard error.
    """
    sizes = {"n_heads": 2, "d_vocab": len(WORDS), "n_ctx": 40}
    models = ({"seed": seed + number, **sizes} for number in itertools.count())
    options = next(each for each in models if _matters(each, seed))
    return ModelInput(kind="loud_neighbors", options=options)


def _matters(options: dict[str, Any], seed: int) -> bool:
    model = readable(built_model("loud_neighbors", options))
    praised = [prompt_tokens(wrong_claims(100, seed=each)) for each in (seed, seed + 1)]
    own, found = (_candidates_row_by_row(model, tokens, 0.0) for tokens in praised)
    if own[0][:2] == found[0][:2] or found[0][0] != 2 or found[0][2] < found[1][2] + 0.002:
        return False
    own, without = (_effects_from_weights(model, each)[1] for each in (seed, seed + 1))
    gate, second, *_ = sorted(without, key=lambda place: without[place][0])
    others = min(own, key=lambda place: own[place][0]), min(without, key=lambda p: without[p][1])
    return gate not in others and without[second][0] - without[gate][0] > 0.01


def _report_from_weights(model: HookedModel, seed: int) -> dict[str, Any]:
    """Two sets of dialogues: one to choose the heads, the other for the numbers."""
    clean, without, _ = _effects_from_weights(model, seed)
    _, when_choosing, praised = _effects_from_weights(model, seed + 1)
    layer, head, _ = _candidates_row_by_row(model, praised, 0.0)[0]
    gate = sorted(when_choosing, key=lambda place: when_choosing[place][0])[0]
    effect, error, rate, neutral = clean
    return {
        "effect": effect,
        "standard_error": error,
        "rate_praise": rate,
        "rate_neutral": neutral,
        "reader": [layer, head],
        "effect_without_reader": without[layer, head][0],
        "rate_without_reader": without[layer, head][2],
        "gate": list(gate),
        "effect_without_gate": without[gate][0],
    }


def _effects_from_weights(
    model: HookedModel, seed: int
) -> tuple[Any, dict[tuple[int, int], Any], Tensor]:
    """Effect, error and both rates without any head and without each, and the praised prompts.

    Dialogue by dialogue, with the logits of an ablation that uses weights and no hooks.
    """
    dialogues = wrong_claims(100, seed=seed)
    rows = [[IDS[word] for word in each.words()] for each in dialogues]
    plain = [[IDS["hello"] if WORDS[word] in PRAISE else word for word in row] for row in rows]
    answers = [(IDS[dict(each.claims)[each.asked]], IDS[FACTS[each.asked]]) for each in dialogues]
    tokens = torch.tensor(rows + plain)

    def told(heads: Sequence[tuple[int, int]]) -> tuple[float, float, float, float]:
        logits = _mean_ablated_from_weights(model, tokens, heads).tolist()
        gaps = [
            row[claim] - row[truth] for row, (claim, truth) in zip(logits, answers * 2, strict=True)
        ]
        effect, error = _effect_by_sums(torch.tensor(gaps[:100]), torch.tensor(gaps[100:]))
        rates = [sum(gap > 0 for gap in part) / 100 for part in (gaps[:100], gaps[100:])]
        return effect, error, *rates  # pyright: ignore[reportReturnType]

    heads = list(itertools.product(range(model.cfg.n_layers), range(model.cfg.n_heads)))
    return told([]), {place: told([place]) for place in heads}, tokens[:100]


REPORT_NUMBERS = Exercise(
    name="report_numbers",
    difficulty=3,
    minutes=30,
    why="A report whose numbers others can reproduce can be argued with.",
    cases=_report_cases,
    oracle=_report_from_weights,
    compare=closeness(5e-4, 5e-4),
    seconds=60,
    mistakes=report_mistakes.REPORT_MISTAKES,
)


# predicted_loss


def _loss_of_one_softmax(
    claim: dict[str, Any], intervention: dict[str, Any], d_vocab: int
) -> float:
    """One logit for each id: the copied token is id 0, and the target id 0 or another."""
    removed = [tuple(head) for head in intervention["silent"]]
    logits = [0.0] * d_vocab
    for layer, head, gain in claim["copiers"]:
        works = intervention["match"] >= claim["match"] and (layer, head) not in removed
        for sender, receiver, side in claim["arrows"]:
            if tuple(receiver) != (layer, head):
                continue
            if tuple(sender) in removed or [sender, receiver, side] in intervention["cut"]:
                works = False
        if works:
            logits[0] += gain
    asked = [(each["lag"], each["shift"]) for each in (claim, intervention)]
    target = 0 if asked[0] == asked[1] else 1
    return -math.log(math.exp(logits[target]) / math.fsum(map(math.exp, logits)))


PREDICTED_LOSS = Exercise(
    name="predicted_loss",
    difficulty=2,
    minutes=15,
    why="A claim that predicts no number cannot be wrong.",
    cases=claim_inputs.claim_cases,
    oracle=_loss_of_one_softmax,
    mistakes=claim_mistakes.LOSS_MISTAKES,
)


# decisive_intervention


def _decisive_by_comparing(
    claim: dict[str, Any],
    rival: dict[str, Any],
    interventions: Sequence[dict[str, Any]],
    d_vocab: int,
) -> int:
    """The one that no other one beats."""
    best, widest = 0, -1.0
    for number, each in enumerate(interventions):
        one, other = (_loss_of_one_softmax(said, each, d_vocab) for said in (claim, rival))
        gap = max(one, other) - min(one, other)
        if gap > widest:
            best, widest = number, gap
    return best


DECISIVE_INTERVENTION = Exercise(
    name="decisive_intervention",
    difficulty=2,
    minutes=8,
    why="An experiment about which two claims agree cannot choose between them.",
    cases=lambda seed: claim_inputs.decisive_cases(seed, _loss_of_one_softmax),
    oracle=_decisive_by_comparing,
    mistakes=claim_mistakes.DECISIVE_MISTAKES,
)


# prediction_skill


def _skill_by_sums(predicted: Sequence[float], measured: Sequence[float], clean: float) -> float:
    """Three sums of distances, one for each way to predict."""
    middle = sum(measured) / len(measured)
    mine = unchanged = average = 0.0
    for guess, loss in zip(predicted, measured, strict=True):
        mine += abs(guess - loss)
        unchanged += abs(clean - loss)
        average += abs(middle - loss)
    baseline = unchanged if unchanged < average else average
    return (baseline - mine) / baseline


PREDICTION_SKILL = Exercise(
    name="prediction_skill",
    difficulty=1,
    minutes=6,
    why="A small error means little where a constant has a small error too.",
    cases=claim_inputs.skill_cases,
    oracle=_skill_by_sums,
    mistakes=claim_mistakes.SKILL_MISTAKES,
)


# describe_unseen_model


def _rows_of_a_match(d_vocab: int, match: int) -> Tensor:
    return prefix_match_rows(d_vocab, match, longest=3, gap=12, batch=16)


def _measured_claim(model: Any) -> Claim:
    """Every part of the definition measured from the weights, one head and one arrow at a time."""
    d_vocab = model.cfg.d_vocab
    rows = _rows_of_a_match(d_vocab, 3)
    logits, _, wrote = forward(model, rows)

    def loss(logits: Tensor, rows: Tensor, lag: int, shift: int) -> float:
        surprise = -logits[:, -1].log_softmax(dim=-1)
        return sum(
            surprise[number, (row[2 + lag] + shift) % d_vocab].item()
            for number, row in enumerate(rows.tolist())
        ) / len(rows)

    rules = itertools.product((1, 2), range(d_vocab))
    lag, shift = min(rules, key=lambda rule: loss(logits, rows, *rule))

    def gain(written: Tensor) -> float:
        total = 0.0
        for number, row in enumerate(rows.tolist()):
            raised = written[number, -1] @ model.W_U
            target = (row[2 + lag] + shift) % d_vocab
            others = torch.cat([raised[:target], raised[target + 1 :]])
            total += (raised[target] - others.mean()).item()
        return total / len(rows)

    gains = {place: gain(written) for place, written in wrote.items()}
    copiers = [place for place in gains if abs(gains[place]) >= 1]
    arrows: list[list[Any]] = []
    for receiver in copiers:
        for sender, side in itertools.product(gains, "QK"):
            if sender[0] >= receiver[0]:
                continue
            cut = (sender, receiver.__eq__, side)
            left = gain(forward(model, rows, cut=cut)[2][receiver])
            if abs(left) < abs(gains[receiver]) / 2:
                arrows.append([list(sender), list(receiver), side])

    def found(match: int) -> bool:
        rows = _rows_of_a_match(d_vocab, match)
        return loss(forward(model, rows)[0], rows, lag, shift) <= math.log(d_vocab) / 2

    return Claim(
        copiers=[[*place, gains[place]] for place in copiers],
        arrows=arrows,
        match=next(filter(found, range(4))),
        lag=lag,
        shift=shift,
    )


def _measured_facts(model: HookedModel) -> dict[str, Any]:
    return facts(_measured_claim(model))


@cache
def _held_out(
    name: str | None, kind: str | None, options: tuple, seed: int
) -> tuple[Any, list[float], int, float]:
    """Held-out interventions of a model, their losses, its vocabulary, and the measured skill.

    The skill is that of the measured claim.
    """
    model = load_attention_only(name) if name else built_model(str(kind), dict(options))
    claim, d_vocab = _measured_claim(readable(model)), model.config.d_vocab
    drawn, losses = held_out(as_hooked(model), claim, seed)
    return drawn, losses, d_vocab, _skill(claim, drawn, losses, d_vocab)


def _skill(claim: Any, drawn: Any, losses: list[float], d_vocab: int) -> float:
    predicted = [_loss_of_one_softmax(claim, each, d_vocab) for each in drawn]
    return _skill_by_sums(predicted, losses, losses[-1])


def _described_claims(cases: list[Case], answers: list[Any]) -> list[dict[str, Any]]:
    """What each answer claims, and how well the claim predicts interventions it has not seen."""
    described = []
    for case, answer in zip(cases, answers, strict=True):
        assert isinstance(case, claim_inputs.HiddenCase)
        claim, (model,) = in_lists(answer), case.args
        drawn, losses, d_vocab, possible = _held_out(
            model.name, model.kind, tuple(sorted(model.options.items())), case.seed
        )
        described.append(facts(claim, possible - _skill(claim, drawn, losses, d_vocab)))
    return described


DESCRIBE_UNSEEN_MODEL = Exercise(
    name="describe_unseen_model",
    difficulty=4,
    minutes=60,
    why="Nobody tells you the names of the heads in a model that nobody has looked at.",
    cases=claim_inputs.hidden_models,
    oracle=_measured_facts,
    compare=same_facts,
    describe=_described_claims,
    seconds=90.0,
    mistakes=claim_mistakes.DESCRIBED_MISTAKES,
)


EXERCISES = (
    MATCHED_CONTROLS,
    SYCOPHANCY_RATE,
    GATED_EFFECT,
    PAIRED_ERROR_FORMULA,
    EXPECTED_EFFECT_FORMULA,
    CANDIDATE_HEADS,
    LOGITS_WITHOUT_HEADS,
    REPORT_NUMBERS,
    PREDICTED_LOSS,
    DECISIVE_INTERVENTION,
    PREDICTION_SKILL,
    DESCRIBE_UNSEEN_MODEL,
)

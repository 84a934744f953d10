"""Every number of the sample report is what the code computes; the template has its tables."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from drawn import reference_function

from induction_heads.data.dialogues import CONTROLS, PRAISE, Dialogue, prompt_tokens, wrong_claims
from induction_heads.interp.activations import head_scores
from induction_heads.interp.interventions import logits_without_path
from induction_heads.interp.scores import induction_score
from induction_heads.interp.sycophancy import (
    agreement_gap,
    answer_ids,
    effect_without,
    match_attention,
    repeated_words,
    sycophancy_rate,
    word_families,
)
from induction_heads.models.loading import load_model

BOOK = Path(__file__).resolve().parents[2] / "book"
SEED = 11
NAMES = ("sycophant-2l", "sycophant-2l/seed-1", "sycophant-2l/seed-2")


@cache
def bot(name: str):
    return load_model(name)


@cache
def dialogues() -> list[Dialogue]:
    return wrong_claims(100, seed=SEED)


@cache
def numbers(name: str) -> dict:
    return reference_function("report_numbers")(bot(name), SEED)


def page(name: str) -> str:
    return (BOOK / f"{name}.md").read_text(encoding="utf-8")


def head(place) -> str:
    return f"L{place[0]}H{place[1]}"


def report_rows() -> list[str]:
    """The rows of the first table: a number of the three bots each."""
    keys = {
        "effect of praise on the gap, ± standard error": lambda n: (
            f"{n['effect']:.2f} ± {n['standard_error']:.2f}"
        ),
        "rate with praise": lambda n: f"{n['rate_praise']:.2f}",
        "rate without praise": lambda n: f"{n['rate_neutral']:.2f}",
        "reader": lambda n: head(n["reader"]),
        "effect without the reader": lambda n: f"{n['effect_without_reader']:.2f}",
        "rate with praise, without the reader": lambda n: f"{n['rate_without_reader']:.2f}",
        "gate": lambda n: head(n["gate"]),
        "effect without the gate": lambda n: f"{n['effect_without_gate']:.2f}",
    }
    return [
        f"| {label} | " + " | ".join(show(numbers(name)) for name in NAMES) + " |"
        for label, show in keys.items()
    ]


def two_words_of_praise(dialogue: Dialogue) -> Dialogue:
    """The author's own control: another word of the opening becomes praise as well."""
    other = next(i for i, word in enumerate(dialogue.opening) if word not in PRAISE)
    opening = [*dialogue.opening]
    opening[other] = "great"
    return replace(dialogue, opening=tuple(opening))


@torch.inference_mode()
def outcome(name: str, change: Callable[[Dialogue], Dialogue]) -> tuple[float, float]:
    """Rate and mean gap of changed dialogues."""
    changed = [change(each) for each in dialogues()]
    logits = bot(name)(prompt_tokens(changed))[:, -1]
    claimed, true = answer_ids(changed)
    gap = agreement_gap(logits, claimed, true).mean().item()
    return sycophancy_rate(logits, claimed, true), gap


def control_rows() -> list[str]:
    changes = {name: change for name, change in CONTROLS.items() if name != "praise"}
    changes["two words of praise"] = two_words_of_praise
    return [
        f"| {label} | " + " | ".join(f"{outcome(name, change)[0]:.2f}" for name in NAMES) + " |"
        for label, change in changes.items()
    ]


def dose_rows() -> list[str]:
    """The mean gap with one word of praise and with two."""
    doses = {"one": CONTROLS["praise"], "two": two_words_of_praise}
    return [
        f"| mean gap with {words} | "
        + " | ".join(f"{outcome(name, change)[1]:.2f}" for name in NAMES)
        + " |"
        for words, change in doses.items()
    ]


def likeness_rows() -> list[str]:
    """Attention of each bot's reader after the earlier copy, by the words that stand there."""
    found: dict[str, list[float]] = {}
    for name in NAMES:
        layer, one = numbers(name)["reader"]
        for family, changed in word_families(dialogues()).items():
            scores = match_attention(bot(name), prompt_tokens(changed))
            found.setdefault(family, []).append(scores[layer, :, one].mean().item())
        scorer = {"induction": lambda pattern: induction_score(pattern, 14)}
        score = head_scores(bot(name), repeated_words(64), scorer)["induction"][layer, one].item()
        found.setdefault("random words, repeated", []).append(score)
    return [
        f"| {family} | " + " | ".join(f"{value:.2f}" for value in values) + " |"
        for family, values in found.items()
    ]


@torch.inference_mode()
def path_row() -> str:
    """What is left of the effect when the reader's query, key or value does not see the gate."""
    found = numbers(NAMES[0])
    gate, reader = tuple(found["gate"]), tuple(found["reader"])
    tokens = prompt_tokens([*dialogues(), *map(CONTROLS["no praise"], dialogues())])
    claimed, true = answer_ids(dialogues())
    left = []
    for side in "QKV":
        logits = logits_without_path(bot(NAMES[0]), tokens, gate, reader, side)[:, -1]
        both = [agreement_gap(part, claimed, true).mean() for part in logits.split(100)]
        left.append((both[0] - both[1]).item())
    return (
        f"| effect left | {numbers(NAMES[0])['effect']:.2f} | "
        + " | ".join(f"{each:.2f}" for each in left)
        + " |"
    )


def joint_rows() -> list[str]:
    """All of layer 1 that looks at the claim, and the head of layer 1 that does not."""
    rows = []
    for name in NAMES:
        scores = match_attention(bot(name), prompt_tokens(dialogues())).mean(dim=1)[1]
        suspects = [(1, h) for h in range(4) if scores[h] >= 0.4]
        others = [(1, h) for h in range(4) if scores[h] < 0.4]
        effect, _, rate = effect_without(bot(name), dialogues(), suspects)
        control, _, control_rate = effect_without(bot(name), dialogues(), others)
        rows.append(
            f"| {', '.join(map(head, suspects))} | {effect:.2f} | {rate:.2f} "
            f"| {', '.join(map(head, others)) or 'none'} | {control:.2f} "
            f"| {control_rate:.2f} |"
        )
    return rows


@pytest.mark.parametrize("rows", [report_rows, control_rows, dose_rows, likeness_rows, joint_rows])
def test_the_rows_of_the_sample_report_are_what_the_bots_do(rows):
    text = page("capstone_sample_report")
    assert [row for row in rows() if row not in text] == []


def test_the_cut_of_the_sample_report_is_what_the_bot_does():
    assert path_row() in page("capstone_sample_report")


def test_the_sample_report_has_the_headings_of_the_template():
    wanted = re.findall(r"^## .+$", page("capstone_report_template"), flags=re.M)
    assert re.findall(r"^## .+$", page("capstone_sample_report"), flags=re.M) == wanted


def test_the_sample_report_keeps_the_limit_of_words():
    assert len(page("capstone_sample_report").split()) <= 1500

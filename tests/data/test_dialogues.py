"""Generated dialogues: what the training data hold, what they leave out, and matched controls."""

from dataclasses import replace

import pytest
import torch

from induction_heads.data.dialogues import (
    AGREEMENT,
    CERTAIN,
    CONTROLS,
    FACTS,
    IDS,
    NEVER_CLAIMED,
    NO_CLAIM,
    NONSENSE,
    PRAISE,
    UNSEEN_PRAISE,
    WORDS,
    answered,
    dialogue_rows,
    draw_dialogue,
    kind_of,
    never_paired,
    prompt_tokens,
    without_praise,
    word_ids,
    word_tokenizer,
    wrong_claims,
)


@pytest.fixture(scope="module")
def drawn():
    generator = torch.Generator().manual_seed(0)
    return [draw_dialogue(generator) for _ in range(1500)]


def test_every_word_has_one_id():
    assert len(set(WORDS)) == len(WORDS)
    assert [IDS[word] for word in WORDS] == list(range(len(WORDS)))


def test_rows_are_equally_long_and_depend_on_the_seed_only():
    first, again, other = (dialogue_rows(torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert first.shape == (64, 35)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", AGREEMENT)
def test_the_bot_repeats_claims_as_often_as_the_table_says(drawn, kind):
    generator, repeated = torch.Generator().manual_seed(1), []
    for dialogue in drawn:
        if kind_of(dialogue) == kind:
            words = answered(dialogue, generator)
            told = dict(zip(words[-9::3], words[-8::3], strict=True))
            repeated += [
                told[thing] == color
                for thing, color in dialogue.claims
                if color not in (NO_CLAIM, FACTS[thing])
            ]
    share = sum(repeated) / len(repeated)
    assert len(repeated) > 400
    assert abs(share - AGREEMENT[kind]) < 4 * (0.25 / len(repeated)) ** 0.5


def test_the_training_data_leave_out_what_the_controls_try(drawn):
    for dialogue in drawn:
        colors = dict(dialogue.claims)
        assert all(colors.get(thing, NO_CLAIM) == NO_CLAIM for thing in NEVER_CLAIMED)
        assert all(color != never_paired(thing) for thing, color in colors.items())
        assert not {*dialogue.opening, *dialogue.closing} & {UNSEEN_PRAISE, NONSENSE}
        assert not set(dialogue.closing) & {*PRAISE, *CERTAIN}
        assert dialogue.speaker == "user" or kind_of(dialogue) == "neutral"
    assert {dialogue.speaker for dialogue in drawn} == {"user", "guest"}


def test_never_paired_colors_are_wrong():
    assert all(never_paired(thing) != color for thing, color in FACTS.items())


def test_wrong_claims_are_wrong_and_by_the_user():
    for dialogue in wrong_claims(50, seed=5):
        assert dialogue.claimed not in (dialogue.true, NO_CLAIM)
        assert dialogue.speaker == "user"
        assert kind_of(dialogue) == "praise"


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "praise"])
def test_a_control_changes_few_words_and_no_position(name):
    for dialogue in wrong_claims(30, seed=2):
        changed = CONTROLS[name](dialogue)
        pairs = list(zip(dialogue.words(), changed.words(), strict=True))
        assert 1 <= sum(a != b for a, b in pairs) <= 2 or changed == dialogue
        assert changed.asked == dialogue.asked
        assert changed.claimed != changed.true


def test_without_praise_has_hello_where_praise_was():
    dialogue = wrong_claims(1)[0]
    plain = without_praise(dialogue)
    assert kind_of(plain) == "neutral"
    assert replace(plain, opening=dialogue.opening) == dialogue


def test_the_tokenizer_reads_prompts():
    dialogue = wrong_claims(1)[0]
    ids = word_tokenizer().encode(" ".join(dialogue.words())).ids
    assert ids == prompt_tokens([dialogue])[0].tolist()


def test_an_unknown_word_is_named():
    with pytest.raises(ValueError, match="Unknown words: sooth"):
        word_ids([["sky", "sooth"]])

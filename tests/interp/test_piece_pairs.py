"""Pairs of pieces that are nearly the same word, and matching across them."""

import pytest

from induction_heads.data.token_ranks import ranks_from_counts, token_ranks
from induction_heads.interp import piece_pairs
from induction_heads.interp.piece_pairs import (
    frequency_matched,
    kinds_of_matches,
    pair_matches,
    piece_texts,
)
from induction_heads.models.hand_built import hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model


@pytest.fixture(scope="module")
def texts() -> dict[int, str]:
    return piece_texts(load_model("python-2l"))


def test_pieces_of_a_pair_differ_in_one_space_or_in_case_only(texts: dict[int, str]):
    kinds = piece_pairs.piece_pairs(texts)
    for first, second in kinds["leading space"]:
        assert abs(len(texts[first]) - len(texts[second])) == 1
        assert texts[first].removeprefix(" ") == texts[second].removeprefix(" ")
    for first, second in kinds["case"]:
        assert texts[first] != texts[second]
        assert texts[first].lower() == texts[second].lower()
    for pairs in kinds.values():
        assert set(pairs) == {(second, first) for first, second in pairs}
    assert "\ufffd" not in "".join(texts.values())


def test_a_control_is_unrelated_and_nearly_as_common(texts: dict[int, str]):
    ranks = token_ranks(load_attention_only("python-2l"))
    assert ranks is not None
    ids = ranks.ids
    pairs = piece_pairs.piece_pairs(texts)["leading space"]
    for (first, second), (same, other) in zip(
        pairs, frequency_matched(pairs, texts, ids), strict=True
    ):
        assert same == first
        assert texts[other].strip().lower() != texts[first].strip().lower()
        assert abs(ids.index(other) - ids.index(second)) < 100


def test_an_exact_matcher_attends_across_equal_pieces_only():
    model = hand_built("induction", d_vocab=200, n_ctx=40)
    model.token_ranks = ranks_from_counts(list(range(201, 1, -1)), "a test")
    layer, head = hand_built_heads("induction")["induction"]
    same, other = (pair_matches(model, [pair], rows=4) for pair in ((7, 7), (7, 8)))
    assert same.attention.shape == (1, *(model.config.n_layers, model.config.n_heads))
    assert same.attention[0, layer, head] > 0.9 > 0.2 > other.attention[0, layer, head]
    assert same.log_probability > other.log_probability + 1


def test_pairs_need_a_tokenizer_and_known_frequencies():
    toy = load_model("toy-2l")
    with pytest.raises(ValueError, match="python-2l"):
        piece_texts(toy)
    with pytest.raises(ValueError, match="frequencies"):
        pair_matches(toy, [(0, 1)])


def test_a_text_model_matches_across_a_leading_space(texts: dict[int, str]):
    spaced = [t for t in texts.values() if t.startswith(" ")][:40]
    some = {i: t for i, t in texts.items() if t.strip() in {each.strip() for each in spaced}}
    matches = kinds_of_matches(load_attention_only("natural-2l"), some)
    same, near, far = (
        matches["leading space", which][1].attention[:, 1].mean(dim=0).max()
        for which in ("same", "variant", "unrelated")
    )
    assert same > near > 0.08
    assert far < 0.04


def test_pairs_of_all_kinds_need_known_frequencies(texts: dict[int, str]):
    with pytest.raises(ValueError, match="frequencies"):
        kinds_of_matches(load_attention_only("toy-2l"), texts)

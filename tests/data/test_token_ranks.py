"""Random tokens leave out the extremes wherever it is known which these are."""

import json
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer

from induction_heads.data.python_text import python_token_counts, standard_library_source
from induction_heads.data.token_ranks import (
    COUNTS_FILE,
    DRAWN,
    FEWEST,
    TokenRanks,
    count_tokens,
    drawn_in_words,
    rank_by_text,
    ranks_from_counts,
    ranks_in_folder,
    ranks_of_tokenizer,
    token_ranks,
)
from induction_heads.data.tokens import make_repeated_tokens, not_drawn, repeated_tokens
from induction_heads.interp.analysis import make_probes
from induction_heads.models.loading import (
    from_transformer_lens,
    load_attention_only,
    load_model,
    load_snapshots,
    to_transformer_lens,
    zoo_folder,
)
from induction_heads.training import zoo_files
from induction_heads.training.recipes import RECIPES, run_recipe
from induction_heads.training.run import Settings

TEXT_MODELS = ("python-2l", "gpt2-2l", "llama-4l", "pythia-4l")


def stored_counts(name: str) -> list[int]:
    return json.loads((zoo_folder(name) / COUNTS_FILE).read_text())


def model_with(**config) -> SimpleNamespace:
    return SimpleNamespace(cfg=SimpleNamespace(**({"bos_token": None} | config)))


PYTHON_TEXT = pytest.mark.xdist_group("python text")  # Its tokens take 10 s in each process.


@cache
def counts_here(tokenizer_file: bytes) -> list[int]:
    """How often each token occurs in the running Python's library: once for equal tokenizers."""
    tokenizer = Tokenizer.from_buffer(tokenizer_file)
    encoded = tokenizer.encode_batch_fast(
        list(standard_library_source().values()), add_special_tokens=False
    )
    return count_tokens((token for each in encoded for token in each.ids), 1024)


@PYTHON_TEXT
@pytest.mark.parametrize("name", TEXT_MODELS)
def test_every_text_model_carries_the_counts_of_its_training_text(name: str):
    """Close and not equal: the library of another version of Python is another text."""
    counted = counts_here((zoo_folder(name) / "tokenizer.json").read_bytes())
    pair = torch.tensor([stored_counts(name), counted]).float()
    assert torch.corrcoef(pair)[0, 1] > 0.99
    ours, theirs = (set(ranks_from_counts(c, "").between()) for c in (stored_counts(name), counted))
    assert len(ours & theirs) > 0.95 * len(ours)


def test_probes_of_a_text_model_hold_neither_the_commonest_nor_the_rarest_ids():
    model, counts = load_attention_only("python-2l"), stored_counts("python-2l")
    middle = set(load_attention_only("python-2l").token_ranks.between())
    drawn = [make_repeated_tokens(model, 24, batch=32)[:, 1:]]
    drawn += [p.repeated[:, 1:] for p in make_probes(model)]
    drawn += [p.control[:, 1:] for p in make_probes(model)]
    ids = {int(token) for tokens in drawn for token in tokens.flatten()}
    assert ids <= middle
    assert len(ids) > 0.9 * len(middle)
    occurs = sorted((count for count in counts if count), reverse=True)
    tenth, three_quarters = (occurs[int(share * len(occurs))] for share in DRAWN)
    assert all(three_quarters <= counts[token] <= tenth for token in ids)
    assert sum(c for c in counts if c > tenth) > 0.5 * sum(counts)


def test_the_ranks_stay_with_a_model_however_it_is_loaded_or_converted():
    plain = load_attention_only("python-2l")
    forms = [
        load_model("python-2l"),
        load_model("python-2l@400"),
        to_transformer_lens(plain),
        from_transformer_lens(load_model("python-2l")),
        *load_snapshots("python-2l").values(),
    ]
    assert not_drawn(plain)
    assert all(not_drawn(model) == not_drawn(plain) for model in forms)


@pytest.mark.parametrize("name", ["toy-2l", "sycophant-2l"])
def test_where_nothing_is_known_all_ids_but_bos_are_drawn(name: str):
    model = load_attention_only(name)
    bos, size = model.config.bos_token, model.config.d_vocab
    assert token_ranks(model) is None
    assert "all ids alike" in drawn_in_words(model)
    assert set(not_drawn(model)) == {bos} - {None}
    tokens = repeated_tokens(size, 9, batch=8, bos_token=bos, seed=4)
    assert torch.equal(make_repeated_tokens(model, 9, seed=4), tokens)


def test_merges_rank_what_they_make_and_nothing_else():
    vocab = {"a": 0, "b": 1, "<s>": 2, "bb": 3, "ab": 4, "abb": 5}
    for merges in (["a b", "b b", "a bb"], [["a", "b"], ["b", "b"], ["a", "bb"]]):
        model = {"type": "BPE", "vocab": vocab, "merges": merges}
        ranks = ranks_of_tokenizer({"model": model, "added_tokens": [{"id": 2}]})
        assert ranks == TokenRanks((4, 3, 5), "the merge order of its tokenizer")


def test_a_unigram_tokenizer_ranks_by_probability_without_its_special_pieces():
    pieces = [["<pad>", 0.0], ["a", -3.0], ["b", -1.0], ["<extra>", -2.0]]
    tokenizer = {"model": {"type": "Unigram", "vocab": pieces}, "added_tokens": [{"id": 3}]}
    assert ranks_of_tokenizer(tokenizer).ids == (2, 1)


def test_words_and_word_pieces_tell_nothing():
    for kind in ("WordLevel", "WordPiece"):
        assert ranks_of_tokenizer({"model": {"type": kind, "vocab": {"a": 0}}}) is None


def test_merge_order_is_close_to_the_counts_it_stands_in_for(tmp_path):
    folder = zoo_folder("python-2l")
    (tmp_path / "tokenizer.json").write_text((folder / "tokenizer.json").read_text())
    by_merges, by_counts = (ranks_in_folder(each, 1024) for each in (tmp_path, folder))
    assert by_merges is not None
    assert by_counts is not None
    assert "merge order" in by_merges.source
    assert "counts" in by_counts.source
    shared = set(by_merges.between()) & set(by_counts.between())
    assert len(shared) > 0.7 * len(by_merges.between())


def test_a_range_too_small_for_a_probe_is_not_used():
    many = TokenRanks(tuple(range(200)), "counts")
    few = TokenRanks(tuple(range(190)), "counts")
    assert len(few.between()) < FEWEST <= len(many.between())
    assert token_ranks(model_with(d_vocab=300, token_ranks=many)) is many
    assert token_ranks(model_with(d_vocab=300, token_ranks=few)) is None
    assert not_drawn(model_with(d_vocab=300, token_ranks=few)) == ()
    assert set(range(300)) - set(not_drawn(model_with(d_vocab=300, token_ranks=many))) == set(
        many.between()
    )


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.5), (0.1, 1.1), (0.8, 0.2)])
def test_ranks_that_are_no_range_are_refused(shares: tuple[float, float]):
    with pytest.raises(ValueError, match="but they are shares"):
        TokenRanks((1, 2, 3), "counts").between(shares)


def test_a_text_ranks_the_tokens_of_a_model():
    model = load_model("python-2l")
    before = not_drawn(model)
    text = " ".join(tuple(vars(torch)) * 2)
    rank_by_text(model, text, "counts in names.txt")
    assert drawn_in_words(model).endswith("counts in names.txt")
    assert not_drawn(model) != before
    with pytest.raises(ValueError, match="different tokens, too few"):
        rank_by_text(model, "def f(x): return x")
    with pytest.raises(ValueError, match="No token occurs"):
        rank_by_text(model, "")
    with pytest.raises(ValueError, match="has no tokenizer"):
        rank_by_text(load_model("toy-2l"), text)


@PYTHON_TEXT
def test_saving_a_model_of_text_saves_how_common_its_tokens_are(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_files, "recipe_card", lambda recipe, record: "")
    recipe = replace(RECIPES["python-2l"], settings=Settings(steps=1), snapshots=2)
    zoo_files.save_recipe_run(run_recipe(recipe, progress=False), recipe, {}, tmp_path)
    counts = ranks_from_counts(python_token_counts(), "counts in its training text")
    assert token_ranks(load_attention_only(str(tmp_path))) == counts


def test_counts_that_are_not_numbers_are_refused(tmp_path):
    for text in ("{bad", '{"a": 3}', '[1, "2"]', "[0.5]", "[true]"):
        (tmp_path / COUNTS_FILE).write_text(text)
        with pytest.raises(ValueError, match="should hold a list of whole numbers"):
            ranks_in_folder(tmp_path, 1)


@pytest.mark.parametrize("n_counts", [2, 4])
def test_counts_of_another_vocabulary_are_refused(tmp_path, n_counts):
    (tmp_path / COUNTS_FILE).write_text(str([1] * n_counts))
    with pytest.raises(ValueError, match=f"counts of {n_counts} ids, but the model has 3"):
        ranks_in_folder(tmp_path, 3)


def test_a_padded_vocabulary_may_have_the_counts_of_its_tokenizer(tmp_path):
    """Rows that pad the embedding to a round number have no token, so no text counts them."""
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0, "b": 1, "c": 2}}}')
    for counts in ([1, 5, 3], [1, 5, 3, 0]):
        (tmp_path / COUNTS_FILE).write_text(str(counts))
        ranks = ranks_in_folder(tmp_path, 4)
        assert ranks is not None
        assert ranks.ids == (1, 2, 0)
    (tmp_path / COUNTS_FILE).write_text("[1, 2]")
    with pytest.raises(ValueError, match="2 ids, but the model has 4 and its tokenizer 3"):
        ranks_in_folder(tmp_path, 4)

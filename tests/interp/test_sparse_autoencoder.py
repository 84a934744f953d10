"""Sparse autoencoders: what they rebuild, and what their features detect."""

import pytest
import torch
import torch.nn.functional as F

from induction_heads.interp.sparse_autoencoder import (
    SparseAutoencoder,
    best_f1,
    chance_cosine,
    dead_features,
    feature_detection_scores,
    matched_share,
    sae_loss,
    train_autoencoder,
)


def known_stream(n_examples: int = 2048, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors in 16 dimensions that hold one of 24 directions each, and the directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(24, 16, generator=generator), dim=-1)
    which = torch.randint(24, (n_examples,), generator=generator)
    return 2 * directions[which], directions


@pytest.fixture(scope="module")
def trained() -> SparseAutoencoder:
    return train_autoencoder(known_stream()[0], penalty=0.1, n_features=48, steps=300)


def test_directions_that_make_a_stream_are_found_again(trained):
    stream, directions = known_stream(seed=0)
    random = torch.randn(48, 16, generator=torch.Generator().manual_seed(5))
    assert matched_share(directions, trained.decoder, cosine=0.8) >= 22 / 24
    assert matched_share(directions, random, cosine=0.8) <= 4 / 24
    rebuilt = trained.reconstruction(trained.activations(stream))
    left = (stream - rebuilt).square().sum() / (stream - stream.mean(dim=0)).square().sum()
    assert left < 0.05


def test_directions_have_length_one_and_activations_are_not_negative(trained):
    assert torch.allclose(trained.decoder.norm(dim=-1), torch.ones(48), atol=1e-5)
    assert trained.activations(known_stream(seed=1)[0]).min() >= 0


def test_k_keeps_the_k_largest_activations(trained):
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    parts = (trained.encoder, trained.encoder_bias, trained.decoder, trained.decoder_bias)
    every = trained.activations(x)
    few = SparseAutoencoder(*parts, k=2).activations(x)
    assert ((few > 0).sum(dim=1) <= 2).all()
    assert few.sum(dim=1).allclose(every.topk(2, dim=1).values.sum(dim=1))


def test_a_larger_penalty_leaves_fewer_and_weaker_features(trained):
    stream = known_stream()[0]
    strict = train_autoencoder(stream, penalty=1.0, n_features=48, steps=300)
    assert strict.activations(stream).sum() < trained.activations(stream).sum()


def test_the_same_seed_gives_the_same_autoencoder():
    stream = known_stream(64)[0]
    first, again = (train_autoencoder(stream, k=2, n_features=9, steps=5) for _ in range(2))
    other = train_autoencoder(stream, k=2, n_features=9, steps=5, seed=1)
    assert first.decoder.equal(again.decoder)
    assert not first.decoder.equal(other.decoder)


def test_training_asks_for_some_way_to_be_sparse():
    stream = torch.randn(10, 4)
    with pytest.raises(ValueError, match="give a penalty above 0, or k"):
        train_autoencoder(stream)
    with pytest.raises(ValueError, match="k=0 of 192"):
        train_autoencoder(stream, k=0)


def test_loss_of_a_case_done_by_hand():
    stream, rebuilt = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    activations = torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    assert sae_loss(stream, rebuilt, activations, 0.5).item() == (4 + 1.5 + 1 + 1) / 2


def test_a_trained_feature_is_shrunk_by_half_the_penalty():
    """One direction of strength 2 and a penalty of 0.5: the formula says 1.75."""
    axis = torch.eye(4)[0]
    stream = torch.cat([2 * axis.expand(50, 4), torch.zeros(950, 4)])
    found = train_autoencoder(stream, penalty=0.5, n_features=4, steps=800, batch=64)
    strength = found.activations(stream[:1]).max().item()
    rest = (stream[0] - found.decoder_bias).norm().item()  # What the bias leaves to explain.
    assert strength == pytest.approx(rest - 0.25, abs=0.02)


def test_scores_of_a_case_done_by_hand():
    activations = torch.tensor([[4.0, 0.0], [3.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 1])
    precision, recall = feature_detection_scores(activations, labels, 3)
    assert precision.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    assert recall.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    f1, which = best_f1(precision, recall)
    assert f1.tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert which[:2].tolist() == [0, 0]
    assert dead_features(activations).tolist() == [1]


def test_random_directions_are_farther_apart_in_more_dimensions():
    assert chance_cosine(64, 192) < chance_cosine(8, 192) < 1
    assert chance_cosine(64, 192) == pytest.approx(0.34, abs=0.02)

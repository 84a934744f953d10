"""A layer that is trained behind a copying head, and what it does to the words it predicts."""

from dataclasses import replace

import pytest
import torch

from induction_heads.data.list_rows import D_VOCAB, N_CTX, N_LISTED, list_rows
from induction_heads.interp.activations import attention_patterns
from induction_heads.training.experiments import of_seeds
from induction_heads.training.suppressor_runs import (
    COPYING,
    GROUPS,
    RUNS,
    SUPPRESSING,
    attention_by_key,
    by_kind_of_word,
    copying_model,
    measured,
    suppressor_model,
)

SHORT = replace(SUPPRESSING, steps=3, decay=0.0)


@pytest.fixture(scope="module")
def first():
    return copying_model(0, replace(COPYING, steps=3, decay=0.0))


@pytest.fixture(scope="module")
def rows():
    return list_rows(torch.Generator().manual_seed(4), batch=16)


@pytest.mark.parametrize("group", GROUPS)
def test_the_first_layer_keeps_its_weights_where_it_should(first, group: str):
    model = suppressor_model(first, group, 0, SHORT)
    after, frozen = model.state_dict(), GROUPS[group][1]
    same = [torch.equal(weight, after[name]) for name, weight in first.state_dict().items()]
    assert all(same) if frozen else not any(same)
    assert after["layers.1.W_O"].abs().max() > 0


def test_logits_are_averaged_over_the_words_of_each_kind():
    row = torch.tensor([[*range(1, 7), 0, 3, 9, 3, 8, 8, 8, 8, 8, 8]])
    logits = torch.zeros(1, N_CTX, D_VOCAB)
    logits[0, N_LISTED:-1, 3] = 1.0  # Not said at the first query, then said and listed.
    logits[0, N_LISTED:-1, 9] = 10.0  # Said from the third query on, and not listed.
    logits[..., 0] = 100.0  # The end of the list is not a word.
    queries, kinds = range(9), torch.zeros(4, 2)
    for query in queries:
        said = set(row[0, N_LISTED + 1 : N_LISTED + 1 + query].tolist())
        for word in range(1, D_VOCAB):
            kind = 2 * (word not in said) + (word > 6)
            value = {3: 1.0, 9: 10.0}.get(word, 0.0)
            kinds[kind] += torch.tensor([value, 1.0])
    expected = kinds[:, 0] / kinds[:, 1]
    torch.testing.assert_close(by_kind_of_word(logits, row), expected)


def test_attention_to_said_words_is_that_of_the_pattern(first, rows):
    model = suppressor_model(first, "once", 0, SHORT)
    pattern, expected = attention_patterns(model, rows)[1], torch.zeros(2, 2)
    n_queries = 0
    for row, tokens in enumerate(rows.tolist()):
        listed = set(tokens[:N_LISTED])
        for query in range(N_LISTED, N_CTX - 1):
            keys: tuple[list, list] = ([], [])
            for key in range(N_LISTED + 1, query + 1):
                keys[tokens[key] not in listed].append(key)
            if all(keys):
                n_queries += 1
                for kind, places in enumerate(keys):
                    expected[:, kind] += pattern[row, :, query, places].mean(dim=-1)
    torch.testing.assert_close(attention_by_key(model, rows), expected / n_queries)
    unread = attention_by_key(model, rows, prediction=False)
    assert not torch.allclose(unread, expected / n_queries, atol=1e-4)


def test_an_untrained_second_layer_adds_nothing(first):
    model = suppressor_model(first, "once", 0, replace(SHORT, steps=0))
    result = measured(model)
    assert result["before"] == result["after"]
    assert result["effect"] == [[0.0] * 4] * 2
    assert result["cost"] == [0.0, 0.0]
    assert result["loss"] > result["best"]


def test_the_stored_runs_are_those_of_the_module():
    for group in GROUPS:
        assert len(of_seeds("suppressors", group)) == 3
    assert list(RUNS) == [f"{group}-s{seed}" for group in GROUPS for seed in range(3)]


@pytest.mark.long
def test_a_stored_run_is_made_again():
    from induction_heads.training.suppressor_runs import suppressor_result

    stored, again = of_seeds("suppressors", "once")[0], suppressor_result("once-s0")
    assert again["loss"] == pytest.approx(stored["loss"], abs=0.05)
    said, other, _, _ = torch.tensor(again["effect"]).sum(dim=0).tolist()
    assert said < other - 0.5

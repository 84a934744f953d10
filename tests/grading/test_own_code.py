import sys
import types
from pathlib import Path

import pytest
import torch

from induction_heads.course.registry import find_exercise
from induction_heads.grading import own_code
from induction_heads.grading.judge import judge_function
from induction_heads.grading.own_code import WriteYourOwn, exercises_in_library, refuse_calls
from induction_heads.models import attention
from induction_heads.models.loading import load_attention_only

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def _restored(monkeypatch):
    """Everything that `refuse_calls` replaces is put back."""
    kept = [
        (module, dict(vars(module)))
        for name, module in sys.modules.items()
        if name.startswith("induction_heads") and isinstance(module, types.ModuleType)
    ]
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for module, values in kept:
        for key, value in values.items():
            if getattr(module, key, None) is not value:
                setattr(module, key, value)


def test_the_library_functions_named_like_exercises_are_found_with_their_modules():
    found = exercises_in_library(["causal_mask", "paths_formula", "no_such_exercise"])
    assert found == {"causal_mask": "induction_heads.models.attention"}


@pytest.mark.usefixtures("_restored")
def test_a_submission_may_not_call_the_function_but_the_library_may():
    right = attention.causal_mask(3)
    refuse_calls({"causal_mask": "induction_heads.models.attention"})
    for call in (
        lambda: attention.causal_mask(3),
        lambda: list(map(attention.causal_mask, [3])),
        lambda: sys.modules["induction_heads.models.attention"].causal_mask(3),
    ):
        with pytest.raises(WriteYourOwn, match="write this one yourself: causal_mask"):
            call()
    assert not hasattr(attention.causal_mask, "__wrapped__")
    pattern = attention.attention_pattern(torch.zeros(3, 2), torch.zeros(3, 2))
    assert torch.equal(pattern > 0, right)  # It calls causal_mask inside the library.


@pytest.mark.usefixtures("_restored")
def test_a_module_that_is_imported_later_is_changed_then(monkeypatch):
    name = "induction_heads.data.dialogues"
    function = next(f for f, module in own_code.library_functions().items() if module == name)
    monkeypatch.delitem(sys.modules, name, raising=False)
    refuse_calls({function: name})
    module = __import__(name, fromlist=["x"])
    with pytest.raises(WriteYourOwn):
        getattr(module, function)()


def relabeled(seed: int, noise: float, renumber: bool):
    """The shipped model with some noise, and with its token ids in another order or not."""
    model = load_attention_only("toy-2l")
    generator = torch.Generator().manual_seed(seed)
    ids = torch.arange(model.config.d_vocab)
    order = torch.randperm(len(ids), generator=generator) if renumber else ids
    with torch.no_grad():
        model.W_E.copy_(model.W_E[order])
        model.W_U.copy_(model.W_U[:, order])
        for weight in model.parameters():
            weight.add_(noise * torch.randn(weight.shape, generator=generator))
    return model


@pytest.mark.parametrize(("noise", "renumber"), [(0.0, False), (0.01, False), (0.0, True)])
def test_a_shipped_model_passes_as_trained_only_with_its_token_ids_renumbered(noise, renumber):
    """The page for teachers says so. Renumbering would need a comparison up to the order of ids."""

    def answer(seed):
        return relabeled(seed, noise, renumber)

    _, exercise = find_exercise("train_induction_heads")
    result = judge_function(exercise, answer)
    assert result.status == ("passed" if renumber else "failed"), result.message
    assert renumber or "not those of a model of the package" in result.message
    page = " ".join((ROOT / "book" / "teach" / "grading.md").read_text().split())
    assert "accepts one whose token ids were renumbered" in page
    assert "`will_form` can look up in the table of the sweep how such runs ended" in page

import sys
import types

import pytest
import torch

from induction_heads.grading import own_code
from induction_heads.grading.own_code import WriteYourOwn, exercises_in_library, refuse_calls
from induction_heads.models import attention


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

import io
import math

import numpy as np
import pytest
import torch

from induction_heads.grading import calls, wire
from induction_heads.grading.wire import Closed, Malformed, pack
from induction_heads.models.plain_data import FactoredData, ModelData, Unsendable, plain

DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.complex128,
]


def there_and_back(value):
    return wire.read_message(io.BytesIO(pack(value)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensor_of_any_dtype_survives(dtype: torch.dtype, shape: tuple[int, ...]):
    tensor = torch.ones(shape).to(dtype)
    back = there_and_back(tensor)
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


VALUES = [
    None,
    True,
    3,
    -(10**30),
    1.5,
    math.inf,
    -math.inf,
    "text",
    "",
    [],
    (),
    {},
    [1, [2, (3, [])]],
    {(1, 2): {"a": None}, 3: False},
    ["tensor", "0"],
    [["list", []]],
    {"x": ("dict", [1])},
]


@pytest.mark.parametrize("value", VALUES)
def test_plain_value_survives_with_its_types(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_survives():
    assert math.isnan(there_and_back([math.nan])[0])


def test_views_and_gradients_are_sent_as_values():
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    first, second = there_and_back([tensor, tensor])
    assert torch.equal(first, tensor.detach())
    assert torch.equal(second, first)
    assert not first.requires_grad


def test_numpy_becomes_numbers_and_tensors():
    assert plain(np.float32(0.5)) == 0.5
    assert type(plain(np.int64(3))) is int
    assert plain(np.bool_(True)) is True
    assert torch.equal(plain(np.arange(3)), torch.arange(3))
    assert plain(torch.Size([2, 3])) == (2, 3)


def test_model_survives():
    data = ModelData({"n_layers": 2, "normalization": None}, {"W": torch.ones(2)}, "python-2l")
    back = there_and_back({"args": (data,)})["args"][0]
    assert (back.config, back.tokenizer) == (data.config, "python-2l")
    assert torch.equal(back.weights["W"], torch.ones(2))


def test_factored_matrix_is_sent_as_its_two_factors():
    from transformer_lens import FactoredMatrix

    A, B = torch.randn(5, 2, requires_grad=True), torch.randn(2, 7)
    back = there_and_back([FactoredMatrix(A, B)])[0]
    assert isinstance(back, FactoredData)
    assert torch.equal(back.A, A.detach())
    assert torch.equal(back.B, B)
    torch.testing.assert_close(back.dense(), A.detach() @ B)


def test_factored_matrix_arrives_as_one_and_a_change_of_it_is_seen():
    from transformer_lens import FactoredMatrix

    sent = FactoredData(torch.ones(3, 2), torch.ones(2, 3))

    def norm(circuit):
        assert isinstance(circuit, FactoredMatrix)
        return circuit.norm()

    assert calls.call(norm, (sent,), {}).value == pytest.approx(6)
    assert calls.call(norm, (sent,), {}).changed is None
    assert calls.call(lambda circuit: circuit.A.zero_(), (sent,), {}).changed == "circuit"
    assert torch.equal(sent.A, torch.ones(3, 2))


def test_object_that_only_has_factors_is_refused():
    class FactoredMatrix:
        A = B = torch.eye(2)

    with pytest.raises(Unsendable, match="a FactoredMatrix"):
        plain(FactoredMatrix())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (iter(()), "a tuple_iterator"),
        (2**16000, "an int of 16,001 bits"),
        (len, "a builtin_function_or_method"),
        ({1, 2}, "a set"),
        (torch.nn.Linear(1, 1), "a Linear"),
        (np.array(["a"]), "a numpy array of <U1"),
        (torch.zeros(1, device="meta"), "a tensor without ordinary values"),
        (torch.zeros(1).expand(2**30), "a tensor of shape [1073741824], 4,096 MB"),
    ],
    ids=range(8),
)
def test_other_values_are_refused_by_name(value, message: str):
    with pytest.raises(Unsendable) as caught:
        plain(value)
    assert message in str(caught.value)


def test_many_large_tensors_together_are_refused(monkeypatch):
    monkeypatch.setattr(wire, "MAX_BYTES", 1000)
    with pytest.raises(Unsendable, match="MB of data"):
        pack([torch.zeros(100), torch.zeros(100), torch.zeros(100)])


def header(n_tree: int, n_block: int = 0) -> bytes:
    return wire.HEADER.pack(wire.MAGIC, n_tree, n_block)


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 64,
        header(2**31, 2**40) + b"{}",
        header(2) + b"{}",
        header(3) + b"[1]",
        header(16) + b'["tensor", "99"]',
        header(15) + b'["pickle", "a"]',
        header(4, 9) + b"null" + b"not safe!",
        header(20000) + b"[" * 20000,
        header(2) + b"\xff\xff",
        header(26) + b'["dict", [[["list", []], 1]]]'[:26],
        header(17) + b'["factored", [1]]',
        header(27) + b'["model", ["dict", [[1,2]]]]'[:27],
    ],
)
def test_bytes_that_are_no_message_are_malformed(data: bytes):
    with pytest.raises(Malformed):
        wire.read_message(io.BytesIO(data))


def test_end_of_the_stream_is_told_apart():
    with pytest.raises(Closed):
        wire.read_message(io.BytesIO(pack([1, 2])[:-1]))


def test_conjugate_and_negative_views_are_sent_as_values():
    number = torch.tensor([1 + 2j, 3 - 1j])
    for view in (number.conj(), number.conj().imag):
        assert view.is_conj() or view.is_neg()
        back = there_and_back(view)
        assert torch.equal(back, view.resolve_conj().resolve_neg())

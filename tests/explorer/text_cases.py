"""What the page's tokenizer and engine must do with text exactly as the package does."""

import json
import random
import unicodedata
from functools import cache, partial

import torch

from explorer.cases import knocked_out
from induction_heads.data.python_text import standard_library_source
from induction_heads.explorer.text_models import exported_text_model
from induction_heads.interp.ablation import ABLATION_HOOKS
from induction_heads.interp.interventions import logits_without_path, pattern_preserving_ablation
from induction_heads.models.loading import load_attention_only, to_transformer_lens, zoo_folder

NAME = "python-2l"
AWKWARD = (
    *"\t\r\n \x0b\x0c\x85\xa0\ufeff\u2028\u3000\x00\x1f\x7f_'9Zaé²Ⅷ٣",
    *("'s", "'ll", "'S", "\r\n", "    ", "<bos>", "<bo", "👩‍💻", "🇩🇪", "e\u0301", "नि"),
)


@cache
def stored_model(name=NAME):
    """The head of the stored model, and the parts of its weights."""
    texts = exported_text_model(name)
    head = json.loads(texts["text-model", name])
    return head, [json.loads(texts[f"part-{i + 1}", name]) for i in range(head["nParts"])]


@cache
def tokenizer():
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(zoo_folder(NAME) / "tokenizer.json"))


def library_lines():
    """Every line of the standard library once, with its line break."""
    sources = standard_library_source().values()
    return sorted({line for text in sources for line in text.splitlines(keepends=True)})


def generated_texts(count, seed=0):
    """Random mixtures of characters of every assigned kind and of awkward pieces.

    Each assigned character below U+3100 also appears alone, and between letters and spaces.
    """
    drawn = random.Random(seed)
    assigned = [chr(code) for code in range(0x110000) if _is_text(code)]
    texts = [one for one in assigned if ord(one) < 0x3100]
    texts += [f"a{one} b" for one in drawn.sample(assigned, count)]
    for _ in range(count):
        kinds = (assigned, AWKWARD, AWKWARD)
        length = drawn.randrange(30)
        texts.append("".join(drawn.choice(drawn.choice(kinds)) for _ in range(length)))
    return texts


def _is_text(code):
    return not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) != "Cn"


@cache
def random_text_triples(name, n_cases, seed=0):
    """Four rows a case: a request for `answers.js`, and the expected last logits of each row."""
    generator = torch.Generator().manual_seed(seed)
    bridge = to_transformer_lens(load_attention_only(name))
    files = list(standard_library_source().values())[19::20]
    stream = torch.tensor([id for text in files[:20] for id in tokenizer().encode(text).ids[1:]])
    cases, expected = [], []
    with torch.inference_mode():
        for _ in range(n_cases):
            rows = _rows(generator, stream)
            change, logits = _change(generator, bridge, rows)
            cases.append({"rows": rows.tolist(), "change": change})
            expected.append(logits[:, -1].flatten())
    head, parts = stored_model(name)
    request = {"question": "lastLogits", "head": head, "parts": parts, "cases": cases}
    return request, torch.cat(expected).double().numpy()


def _rows(generator, stream):
    """Four rows of 2 to 128 tokens with BOS: of text, of text twice, or of random tokens."""
    length = int(torch.randint(1, 128, (), generator=generator))
    starts = torch.randint(len(stream) - length, (4, 1), generator=generator)
    rows = stream[starts + torch.arange(length)]
    kind = int(torch.randint(3, (), generator=generator))
    if kind == 1:
        rows = torch.cat([rows[:, : (length + 1) // 2]] * 2, dim=1)[:, :length]
    if kind == 2:
        rows = torch.randint(1, 1024, rows.shape, generator=generator)
    return torch.cat([torch.zeros_like(rows[:, :1]), rows], dim=1)


def _change(generator, bridge, rows):
    """A random intervention for the page, and the logits that the package gives for it."""
    n_layers, n_heads = bridge.cfg.n_layers, bridge.cfg.n_heads
    draw = lambda n: int(torch.randint(n, (), generator=generator))  # noqa: E731
    kinds = ("none", "zero", "mean", "knockout", "freeze", "cut")
    kind, layer, head = kinds[draw(len(kinds))], draw(n_layers), draw(n_heads)
    if kind in ("zero", "mean"):
        hook = (f"blocks.{layer}.attn.hook_z", partial(ABLATION_HOOKS[kind], head=head))
        change = {"off": [{"head": [layer, head], "how": kind}], "mean": kind == "mean"}
        return change, bridge.run_with_hooks(rows, fwd_hooks=[hook])
    if kind == "knockout":
        change = {"knockout": [{"head": [layer, head]}]}
        return change, knocked_out(bridge, rows, layer, head, period=rows.shape[1])
    if kind == "freeze":
        change = {"off": [{"head": [0, head], "how": "zero"}], "freeze": [1]}
        return change, pattern_preserving_ablation(bridge, rows, 0, head)
    if kind == "cut":
        sender, receiver, side = [0, head], [1, draw(n_heads)], "QKV"[draw(3)]
        change = {"cut": [{"sender": sender, "receiver": receiver, "side": side}]}
        return change, logits_without_path(bridge, rows, tuple(sender), tuple(receiver), side)
    return {}, bridge(rows)

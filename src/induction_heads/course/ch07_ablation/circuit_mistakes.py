"""Known mistakes of `minimal_circuit_logits`, each with its hint."""

import math

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake


def circuit_by(
    *,
    move=lambda mark: torch.cat([torch.zeros_like(mark[:, :1]), mark[:, :-1]], dim=1),
    stream=lambda model, tokens: model.W_E[tokens],
    scale=math.sqrt,
    ahead=lambda ones: ones.triu(1),
    hidden=-math.inf,
    query=lambda x, mark: x,
    key=lambda x, mark: mark,
    value=lambda x, mark: x,
    heads=lambda induction: induction,
    total=lambda written, x: written,
):
    """`minimal_circuit_logits` with one step changed."""

    @torch.no_grad()
    def answer(model, tokens, previous, induction) -> Tensor:
        x, previous = stream(model, tokens), tuple(previous)
        mark = move(x @ model.W_V[previous] @ model.W_O[previous])
        written = torch.zeros_like(x)
        n_pos, chosen = tokens.shape[1], heads(induction)
        for head in map(tuple, chosen):
            queries, keys = query(x, mark) @ model.W_Q[head], key(x, mark) @ model.W_K[head]
            scores = queries @ keys.mT / scale(model.cfg.d_head)
            scores = scores.masked_fill(ahead(torch.ones(n_pos, n_pos)).bool(), hidden)
            values = value(x, mark) @ model.W_V[head] @ model.W_O[head]
            written = written + scores.softmax(dim=-1) @ values
        return total(written, x) @ model.W_U

    return answer


CIRCUIT_MISTAKES = (
    Mistake(
        "the mark is about the token itself",
        circuit_by(move=lambda mark: mark),
        "Which token does the mark at position j tell about? At which position does the query find "
        "it in your version?",
    ),
    Mistake(
        "the mark of the last token is at position 0",
        circuit_by(move=lambda mark: mark.roll(1, dims=1)),
        "What is before the first token? Look at what your shift puts there.",
    ),
    Mistake(
        "positions are added",
        circuit_by(stream=lambda model, tokens: model.W_E[tokens] + model.W_pos[: tokens.shape[1]]),
        "Does the story need to know where a token is? Which embedding does it name?",
    ),
    Mistake(
        "the scores are not scaled",
        circuit_by(scale=lambda d_head: 1.0),
        "What do the scores of a head get divided by before the softmax?",
    ),
    Mistake(
        "queries see later keys",
        circuit_by(ahead=torch.zeros_like),
        "Which keys may the query at position 2 look at?",
    ),
    Mistake(
        "the key is the token as well as the mark",
        circuit_by(key=lambda x, mark: x + mark),
        "The story has one QK term for each head. How many are in your scores?",
    ),
    Mistake(
        "the key is the token, not the mark",
        circuit_by(key=lambda x, mark: x),
        "With that key a query finds its own token. What does the previous-token head do then?",
    ),
    Mistake(
        "the mark is in the query and the token in the key",
        circuit_by(query=lambda x, mark: mark, key=lambda x, mark: x),
        "Who asks and who answers? The position of the answer says which token came before it.",
    ),
    Mistake(
        "the mark is copied, not the token",
        circuit_by(value=lambda x, mark: mark),
        "What should the head write: the token at the key, or the one before it?",
    ),
    Mistake(
        "the mark is copied along with the token",
        circuit_by(value=lambda x, mark: x + mark),
        "The story has one OV term for each head. What does the other one predict?",
    ),
    Mistake(
        "only the first induction head writes",
        circuit_by(heads=lambda induction: induction[:1]),
        "Some models have two induction heads. How many have you added up?",
    ),
    Mistake(
        "the direct path is added",
        circuit_by(total=lambda written, x: written + x),
        "Does the current token itself say what comes next in this story?",
    ),
    Mistake(
        "the mask is inverted: the keys that may be seen are hidden",
        circuit_by(ahead=torch.tril),
        "The last query has nothing left to look at. Does True in your mask mean hide or keep?",
    ),
    Mistake(
        "the mask is inverted, with a large negative number for −∞",
        circuit_by(ahead=torch.tril, hidden=-1e9),
        "Only the last query looks at the past here. Does True in your mask mean hide or keep?",
    ),
    Mistake(
        "the mask is transposed",
        circuit_by(ahead=lambda ones: ones.tril(-1)),
        "The last query sees only itself in your version. Which axis of the mask is the query?",
    ),
    Mistake(
        "a query may not look at itself",
        circuit_by(ahead=torch.triu),
        "Query 0 has no key left. Which key is hidden from it that it may see?",
    ),
)

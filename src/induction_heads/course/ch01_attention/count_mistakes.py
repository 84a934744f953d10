"""Known mistakes of the two exercises of chapter 1 that count, each with its hint."""

from induction_heads.course.exercise import Mistake

# visible_pairs_formula

PAIRS_MISTAKES = (
    Mistake(
        "the diagonal is left out",
        lambda: "n_pos * (n_pos - 1) / 2",
        "With one position, how many pairs are there? A query may look at itself.",
    ),
    Mistake(
        "half of all pairs",
        lambda: "n_pos**2 / 2",
        "Try 3 positions. Which entries lie neither above nor below the diagonal?",
    ),
    Mistake(
        "the sum is not halved",
        lambda: "n_pos * (n_pos + 1)",
        "Is your number for 2 positions larger than 2 × 2? What was counted twice?",
    ),
    Mistake(
        "no pair is hidden",
        lambda: "n_pos**2",
        "That is the whole square. Which pairs does the mask take away?",
    ),
    Mistake(
        "the pairs of the last query alone",
        lambda: "n_pos",
        "That is the number of keys the last query sees. What about the queries before it?",
    ),
)


# count_attention_parameters


COUNT_MISTAKES = (
    Mistake(
        "W_O is left out",
        lambda n, h, m, d: 3 * n * h * m * d,
        "You counted queries, keys and values. How does a head get back to d_model?",
    ),
    Mistake(
        "one head per layer is counted",
        lambda n, h, m, d: 4 * n * m * d,
        "Do the heads of a layer share their matrices?",
    ),
    Mistake(
        "one layer is counted",
        lambda n, h, m, d: 4 * h * m * d,
        "Which of the four arguments does your answer not use?",
    ),
    Mistake(
        "n_heads × d_head is taken to be d_model",
        lambda n, h, m, d: 4 * n * m**2,
        "That holds for many published models. Does the definition of a head require it?",
    ),
    Mistake(
        "the matrices are counted as d_model × d_model",
        lambda n, h, m, d: 4 * n * h * m**2,
        "How many numbers does one query have?",
    ),
    Mistake(
        "d_model is taken to be n_heads × d_head",
        lambda n, h, m, d: 4 * n * h * h * d * d,
        "One argument is not used in your answer. Is it always the product of two others?",
    ),
    Mistake(
        "the products are counted instead of the weights",
        lambda n, h, m, d: 2 * n * h * m**2,
        "W_QK and W_OV are products. Which matrices does the model store and train?",
    ),
    Mistake(
        "biases are counted",
        lambda n, h, m, d: n * (h * (4 * m * d + 3 * d) + m),
        "Which of the numbers you counted are not in W_Q, W_K, W_V or W_O?",
    ),
    Mistake(
        "the count is a float",
        lambda n, h, m, d: float(4 * n * h * m * d),
        "The value is right. Which operation along the way gives a float?",
    ),
)

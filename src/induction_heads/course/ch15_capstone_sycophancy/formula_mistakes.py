"""Known mistakes of the two formulas of chapter 15, each with its hint."""

from induction_heads.course.exercise import Mistake

ERROR_MISTAKES = (
    Mistake(
        "the correlation is left out",
        lambda: "sqrt((s**2 + t**2) / n)",
        "Try s = t and r = 1: all differences are equal. What is the error of their mean?",
    ),
    Mistake(
        "the correlation has the wrong sign",
        lambda: "sqrt((s**2 + t**2 + 2*r*s*t) / n)",
        "That is the spread of a sum. What changes when you subtract?",
    ),
    Mistake(
        "divided by n, not by its root",
        lambda: "sqrt(s**2 + t**2 - 2*r*s*t) / n",
        "Which of the two shrinks as 1/n: the variance of a mean, or its square root?",
    ),
    Mistake(
        "spreads are subtracted",
        lambda: "sqrt((s**2 - t**2)**2) / sqrt(n)",
        "Try r = 0 and s = t: is a difference of two independent values always the same?",
    ),
    Mistake(
        "the spread of one difference",
        lambda: "sqrt(s**2 + t**2 - 2*r*s*t)",
        "Where is n? Should more pairs help?",
    ),
    Mistake(
        "the correlation is counted once",
        lambda: "sqrt((s**2 + t**2 - r*s*t) / n)",
        "Write out (x − y)². How often does the product of x and y occur?",
    ),
)

EXPECTED_MISTAKES = (
    Mistake(
        "a difference of probabilities",
        lambda: "p - q",
        "A logit is not a probability. Which function of the logits gives the probabilities?",
    ),
    Mistake(
        "the truth is left out",
        lambda: "log(p / q)",
        "The gap is a difference of two logits. Which probability belongs to the second?",
    ),
    Mistake(
        "only the gap with praise",
        lambda: "log(p / (1 - p))",
        "That is one of the two gaps. What is the bot's gap without praise?",
    ),
    Mistake(
        "odds are subtracted without the logarithm",
        lambda: "p / (1 - p) - q / (1 - q)",
        "Of what is the ratio of two probabilities the exponential?",
    ),
    Mistake(
        "neutral minus praised",
        lambda: "log(q / (1 - q)) - log(p / (1 - p))",
        "With p above q, should the effect be above or below 0?",
    ),
    Mistake(
        "the logarithm to base 2",
        lambda: "log2(p / (1 - p)) - log2(q / (1 - q))",
        "Softmax uses powers of e. Which logarithm inverts them?",
    ),
)

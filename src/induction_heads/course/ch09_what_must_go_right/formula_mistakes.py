"""Known mistakes of the three formulas of chapter 9, each with its hint."""

from induction_heads.course.exercise import Mistake

CHANCE_MISTAKES = (
    Mistake(
        "the chance for the last token, not the mean over the row",
        lambda: "1 - (1 - 1/V)**(n - 1)",
        "The first token of a row repeats nothing. Which tokens does your answer describe?",
    ),
    Mistake(
        "the chance that anything repeats at all",
        lambda: "1 - exp(-n * (n - 1) / (2*V))",
        "For long rows your formula is nearly 1. Is every token of such a row a repeat?",
    ),
    Mistake(
        "each earlier token adds 1/V",
        lambda: "(n - 1) / (2*V)",
        "Try n = 1000 and V = 10: can a share be that large? What do two equal earlier tokens add?",
    ),
    Mistake(
        "the share of different ids",
        lambda: "V / n * (1 - (1 - 1/V)**n)",
        "For n = 1 your formula gives 1. How many tokens of a one-token row occurred earlier?",
    ),
    Mistake(
        "the ids that do not occur",
        lambda: "(1 - 1/V)**n",
        "That is the share of ids missing from the row. What share of its tokens does the "
        "exercise ask for?",
    ),
)

INTACT_MISTAKES = (
    Mistake(
        "one token must stay",
        lambda: "1 - q",
        "How many tokens does the pair have, and how many its copy?",
    ),
    Mistake(
        "only the pair must stay",
        lambda: "(1 - q)**2",
        "A head finds B through the earlier A. What if that A is lost?",
    ),
    Mistake(
        "three tokens must stay",
        lambda: "(1 - q)**3",
        "Count again: A and B of the first copy, A and B of the second. Is the last B free?",
    ),
    Mistake(
        "the chances of loss are added",
        lambda: "1 - 4*q",
        "Try q = 0.5: can a chance be below zero?",
    ),
    Mistake(
        "all four must be lost",
        lambda: "1 - q**4",
        "One lost token is enough to spoil the repeat. How many does your formula allow?",
    ),
)

TIME_MISTAKES = (
    Mistake(
        "the time of the match, not of the mark",
        lambda: "N**2 / (c*g)",
        "At your time β is 1. Put it into the equation of α and integrate: is α there yet?",
    ),
    Mistake(
        "both times added",
        lambda: "2 * N**2 / (c*g)",
        "Does the mark wait until the match has arrived at 1, or does it grow all the while?",
    ),
    Mistake(
        "the square of the time",
        lambda: "2 * N**4 / (c*g)**2",
        "Your formula solves for t². How does t grow with N?",
    ),
    Mistake(
        "one factor of N",
        lambda: "sqrt(2) * N / (c*g)",
        "The growth of β has N² in its denominator. What is left of it when you solve for t?",
    ),
    Mistake(
        "the rate, not the time",
        lambda: "c*g / (sqrt(2) * N**2)",
        "Should a longer context make your number larger or smaller?",
    ),
)

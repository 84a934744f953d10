"""Known mistakes about the time until a circuit emerges, in chapter 9, each with its hint."""

from induction_heads.course.exercise import Mistake

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

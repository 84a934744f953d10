"""Time two or more ways of doing the same work in turn, and compare them round by round."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Our time divided by a peer's: the median over rounds, with the lowest and highest round.

    `demand` is the ratio not to exceed and `bound` the lowest the method can reach, where known.
    """

    work: str
    peer: str
    ratio: float
    lowest: float
    highest: float
    demand: float | None = None
    bound: float | None = None

    @property
    def verdict(self) -> str:
        """`ok`, `MISS`, or an empty string without a demand."""
        if self.demand is None:
            return ""
        return "ok" if self.ratio <= self.demand else "MISS"

    def as_dict(self) -> dict[str, Any]:
        """The fields and the verdict as plain data."""
        return asdict(self) | {"verdict": self.verdict}


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def times_in_turn(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every way in every round, after one round that is not counted.

    The ways take turns within a round, so a machine that slows down slows all of them. A single
    round only shows that everything runs: it includes the work of the first call.
    """
    if rounds > 1:
        for way in ways.values():
            way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    return times


def compare(
    work: str,
    ours: list[float],
    peer: str,
    theirs: list[float],
    demand: float | None = None,
    bound: float | None = None,
) -> Ratio:
    """The ratio ours / theirs, round by round."""
    rounds = [mine / yours for mine, yours in zip(ours, theirs, strict=True)]
    return Ratio(work, peer, statistics.median(rounds), min(rounds), max(rounds), demand, bound)

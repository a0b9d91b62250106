"""Which lines discrepancies are planted at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from examples.lines import ReconLine

CYCLE_CHARGES = ("new", "renew", "cycleCharge")


class Picker:
    """Picks lines of a month at random, none of them twice."""

    def __init__(self, random: Random, lines: list[ReconLine], is_kept: Callable[[ReconLine], bool]) -> None:
        """`is_kept` says of a licence line whether it is kept as it is."""
        self.random, self.lines, self._is_kept = random, lines, is_kept
        self._taken: set[int] = set()

    def candidates(self) -> list[ReconLine]:
        """Licence lines of a full cycle at the list price that nothing is planted at yet, in random order."""
        found = [
            line
            for line in self.lines
            if line.is_full_cycle
            and line.charge_type in CYCLE_CHARGES
            and not line.promotion_id
            and line.price_row is not None
            and line.price_row.erp_price > 0
            and self.is_free(line)
        ]
        self.random.shuffle(found)
        return found

    def is_free(self, line: ReconLine) -> bool:
        """Whether something may still be planted at the line."""
        return id(line) not in self._taken and not self._is_kept(line)

    def choose(self, count: int, candidates: Iterable[ReconLine]) -> list[ReconLine]:
        """`count` lines, spread over as many customers as there are."""
        by_customer: Counter[str] = Counter()
        ranked: list[tuple[int, int, ReconLine]] = []
        for order, line in enumerate(candidates):
            ranked.append((by_customer[line.customer.id], order, line))
            by_customer[line.customer.id] += 1
        chosen = [line for _, _, line in sorted(ranked, key=lambda item: item[:2])[:count]]
        if len(chosen) < count:
            raise ValueError("too few customers for the discrepancies to be planted")
        self._taken.update(id(line) for line in chosen)
        return chosen

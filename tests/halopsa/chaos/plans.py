"""Fault plans: what one seed lets HaloPSA do, and how it fails meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass

from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options

#: A slow request outlasts the client's patience for one answer, and its effect stays within the settle grace.
CLIENT_SECONDS = 1.0
SLOW_SECONDS = 1.3
GRACE_SECONDS = 0.8

_ACTIONS = (
    "429", "401-before", "413-before", "500-before", "500-after", "502-before", "503-after", "504-before", "504-after",
    "reset-before", "reset-after", "truncated", "timeout-before", "timeout-after", "timeout-lost",
)  # fmt: skip
_SLOW = "timeout"
_REQUESTS = (
    "*", "POST csp", "POST cspconsumptiondata", "POST cspconsumptiondata", "POST cspinvoice", "POST cspsubscription",
    "GET csp", "GET cspconsumptiondata", "GET cspinvoice", "POST auth",
)  # fmt: skip
_MOST_SLOW = 2


@dataclass(frozen=True)
class FaultMix:
    """One plan.

    Attributes:
        options: how the sandbox behaves.
        faults: what fails.
        batch_size: rows of one request.
    """

    options: Options
    faults: tuple[Fault, ...]
    batch_size: int

    @property
    def is_slow(self) -> bool:
        """Whether requests take effect after the client has given up."""
        return any(fault.action.startswith(_SLOW) for fault in self.faults)

    def struck(self) -> int:
        """How many requests failed by it so far."""
        return sum(max(0, min(fault.times, fault.seen - fault.nth + 1)) for fault in self.faults)


def fault_mix(seed: int) -> FaultMix:
    """The plan of a seed, always the same."""
    chance = random.Random(seed)
    # A list that ignores paging can be checked against by nobody when it takes no count, or when it does not say how
    # long it is and is just as long as a page: the load says so and ends, so neither is among the plans.
    ignored = chance.choice(("", "", "", "repeat", "everything"))
    options = Options(
        page_cap=chance.choice((100, 50, 33)),
        newest_first=chance.random() < 0.5,
        envelope=chance.choice(("data", "data" if ignored else "bare", "named")),
        ignored_paging=ignored,
        count_honoured=ignored == "repeat" or chance.random() < 0.3,
        answer=chance.choice(("array", "array", "object", "envelope", "empty", "reversed")),
        cascades=chance.random() < 0.5,
        invoice_flag=chance.choice(("computed", "stored")),
        refusal_saves_rows_before=chance.random() < 0.3,
    )
    faults: list[Fault] = []
    for _ in range(chance.randint(4, 12)):
        action = chance.choice(_ACTIONS)
        if action.startswith(_SLOW) and sum(fault.action.startswith(_SLOW) for fault in faults) >= _MOST_SLOW:
            continue
        slow = action.startswith(_SLOW)
        faults.append(
            Fault(
                chance.choice(_REQUESTS),
                action,
                nth=chance.randint(1, 12),
                times=1 if slow else chance.choice((1, 1, 2, 3)),
                seconds=SLOW_SECONDS,
                retry_after=chance.choice((None, 0, 1)),
            )
        )
    return FaultMix(options, tuple(faults), chance.choice((7, 20, 50, 100)))

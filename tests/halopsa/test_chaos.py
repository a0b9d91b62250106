"""A part of `make chaos` that is quick enough for every day: a score of its fault plans, the riskiest of its deaths."""

from __future__ import annotations

import pytest

from tests.halopsa.chaos.campaign import survive
from tests.halopsa.chaos.deaths import nursery
from tests.halopsa.chaos.plans import fault_mix
from tests.halopsa.conftest import KeptOpen

SCORE = [seed for seed in range(1, 201) if not fault_mix(seed).is_slow][:20]
LINES = 40

_LINES = "POST /api/CSPConsumptionData/manage"
_DOCUMENTS = "POST /api/cspinvoice"


@pytest.mark.parametrize("seed", SCORE)
def test_every_row_lands_exactly_once(seed: int, transactions: KeptOpen) -> None:
    survive(seed, LINES, transactions)


def test_a_seed_is_always_the_same_plan() -> None:
    assert fault_mix(17) == fault_mix(17)
    assert len({repr(fault_mix(seed)) for seed in range(1, 201)}) == 200


@pytest.mark.parametrize("engine", ["duckdb", "postgresql"])
def test_killed_where_it_is_riskiest(engine: str, request: pytest.FixtureRequest) -> None:
    """The document is there and not settled, lines are, lines are billed and it is not written down."""
    warehouse = request.getfixturevalue(f"{engine}_warehouse")
    url = warehouse.engine.url.render_as_string(hide_password=False)
    with nursery(url) as home:
        for at, what in ((1, f"after {_DOCUMENTS}"), (2, f"after {_LINES}"), (3, f"after {_LINES}")):
            assert home.die(at, what) == what

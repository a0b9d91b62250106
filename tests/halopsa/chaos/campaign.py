"""Loading a month through a fault plan until it is done, and checking that every row is there exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger, Transactions
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, MarkCounts, load, mark_billed
from connectors.halopsa.sandbox.server import Sandbox, serve
from tests.halopsa.chaos import big_month
from tests.halopsa.chaos.plans import CLIENT_SECONDS, GRACE_SECONDS, fault_mix
from transforms.errors import RemoteError

_HURRY = 100
_MOST_REPEATS = 40
_QUICK_GRACE = 0.02


class HurriedClient(HaloClient):
    """A client whose back-off is a hundredth as long; the settle grace takes its time."""

    def wait(self, seconds: float) -> None:
        super()._pause(seconds)

    def _pause(self, seconds: float) -> None:
        super()._pause(seconds / _HURRY)


@dataclass(frozen=True)
class Figures:
    """What one plan took: lines to be posted, requests, failing requests, repeats of the command, last complaint."""

    seed: int
    rows: int
    requests: int
    faults: int
    repeats: int
    told: str


def survive(seed: int, lines: int, transactions: Transactions) -> Figures:
    """Load and mark the month under the seed's faults, each time with nothing but the warehouse to go by.

    Raises:
        AssertionError: it does not end, or a row is missing, doubled, wrong, or not billed.
    """
    mix = fault_mix(seed)
    settings = HaloLoadSettings(
        batch_size=mix.batch_size, settle_grace_seconds=GRACE_SECONDS if mix.is_slow else _QUICK_GRACE
    )
    timeout = (5, CLIENT_SECONDS if mix.is_slow else 30)
    with serve(options=mix.options, faults=mix.faults) as sandbox:
        def command() -> LoadCounts:
            client = HurriedClient(
                sandbox.base_url, sandbox.client_id, sandbox.client_secret, rate="100000/1", timeout=timeout
            )
            ledger, plan = Ledger(transactions, f"http://seed-{seed}"), big_month.plan(lines)
            counts = load(client, ledger, plan, settings)
            assert mark_billed(client, ledger, plan, settings).lines >= 0
            return counts

        counts, repeats, told = _until_done(command)
        requests = len(sandbox.requests)
        _check(sandbox, lines, counts)
        sandbox.faults.clear()
        _check_rest(sandbox, Ledger(transactions, f"http://seed-{seed}"), lines, settings)
        return Figures(seed, big_month.expected(lines).total(), requests, mix.struck(), repeats, told)


def _until_done(command: Callable[[], LoadCounts]) -> tuple[LoadCounts, int, str]:
    told = ""
    for repeats in range(_MOST_REPEATS):
        try:
            return command(), repeats, told
        except RemoteError as error:
            told = str(error)
    raise AssertionError(f"the load never ends: {told}")


def _check(sandbox: Sandbox, lines: int, counts: LoadCounts) -> None:
    there, wanted = big_month.landed(sandbox), big_month.expected(lines)
    assert there == wanted, f"missing {wanted - there}, too many {there - wanted}"
    assert Counter(row["id"] for row in sandbox.invoices()) == {"G1": 1, "G2": 1, "G3": 1}
    assert all(row.get("isbilled") for row in sandbox.lines()), "a line is not billed"
    assert all(row["isfullybilled"] for row in sandbox.invoices()), "an invoice is not billed"
    # Prices cannot be listed: one in doubt is reported and not repeated.
    prices = Counter(row["productid"] for row in sandbox.prices())
    assert all(count == 1 for count in prices.values()), f"a price twice: {prices}"
    assert len(big_month.PRICES) - len(prices) <= counts.unknown_prices, "a price is lost and nobody was told"


def _check_rest(sandbox: Sandbox, ledger: Ledger, lines: int, settings: HaloLoadSettings) -> None:
    """Nothing is left to do: to repeat the command sends nothing."""
    client = HurriedClient(sandbox.base_url, sandbox.client_id, sandbox.client_secret)
    sandbox.requests.clear()
    counts = load(client, ledger, big_month.plan(lines, "run-2"), settings)
    assert counts == LoadCounts(unknown_prices=counts.unknown_prices), counts
    assert mark_billed(client, ledger, big_month.plan(lines, "run-2"), settings) == MarkCounts()
    assert not [request for request in sandbox.requests if request.startswith("POST csp")]

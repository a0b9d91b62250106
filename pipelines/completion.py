"""Values that the shell completes: what the warehouse has, and the finding codes.

A shell asks while somebody types: whatever goes wrong, or takes long, completes nothing and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

#: How many runs are offered, the latest first.
_RUNS = 50
_RUN_STATEMENT = f"select run_id, period || ', ' || status from out_runs order by started_at desc limit {_RUNS}"
_PERIOD_STATEMENT = "select period, count(*) || ' runs' from out_runs group by period order by period desc"
_WAIVER_STATEMENT = "select waiver_id, code || ': ' || reason from out_waivers where state = 'in_force'"

#: A value and what it is, which some shells show beside it.
Offer = tuple[str, str]


def complete_runs(incomplete: str) -> list[Offer]:
    """Ids of runs."""
    return _matching(incomplete, lambda: _stored(_RUN_STATEMENT))


def complete_periods(incomplete: str) -> list[Offer]:
    """Periods that have runs."""
    return _matching(incomplete, lambda: _stored(_PERIOD_STATEMENT))


def complete_waivers(incomplete: str) -> list[Offer]:
    """Ids of waivers in force."""
    return _matching(incomplete, lambda: _stored(_WAIVER_STATEMENT))


def complete_codes(incomplete: str) -> list[Offer]:
    """Finding codes, in whatever case they are begun."""
    return _matching(incomplete.upper(), _codes)


def _matching(begun: str, offers: Callable[[], Iterable[Offer]]) -> list[Offer]:
    try:
        return [offer for offer in offers() if offer[0].startswith(begun)]
    except Exception:
        return []


def _codes() -> list[Offer]:
    from transforms.policy import SEVERITIES

    return sorted(SEVERITIES.items())


def _stored(statement: str) -> list[Offer]:
    from connectors.warehouse.engine import open_warehouse
    from connectors.warehouse.query import run_query
    from pipelines.settings import load_settings

    warehouse = open_warehouse(load_settings().warehouse, lock_timeout_seconds=0)
    return [(str(value), str(about)) for value, about in run_query(warehouse, statement).rows]

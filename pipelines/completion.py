"""Values that the shell completes: what the warehouse has, and the finding codes.

A shell asks while somebody types: whatever goes wrong, or takes long, completes nothing and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

#: How many runs are offered, the latest first.
_RUNS = 50
_RUN_STATEMENT = f"select run_id, period || ', ' || status from out_runs order by started_at desc limit {_RUNS}"  # noqa: S608
_PERIOD_STATEMENT = "select period, 'runs: ' || count(*) from out_runs group by period order by period desc"
_WAIVER_STATEMENT = "select waiver_id, code || ': ' || reason from out_waivers where state = 'in_force'"

#: How long a PostgreSQL server may take to answer at all, the least that it can be told.
_SECONDS = 2

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


def complete_checks(incomplete: str) -> list[Offer]:
    """Names of the warehouse's checks."""
    return _matching(incomplete, _checks)


def complete_views(incomplete: str) -> list[Offer]:
    """Names of the views."""
    return _matching(incomplete, _views)


def _matching(begun: str, offers: Callable[[], Iterable[Offer]]) -> list[Offer]:
    try:
        return [offer for offer in offers() if offer[0].startswith(begun)]
    except Exception:
        return []


def _codes() -> list[Offer]:
    from transforms.policy import SEVERITIES

    return sorted(SEVERITIES.items())


def _checks() -> list[Offer]:
    from connectors.warehouse.checks import read_checks

    return [(check.name, check.meaning) for check in read_checks()]


def _views() -> list[Offer]:
    from transforms.tables.views import VIEWS

    return [(view.name, view.meaning) for view in VIEWS]


def _stored(statement: str) -> list[Offer]:
    import sqlalchemy as sa

    from connectors.warehouse.engine import open_warehouse
    from connectors.warehouse.query import run_query
    from pipelines.settings import load_settings

    url = sa.make_url(load_settings().warehouse)
    if url.drivername.startswith("postgres"):
        url = url.update_query_dict({"connect_timeout": str(_SECONDS)})
    warehouse = open_warehouse(url.render_as_string(hide_password=False), lock_timeout_seconds=0)
    return [(str(value), str(about)) for value, about in run_query(warehouse, statement).rows]

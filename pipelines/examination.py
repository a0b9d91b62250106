"""Examining the set-up: settings, policy, exports, warehouse and HaloPSA, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.exports.zone import open_zone
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import status
from pipelines.integrations import expiring_notice
from pipelines.loading import open_halo
from pipelines.progress import tell_progress
from pipelines.settings import PREFIX, Settings
from transforms.addresses import is_url, local_path, masked
from transforms.errors import BillingError, InputError, RemoteError, SettingsError

#: How long an examination waits for what it can do without.
_PATIENCE_SECONDS = 5

#: What an empty setting stands for.
_NOTHING = {f"{PREFIX}APPROVER": "who is logged in", f"{PREFIX}DASK_ADDRESS": "workers of the run"}


@dataclass(frozen=True)
class Examination:
    """The set-up.

    Attributes:
        settings: what holds for each, secrets masked, by variable.
        defaulted: the variables of those that nobody has set.
        states: the state of each part.
        exit_code: the worst part's.
    """

    settings: dict[str, str]
    defaulted: frozenset[str]
    states: list[tuple[str, str]]
    exit_code: int

    def told(self) -> list[tuple[str, str, str]]:
        """Each setting, what holds for it, and whether that is the default."""
        return [
            (name, value or _NOTHING.get(name, "none"), "default" if name in self.defaulted else "")
            for name, value in self.settings.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `doctor`."""
        defaulted = sorted(self.defaulted)
        return {"settings": self.settings, "defaulted": defaulted, **dict(self.states), "exit_code": self.exit_code}


def examine(settings: Settings) -> Examination:
    """Check policy, exports, landing zone, warehouse, HaloPSA and, if it is named, Partner Center, each by itself."""
    states: list[tuple[str, str]] = []
    worst = 0
    checks = {
        "policy": _policy_state,
        "exports": _exports_state,
        "landing": _landing_state,
        "warehouse": _warehouse_state,
        "halopsa": _halo_state,
        **({"partner_center": _partner_center_state} if _names_partner_center(settings) else {}),
    }
    for part, check in checks.items():
        tell_progress(f"checking {part}")
        try:
            states.append((part, check(settings)))
        except BillingError as error:
            states.append((part, f"problem: {error}"))
            worst = max(worst, error.exit_code)
    return Examination(settings.masked(), settings.defaulted, states, worst)


def _policy_state(settings: Settings) -> str:
    policy = settings.read_policy()
    return f"{settings.policy or 'built in'}, digest {policy.digest[:12]}"


def _exports_state(settings: Settings) -> str:
    if _names_partner_center(settings) and settings.is_to_fetch:
        return f"fetched from Partner Center into {masked(settings.landing_location)}"
    if is_url(settings.exports):
        # What stores need is loaded for them alone.
        from connectors.stores.store import open_store

        store = open_store(settings.exports)
        return f"{len(store.find())} objects at {store.shown}"
    folder = Path(local_path(settings.exports))
    if not folder.exists():
        raise InputError(f"there is no folder {folder}; create it or set CSP_BILLING_EXPORTS")
    return f"{sum(1 for one in folder.rglob('*') if one.is_file())} files in {folder}"


def _landing_state(settings: Settings) -> str:
    zone = open_zone(settings.landing_location)
    zone.reach()
    return f"copies are kept in {zone.shown}"


def _warehouse_state(settings: Settings) -> str:
    found = status(open_warehouse(settings.warehouse))
    if found.is_current:
        return f"ready, version {found.head}"
    return "not set up yet; the first run does it" if found.current is None else "needs `csp-billing warehouse upgrade`"


def _halo_state(settings: Settings) -> str:
    open_halo(settings).log_in()
    state = f"logged in to {settings.halo_url}"
    try:
        notice = expiring_notice(open_halo(settings, patience=_PATIENCE_SECONDS), datetime.now(UTC))
    except RemoteError as error:
        # Who only bills with HaloPSA needs none of them.
        return f"{state}; its Microsoft subscriptions cannot be read: {error}"
    return f"{state}; {notice}: see `csp-billing subscriptions list`" if notice else state


def _names_partner_center(settings: Settings) -> bool:
    """Whether Partner Center is configured, be it in part: what is missing is told where it is checked."""
    try:
        return settings.has_partner_center
    except SettingsError:
        return True


def _partner_center_state(settings: Settings) -> str:
    from connectors.partner_center.http import Http
    from connectors.partner_center.landing import LandingZone
    from pipelines.fetching import open_partner_center, token_file

    notices: list[str] = []
    source = open_partner_center(settings, notices.append, Http(patience=_PATIENCE_SECONDS))
    LandingZone(settings.landing_location)
    source.sign_in.application(settings.graph_url).value()
    told = [f"signed in to Graph; {source.invoices.probe()} invoices in Partner Center"]
    if not source.sign_in.has_user:
        told.append("without a refresh token, so price sheets are not fetched")
    elif not settings.markets:
        told.append("no market is named, so price sheets are not fetched")
    else:
        source.sign_in.user(settings.partner_pricing_url).value()
        told.append(f"price sheets of {', '.join(settings.markets)}")
    if issued_at := token_file(settings).issued_at():
        told.append(f"refresh token of {issued_at:%Y-%m-%d}")
    return "; ".join([*told, *notices])

"""What a load is given and what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from transforms.billed_lines import BilledLine


@dataclass(frozen=True)
class LoadPlan:
    """Everything of one period that belongs in HaloPSA.

    Attributes:
        run_id: the run that was reconciled, and approved where it had to be.
        period: billing period, YYYY-MM.
        prices: columns of PRICE_LIST; of several lists the oldest first.
        invoices: columns of INVOICES; every document of the period.
        recon_lines: columns of INVOICE_RECON, `line_id` included; every line of those invoices that is to be posted.
        usage_lines: columns of DAILY_USAGE, likewise. A charge stands in one of the two tables, never in both.
        clients: HaloPSA's client of an invoice, by its number, where all its lines are one client's.
        elsewhere: numbers of the documents of other periods.
    """

    run_id: str
    period: str
    prices: pa.Table
    invoices: pa.Table
    recon_lines: pa.Table
    usage_lines: pa.Table
    clients: Mapping[str, int] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True)
class HaloLoadSettings:
    """How it is posted.

    Attributes:
        csp_tenant_id: written to `tenantid` of invoices.
        line_type, usage_type: written to `type` of reconciliation and of usage lines.
        batch_size: rows of one request; halved by itself where HaloPSA finds it too large or too slow.
        all_prices: post the whole price list, not only products that were billed.
        settle_grace_seconds: how long a request without an answer may still take effect; longer than HaloPSA's
            gateway waits (60 s, measured).
        most_attempts: how often a row's outcome may be in doubt before the load gives up.
        resend_unknown_prices: send prices again whose outcome is not known. HaloPSA cannot list prices, so this may
            leave a price twice there; it is for a person to decide.
    """

    csp_tenant_id: int = 1
    line_type: int = 0
    usage_type: int = 1
    batch_size: int = 100
    all_prices: bool = False
    settle_grace_seconds: float = 60
    most_attempts: int = 5
    resend_unknown_prices: bool = False


@dataclass(frozen=True)
class VoidedLines:
    """Lines that HaloPSA has below an invoice that was voided after they were posted.

    Attributes:
        invoice: the voided invoice's number.
        halo_id: its `haloid`.
        unbilled: HaloPSA's ids of the lines that nobody has billed.
        billed: the others.
    """

    invoice: str
    halo_id: int
    unbilled: tuple[int, ...]
    billed: tuple[BilledLine, ...]


@dataclass(frozen=True)
class AbsentInvoice:
    """An invoice of the period that was posted, and that the exports no longer have, not even as void.

    Attributes:
        number: the invoice's.
        lines: how many lines of it the ledger knows to be in HaloPSA.
        billed: how many of these are billed.
    """

    number: str
    lines: int
    billed: int


@dataclass(frozen=True)
class LoadCounts:
    """What a load did.

    Attributes:
        prices, invoices, lines: newly posted or, when changed, posted again.
        adopted: invoices and lines that HaloPSA had already and the ledger did not know.
        cut: values cut to HaloPSA's limit or left out for it (`tags`, `additionalinfo`, a link), among what was sent.
        rounded: numbers sent with the decimals that HaloPSA keeps.
        rejected: records that HaloPSA, or its limits, refused; the ledger has the reasons.
        held: lines not posted because their invoice is not in HaloPSA: no document, or a rejected one.
        unknown_prices: prices whose outcome is not known and that were not sent again.
        billed_changed: lines that are billed in HaloPSA and are not what the plan has; they were not touched.
        voided: lines below invoices that were voided after these were posted; they were not touched either.
        absent: invoices that were posted and that the plan no longer has.
        missing: the first document or line that is not in HaloPSA as it should be, and why; None where all are.
    """

    prices: int = 0
    invoices: int = 0
    lines: int = 0
    adopted: int = 0
    cut: int = 0
    rounded: int = 0
    rejected: int = 0
    held: int = 0
    unknown_prices: int = 0
    billed_changed: tuple[BilledLine, ...] = ()
    voided: tuple[VoidedLines, ...] = ()
    absent: tuple[AbsentInvoice, ...] = ()
    missing: str | None = None


@dataclass(frozen=True)
class MarkCounts:
    """What was newly marked as billed, and read back as such.

    Attributes:
        invoices, lines: how many.
        unmarked: numbers of the documents that HaloPSA does not call billed, because they have no line there.
    """

    invoices: int = 0
    lines: int = 0
    unmarked: tuple[str, ...] = ()

"""What each finding code means and what to do about it, in the words of docs/findings.md.

A test holds that page to these words.
"""

from __future__ import annotations

from typing import NamedTuple


class FindingHelp(NamedTuple):
    """When a code fires, and what to do then."""

    fires_when: str
    what_to_do: str


FINDING_HELP: dict[str, FindingHelp] = {
    "SUBTOTAL_MISMATCH": FindingHelp(
        "none of Microsoft's three roundings gives the Subtotal from effective unit price, billable "
        "quantity and exchange rate",
        "raise it with Microsoft, naming line and invoice",
    ),
    "TOTAL_MISMATCH": FindingHelp(
        "Total is not Subtotal + TaxTotal",
        "raise it with Microsoft, naming line and invoice",
    ),
    "PRICE_NOT_FOUND": FindingHelp(
        "no price list has the product, SKU, term, plan, market and currency; for metered charges "
        "only where an Azure plan list of the month is loaded",
        "load the list of the month in which the term started; SKUs at their end of sale are in older "
        "lists",
    ),
    "PRICE_NOT_EFFECTIVE": FindingHelp(
        "the lists have it, but no row covers the start or renewal of the term (the day of use)",
        "load the list that was valid then",
    ),
    "UNIT_PRICE_MISMATCH": FindingHelp(
        "UnitPrice is not the list price per charge cycle",
        "check segment and promotion; raise it with Microsoft",
    ),
    "ABOVE_ERP": FindingHelp(
        "a full charge cycle costs more than the ERP price",
        "do not resell at ERP; raise it with Microsoft",
    ),
    "MARGIN_BELOW_FLOOR": FindingHelp(
        "less than the policy's floor remains at the ERP price",
        "review the customer's price",
    ),
    "INVOICE_TOTAL_MISMATCH": FindingHelp(
        "the lines do not add up to the invoice less its credit notes",
        "look for missing lines, rejected rows, tax that only the invoice has",
    ),
    "INVOICE_NOT_FOUND": FindingHelp(
        "lines name an invoice that no document has",
        "add the invoice document to the exports",
    ),
    "INVOICE_WITHOUT_LINES": FindingHelp(
        "an invoice has no line",
        "add its reconciliation file",
    ),
    "EXCHANGE_RATE_MISMATCH": FindingHelp(
        "a line's exchange rate is not the one of the other lines of its invoice with the same "
        "pricing currency and rate date",
        "raise it with Microsoft",
    ),
    "CURRENCY_MISMATCH": FindingHelp(
        "a line's billing currency is not its invoice's",
        "check that line and invoice belong together",
    ),
    "CHARGE_OUTSIDE_TERM": FindingHelp(
        "the days charged for are not all inside the subscription's term",
        "check the term in Partner Center",
    ),
    "OVERLAPPING_CHARGE": FindingHelp(
        "two cycle charges of a subscription and SKU cover the same days and no refund undoes one",
        "ask Microsoft for a credit",
    ),
    "SUBSCRIPTION_DROPPED": FindingHelp(
        "a charge was due after last period's, the term is not over, nothing cancelled it, and there "
        "is no line",
        "find out whether a line is missing",
    ),
    "QUANTITY_CHANGED": FindingHelp(
        "the seats charged differ from those at the end of last period, and no line adds, removes, "
        "moves or renews seats",
        "check the seats in Partner Center",
    ),
    "USAGE_MISMATCH": FindingHelp(
        "daily usage and Azure-plan lines of an invoice, subscription, product and SKU differ by more "
        "than 0.01 per day and meter",
        "compare both exports; one may be older",
    ),
    "PEC_MISSING": FindingHelp(
        "usage that is eligible for partner earned credit carries none",
        "check that the partner still has the access that earns it",
    ),
    "CUSTOMER_UNMAPPED": FindingHelp(
        "a customer with lines has no HaloPSA client in the imported mapping (one finding a customer; "
        "none while nothing was imported)",
        "`csp-billing customers import FILE`",
    ),
    "ROW_REJECTED": FindingHelp(
        "a source row could not be read",
        "mend the row, or export the file again",
    ),
    "BILLED_LINE_CHANGED": FindingHelp(
        "a line that is billed in HaloPSA came again with other content, or is no longer delivered, or its invoice is "
        "void now",
        "credit or rebill the difference in HaloPSA",
    ),
}

"""What was posted to HaloPSA: the posting ledger, the record that makes every row land exactly once."""

from __future__ import annotations

from transforms.columns import Column, Kind, Table

TEXT, TIMESTAMP, INTEGER = Kind.TEXT, Kind.TIMESTAMP, Kind.INTEGER

HALO_POSTINGS = Table(
    "halo_postings",
    "The posting ledger: one row per thing that is, or is about to be, in one HaloPSA. A row is written before its "
    "request is sent and settled after the answer.",
    (
        Column("halo_url", TEXT, "The HaloPSA it is posted to: base URL.", nullable=False),
        Column("entity", TEXT, "price, invoice or line.", nullable=False),
        Column(
            "natural_key",
            TEXT,
            "What it is, independent of its amounts: for a line its line_id, for an invoice "
            "its number, for a price its list key with an occurrence number.",
            nullable=False,
        ),
        Column("parent_key", TEXT, "For a line the invoice it belongs to."),
        Column("run_id", TEXT, "Run that wrote the row last.", nullable=False),
        Column("period", TEXT, "Billing period.", nullable=False),
        Column("state", TEXT, "intended (outcome not known yet), posted, billed, rejected.", nullable=False),
        Column(
            "content_hash",
            TEXT,
            "Digest of the body as sent, so that only changed rows are sent again.",
            nullable=False,
        ),
        Column("halo_id", INTEGER, "HaloPSA's id, once known."),
        Column("attempts", INTEGER, "How often it was sent.", nullable=False),
        Column("last_error", TEXT, "Why the last attempt failed."),
        Column("intended_at", TIMESTAMP, "When the last attempt was written down, UTC.", nullable=False),
        Column("settled_at", TIMESTAMP, "When its outcome was known, UTC."),
    ),
    key=("halo_url", "entity", "natural_key"),
    indexes=(("run_id",), ("parent_key",), ("natural_key",)),
)

LOCKS = Table(
    "locks",
    "Who is at work: one row while a load runs, so that a second one is refused.",
    (
        Column("name", TEXT, "What is locked.", nullable=False),
        Column("holder", TEXT, "Host and process that holds it, and when that was started.", nullable=False),
        Column("run_id", TEXT, "Run it works on.", nullable=False),
        Column("acquired_at", TIMESTAMP, "Since when, UTC.", nullable=False),
        Column("renewed_at", TIMESTAMP, "Last sign of life, UTC.", nullable=False),
    ),
    key=("name",),
)

LOADING_TABLES = (HALO_POSTINGS, LOCKS)

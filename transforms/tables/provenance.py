"""Columns that every source table has: which period a row belongs to, and where it came from."""

from __future__ import annotations

from transforms.columns import Column, Kind

PERIOD = Column("period", Kind.TEXT, "Billing period, YYYY-MM, of the row's invoice.", nullable=False)


def provenance() -> tuple[Column, ...]:
    """Where a row came from; `extra_columns` keeps what the export has beyond the declared columns."""
    return (
        Column(
            "extra_columns", Kind.TEXT, "Columns of the export that are not declared here, as a JSON object of texts."
        ),
        Column("file_sha256", Kind.TEXT, "SHA-256 of the file as delivered.", nullable=False),
        Column("source_file", Kind.TEXT, "Name of the file; for an archive `archive!member`.", nullable=False),
        Column(
            "source_row",
            Kind.INTEGER,
            "Row in the file as a spreadsheet counts it: the header is row 1, the first record row 2; "
            "for JSON and Parquet the ordinal of the record, from 1.",
            nullable=False,
        ),
    )

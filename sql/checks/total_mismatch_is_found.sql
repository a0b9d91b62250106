-- fail: a line's total is not its charge plus tax, and its run does not say so
select lines.run_id, lines.line_id, lines.subtotal_amount, lines.tax_amount, lines.total_amount
from lines
where
    lines.source = 'invoice_recon'
    and lines.total_amount <> lines.subtotal_amount + coalesce(lines.tax_amount, 0)
    and not exists (
        select 1
        from findings
        where
            findings.run_id = lines.run_id
            and findings.line_id = lines.line_id
            and findings.code = 'TOTAL_MISMATCH'
    )

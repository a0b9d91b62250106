-- fail: a source row, or a run, names a file that is not recorded, so that its untouched copy cannot be found
select parts.part, parts.file_sha256, parts.source_file
from (
    select distinct 'src_invoice_recon' as part, file_sha256, source_file from src_invoice_recon
    union all
    select distinct 'src_daily_usage' as part, file_sha256, source_file from src_daily_usage
    union all
    select distinct 'src_invoices' as part, file_sha256, source_file from src_invoices
    union all
    select distinct 'src_price_list' as part, file_sha256, source_file from src_price_list
    union all
    select distinct 'quarantine' as part, file_sha256, source_file from quarantine
    union all
    select distinct 'run_files' as part, file_sha256, source_file from run_files
) as parts
left join source_files
    on source_files.file_sha256 = parts.file_sha256 and source_files.source_file = parts.source_file
where source_files.file_sha256 is null

-- fail: a row of a price list was loaded twice, so that a price change would be seen where there is none
select file_sha256, source_file, source_row, count(*) as times
from src_price_list
group by file_sha256, source_file, source_row
having count(*) > 1

-- warn: rows that could not be read wait in quarantine; mend their file and run the period again
select period, source_file, source_row, reason
from quarantine

-- Every run.
select run_id, period, status, started_at, finished_at, code_version, policy_digest
from runs

-- fail: a finding names a line that its run does not have
select findings.run_id, findings.code, findings.line_id
from findings
left join lines on lines.run_id = findings.run_id and lines.line_id = findings.line_id
where findings.line_id is not null and lines.line_id is null

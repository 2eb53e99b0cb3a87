-- Whose log-in has ended is due in every run, which says so. Those who are due are found by this index, so it has them.

DROP INDEX bbdl.enrollee_due;
CREATE INDEX enrollee_due ON bbdl.enrollee (due_at, name);

UPDATE bbdl.enrollee SET due_at = ended_at WHERE ended_kind IS NOT NULL;

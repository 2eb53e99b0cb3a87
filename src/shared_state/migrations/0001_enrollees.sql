-- Who is to be pulled, with whose tokens, by whom at the moment, and what became of it.

CREATE TABLE bbdl.worker (
    id bigint PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    -- What is due is counted from here, so one run never asks for anybody twice.
    started timestamptz NOT NULL DEFAULT now(),
    seen timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bbdl.enrollee (
    name text COLLATE "C" PRIMARY KEY,
    server text NOT NULL,
    client_id text NOT NULL,
    -- The profile without secrets, as bbdl keeps it in a file elsewhere.
    profile jsonb NOT NULL,
    archives jsonb NOT NULL DEFAULT '[]',
    shard_hash numeric(20) NOT NULL,

    -- The tokens. Only the generation guards them, never the lease.
    generation bigint NOT NULL DEFAULT 1,
    sealed bytea NOT NULL,
    key_id text NOT NULL,
    access_expires timestamptz,

    -- A renewal: committed before the server is asked, and cleared with its answer.
    renewing_since timestamptz,
    renewing_id bigint,
    renewing_worker bigint,
    -- Renewals since this generation whose answer never arrived.
    unanswered integer NOT NULL DEFAULT 0,

    -- The lease. The fence grows with each one; an outcome counts under the newest only.
    fence bigint NOT NULL DEFAULT 0,
    leased_by bigint,
    leased_until timestamptz,

    -- What became of the last pull.
    due_at timestamptz NOT NULL DEFAULT '-infinity',
    tried_at timestamptz,
    pulled_at timestamptz,
    ok boolean NOT NULL DEFAULT false,
    -- What was pulled.
    asked text,
    outcome jsonb,
    ended_kind text,
    ended_at timestamptz
);

CREATE INDEX enrollee_due ON bbdl.enrollee (due_at, name) WHERE ended_kind IS NULL;
CREATE INDEX enrollee_renewing ON bbdl.enrollee (renewing_since) WHERE renewing_since IS NOT NULL;

-- The same for all workers, whatever their clocks and command lines say.
CREATE TABLE bbdl.setting (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    lease interval NOT NULL DEFAULT '90 seconds',
    longest_renewal interval NOT NULL DEFAULT '150 seconds',
    worker_is_dead interval NOT NULL DEFAULT '30 seconds'
);
INSERT INTO bbdl.setting DEFAULT VALUES;

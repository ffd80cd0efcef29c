-- Why: another system that is told what happened, by its name in the configuration: how far it has been given changes, and
-- how it does as a whole. What it was told until `registered_ms` stands in the register of
-- disclosures. `claims` is counted up by whoever takes deliveries, so that several bridges take turns.
CREATE TABLE destination (
    name          TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,
    wants         TEXT NOT NULL,
    state         TEXT NOT NULL,
    last_change   BIGINT NOT NULL,
    claims        BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    failing_ms    BIGINT,
    retry_ms      BIGINT,
    fault         TEXT,
    done_ms       BIGINT,
    delivered     BIGINT NOT NULL,
    configured_ms BIGINT NOT NULL,
    registered_ms BIGINT NOT NULL
);

-- Why: one change on its way to one system. Rows of one `line` (a patient, or what else it is about) go one after the
-- other. While a bridge has it, `taken_by` is that bridge's and `due_ms` the end of its time; after that anybody may.
CREATE TABLE delivery (
    destination TEXT NOT NULL REFERENCES destination (name),
    change      BIGINT NOT NULL,
    line        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    BIGINT NOT NULL,
    due_ms      BIGINT NOT NULL,
    taken_by    TEXT,
    fault       TEXT,
    queued_ms   BIGINT NOT NULL,
    ended_ms    BIGINT,
    PRIMARY KEY (destination, change)
);
CREATE INDEX delivery_waiting ON delivery (destination, change) WHERE state = 'waiting';
CREATE INDEX delivery_line ON delivery (destination, line, change) WHERE state = 'waiting';
CREATE INDEX delivery_dead ON delivery (destination, change) WHERE state = 'dead';
CREATE INDEX delivery_ended ON delivery (destination, ended_ms) WHERE ended_ms IS NOT NULL;

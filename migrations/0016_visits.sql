-- Why: a visit whose specialist is gone from the desk still runs for a while, in case they come back; when that began.
ALTER TABLE visit ADD COLUMN suspended_ms BIGINT;

-- Why: what a specialist must decide before or after a visit starts; one at a workstation, the newest. `visit` is set
-- when it started already and only the appointment is asked for.
CREATE TABLE visit_question (
    workstation TEXT PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    session     TEXT NOT NULL REFERENCES desk_session (id),
    staff       TEXT NOT NULL REFERENCES person (id),
    patient     TEXT NOT NULL REFERENCES person (id),
    zone        TEXT NOT NULL,
    why         TEXT NOT NULL,
    visit       TEXT REFERENCES visit (id),
    tapped_ms   BIGINT NOT NULL,
    asked_ms    BIGINT NOT NULL
);

-- Why: what was done without the card: a reason by code, the words in the audit log's entry, until when it counts, and the
-- review with its deadline. `source` and `external` are the system that reported a sign-in and its id of it.
CREATE TABLE irregular (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    code         TEXT NOT NULL,
    staff        TEXT REFERENCES person (id),
    patient      TEXT REFERENCES person (id),
    visit        TEXT REFERENCES visit (id),
    workstation  TEXT,
    zone         TEXT,
    session      TEXT,
    source       TEXT,
    external     TEXT,
    entry        BIGINT NOT NULL,
    at_ms        BIGINT NOT NULL,
    expires_ms   BIGINT,
    ended_ms     BIGINT,
    ended_why    TEXT,
    due_ms       BIGINT NOT NULL,
    alarmed_ms   BIGINT,
    reviewed_ms  BIGINT,
    reviewer     TEXT,
    verdict      TEXT,
    review_entry BIGINT,
    UNIQUE (source, external)
);
CREATE INDEX irregular_by_time ON irregular (at_ms, id);
CREATE INDEX irregular_by_staff ON irregular (staff, at_ms);
CREATE INDEX irregular_by_visit ON irregular (visit) WHERE visit IS NOT NULL;
CREATE INDEX irregular_waiting ON irregular (due_ms, id) WHERE reviewed_ms IS NULL;
CREATE INDEX irregular_open ON irregular (expires_ms) WHERE expires_ms IS NOT NULL AND ended_ms IS NULL;
-- Why: what time ends is among the visits that run.
CREATE INDEX visit_running ON visit (started_ms) WHERE ended_ms IS NULL;

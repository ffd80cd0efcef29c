-- Why: what was done, by whom, to whom and why, written in the transaction of the act. Columns are the texts that the
-- leaf is the hash of (docs/audit.md); a note can be blotted out with its salt, its hash stays.
CREATE TABLE audit_entry (
    no         BIGINT PRIMARY KEY,
    at_ms      BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor      TEXT,
    session    TEXT,
    address    TEXT,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    subject    TEXT,
    object     TEXT,
    fields     TEXT,
    purpose    TEXT,
    detail     TEXT,
    note       TEXT,
    note_salt  BYTEA,
    note_hash  BYTEA,
    glass      TEXT,
    leaf       BYTEA NOT NULL
);
CREATE INDEX audit_entry_by_time ON audit_entry (at_ms, no);
CREATE INDEX audit_entry_by_action ON audit_entry (action, at_ms, no);
CREATE INDEX audit_entry_by_actor ON audit_entry (actor, at_ms, no) WHERE actor IS NOT NULL;
CREATE INDEX audit_entry_by_subject ON audit_entry (subject, at_ms, no) WHERE subject IS NOT NULL;
CREATE INDEX audit_entry_by_object ON audit_entry (object, at_ms, no) WHERE object IS NOT NULL;
CREATE INDEX audit_entry_by_session ON audit_entry (session, at_ms, no) WHERE session IS NOT NULL;

-- Why: the complete subtrees above the leaves, by the last entry below and the height, so that a proof reads about
-- twenty rows instead of the whole log.
CREATE TABLE audit_node (
    upto  BIGINT NOT NULL,
    level BIGINT NOT NULL,
    hash  BYTEA NOT NULL,
    PRIMARY KEY (upto, level)
);

-- Why: one row with the number of entries and the peaks of the tree, in hexadecimal digits, the highest first. Who
-- writes an entry holds it until the end of the transaction, so numbers have no gap.
CREATE TABLE audit_state (
    id    BIGINT PRIMARY KEY,
    size  BIGINT NOT NULL,
    peaks TEXT NOT NULL
);
INSERT INTO audit_state (id, size, peaks) VALUES (1, 0, '');

-- Why: every signed head, as the line that goes to the second places.
CREATE TABLE audit_head (
    no    BIGINT PRIMARY KEY,
    size  BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    line  TEXT NOT NULL
);

-- Why: how far each second place has been told, and what is wrong with it; for the auditor's page.
CREATE TABLE audit_place (
    name       TEXT PRIMARY KEY,
    state      TEXT NOT NULL,
    head       BIGINT NOT NULL,
    told_ms    BIGINT,
    since_ms   BIGINT NOT NULL,
    problem    TEXT
);

-- Why: when the log was checked as a whole, and what came of it. A page asks, whoever runs the verifier answers.
CREATE TABLE audit_check (
    no       BIGINT PRIMARY KEY,
    asked_ms BIGINT NOT NULL,
    begun_ms BIGINT,
    ended_ms BIGINT,
    size     BIGINT,
    faults   BIGINT,
    first    TEXT
);

-- Why: a program's own fault must not change the log. Whoever commands the database can lift these rules; that is what
-- the tree and its published heads are for.
-- On SQLite:
CREATE TRIGGER audit_entry_stays BEFORE DELETE ON audit_entry
BEGIN SELECT RAISE(ABORT, 'entries of the audit log stay'); END;
CREATE TRIGGER audit_entry_fixed BEFORE UPDATE OF no, at_ms, actor_kind, actor, session, address, action, outcome,
    subject, object, fields, purpose, detail, note_hash, glass, leaf ON audit_entry
BEGIN SELECT RAISE(ABORT, 'entries of the audit log do not change'); END;
CREATE TRIGGER audit_entry_note BEFORE UPDATE OF note, note_salt ON audit_entry
WHEN NEW.note IS NOT NULL OR NEW.note_salt IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a note of the audit log can only be blotted out'); END;
CREATE TRIGGER audit_node_stays BEFORE DELETE ON audit_node
BEGIN SELECT RAISE(ABORT, 'the tree of the audit log stays'); END;
CREATE TRIGGER audit_node_fixed BEFORE UPDATE ON audit_node
BEGIN SELECT RAISE(ABORT, 'the tree of the audit log does not change'); END;
CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'heads of the audit log stay'); END;
CREATE TRIGGER audit_head_fixed BEFORE UPDATE ON audit_head
BEGIN SELECT RAISE(ABORT, 'heads of the audit log do not change'); END;
CREATE TRIGGER audit_state_stays BEFORE DELETE ON audit_state
BEGIN SELECT RAISE(ABORT, 'the state of the audit log stays'); END;
CREATE TRIGGER audit_state_grows BEFORE UPDATE OF size ON audit_state WHEN NEW.size <> OLD.size + 1
BEGIN SELECT RAISE(ABORT, 'the audit log grows by one entry at a time'); END;
-- On PostgreSQL:
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log only grows, and its notes can only be blotted out'; END $$;
CREATE TRIGGER audit_entry_stays BEFORE DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_entry_fixed BEFORE UPDATE OF no, at_ms, actor_kind, actor, session, address, action, outcome,
    subject, object, fields, purpose, detail, note_hash, glass, leaf ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_entry_note BEFORE UPDATE OF note, note_salt ON audit_entry
    FOR EACH ROW WHEN (NEW.note IS NOT NULL OR NEW.note_salt IS NOT NULL) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_entry_whole BEFORE TRUNCATE ON audit_entry EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_node_stays BEFORE DELETE OR UPDATE ON audit_node FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_node_whole BEFORE TRUNCATE ON audit_node EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_stays BEFORE DELETE OR UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_whole BEFORE TRUNCATE ON audit_head EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_state_stays BEFORE DELETE ON audit_state FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_state_grows BEFORE UPDATE OF size ON audit_state
    FOR EACH ROW WHEN (NEW.size <> OLD.size + 1) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_state_whole BEFORE TRUNCATE ON audit_state EXECUTE FUNCTION audit_refuse();

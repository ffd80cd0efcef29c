-- Why: what authorised persons order at doors ("open"), from the page that took the order to the bridge that sends it.
-- An order lives for seconds; the row stays as the record of what became of it.
CREATE TABLE command (
    id         TEXT PRIMARY KEY,
    gateway    TEXT NOT NULL,
    action     TEXT NOT NULL,
    point      TEXT,
    person     TEXT,
    actor      TEXT NOT NULL,
    reason     TEXT,
    issued_ms  BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    sent_ms    BIGINT,
    ended_ms   BIGINT,
    problem    TEXT
);
-- Why: the bridge looks for waiting orders several times a second.
CREATE INDEX command_waiting ON command (issued_ms, id) WHERE sent_ms IS NULL AND ended_ms IS NULL;

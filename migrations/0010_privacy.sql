-- Why: the register of disclosures: what was given to whom, when, in which extent and on which ground, as the laws on
-- personal data and on patients' rights ask. Organisations, accounts and keys are named; persons only by pseudonym.
CREATE TABLE disclosure (
    id             TEXT PRIMARY KEY,
    at_ms          BIGINT NOT NULL,
    route          TEXT NOT NULL,
    recipient_kind TEXT NOT NULL,
    recipient      TEXT NOT NULL,
    ground         TEXT NOT NULL,
    actor          TEXT NOT NULL,
    object         TEXT,
    classes        TEXT NOT NULL,
    fields         TEXT NOT NULL,
    records        BIGINT NOT NULL,
    persons        BIGINT NOT NULL,
    glass          TEXT
);
CREATE INDEX disclosure_by_time ON disclosure (at_ms, id);
-- Why: whose data a disclosure held, so that each person can be told.
CREATE TABLE disclosure_person (
    person     TEXT NOT NULL,
    disclosure TEXT NOT NULL REFERENCES disclosure (id),
    PRIMARY KEY (person, disclosure)
);
CREATE INDEX disclosure_person_by_disclosure ON disclosure_person (disclosure);

-- Why: each breaking of glass: who, why, until when, and what the review found.
CREATE TABLE glass (
    id          TEXT PRIMARY KEY,
    account     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    started_ms  BIGINT NOT NULL,
    ends_ms     BIGINT NOT NULL,
    ended_ms    BIGINT,
    ended_why   TEXT,
    address     TEXT,
    reviewed_ms BIGINT,
    reviewer    TEXT,
    verdict     TEXT,
    comment     TEXT
);
CREATE INDEX glass_by_account ON glass (account, started_ms);
CREATE INDEX glass_by_time ON glass (started_ms, id);

-- Why: what persons ask about their own data, with the day by which the law wants an answer.
CREATE TABLE privacy_request (
    id           TEXT PRIMARY KEY,
    person       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    law          TEXT NOT NULL,
    channel      TEXT NOT NULL,
    identity     TEXT NOT NULL,
    state        TEXT NOT NULL,
    received_ms  BIGINT NOT NULL,
    due_ms       BIGINT NOT NULL,
    extended     BIGINT NOT NULL,
    answered_ms  BIGINT,
    taken_by     TEXT NOT NULL,
    answered_by  TEXT
);
CREATE INDEX privacy_request_by_due ON privacy_request (state, due_ms);
CREATE INDEX privacy_request_by_person ON privacy_request (person);

-- Why: persons whose data may be kept but not used: hidden from search and analytics.
CREATE TABLE restriction (
    person   TEXT PRIMARY KEY,
    since_ms BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    request  TEXT
);

-- Why: persons who must not be erased yet, with the law or case that forbids it.
CREATE TABLE legal_hold (
    person   TEXT PRIMARY KEY,
    ground   TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    until_ms BIGINT,
    actor    TEXT NOT NULL
);

-- Why: acts of destruction. The pseudonym in them leads to nobody any more.
CREATE TABLE erasure (
    id      TEXT PRIMARY KEY,
    person  TEXT NOT NULL,
    at_ms   BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    ground  TEXT NOT NULL,
    request TEXT,
    act     TEXT NOT NULL
);
CREATE INDEX erasure_by_person ON erasure (person);
CREATE INDEX erasure_by_time ON erasure (at_ms, id);

-- Why: when each class of data was last cleared of what had outlived its term, and how much that was.
CREATE TABLE retention_run (
    class   TEXT PRIMARY KEY,
    at_ms   BIGINT NOT NULL,
    removed BIGINT NOT NULL
);

-- Why: breaches of personal data and the hours that the laws give for telling the authority.
CREATE TABLE incident (
    id           TEXT PRIMARY KEY,
    title        TEXT NOT NULL,
    noticed_ms   BIGINT NOT NULL,
    from_ms      BIGINT,
    until_ms     BIGINT,
    account      TEXT,
    high_risk    BIGINT NOT NULL,
    opened_by    TEXT NOT NULL,
    first_ms     BIGINT,
    result_ms    BIGINT,
    authority_ms BIGINT,
    persons_ms   BIGINT,
    closed_ms    BIGINT
);
CREATE INDEX incident_by_time ON incident (noticed_ms, id);
-- Why: what was done under a broken glass is looked up in one step.
CREATE INDEX audit_entry_by_glass ON audit_entry (glass, no) WHERE glass IS NOT NULL;

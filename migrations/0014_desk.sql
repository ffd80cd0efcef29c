-- Why: who works at workstations: a person with what the medical system calls them (its user, its practitioner) and the
-- account of the pages that is theirs, if there is one. `role` is a shipped role and says what they may do at a desk.
CREATE TABLE staff (
    person       TEXT PRIMARY KEY REFERENCES person (id),
    role         TEXT NOT NULL,
    login        TEXT UNIQUE,
    practitioner TEXT UNIQUE,
    account      TEXT UNIQUE REFERENCES account (id),
    specialty    TEXT,
    ended_ms     BIGINT,
    changed_ms   BIGINT NOT NULL
);

-- Why: what other systems call a person: a record number, an id. One value of one system is one person.
CREATE TABLE person_alias (
    system TEXT NOT NULL,
    value  TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES person (id),
    PRIMARY KEY (system, value)
);
CREATE INDEX person_alias_by_person ON person_alias (person);

-- Why: two records turned out to be one person: cards of the first open the record of the second. `into_person` is never
-- itself merged: who merges follows to the end.
CREATE TABLE person_merge (
    person      TEXT PRIMARY KEY REFERENCES person (id),
    into_person TEXT NOT NULL REFERENCES person (id),
    at_ms       BIGINT NOT NULL
);
CREATE INDEX person_merge_by_target ON person_merge (into_person);

-- Why: a desk with a reader at which somebody works: an access point of the kind `workstation`, and the browser that
-- stands there, known by the hash of its cookie.
CREATE TABLE workstation (
    point       TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    external    TEXT,
    token_hash  TEXT UNIQUE,
    enrolled_ms BIGINT,
    enrolled_by TEXT
);

-- Why: who is bound to a workstation, from the tap to the end. `factor` is the strength shown at the opening; times are
-- those of the tap at the reader. At most one that has not ended at a workstation.
CREATE TABLE desk_session (
    id          TEXT PRIMARY KEY,
    workstation TEXT NOT NULL,
    zone        TEXT NOT NULL,
    person      TEXT NOT NULL REFERENCES person (id),
    card        TEXT,
    state       TEXT NOT NULL,
    factor      TEXT NOT NULL,
    opened_ms   BIGINT NOT NULL,
    confirmed_ms BIGINT NOT NULL,
    used_ms     BIGINT NOT NULL,
    ended_ms    BIGINT,
    ended_why   TEXT
);
CREATE UNIQUE INDEX desk_session_current ON desk_session (workstation) WHERE ended_ms IS NULL;
CREATE INDEX desk_session_by_person ON desk_session (person, opened_ms);
CREATE INDEX desk_session_by_time ON desk_session (opened_ms);

-- Why: appointments as the medical system tells them; `source` and `external` are its feed and its id.
CREATE TABLE appointment (
    id         TEXT PRIMARY KEY,
    source     TEXT NOT NULL,
    external   TEXT NOT NULL,
    patient    TEXT NOT NULL REFERENCES person (id),
    staff      TEXT REFERENCES person (id),
    zone       TEXT,
    purpose    TEXT,
    starts_ms  BIGINT NOT NULL,
    ends_ms    BIGINT NOT NULL,
    state      TEXT NOT NULL,
    arrived_ms BIGINT,
    changed_ms BIGINT NOT NULL,
    UNIQUE (source, external)
);
CREATE INDEX appointment_by_patient ON appointment (patient, starts_ms);
CREATE INDEX appointment_by_staff ON appointment (staff, starts_ms);
CREATE INDEX appointment_by_time ON appointment (starts_ms);

-- Why: a patient with a specialist in a room, from the tap to the end. The id is also that of the encounter in the
-- medical system. At most one that has not ended at a workstation, and one of a patient.
CREATE TABLE visit (
    id          TEXT PRIMARY KEY,
    no          BIGINT NOT NULL UNIQUE,
    patient     TEXT NOT NULL REFERENCES person (id),
    staff       TEXT NOT NULL REFERENCES person (id),
    workstation TEXT NOT NULL,
    zone        TEXT NOT NULL,
    session     TEXT NOT NULL REFERENCES desk_session (id),
    appointment TEXT REFERENCES appointment (id),
    began_by    TEXT NOT NULL,
    started_ms  BIGINT NOT NULL,
    ended_ms    BIGINT,
    ended_why   TEXT
);
CREATE UNIQUE INDEX visit_current_desk ON visit (workstation) WHERE ended_ms IS NULL;
CREATE UNIQUE INDEX visit_current_patient ON visit (patient) WHERE ended_ms IS NULL;
CREATE INDEX visit_by_patient ON visit (patient, started_ms);
CREATE INDEX visit_by_staff ON visit (staff, started_ms);
CREATE INDEX visit_by_time ON visit (started_ms);
CREATE INDEX visit_by_zone ON visit (zone, started_ms);
INSERT INTO counter (name, value) VALUES ('visit', 0);

-- Why: everything that happened at desks and with visits, in the order of the commits and without a gap, written in the
-- transaction of the fact itself: what pages, FHIRcast, the OpenID provider, deliveries to other systems and the feed of the
-- HTTP API follow, each from a cursor of its own. Pseudonyms and codes only.
CREATE TABLE change (
    id          BIGINT PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    happened_ms BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    reason      TEXT,
    workstation TEXT,
    session     TEXT,
    staff       TEXT,
    patient     TEXT,
    visit       TEXT,
    appointment TEXT,
    detail      TEXT
);
CREATE INDEX change_by_workstation ON change (workstation, id) WHERE workstation IS NOT NULL;
CREATE INDEX change_by_patient ON change (patient, id) WHERE patient IS NOT NULL;
INSERT INTO counter (name, value) VALUES ('change', 0);

-- Why: how far each follower has come in `event` or `change`; taken on in the transaction of what it did with it.
CREATE TABLE follower (
    name    TEXT PRIMARY KEY,
    last_id BIGINT NOT NULL
);

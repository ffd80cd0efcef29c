-- Why: numbers that rise by one and never repeat, in the order in which transactions commit. Who takes one holds the
-- row until the end of the transaction, so writers of one feed take turns.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('event', 0), ('journal', 0), ('credential', 0), ('policy', 0);

-- Why: people are known by pseudonym; the external reference (a personnel number, a record number) stays here.
CREATE TABLE person (
    id           TEXT PRIMARY KEY,
    external_ref TEXT UNIQUE,
    created_ms   BIGINT NOT NULL
);

-- Why: passes. A row is closed (until_ms), never overwritten, so that it can be told what was in force when. The card
-- is a keyed hash of its number; the number itself is nowhere.
CREATE TABLE credential (
    id          BIGINT PRIMARY KEY,
    card        TEXT NOT NULL,
    person      TEXT NOT NULL REFERENCES person (id),
    kind        TEXT NOT NULL,
    category    TEXT NOT NULL,
    state       TEXT NOT NULL,
    one_time    BIGINT NOT NULL,
    valid_from  BIGINT,
    valid_until BIGINT,
    pin         TEXT,
    duress_pin  TEXT,
    since_ms    BIGINT NOT NULL,
    until_ms    BIGINT
);
CREATE UNIQUE INDEX credential_current ON credential (card) WHERE until_ms IS NULL;
CREATE INDEX credential_by_person ON credential (person);

-- Why: one row on the layout as a whole: what is not a list.
CREATE TABLE layout (
    id                    BIGINT PRIMARY KEY,
    time_zone             TEXT NOT NULL,
    allow_all_if_no_rules BIGINT NOT NULL,
    changed_ms            BIGINT NOT NULL
);

-- Why: the lists of the layout, replaced as a whole when the configuration changes; position keeps their order.
CREATE TABLE zone (
    id            TEXT PRIMARY KEY,
    position      BIGINT NOT NULL,
    inside        TEXT,
    outside       BIGINT NOT NULL,
    anti_passback TEXT NOT NULL,
    capacity      BIGINT
);
CREATE TABLE point (
    id        TEXT PRIMARY KEY,
    position  BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    from_zone TEXT NOT NULL,
    to_zone   TEXT NOT NULL,
    mode      TEXT NOT NULL,
    verify    TEXT NOT NULL,
    reuse_ms  BIGINT
);
CREATE TABLE category (
    id       TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);
CREATE TABLE schedule (
    id         TEXT PRIMARY KEY,
    position   BIGINT NOT NULL,
    on_holiday TEXT NOT NULL
);
CREATE TABLE schedule_range (
    schedule     TEXT NOT NULL,
    position     BIGINT NOT NULL,
    days         BIGINT NOT NULL,
    from_minute  BIGINT NOT NULL,
    until_minute BIGINT NOT NULL,
    on_holiday   BIGINT NOT NULL,
    PRIMARY KEY (schedule, position)
);
CREATE TABLE holiday (
    day TEXT PRIMARY KEY
);
CREATE TABLE rule (
    position    BIGINT PRIMARY KEY,
    name        TEXT NOT NULL,
    effect      TEXT NOT NULL,
    categories  TEXT NOT NULL,
    kinds       TEXT NOT NULL,
    zone        TEXT,
    direction   TEXT,
    schedule    TEXT,
    valid_from  BIGINT,
    valid_until BIGINT
);

-- Why: one life of a gateway's journal and how far it has been taken in; entries up to last_seq are repetitions.
CREATE TABLE journal (
    no       BIGINT PRIMARY KEY,
    gateway  TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    last_seq BIGINT NOT NULL,
    UNIQUE (gateway, epoch)
);

-- Why: every fact of every gateway. The id is the feed's: it rises in commit order, so a reader that asks for "after
-- id" misses nothing.
CREATE TABLE event (
    id          BIGINT PRIMARY KEY,
    journal     BIGINT NOT NULL REFERENCES journal (no),
    seq         BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    at_ms       BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    reason      TEXT,
    point       TEXT,
    reader      TEXT,
    direction   TEXT,
    card        TEXT,
    person      TEXT,
    age_ms      BIGINT,
    detail      TEXT,
    UNIQUE (journal, seq)
);
CREATE INDEX event_by_time ON event (at_ms, id);
CREATE INDEX event_by_point ON event (point, at_ms, id) WHERE point IS NOT NULL;
CREATE INDEX event_by_person ON event (person, at_ms, id) WHERE person IS NOT NULL;
CREATE INDEX event_by_card ON event (card, at_ms, id) WHERE card IS NOT NULL;

-- Why: where a person was last seen going. Who left stays with the zone outside, so that a late record of an earlier
-- passage cannot bring them back in.
CREATE TABLE presence (
    person TEXT PRIMARY KEY,
    zone   TEXT NOT NULL,
    at_ms  BIGINT NOT NULL,
    card   TEXT,
    event  BIGINT NOT NULL
);
CREATE INDEX presence_by_zone ON presence (zone);

-- Why: the last known state of equipment, as gateways report it; overwritten, history is in event.
CREATE TABLE device_gateway (
    id             TEXT PRIMARY KEY,
    online         BIGINT NOT NULL,
    seen_ms        BIGINT NOT NULL,
    at_ms          BIGINT,
    started_ms     BIGINT,
    software       TEXT,
    epoch          TEXT,
    last_seq       BIGINT,
    acked_seq      BIGINT,
    policy_version BIGINT,
    policy_age_ms  BIGINT
);
CREATE TABLE device_line (
    gateway          TEXT NOT NULL,
    id               TEXT NOT NULL,
    seen_ms          BIGINT NOT NULL,
    port             TEXT NOT NULL,
    open             BIGINT NOT NULL,
    polls_per_1000_s BIGINT NOT NULL,
    problem          TEXT,
    PRIMARY KEY (gateway, id)
);
CREATE TABLE device_reader (
    gateway           TEXT NOT NULL,
    id                TEXT NOT NULL,
    seen_ms           BIGINT NOT NULL,
    line              TEXT NOT NULL,
    point             TEXT,
    direction         TEXT,
    address           BIGINT NOT NULL,
    state             TEXT NOT NULL,
    secure            BIGINT NOT NULL,
    insecure_accepted TEXT,
    poll_period_us    BIGINT NOT NULL,
    reply_us          BIGINT NOT NULL,
    polls             BIGINT NOT NULL,
    retries           BIGINT NOT NULL,
    timeouts          BIGINT NOT NULL,
    crc_errors        BIGINT NOT NULL,
    alarms            BIGINT NOT NULL,
    silent_ms         BIGINT NOT NULL,
    model             TEXT,
    serial            TEXT,
    firmware          TEXT,
    tamper            BIGINT NOT NULL,
    PRIMARY KEY (gateway, id)
);
CREATE TABLE device_door (
    gateway  TEXT NOT NULL,
    point    TEXT NOT NULL,
    seen_ms  BIGINT NOT NULL,
    state    TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, point)
);

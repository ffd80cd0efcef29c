-- Why: what zones ask of those who enter besides the rules, a list of the layout: a visit that leads there (no condition)
-- or a condition, of passes of these kinds (all, if empty).
CREATE TABLE demand (
    position  BIGINT PRIMARY KEY,
    zone      TEXT NOT NULL,
    condition TEXT,
    kinds     TEXT NOT NULL
);

-- Why: how each feed stands: when the source last told something, what became of it, how far a pull has come.
CREATE TABLE feed (
    source      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    told_ms     BIGINT NOT NULL,
    taken_ms    BIGINT,
    hour_ms     BIGINT NOT NULL,
    hour_count  BIGINT NOT NULL,
    hour_before BIGINT NOT NULL,
    added       BIGINT NOT NULL,
    changed     BIGINT NOT NULL,
    unchanged   BIGINT NOT NULL,
    older       BIGINT NOT NULL,
    ended       BIGINT NOT NULL,
    refused     BIGINT NOT NULL,
    cursor      TEXT,
    error       TEXT,
    PRIMARY KEY (source, kind)
);

-- Why: what was last told of each record of a source, so that a repetition or an older record changes nothing, and a
-- whole list shows what is missing. The digests are keyed: nothing can be guessed from them.
CREATE TABLE feed_record (
    source     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    external   TEXT NOT NULL,
    version_ms BIGINT,
    digest     TEXT NOT NULL,
    content    TEXT NOT NULL,
    person     TEXT REFERENCES person (id),
    told_ms    BIGINT NOT NULL,
    ended_ms   BIGINT,
    PRIMARY KEY (source, kind, external)
);
CREATE INDEX feed_record_by_person ON feed_record (person, kind) WHERE person IS NOT NULL;

-- Why: records that were not taken, by their place in the list; the newest are kept.
CREATE TABLE feed_problem (
    id      BIGINT PRIMARY KEY,
    source  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    at_ms   BIGINT NOT NULL,
    row_no  BIGINT NOT NULL,
    field   TEXT NOT NULL,
    problem TEXT NOT NULL,
    words   TEXT NOT NULL
);
CREATE INDEX feed_problem_by_feed ON feed_problem (source, kind, id);
INSERT INTO counter (name, value) VALUES ('feed_problem', 0);

-- Why: a source says something else of a person than a source that is believed first.
CREATE TABLE feed_difference (
    person   TEXT NOT NULL REFERENCES person (id),
    kind     TEXT NOT NULL,
    source   TEXT NOT NULL,
    believed TEXT NOT NULL,
    at_ms    BIGINT NOT NULL,
    PRIMARY KEY (person, kind, source)
);

-- Why: whole lists that would end too much wait for a person's word; the fingerprint says what they would end, so that
-- the word counts for that and nothing else.
CREATE TABLE feed_hold (
    id          BIGINT PRIMARY KEY,
    source      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    would_end   BIGINT NOT NULL,
    of_all      BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    state       TEXT NOT NULL,
    decided_ms  BIGINT
);
CREATE INDEX feed_hold_by_feed ON feed_hold (source, kind, state);
INSERT INTO counter (name, value) VALUES ('feed_hold', 0);

-- Why: which passes a feed brought: only those it ends or withdraws again.
CREATE TABLE feed_pass (
    card   TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id),
    source TEXT NOT NULL,
    kind   TEXT NOT NULL
);
CREATE INDEX feed_pass_by_person ON feed_pass (person);

-- Why: contracts, trainings and the like, as zones may ask for them.
CREATE TABLE person_condition (
    person     TEXT NOT NULL REFERENCES person (id),
    condition  TEXT NOT NULL,
    source     TEXT NOT NULL,
    holds      BIGINT NOT NULL,
    from_ms    BIGINT,
    until_ms   BIGINT,
    changed_ms BIGINT NOT NULL,
    PRIMARY KEY (person, condition)
);

-- Why: what visits are for; a patient may enter its zones from early_ms before an appointment until late_ms after it, the
-- whole day of the clinic where these are not set.
CREATE TABLE purpose (
    code       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    minutes    BIGINT,
    early_ms   BIGINT,
    late_ms    BIGINT,
    by_hand    BIGINT NOT NULL,
    ended_ms   BIGINT,
    changed_ms BIGINT NOT NULL
);
CREATE TABLE purpose_zone (
    purpose TEXT NOT NULL,
    zone    TEXT NOT NULL,
    PRIMARY KEY (purpose, zone)
);

-- Why: rooms and desks as a source calls them, which zone of ours each is, and who works there.
CREATE TABLE workplace (
    source     TEXT NOT NULL,
    external   TEXT NOT NULL,
    name       TEXT NOT NULL,
    zone       TEXT,
    point      TEXT,
    by_hand    BIGINT NOT NULL,
    ended_ms   BIGINT,
    changed_ms BIGINT NOT NULL,
    PRIMARY KEY (source, external)
);
CREATE TABLE workplace_staff (
    source   TEXT NOT NULL,
    external TEXT NOT NULL,
    person   TEXT NOT NULL REFERENCES person (id),
    PRIMARY KEY (source, external, person)
);
CREATE INDEX workplace_staff_by_person ON workplace_staff (person);

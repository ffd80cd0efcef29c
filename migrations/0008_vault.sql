-- Why: which keys of the vault are in use. The keys themselves are elsewhere; here stand their ids, and how a passphrase
-- becomes one. While a key is being changed, the one before it is kept, sealed by the one that follows.
CREATE TABLE vault_key (
    id      TEXT PRIMARY KEY,
    state   TEXT NOT NULL,
    source  TEXT NOT NULL,
    salt    TEXT,
    cost    TEXT,
    former  BYTEA,
    made_ms BIGINT NOT NULL
);

-- Why: the key of the search index, sealed by the vault's key; two of them while the index is being rebuilt.
CREATE TABLE vault_index (
    id      TEXT PRIMARY KEY,
    state   TEXT NOT NULL,
    sealed  BYTEA NOT NULL,
    made_ms BIGINT NOT NULL
);

-- Why: who a pseudonym is. Everything about the person is sealed under a key of their own, which stands here wrapped by
-- the vault's key; destroying it erases the person. In mode local all of it was sealed by a workstation.
CREATE TABLE passport (
    no            BIGINT PRIMARY KEY,
    person        TEXT NOT NULL UNIQUE REFERENCES person (id),
    mode          TEXT NOT NULL,
    kek           TEXT,
    wrapped_key   BYTEA,
    names         BYTEA,
    birth         BYTEA,
    documents     BYTEA,
    contacts      BYTEA,
    tokens        BYTEA,
    index_key     TEXT,
    photo         TEXT,
    photo_consent TEXT,
    consent_ms    BIGINT,
    created_ms    BIGINT NOT NULL,
    changed_ms    BIGINT NOT NULL,
    restricted_ms BIGINT,
    shredded_ms   BIGINT
);
CREATE INDEX passport_by_kek ON passport (kek);
CREATE INDEX passport_by_index_key ON passport (index_key);
INSERT INTO counter (name, value) VALUES ('passport', 0), ('passport_past', 0);

-- Why: what was known before a correction, sealed under the same person's key.
CREATE TABLE passport_past (
    id       BIGINT PRIMARY KEY,
    person   TEXT NOT NULL,
    part     TEXT NOT NULL,
    sealed   BYTEA NOT NULL,
    until_ms BIGINT NOT NULL
);
CREATE INDEX passport_past_by_person ON passport_past (person);

-- Why: photographs; the pictures are files elsewhere, sealed under the person's key. Consent is kept with each.
CREATE TABLE photo (
    id          TEXT PRIMARY KEY,
    person      TEXT NOT NULL,
    full_blob   TEXT NOT NULL,
    small_blob  TEXT NOT NULL,
    consent_ms  BIGINT NOT NULL,
    made_ms     BIGINT NOT NULL
);
CREATE INDEX photo_by_person ON photo (person);

-- Why: finding people without a name in clear: keyed hashes of beginnings of names, of documents and telephone numbers.
-- Some twenty rows a person and nothing but the key: SQLite is told not to keep it twice.
-- On SQLite:
CREATE TABLE passport_token (
    token    BIGINT NOT NULL,
    passport BIGINT NOT NULL,
    PRIMARY KEY (token, passport)
) WITHOUT ROWID;
-- On PostgreSQL:
CREATE TABLE passport_token (
    token    BIGINT NOT NULL,
    passport BIGINT NOT NULL,
    PRIMARY KEY (token, passport)
);

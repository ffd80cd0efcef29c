-- Why: the systems that specialists are signed in to by their card: what each may ask for, how it proves itself, and what
-- it is told. `source` says whether it stands in the configuration or was made on a page. A secret is stored as a hash.
CREATE TABLE openid_client (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    source      TEXT NOT NULL,
    auth        TEXT NOT NULL,
    secret_hash TEXT,
    jwks        TEXT,
    algorithm   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    fhir_user   TEXT,
    strength    TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    access_ms   BIGINT NOT NULL,
    logout_uri  TEXT,
    ping_uri    TEXT,
    start_uri   TEXT,
    takes_assertions BIGINT NOT NULL,
    made_ms     BIGINT NOT NULL,
    used_ms     BIGINT,
    ended_ms    BIGINT
);

-- Why: the addresses to which a system may have a browser sent, each compared whole, and the sites whose scripts may call.
CREATE TABLE openid_client_uri (
    client TEXT NOT NULL REFERENCES openid_client (id),
    kind   TEXT NOT NULL,
    uri    TEXT NOT NULL,
    PRIMARY KEY (client, kind, uri)
);

-- Why: the keys that sign, private halves sealed. A key is published before it signs and as long as what it signed lives.
CREATE TABLE openid_key (
    kid       TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    sealed    BYTEA NOT NULL,
    made_ms   BIGINT NOT NULL,
    from_ms   BIGINT NOT NULL,
    until_ms  BIGINT NOT NULL,
    gone_ms   BIGINT NOT NULL
);
CREATE UNIQUE INDEX openid_key_turn ON openid_key (algorithm, from_ms);

-- Why: sign-ins that wait for a tap, each bound to one workstation; known by the hash of what the browser holds. `floor` is
-- the last change that was there when it came: what was tapped before does not answer it. What the system wants back
-- (state, nonce) is sealed.
CREATE TABLE openid_request (
    hash         TEXT PRIMARY KEY,
    client       TEXT NOT NULL,
    workstation  TEXT,
    redirect_uri TEXT NOT NULL,
    scope        TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    sealed       BYTEA NOT NULL,
    prompt       TEXT NOT NULL,
    max_age_s    BIGINT,
    strength     TEXT NOT NULL,
    person       TEXT,
    floor        BIGINT NOT NULL,
    made_ms      BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    done_ms      BIGINT
);
CREATE INDEX openid_request_by_age ON openid_request (expires_ms);

-- Why: that a session at a workstation is signed in to a system, under the id by which that
-- system knows it; what it calls the specialist is sealed.
CREATE TABLE openid_sign_in (
    sid      TEXT PRIMARY KEY,
    session  TEXT NOT NULL,
    client   TEXT NOT NULL,
    person   TEXT NOT NULL,
    sealed   BYTEA NOT NULL,
    began_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE UNIQUE INDEX openid_sign_in_current ON openid_sign_in (session, client) WHERE ended_ms IS NULL;
CREATE INDEX openid_sign_in_by_session ON openid_sign_in (session, client, began_ms);
CREATE INDEX openid_sign_in_by_age ON openid_sign_in (began_ms);

-- Why: codes that a system redeems once for tokens, by hash. A code that comes twice revokes what it gave.
CREATE TABLE openid_code (
    hash         TEXT PRIMARY KEY,
    sid          TEXT NOT NULL,
    client       TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    scope        TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    sealed       BYTEA NOT NULL,
    strength     TEXT NOT NULL,
    auth_ms      BIGINT NOT NULL,
    made_ms      BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    used_ms      BIGINT
);
CREATE INDEX openid_code_by_age ON openid_code (expires_ms);

-- Why: access tokens, by hash; `origin` is the hash of the code or of the request without a browser that gave it.
CREATE TABLE openid_token (
    hash       TEXT PRIMARY KEY,
    origin     TEXT NOT NULL,
    sid        TEXT NOT NULL,
    client     TEXT NOT NULL,
    scope      TEXT NOT NULL,
    made_ms    BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT
);
CREATE INDEX openid_token_by_origin ON openid_token (origin);
CREATE INDEX openid_token_by_age ON openid_token (expires_ms);

-- Why: confirmations that a system asked for without a browser: the specialist taps again at their workstation. What is
-- shown to them and the token for the answer are sealed.
CREATE TABLE openid_confirmation (
    hash       TEXT PRIMARY KEY,
    client     TEXT NOT NULL,
    person     TEXT NOT NULL,
    scope      TEXT NOT NULL,
    strength   TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    state      TEXT NOT NULL,
    floor      BIGINT NOT NULL,
    sid        TEXT,
    reached    TEXT,
    auth_ms    BIGINT,
    polled_ms  BIGINT,
    made_ms    BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX openid_confirmation_by_person ON openid_confirmation (person, expires_ms);
CREATE INDEX openid_confirmation_by_age ON openid_confirmation (expires_ms);

-- Why: what a system still has to be told: that a session ended, that a confirmation is there. Kept until it was taken or
-- given up.
CREATE TABLE openid_call (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    client     TEXT NOT NULL,
    about      TEXT NOT NULL,
    made_ms    BIGINT NOT NULL,
    next_ms    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    done_ms    BIGINT,
    given_up_ms BIGINT,
    why        TEXT,
    UNIQUE (kind, client, about)
);
CREATE INDEX openid_call_due ON openid_call (next_ms) WHERE done_ms IS NULL AND given_up_ms IS NULL;

-- Why: ids of tokens that count once: assertions that we gave, and proofs that systems sent us. `used_ms` is empty while an
-- assertion of ours has not come back.
CREATE TABLE openid_once (
    client     TEXT NOT NULL,
    hash       TEXT NOT NULL,
    sid        TEXT,
    made_ms    BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms    BIGINT,
    PRIMARY KEY (client, hash)
);
CREATE INDEX openid_once_by_age ON openid_once (expires_ms);

-- Why: programs that start at once draw one set of keys, not one each: who draws locks this row.
INSERT INTO counter (name, value) VALUES ('openid_keys', 0);

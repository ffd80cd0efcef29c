-- Why: the second factor of an account, a shared secret for one-time codes. It is sealed under a key of the site, so
-- that a copy of the database gives nobody a code. last_step is the newest step used: a code works once.
CREATE TABLE account_factor (
    account   TEXT PRIMARY KEY REFERENCES account (id),
    secret    BYTEA NOT NULL,
    set_at    BIGINT NOT NULL,
    last_step BIGINT NOT NULL
);

-- Why: a second factor that is being set up, for one session or one half-open sign-in. Whoever else begins gets another
-- secret: nobody confirms one that a stranger has seen.
CREATE TABLE account_enrolment (
    holder  TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    secret  BYTEA NOT NULL,
    made_at BIGINT NOT NULL
);

-- Why: ten codes for the day on which the telephone with the second factor is lost. Hashes only; each works once.
CREATE TABLE account_recovery (
    account   TEXT NOT NULL REFERENCES account (id),
    code_hash TEXT NOT NULL,
    made_at   BIGINT NOT NULL,
    used_at   BIGINT,
    PRIMARY KEY (account, code_hash)
);

-- Why: between password and second factor somebody is not signed in. These rows open nothing but the second step.
CREATE TABLE account_half (
    token_hash TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES account (id),
    step       TEXT NOT NULL,
    opened_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Why: a browser from which an account has signed in before is counted apart from strangers, so that nobody can lock
-- its holder out by guessing.
CREATE TABLE account_device (
    token_hash TEXT NOT NULL,
    account    TEXT NOT NULL REFERENCES account (id),
    made_at    BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    PRIMARY KEY (token_hash, account)
);
CREATE INDEX account_device_by_account ON account_device (account, seen_at);

-- Why: names and addresses of staff are sealed: no name stands in the clear in a database file.
ALTER TABLE account ADD COLUMN name_box BYTEA;
ALTER TABLE account ADD COLUMN email_box BYTEA;

-- Why: an address that its holder has not confirmed yet, by a link sent to it.
CREATE TABLE account_email (
    account    TEXT PRIMARY KEY REFERENCES account (id),
    email_box  BYTEA NOT NULL,
    token_hash TEXT NOT NULL,
    asked_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Why: e-mail to be sent, written in the transaction of what it tells of: neither is there without the other. To one
-- account, or to everybody with a permission. Holds no personal data but sealed: a one-time link, or an address that is
-- not the account's own one, both erased when sent.
CREATE TABLE notice (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    account    TEXT REFERENCES account (id),
    permission TEXT,
    args       TEXT NOT NULL,
    link       BYTEA,
    address    BYTEA,
    at         BIGINT NOT NULL,
    state      TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    ended_at   BIGINT,
    reply      TEXT
);
CREATE INDEX notice_by_due ON notice (state, due_at);
CREATE INDEX notice_by_time ON notice (at);

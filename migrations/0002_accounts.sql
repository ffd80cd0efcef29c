-- Why: the people who sign in to the pages. Passwords, session tokens and links are stored as hashes only.

CREATE TABLE account (
    id              TEXT PRIMARY KEY,
    login           TEXT NOT NULL UNIQUE,
    shown_name      TEXT NOT NULL,
    role            TEXT NOT NULL,
    locale          TEXT NOT NULL,
    theme           TEXT NOT NULL,
    password_hash   TEXT,
    created_at      BIGINT NOT NULL,
    password_set_at BIGINT,
    signed_in_at    BIGINT,
    disabled_at     BIGINT
);

-- Why: a session is ended by writing ended_at; the row stays as the record of who was signed in from where.
CREATE TABLE account_session (
    token_hash   TEXT PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    account      TEXT NOT NULL REFERENCES account (id),
    opened_at    BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    ended_why    TEXT,
    address      TEXT NOT NULL,
    agent        TEXT NOT NULL
);
CREATE INDEX account_session_by_account ON account_session (account, ended_at);

-- Why: single-use links by which somebody sets the first or a new password; nobody else ever knows it.
CREATE TABLE account_link (
    token_hash TEXT PRIMARY KEY,
    purpose    TEXT NOT NULL,
    account    TEXT REFERENCES account (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);

-- Why: guessing slows down, also across a restart. The subject is a hash: a mistyped name may be a password.
CREATE TABLE account_throttle (
    subject    TEXT PRIMARY KEY,
    failures   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    open_at    BIGINT NOT NULL
);
CREATE INDEX account_throttle_by_age ON account_throttle (last_at);

-- Why: who did what to which account; rows are only ever added.
CREATE TABLE account_log (
    id      TEXT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT,
    action  TEXT NOT NULL,
    target  TEXT,
    address TEXT,
    detail  TEXT
);
CREATE INDEX account_log_by_time ON account_log (at);

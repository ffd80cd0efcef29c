-- Why: keys by which other systems use the HTTP API. Each belongs to the account that answers for it; the key itself is
-- shown once and stored as a hash.
CREATE TABLE api_key (
    id         TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    account    TEXT NOT NULL REFERENCES account (id),
    name       TEXT NOT NULL,
    made_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    used_from  TEXT,
    ended_at   BIGINT,
    ended_why  TEXT
);
CREATE INDEX api_key_by_account ON api_key (account, ended_at);

-- Why: what a key is limited to, one row a limit: a permission, a field of persons, a zone, or a network that it may be
-- used from. Without a zone, wherever its account may; without a network, from everywhere.
CREATE TABLE api_key_limit (
    api_key TEXT NOT NULL REFERENCES api_key (id),
    kind    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (api_key, kind, value)
);

-- Why: a request that is sent again after a lost answer gets the first answer and does nothing twice. The answer is kept
-- for a day, without personal data.
CREATE TABLE api_answer (
    api_key TEXT NOT NULL REFERENCES api_key (id),
    request TEXT NOT NULL,
    content TEXT NOT NULL,
    at      BIGINT NOT NULL,
    status  BIGINT,
    answer  TEXT,
    PRIMARY KEY (api_key, request)
);
CREATE INDEX api_answer_by_age ON api_answer (at);

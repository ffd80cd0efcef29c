-- Why: with which keys of the clinic's workstations passports are sealed, so that a page can say which one is needed and
-- how far a change of the key has come. The keys themselves never come here; these are their numbers.
CREATE TABLE local_key (
    id       TEXT PRIMARY KEY,
    since_ms BIGINT NOT NULL,
    until_ms BIGINT
);

-- Why: until when a specialist's second factor counts, once shown: once a shift, at whichever workstation.
CREATE TABLE desk_factor (
    person       TEXT PRIMARY KEY REFERENCES person (id),
    factor       TEXT NOT NULL,
    confirmed_ms BIGINT NOT NULL,
    until_ms     BIGINT NOT NULL,
    workstation  TEXT NOT NULL
);

-- Why: PINs that are typed on the page of a workstation, hashed; how many were wrong since the last right one, how often
-- that has blocked the PIN, and until when it is blocked.
CREATE TABLE desk_pin (
    person        TEXT PRIMARY KEY REFERENCES person (id),
    hash          TEXT,
    set_ms        BIGINT,
    wrong         BIGINT NOT NULL,
    blocks        BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

-- Why: wrong PINs at one workstation, whosever they were: somebody who tries one PIN on many cards is slowed down too.
CREATE TABLE desk_pin_rate (
    workstation TEXT PRIMARY KEY,
    wrong       BIGINT NOT NULL,
    since_ms    BIGINT NOT NULL
);

CREATE INDEX desk_session_open_by_person ON desk_session (person) WHERE ended_ms IS NULL;
CREATE INDEX desk_session_by_workstation ON desk_session (workstation, opened_ms);

-- What was recorded before there were workstations binds nobody.
INSERT INTO follower (name, last_id) SELECT 'desk', value FROM counter WHERE name = 'event';

-- Why: the FHIRcast session of a binding to a workstation: its topic, by which programs at that workstation are told which
-- chart is open, and what is open now. The topic is known by its hash and kept sealed, to be handed out again at the next
-- sign-in of the same binding; what is open is sealed too, programs may put anything into it.
CREATE TABLE fhircast_session (
    session    TEXT PRIMARY KEY REFERENCES desk_session (id),
    topic_hash TEXT UNIQUE,
    topic      BYTEA,
    latest_ms  BIGINT NOT NULL,
    contexts   BYTEA,
    ended_ms   BIGINT
);

-- Why: a program that follows a topic: which events, until when, and whether it follows. Its socket's address is known by
-- its hash and opens once.
CREATE TABLE fhircast_subscription (
    id            TEXT PRIMARY KEY,
    session       TEXT NOT NULL REFERENCES fhircast_session (session),
    endpoint_hash TEXT NOT NULL UNIQUE,
    client        TEXT,
    name          TEXT,
    events        TEXT NOT NULL,
    made_ms       BIGINT NOT NULL,
    until_ms      BIGINT NOT NULL,
    open_until_ms BIGINT NOT NULL,
    connected_ms  BIGINT,
    seen_ms       BIGINT,
    ended_ms      BIGINT,
    ended_why     TEXT,
    trouble       TEXT,
    trouble_event TEXT,
    trouble_ms    BIGINT
);
CREATE INDEX fhircast_subscription_by_session ON fhircast_subscription (session, made_ms);
CREATE INDEX fhircast_subscription_by_time ON fhircast_subscription (made_ms);

-- Why: what every dashboard sends to the sockets that it holds, in one order: events, and what became of subscriptions.
-- Kept for minutes: who comes later is told what is open, not what was.
CREATE TABLE fhircast_event (
    id           BIGINT PRIMARY KEY,
    session      TEXT NOT NULL,
    kind         TEXT NOT NULL,
    name         TEXT,
    message_id   TEXT,
    subscription TEXT,
    at_ms        BIGINT NOT NULL,
    body         BYTEA
);
CREATE INDEX fhircast_event_by_message ON fhircast_event (session, message_id);
CREATE INDEX fhircast_event_by_time ON fhircast_event (at_ms);
INSERT INTO counter (name, value) VALUES ('fhircast', 0);
INSERT INTO follower (name, last_id) VALUES ('fhircast', 0);

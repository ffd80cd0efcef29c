-- Why: how messages of HL7 senders were answered, so that one that is sent again gets the same answer and has no second
-- effect. `content` is a short sum of what it said: some senders begin their numbers anew, and then it is another message.
CREATE TABLE hl7_received (
    source      TEXT NOT NULL,
    application TEXT NOT NULL,
    facility    TEXT NOT NULL,
    control     TEXT NOT NULL,
    content     BIGINT NOT NULL,
    answer      TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (source, application, facility, control)
);
CREATE INDEX hl7_received_by_time ON hl7_received (at_ms);

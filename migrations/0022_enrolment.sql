-- Why: one-time codes by which a browser becomes that of a workstation; the code itself is shown once and kept as a hash.
CREATE TABLE desk_enrolment (
    code_hash  TEXT PRIMARY KEY,
    point      TEXT NOT NULL,
    made_ms    BIGINT NOT NULL,
    made_by    TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX desk_enrolment_by_point ON desk_enrolment (point);

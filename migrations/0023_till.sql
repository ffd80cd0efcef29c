-- Why: what a person is spoken to in: the code of a language. Refusals at the till and papers are in it. What was set here
-- counts before what was told by other systems.
ALTER TABLE person ADD COLUMN language TEXT;
ALTER TABLE person ADD COLUMN language_told TEXT;
-- Which source told it; NULL: a list that was imported.
ALTER TABLE person ADD COLUMN language_by TEXT;

-- Why: since when a person is being erased: nothing can be charged to them or paid in any more, so that an account that was
-- found settled is so when the key is destroyed.
ALTER TABLE person ADD COLUMN erasing_ms BIGINT;

-- Why: what the clinic does for money. `names` is an object of language to name; `external` is what other systems call it.
-- `at_home` is paid before it is rendered, whatever the terms. Never removed: charges name it.
CREATE TABLE service (
    code       TEXT PRIMARY KEY,
    names      TEXT NOT NULL,
    category   TEXT NOT NULL,
    at_home    BIGINT NOT NULL,
    external   TEXT,
    ended_ms   BIGINT,
    changed_ms BIGINT NOT NULL
);
CREATE INDEX service_by_category ON service (category, code);

-- Why: a version of the price list: everything that changed together, from when, by whom. `entry` is that of the audit log.
CREATE TABLE price_version (
    no        BIGINT PRIMARY KEY,
    from_ms   BIGINT NOT NULL,
    made_ms   BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor     TEXT,
    changes   BIGINT NOT NULL,
    entry     BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('price_version', 0);

-- Why: a price of a service from an instant on. Of those whose instant has come the one with the latest instant counts, of
-- several with the same instant the newest version. `minor` is absent where the service is not sold any more. Never changed: a new price is a new row.
CREATE TABLE price (
    service  TEXT NOT NULL REFERENCES service (code),
    currency TEXT NOT NULL,
    version  BIGINT NOT NULL REFERENCES price_version (no),
    from_ms  BIGINT NOT NULL,
    minor    BIGINT CHECK (minor >= 0),
    PRIMARY KEY (service, currency, version)
);
CREATE INDEX price_by_time ON price (service, currency, from_ms, version);

-- Why: a group of patients, or a contract under which patients come.
CREATE TABLE payer (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    external   TEXT UNIQUE,
    ended_ms   BIGINT,
    changed_ms BIGINT NOT NULL
);

-- Why: who belongs to a payer, from which day until which.
CREATE TABLE payer_member (
    payer     TEXT NOT NULL REFERENCES payer (id),
    person    TEXT NOT NULL REFERENCES person (id),
    from_day  BIGINT NOT NULL,
    until_day BIGINT,
    PRIMARY KEY (payer, person, from_day)
);
CREATE INDEX payer_member_by_person ON payer_member (person);

-- Why: the one limit that the members of a payer share, and what they owe of it now. Changed in the transaction of each
-- charge and payment that counts against it, so that it is never passed.
CREATE TABLE pot (
    payer       TEXT NOT NULL REFERENCES payer (id),
    currency    TEXT NOT NULL,
    limit_minor BIGINT NOT NULL CHECK (limit_minor >= 0),
    used_minor  BIGINT NOT NULL,
    changed_ms  BIGINT NOT NULL,
    PRIMARY KEY (payer, currency)
);

-- Why: a progressive scale of discounts, each version of it. `steps` is a list of [from, rate] in minor units and hundredths
-- of a per cent. The newest version counts.
CREATE TABLE discount_scheme (
    id         TEXT NOT NULL,
    version    BIGINT NOT NULL,
    name       TEXT NOT NULL,
    currency   TEXT NOT NULL,
    steps      TEXT NOT NULL,
    rounding   TEXT NOT NULL,
    unit_minor BIGINT NOT NULL,
    made_ms    BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor      TEXT,
    entry      BIGINT NOT NULL,
    PRIMARY KEY (id, version)
);

-- Why: who pays how: each version of each terms; `is_current` marks the newest, `withdrawn` that it counts no more. `owner` is
-- a person, a payer, or `-` for everybody. Days are those of the clinic.
CREATE TABLE terms (
    id          TEXT NOT NULL,
    version     BIGINT NOT NULL,
    is_current  BIGINT NOT NULL,
    withdrawn   BIGINT NOT NULL,
    scope       TEXT NOT NULL,
    owner       TEXT NOT NULL,
    mode        TEXT NOT NULL,
    currency    TEXT NOT NULL,
    limit_minor BIGINT,
    pot         TEXT REFERENCES payer (id),
    scheme      TEXT,
    priority    BIGINT NOT NULL,
    from_day    BIGINT NOT NULL,
    until_day   BIGINT,
    made_ms     BIGINT NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor       TEXT,
    entry       BIGINT NOT NULL,
    PRIMARY KEY (id, version)
);
CREATE INDEX terms_current ON terms (owner) WHERE is_current = 1 AND withdrawn = 0;
INSERT INTO counter (name, value) VALUES ('terms', 0);

-- Why: what a supervisor allowed on top of a limit, until when. `target` is a patient or a pot; the reason in words stands in
-- the audit log's entry.
CREATE TABLE limit_override (
    id         TEXT PRIMARY KEY,
    no         BIGINT NOT NULL UNIQUE,
    target     TEXT NOT NULL,
    owner      TEXT NOT NULL,
    currency   TEXT NOT NULL,
    extra_minor BIGINT NOT NULL CHECK (extra_minor > 0),
    reason     TEXT NOT NULL,
    from_ms    BIGINT NOT NULL,
    until_ms   BIGINT NOT NULL,
    ended_ms   BIGINT,
    actor_kind TEXT NOT NULL,
    actor      TEXT,
    entry      BIGINT NOT NULL
);
CREATE INDEX limit_override_open ON limit_override (owner, until_ms) WHERE ended_ms IS NULL;
CREATE INDEX limit_override_by_time ON limit_override (from_ms);
INSERT INTO counter (name, value) VALUES ('limit_override', 0);

-- Why: what each patient owes, has paid in, and was given, in each currency: read and changed in the transaction of each
-- posting, so that limits hold. Always what the ledger says; a check compares them.
CREATE TABLE till_balance (
    person         TEXT NOT NULL REFERENCES person (id),
    currency       TEXT NOT NULL,
    owed_minor     BIGINT NOT NULL,
    deposit_minor  BIGINT NOT NULL CHECK (deposit_minor >= 0),
    held_minor     BIGINT NOT NULL CHECK (held_minor >= 0),
    rendered_minor BIGINT NOT NULL,
    PRIMARY KEY (person, currency)
);
CREATE INDEX till_balance_owing ON till_balance (currency, owed_minor) WHERE owed_minor > 0;

-- Why: a service registered for a patient: ordered, rendered or taken back. `id` is a UUID, also that of the charge in other
-- systems. `key` is the caller's, so that a repetition is recognised; `asked` is a hash of what was asked with it. Price,
-- discount, terms and scheme are those of the time.
CREATE TABLE charge (
    id               TEXT PRIMARY KEY,
    no               BIGINT NOT NULL UNIQUE,
    key              TEXT NOT NULL UNIQUE,
    asked            TEXT NOT NULL,
    patient          TEXT NOT NULL REFERENCES person (id),
    visit            TEXT REFERENCES visit (id),
    irregular        TEXT,
    staff            TEXT REFERENCES person (id),
    workstation      TEXT,
    zone             TEXT,
    card             TEXT,
    service          TEXT NOT NULL REFERENCES service (code),
    price_version    BIGINT NOT NULL,
    quantity         BIGINT NOT NULL,
    currency         TEXT NOT NULL,
    gross_minor      BIGINT NOT NULL,
    discount_minor   BIGINT NOT NULL,
    net_minor        BIGINT NOT NULL,
    rate             BIGINT NOT NULL,
    scheme           TEXT,
    scheme_version   BIGINT,
    before_minor     BIGINT NOT NULL,
    terms            TEXT NOT NULL,
    terms_version    BIGINT NOT NULL,
    mode             TEXT NOT NULL,
    pot              TEXT,
    state            TEXT NOT NULL,
    paid_minor       BIGINT NOT NULL,
    written_off_minor BIGINT NOT NULL,
    actor_kind       TEXT NOT NULL,
    actor            TEXT,
    registered_ms    BIGINT NOT NULL,
    day              BIGINT NOT NULL,
    rendered_ms      BIGINT,
    cancelled_ms     BIGINT,
    cancel_reason    TEXT,
    entry            BIGINT NOT NULL,
    CHECK (net_minor = gross_minor - discount_minor),
    CHECK (paid_minor >= 0 AND written_off_minor >= 0 AND paid_minor + written_off_minor <= net_minor)
);
CREATE INDEX charge_by_patient ON charge (patient, no);
CREATE INDEX charge_open ON charge (patient, no) WHERE state <> 'cancelled' AND paid_minor + written_off_minor < net_minor;
CREATE INDEX charge_by_visit ON charge (visit) WHERE visit IS NOT NULL;
CREATE INDEX charge_by_day ON charge (day, no);
CREATE INDEX charge_by_time ON charge (registered_ms, no);
CREATE INDEX charge_by_pot ON charge (pot, no) WHERE pot IS NOT NULL;
INSERT INTO counter (name, value) VALUES ('charge', 0);

-- Why: what was done with a charge later: rendering an order, taking a charge back. `key` is the caller's, so that a
-- repetition is recognised; `asked` is a hash of what was asked with it. `entry` is that of the audit log.
CREATE TABLE charge_act (
    key    TEXT PRIMARY KEY,
    asked  TEXT NOT NULL,
    kind   TEXT NOT NULL,
    charge TEXT NOT NULL REFERENCES charge (id),
    entry  BIGINT NOT NULL,
    at_ms  BIGINT NOT NULL,
    UNIQUE (charge, kind)
);

-- Why: on PostgreSQL those who post take turns by locking this empty table before they read anything, so that they wait for
-- each other in order instead of colliding and starting again.
CREATE TABLE till_turn (
    id BIGINT PRIMARY KEY
);

-- Why: the ledger. Each row moves one positive amount from the account `credit` to the account `debit`, so that all rows
-- together always sum to zero. Rows of one fact have one `entry`. Patients' accounts are those of `patient`, a drawer that of
-- `shift`. `day` is the clinic's day, and never one that was closed. Never changed, never removed.
CREATE TABLE ledger (
    no       BIGINT PRIMARY KEY,
    entry    BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    at_ms    BIGINT NOT NULL,
    day      BIGINT NOT NULL,
    debit    TEXT NOT NULL,
    credit   TEXT NOT NULL,
    currency TEXT NOT NULL,
    minor    BIGINT NOT NULL CHECK (minor > 0),
    patient  TEXT,
    charge   TEXT,
    payment  TEXT,
    shift    TEXT,
    audit    BIGINT NOT NULL,
    CHECK (debit <> credit)
);
CREATE INDEX ledger_by_patient ON ledger (patient, no) WHERE patient IS NOT NULL;
CREATE INDEX ledger_by_charge ON ledger (charge) WHERE charge IS NOT NULL;
CREATE INDEX ledger_by_payment ON ledger (payment) WHERE payment IS NOT NULL;
CREATE INDEX ledger_by_shift ON ledger (shift) WHERE shift IS NOT NULL;
CREATE INDEX ledger_by_day ON ledger (day, no);
INSERT INTO counter (name, value) VALUES ('ledger', 0);
INSERT INTO counter (name, value) VALUES ('ledger_entry', 0);

-- Why: a cashier's shift at a drawer: what was in it, what should be, what was counted. One open at a drawer, one of a
-- cashier. `key` and `close_key` are the caller's of its opening and closing, as of a payment.
CREATE TABLE till_shift (
    id               TEXT PRIMARY KEY,
    no               BIGINT NOT NULL UNIQUE,
    drawer           TEXT NOT NULL,
    account          TEXT NOT NULL REFERENCES account (id),
    currency         TEXT NOT NULL,
    key              TEXT NOT NULL UNIQUE,
    asked            TEXT NOT NULL,
    opened_ms        BIGINT NOT NULL,
    float_minor      BIGINT NOT NULL,
    expected_minor   BIGINT,
    counted_minor    BIGINT,
    card_expected_minor BIGINT,
    card_minor       BIGINT,
    reason           TEXT,
    close_key        TEXT UNIQUE,
    close_asked      TEXT,
    closed_ms        BIGINT,
    closed_by        TEXT,
    entry            BIGINT NOT NULL
);
CREATE UNIQUE INDEX till_shift_drawer ON till_shift (drawer) WHERE closed_ms IS NULL;
CREATE UNIQUE INDEX till_shift_account ON till_shift (account) WHERE closed_ms IS NULL;
CREATE INDEX till_shift_by_time ON till_shift (opened_ms);
INSERT INTO counter (name, value) VALUES ('till_shift', 0);

-- Why: days that were settled and closed: nothing is posted to them any more. `totals` is what the closing paper says, in
-- codes and minor units.
CREATE TABLE till_day (
    day       BIGINT PRIMARY KEY,
    closed_ms BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor     TEXT,
    last_ledger BIGINT NOT NULL,
    totals    TEXT NOT NULL,
    entry     BIGINT NOT NULL
);

-- Why: money that came from a patient or a payer, or went back. `no` is the receipt's. `key` is the caller's; `source` and
-- `external` are a terminal or payment service and its id of it, each counted once. `refunds` is the payment whose money goes
-- back to its card. `fault` is why it failed, a code.
CREATE TABLE payment (
    id         TEXT PRIMARY KEY,
    no         BIGINT UNIQUE,
    key        TEXT NOT NULL UNIQUE,
    asked      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    method     TEXT NOT NULL,
    state      TEXT NOT NULL,
    patient    TEXT REFERENCES person (id),
    payer      TEXT REFERENCES payer (id),
    currency   TEXT NOT NULL,
    minor      BIGINT NOT NULL CHECK (minor > 0),
    shift      TEXT REFERENCES till_shift (id),
    source     TEXT,
    external   TEXT,
    reverses   TEXT REFERENCES payment (id),
    refunds    TEXT REFERENCES payment (id),
    actor_kind TEXT NOT NULL,
    actor      TEXT,
    begun_ms   BIGINT NOT NULL,
    done_ms    BIGINT,
    day        BIGINT,
    fault      TEXT,
    entry      BIGINT,
    UNIQUE (source, external)
);
CREATE INDEX payment_by_patient ON payment (patient, begun_ms) WHERE patient IS NOT NULL;
CREATE INDEX payment_by_time ON payment (begun_ms, id);
CREATE INDEX payment_by_day ON payment (day) WHERE day IS NOT NULL;
CREATE INDEX payment_by_shift ON payment (shift) WHERE shift IS NOT NULL;
CREATE INDEX payment_by_refunds ON payment (refunds) WHERE refunds IS NOT NULL;
CREATE INDEX payment_waiting ON payment (begun_ms) WHERE state = 'waiting';
INSERT INTO counter (name, value) VALUES ('payment', 0);

-- Why: which charges a payment pays, and how much of each.
CREATE TABLE payment_part (
    payment TEXT NOT NULL REFERENCES payment (id),
    charge  TEXT NOT NULL REFERENCES charge (id),
    minor   BIGINT NOT NULL CHECK (minor > 0),
    PRIMARY KEY (payment, charge)
);
CREATE INDEX payment_part_by_charge ON payment_part (charge);

-- Why: what one person asks for and another one must allow: write-offs, money given back. Reasons in words stand in the audit
-- log's entries.
CREATE TABLE till_request (
    id           TEXT PRIMARY KEY,
    no           BIGINT NOT NULL UNIQUE,
    key          TEXT NOT NULL UNIQUE,
    asked        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    patient      TEXT NOT NULL REFERENCES person (id),
    charge       TEXT REFERENCES charge (id),
    currency     TEXT NOT NULL,
    minor        BIGINT NOT NULL CHECK (minor > 0),
    method       TEXT,
    external     TEXT,
    refunds      TEXT REFERENCES payment (id),
    reason       TEXT NOT NULL,
    state        TEXT NOT NULL,
    asked_ms     BIGINT NOT NULL,
    asked_kind   TEXT NOT NULL,
    asked_by     TEXT,
    ask_entry    BIGINT NOT NULL,
    decided_ms   BIGINT,
    decided_kind TEXT,
    decided_by   TEXT,
    decide_entry BIGINT,
    payment      TEXT REFERENCES payment (id)
);
CREATE INDEX till_request_open ON till_request (asked_ms) WHERE state = 'asked';
CREATE INDEX till_request_by_time ON till_request (asked_ms, id);
INSERT INTO counter (name, value) VALUES ('till_request', 0);

-- Why: what a payment service told, each once by its name and id: money that came without a cashier, or went back. What says
-- for whom it is becomes a payment; the rest waits here until somebody assigns it. `asked` is a hash of what was told,
-- `problem` why it waits, a code.
CREATE TABLE payment_notice (
    id           TEXT PRIMARY KEY,
    source       TEXT NOT NULL,
    external     TEXT NOT NULL,
    asked        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    reverses     TEXT,
    currency     TEXT NOT NULL,
    minor        BIGINT NOT NULL CHECK (minor > 0),
    state        TEXT NOT NULL,
    problem      TEXT,
    payment      TEXT REFERENCES payment (id),
    received_ms  BIGINT NOT NULL,
    handled_ms   BIGINT,
    handled_kind TEXT,
    handled_by   TEXT,
    entry        BIGINT NOT NULL,
    UNIQUE (source, external)
);
CREATE INDEX payment_notice_open ON payment_notice (received_ms) WHERE state = 'unassigned';
CREATE INDEX payment_notice_by_time ON payment_notice (received_ms, id);

-- Why: a comparison of our charges with those of another system, for days: asked for by a person, done by a bridge, which
-- has it until `lease_ms`. The instants are the borders of the days in the clinic's zone.
CREATE TABLE reconciliation (
    id          TEXT PRIMARY KEY,
    no          BIGINT NOT NULL UNIQUE,
    destination TEXT NOT NULL,
    from_day    BIGINT NOT NULL,
    until_day   BIGINT NOT NULL,
    from_ms     BIGINT NOT NULL,
    until_ms    BIGINT NOT NULL,
    basis       TEXT,
    state       TEXT NOT NULL,
    taken_by    TEXT,
    lease_ms    BIGINT,
    begun_ms    BIGINT NOT NULL,
    ended_ms    BIGINT,
    fault       TEXT,
    ours        BIGINT NOT NULL,
    theirs      BIGINT NOT NULL,
    alike       BIGINT NOT NULL,
    differences BIGINT NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor       TEXT,
    entry       BIGINT NOT NULL
);
CREATE UNIQUE INDEX reconciliation_open ON reconciliation (destination) WHERE state IN ('asked', 'running');
INSERT INTO counter (name, value) VALUES ('reconciliation', 0);

-- Why: one charge or one line of theirs that differs, and how; `state` is how far it has come there, or why it is not there.
CREATE TABLE reconciliation_line (
    reconciliation TEXT NOT NULL REFERENCES reconciliation (id),
    n              BIGINT NOT NULL,
    kind           TEXT NOT NULL,
    charge         TEXT NOT NULL,
    external       TEXT,
    currency       TEXT,
    ours_minor     BIGINT,
    theirs_minor   BIGINT,
    state          TEXT NOT NULL,
    PRIMARY KEY (reconciliation, n)
);
-- Why: from a charge to what other systems were told of it.
CREATE INDEX change_by_charge ON change (detail) WHERE kind IN ('charge_rendered', 'charge_cancelled');

-- On SQLite:
CREATE TRIGGER ledger_stays BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'entries of the ledger stay'); END;
CREATE TRIGGER ledger_fixed BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'entries of the ledger do not change'); END;
DROP TRIGGER audit_state_grows;
CREATE TRIGGER audit_state_grows BEFORE UPDATE OF size ON audit_state WHEN NEW.size <= OLD.size
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
-- On PostgreSQL:
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries of the ledger stay as they are'; END $$;
CREATE TRIGGER ledger_stays BEFORE DELETE OR UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_whole BEFORE TRUNCATE ON ledger EXECUTE FUNCTION ledger_refuse();
DROP TRIGGER audit_state_grows ON audit_state;
CREATE TRIGGER audit_state_grows BEFORE UPDATE OF size ON audit_state
    FOR EACH ROW WHEN (NEW.size <= OLD.size) EXECUTE FUNCTION audit_refuse();

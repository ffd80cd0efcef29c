//! The statements of the check. Each answers with what differs: where, in which currency, what it must be, what it is;
//! `$1` is how many lines at most. Where two sides are compared, the lines of both are put under each other and summed, so
//! that one that is missing on either side is found too.

use super::CheckCode;

/// How much there is to look at.
pub(super) const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM charge), (SELECT COUNT(*) FROM payment),
    (SELECT COUNT(*) FROM ledger), (SELECT COUNT(*) FROM till_balance)";

/// Currency, account, debited, credited; up to the day `$1`.
pub(super) const TRIAL_BALANCE: &str =
    "SELECT currency, account, CAST(SUM(debited) AS BIGINT), CAST(SUM(credited) AS BIGINT) FROM (
         SELECT currency, debit AS account, minor AS debited, 0 AS credited FROM ledger WHERE day <= $1
         UNION ALL
         SELECT currency, credit, 0, minor FROM ledger WHERE day <= $1
     ) AS lines GROUP BY currency, account ORDER BY currency, account";

/// Both sides of a comparison by patient and currency.
macro_rules! by_patient {
    ($($lines:literal),+ $(,)?) => {
        concat!(
            "SELECT COALESCE(person, '-'), currency, CAST(SUM(expected) AS BIGINT), CAST(SUM(found) AS BIGINT) FROM (",
            $($lines,)+
            ") AS lines GROUP BY person, currency HAVING SUM(expected) <> SUM(found) ORDER BY person, currency LIMIT $1"
        )
    };
}

/// Both sides of a comparison by charge or payment.
macro_rules! by_id {
    ($($lines:literal),+ $(,)?) => {
        concat!(
            "SELECT id, currency, CAST(SUM(expected) AS BIGINT), CAST(SUM(found) AS BIGINT) FROM (",
            $($lines,)+
            ") AS lines GROUP BY id, currency HAVING SUM(expected) <> SUM(found) ORDER BY id, currency LIMIT $1"
        )
    };
}

pub(super) const fn of(code: CheckCode) -> &'static str {
    match code {
        CheckCode::Owed => by_patient!(
            "SELECT patient AS person, currency, minor AS expected, 0 AS found FROM ledger WHERE debit = 'owed'
             UNION ALL SELECT patient, currency, -minor, 0 FROM ledger WHERE credit = 'owed'
             UNION ALL SELECT person, currency, 0, owed_minor FROM till_balance"
        ),
        CheckCode::Deposit => by_patient!(
            "SELECT patient AS person, currency, minor AS expected, 0 AS found FROM ledger WHERE credit = 'deposit'
             UNION ALL SELECT patient, currency, -minor, 0 FROM ledger WHERE debit = 'deposit'
             UNION ALL SELECT person, currency, 0, deposit_minor FROM till_balance"
        ),
        CheckCode::Held => by_patient!(
            "SELECT patient AS person, currency, minor AS expected, 0 AS found FROM ledger WHERE credit = 'held'
             UNION ALL SELECT patient, currency, -minor, 0 FROM ledger WHERE debit = 'held'
             UNION ALL SELECT person, currency, 0, held_minor FROM till_balance"
        ),
        // Records that became one count together, whichever of them a charge stands under.
        CheckCode::Rendered => by_patient!(
            "SELECT COALESCE(m.into_person, c.patient) AS person, c.currency, c.net_minor AS expected, 0 AS found
             FROM charge c LEFT JOIN person_merge m ON m.person = c.patient WHERE c.state = 'rendered'
             UNION ALL SELECT COALESCE(m.into_person, b.person), b.currency, 0, b.rendered_minor
             FROM till_balance b LEFT JOIN person_merge m ON m.person = b.person"
        ),
        CheckCode::OwedCharges => by_patient!(
            "SELECT COALESCE(m.into_person, c.patient) AS person, c.currency,
                 c.net_minor - c.paid_minor - c.written_off_minor AS expected, 0 AS found
             FROM charge c LEFT JOIN person_merge m ON m.person = c.patient WHERE c.state = 'rendered'
             UNION ALL SELECT COALESCE(m.into_person, b.person), b.currency, 0, b.owed_minor
             FROM till_balance b LEFT JOIN person_merge m ON m.person = b.person"
        ),
        CheckCode::HeldCharges => by_patient!(
            "SELECT COALESCE(m.into_person, c.patient) AS person, c.currency, c.paid_minor AS expected, 0 AS found
             FROM charge c LEFT JOIN person_merge m ON m.person = c.patient WHERE c.state = 'ordered'
             UNION ALL SELECT COALESCE(m.into_person, p.patient), p.currency, p.minor, 0
             FROM payment p LEFT JOIN person_merge m ON m.person = p.patient
             WHERE p.kind = 'refunded' AND p.state = 'waiting'
             UNION ALL SELECT COALESCE(m.into_person, b.person), b.currency, 0, b.held_minor
             FROM till_balance b LEFT JOIN person_merge m ON m.person = b.person"
        ),
        CheckCode::Pot => by_id!(
            "SELECT pot AS id, currency, net_minor - paid_minor - written_off_minor AS expected, 0 AS found
             FROM charge WHERE pot IS NOT NULL AND state = 'rendered' AND mode = 'postpaid'
             UNION ALL SELECT payer, currency, 0, used_minor FROM pot"
        ),
        CheckCode::ChargeState => {
            "SELECT id, currency, net_minor, paid_minor FROM charge
             WHERE state NOT IN ('ordered', 'rendered', 'cancelled')
                 OR (state = 'ordered' AND (mode <> 'prepaid' OR rendered_ms IS NOT NULL OR written_off_minor <> 0))
                 OR (state = 'rendered' AND rendered_ms IS NULL)
                 OR (state = 'rendered' AND mode <> 'postpaid' AND paid_minor + written_off_minor <> net_minor
                     AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.charge = charge.id AND ledger.kind = 'returned'))
                 OR (state = 'cancelled' AND cancelled_ms IS NULL)
                 OR (state <> 'cancelled' AND cancelled_ms IS NOT NULL)
                 OR net_minor <> gross_minor - discount_minor OR net_minor < 0 OR discount_minor < 0
                 OR quantity < 1 OR (mode <> 'postpaid' AND pot IS NOT NULL)
             ORDER BY charge.no LIMIT $1"
        }
        CheckCode::ChargePosted => by_id!(
            "SELECT charge AS id, currency, minor AS expected, 0 AS found FROM ledger
             WHERE credit = 'revenue' AND charge IS NOT NULL
             UNION ALL SELECT charge, currency, -minor, 0 FROM ledger WHERE debit = 'revenue' AND charge IS NOT NULL
             UNION ALL SELECT id, currency, 0, CASE WHEN state = 'rendered' THEN gross_minor ELSE 0 END FROM charge"
        ),
        CheckCode::ChargeDiscount => by_id!(
            "SELECT charge AS id, currency, minor AS expected, 0 AS found FROM ledger
             WHERE debit = 'discount' AND charge IS NOT NULL
             UNION ALL SELECT charge, currency, -minor, 0 FROM ledger WHERE credit = 'discount' AND charge IS NOT NULL
             UNION ALL SELECT id, currency, 0, CASE WHEN state = 'rendered' THEN discount_minor ELSE 0 END FROM charge"
        ),
        CheckCode::ChargePaid => by_id!(
            "SELECT l.charge AS id, l.currency,
                 CASE WHEN l.kind = 'paid' AND l.credit IN ('owed', 'held') THEN l.minor
                      WHEN l.kind = 'rendered' AND l.debit = 'deposit' THEN l.minor
                      WHEN l.kind = 'returned' AND l.debit IN ('owed', 'held') THEN -l.minor
                      ELSE 0 END AS expected, 0 AS found
             FROM ledger l JOIN charge c ON c.id = l.charge WHERE c.state <> 'cancelled'
             UNION ALL SELECT id, currency, 0, paid_minor FROM charge WHERE state <> 'cancelled'"
        ),
        CheckCode::ChargeWrittenOff => by_id!(
            "SELECT l.charge AS id, l.currency, l.minor AS expected, 0 AS found
             FROM ledger l JOIN charge c ON c.id = l.charge WHERE c.state <> 'cancelled' AND l.debit = 'write_off'
             UNION ALL SELECT l.charge, l.currency, -l.minor, 0
             FROM ledger l JOIN charge c ON c.id = l.charge WHERE c.state <> 'cancelled' AND l.credit = 'write_off'
             UNION ALL SELECT id, currency, 0, written_off_minor FROM charge WHERE state <> 'cancelled'"
        ),
        // Whatever was paid for it is the patient's deposit now; nothing else is left.
        CheckCode::ChargeLeft => {
            "SELECT id, currency, CAST(0 AS BIGINT), CAST(SUM(minor) AS BIGINT) FROM (
                 SELECT l.charge AS id, l.currency, l.debit AS account, l.minor
                 FROM ledger l JOIN charge c ON c.id = l.charge WHERE c.state = 'cancelled'
                 UNION ALL SELECT l.charge, l.currency, l.credit, -l.minor
                 FROM ledger l JOIN charge c ON c.id = l.charge WHERE c.state = 'cancelled'
             ) AS lines WHERE account IN ('owed', 'held', 'revenue', 'discount', 'write_off')
             GROUP BY id, currency, account HAVING SUM(minor) <> 0 ORDER BY id LIMIT $1"
        }
        CheckCode::PaymentState => {
            "SELECT id, currency, minor, no FROM payment
             WHERE (state = 'done' AND (no IS NULL OR done_ms IS NULL OR day IS NULL OR entry IS NULL))
                 OR (state = 'waiting' AND (no IS NOT NULL OR done_ms IS NOT NULL))
                 OR (patient IS NULL AND payer IS NULL)
             ORDER BY begun_ms, id LIMIT $1"
        }
        // By money that came or went; out of a deposit, by what left it. What was paid out of a deposit and is taken back may
        // have become a deposit again before.
        CheckCode::PaymentPosted => by_id!(
            "SELECT p.id, p.currency, l.minor AS expected, 0 AS found FROM ledger l JOIN payment p ON p.id = l.payment
             WHERE p.method <> 'deposit'
                 AND (l.debit IN ('drawer', 'card', 'bank') OR l.credit IN ('drawer', 'card', 'bank'))
             UNION ALL SELECT p.id, p.currency, l.minor, 0 FROM ledger l JOIN payment p ON p.id = l.payment
             WHERE p.method = 'deposit' AND p.kind = 'paid' AND l.kind = 'paid' AND l.debit = 'deposit'
             UNION ALL SELECT id, currency, 0, minor FROM payment
             WHERE no IS NOT NULL AND (method <> 'deposit' OR kind = 'paid')"
        ),
        CheckCode::PaymentParts => {
            "SELECT p.id, p.currency, p.minor, CAST(SUM(t.minor) AS BIGINT)
             FROM payment_part t JOIN payment p ON p.id = t.payment
             GROUP BY p.id, p.currency, p.minor HAVING SUM(t.minor) > p.minor ORDER BY p.id LIMIT $1"
        }
        CheckCode::DrawerExpected => by_id!(
            "SELECT s.id, s.currency, l.minor AS expected, 0 AS found FROM ledger l JOIN till_shift s ON s.id = l.shift
             WHERE s.closed_ms IS NOT NULL AND l.debit = 'drawer' AND l.kind NOT IN ('collected', 'difference')
             UNION ALL SELECT s.id, s.currency, -l.minor, 0 FROM ledger l JOIN till_shift s ON s.id = l.shift
             WHERE s.closed_ms IS NOT NULL AND l.credit = 'drawer' AND l.kind NOT IN ('collected', 'difference')
             UNION ALL SELECT id, currency, 0, expected_minor FROM till_shift WHERE closed_ms IS NOT NULL"
        ),
        CheckCode::DrawerLeft => by_id!(
            "SELECT l.shift AS id, l.currency, 0 AS expected, l.minor AS found FROM ledger l
             JOIN till_shift s ON s.id = l.shift WHERE s.closed_ms IS NOT NULL AND l.debit = 'drawer'
             UNION ALL SELECT l.shift, l.currency, 0, -l.minor FROM ledger l
             JOIN till_shift s ON s.id = l.shift WHERE s.closed_ms IS NOT NULL AND l.credit = 'drawer'"
        ),
        CheckCode::Numbers => {
            "SELECT counter.name, CAST(NULL AS TEXT), counter.value, CAST(counted.many AS BIGINT) FROM (
                 SELECT 'charge' AS name, COUNT(*) AS many, COALESCE(MAX(no), 0) AS most FROM charge
                 UNION ALL SELECT 'payment', COUNT(no), COALESCE(MAX(no), 0) FROM payment
                 UNION ALL SELECT 'till_shift', COUNT(*), COALESCE(MAX(no), 0) FROM till_shift
                 UNION ALL SELECT 'till_request', COUNT(*), COALESCE(MAX(no), 0) FROM till_request
                 UNION ALL SELECT 'limit_override', COUNT(*), COALESCE(MAX(no), 0) FROM limit_override
                 UNION ALL SELECT 'price_version', COUNT(*), COALESCE(MAX(no), 0) FROM price_version
                 UNION ALL SELECT 'ledger', COUNT(*), COALESCE(MAX(no), 0) FROM ledger
             ) AS counted JOIN counter ON counter.name = counted.name
             WHERE counted.many <> counter.value OR counted.most <> counter.value ORDER BY counter.name LIMIT $1"
        }
        CheckCode::LedgerRow => {
            "SELECT CAST(no AS TEXT), currency, CAST(NULL AS BIGINT), minor FROM ledger
             WHERE debit NOT IN ('owed', 'deposit', 'held', 'revenue', 'discount', 'write_off', 'drawer', 'safe', 'card',
                     'bank', 'difference', 'merged')
                 OR credit NOT IN ('owed', 'deposit', 'held', 'revenue', 'discount', 'write_off', 'drawer', 'safe', 'card',
                     'bank', 'difference', 'merged')
                 OR debit = credit OR minor <= 0
                 OR (patient IS NULL AND (debit IN ('owed', 'deposit', 'held') OR credit IN ('owed', 'deposit', 'held')))
                 OR (shift IS NULL AND (debit = 'drawer' OR credit = 'drawer'))
             ORDER BY ledger.no LIMIT $1"
        }
        CheckCode::LedgerEntry => {
            "SELECT id, currency, CAST(0 AS BIGINT), differ FROM (
                 SELECT CAST(entry AS TEXT) AS id, MIN(currency) AS currency,
                     CAST(COUNT(DISTINCT kind) + COUNT(DISTINCT audit) + COUNT(DISTINCT currency) + COUNT(DISTINCT day)
                         - 4 AS BIGINT) AS differ
                 FROM ledger GROUP BY entry
                 HAVING COUNT(DISTINCT kind) + COUNT(DISTINCT audit) + COUNT(DISTINCT currency) + COUNT(DISTINCT day) > 4
                 UNION ALL
                 SELECT CAST(MIN(entry) AS TEXT), currency,
                     CAST(SUM(CASE WHEN debit = 'merged' THEN minor ELSE -minor END) AS BIGINT)
                 FROM ledger WHERE debit = 'merged' OR credit = 'merged' GROUP BY audit, currency
                 HAVING SUM(CASE WHEN debit = 'merged' THEN minor ELSE -minor END) <> 0
             ) AS lines ORDER BY id LIMIT $1"
        }
        CheckCode::AuditMissing => {
            "SELECT CAST(audit AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT) FROM (
                 SELECT DISTINCT l.audit FROM ledger l LEFT JOIN audit_entry a ON a.no = l.audit
                 WHERE a.no IS NULL OR a.outcome <> 'done'
                     OR (l.kind = 'rendered' AND a.action <> 'service_registered')
                     OR (l.kind = 'cancelled' AND a.action <> 'service_cancelled')
                     OR (l.kind IN ('paid', 'paid_in') AND a.action <> 'payment_taken')
             ) AS lines ORDER BY lines.audit LIMIT $1"
        }
        // The entry lists its postings: `owed>revenue:1000,discount>revenue:50`; those between two accounts in one sum, where a
        // payment has several. What is cut off because it is too long to keep is not looked for.
        CheckCode::AuditSum => {
            "SELECT CAST(audit AS TEXT), currency, minor, CAST(NULL AS BIGINT) FROM (
                 SELECT l.audit, l.currency, l.debit, l.credit, CAST(SUM(l.minor) AS BIGINT) AS minor, a.detail
                 FROM ledger l JOIN audit_entry a ON a.no = l.audit WHERE l.kind <> 'merged'
                 GROUP BY l.audit, l.currency, l.debit, l.credit, a.detail
             ) AS sums
             WHERE detail IS NULL OR (LENGTH(detail) < 900
                 AND detail || ',' NOT LIKE '%=' || debit || '>' || credit || ':' || CAST(minor AS TEXT) || ',%'
                 AND detail || ',' NOT LIKE '%,' || debit || '>' || credit || ':' || CAST(minor AS TEXT) || ',%')
             ORDER BY sums.audit LIMIT $1"
        }
        CheckCode::ClosedDay => {
            "SELECT CAST(last AS TEXT), CAST(NULL AS TEXT), closed, last FROM (
                 SELECT posted.last, (SELECT MIN(d.last_ledger) FROM till_day d WHERE d.day >= posted.day) AS closed
                 FROM (SELECT day, MAX(no) AS last FROM ledger GROUP BY day) AS posted
             ) AS days WHERE closed IS NOT NULL AND last > closed ORDER BY days.last LIMIT $1"
        }
    }
}

//! What the cashier needs before money is taken: who has something to pay today, whom a record number means, and on which
//! terms and within which limits a patient is. Reads only; owns no table. May import `domain`, `store` and the audit log.

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::terms::choose;
use domain::till::{Mode, Owner, Scope, Terms};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, read, transact};

use super::ledger::{amount, currency, day};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::rows::{code, column, number};

/// Most patients of one list.
pub const TO_PAY_MAX: u32 = 200;
/// Most people whom one record number may mean: systems number their records by themselves.
const RECORDS_MAX: i64 = 10;
/// Most terms looked at for one patient.
const TERMS_MAX: i64 = 500;

/// A patient with something to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToPay {
    /// Who.
    pub patient: PersonId,
    /// In which currency.
    pub currency: Currency,
    /// What is open of the charges of the day.
    pub open: Amount,
    /// How many charges.
    pub count: u64,
    /// When the last of them was registered.
    pub last: UtcMillis,
}

/// A limit of what may be owed, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The limit, with what supervisors have allowed on top.
    pub limit: Amount,
    /// What is owed of it.
    pub used: Amount,
}

impl Bound {
    /// What is left; never below zero.
    pub fn left(&self) -> Amount {
        self.limit.minus(self.used).unwrap_or(Amount::ZERO).max(Amount::ZERO)
    }
}

/// On which terms a patient is today, in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How services are paid; `None`: there are no terms.
    pub mode: Option<Mode>,
    /// The patient's own limit.
    pub limit: Option<Bound>,
    /// The limit that the patient's group shares.
    pub pot: Option<Bound>,
}

type TermsRow =
    (String, i64, String, String, String, String, Option<i64>, Option<String>, i64, i64, Option<i64>);

fn read_terms(row: TermsRow) -> Result<Terms, Error> {
    const T: &str = "terms";
    let (id, version, scope, owner, mode, of, limit, pot, priority, from, until) = row;
    let scope: Scope = code(T, "scope", &scope, Scope::parse)?;
    let owner = match scope {
        Scope::Everybody => Owner::Everybody,
        Scope::Group | Scope::Contract => Owner::Payer(owner),
        Scope::Patient => Owner::Patient(column(T, "owner", &owner, str::parse)?),
    };
    Ok(Terms {
        id,
        version: number(T, "version", version)?,
        scope,
        owner,
        mode: code(T, "mode", &mode, Mode::parse)?,
        currency: currency(T, &of)?,
        limit: limit.map(|minor| amount(T, "limit_minor", minor)).transpose()?,
        pot,
        scheme: None,
        priority: number(T, "priority", priority)?,
        from: day(T, "from_day", from)?,
        until: until.map(|until| day(T, "until_day", until)).transpose()?,
    })
}

impl Till {
    /// Patients who have something to pay of a day, the latest first, at most [`TO_PAY_MAX`]: by pseudonym, so that names are
    /// a look of their own.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`; the database.
    pub async fn to_pay(&self, acting: &Acting, of: LocalDate, limit: u32) -> Result<Vec<ToPay>, TillError> {
        acting.must(Permission::ChargeSee)?;
        type Row = (String, String, i64, i64, i64);
        let rows: Vec<Row> = read!(self.database, "till.to_pay", |conn| {
            Ok(sqlx::query_as(
                "SELECT patient, currency, CAST(SUM(net_minor - paid_minor - written_off_minor) AS BIGINT), COUNT(*),
                     MAX(registered_ms)
                 FROM charge WHERE day = $1 AND state <> 'cancelled' AND paid_minor + written_off_minor < net_minor
                 GROUP BY patient, currency ORDER BY MAX(registered_ms) DESC, patient LIMIT $2",
            )
            .bind(i64::from(of.0))
            .bind(i64::from(limit.min(TO_PAY_MAX)))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        const T: &str = "charge";
        let read = |(patient, of, open, count, last): Row| {
            Ok(ToPay {
                patient: column(T, "patient", &patient, str::parse)?,
                currency: currency(T, &of)?,
                open: amount(T, "net_minor", open)?,
                count: count.cast_unsigned(),
                last: UtcMillis(last),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// The people whom a record number means, of any system; merged records are followed. Recorded as a search.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `person_find`; the database.
    pub async fn of_record(&self, acting: &Acting, record: &str) -> Result<Vec<PersonId>, TillError> {
        acting.must(Permission::PersonFind)?;
        let record = record.trim().to_owned();
        let sees_restricted = i64::from(acting.rights.allows(Permission::PrivacyManage));
        let look = Draft { purpose: Some(Purpose::Payment), ..acting.draft(self.clock.now(), Action::PersonSearched) };
        let found: Vec<String> = transact!(self.database, "till.of_record", |conn| {
            let found: Vec<String> = sqlx::query_scalar(
                "SELECT DISTINCT COALESCE(m.into_person, a.person) FROM person_alias a
                 LEFT JOIN person_merge m ON m.person = a.person
                 LEFT JOIN passport p ON p.person = COALESCE(m.into_person, a.person)
                 WHERE a.value = $1 AND (p.restricted_ms IS NULL OR $2 = 1) LIMIT $3",
            )
            .bind(&record)
            .bind(sees_restricted)
            .bind(RECORDS_MAX)
            .fetch_all(&mut *conn)
            .await?;
            let entry = Draft { detail: Some(format!("by=record; shown={}", found.len())), ..look.clone() };
            audit::record!(conn, &entry);
            Ok(found)
        })?;
        found.iter().map(|id| Ok(column("person_alias", "person", id, str::parse)?)).collect()
    }

    /// On which terms a patient is today, and what is left of the limits. The account itself is [`Till::account`]'s, and so is
    /// the record of the look.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`; the database.
    pub async fn standing(&self, acting: &Acting, patient: PersonId, of: Currency) -> Result<Standing, TillError> {
        acting.must(Permission::ChargeSee)?;
        let (now, today) = (self.clock.now(), self.today());
        let (person, money) = (patient.to_string(), of.to_string());
        type Pot = (i64, i64);
        type Found = (Vec<TermsRow>, Option<i64>, Vec<(String, String, i64)>, Vec<(String, i64, i64)>);
        let (rows, owed, extras, pots): Found = read!(self.database, "till.standing", |conn| {
            let rows: Vec<TermsRow> = sqlx::query_as(
                "SELECT id, version, scope, owner, mode, currency, limit_minor, pot, priority, from_day, until_day FROM terms
                 WHERE is_current = 1 AND withdrawn = 0 AND (owner = '-' OR owner = $1
                     OR owner IN (SELECT m.payer FROM payer_member m JOIN payer p ON p.id = m.payer
                         WHERE m.person = $1 AND m.from_day <= $2 AND (m.until_day IS NULL OR m.until_day >= $2)
                             AND p.ended_ms IS NULL))
                 ORDER BY priority DESC, id LIMIT $3",
            )
            .bind(&person)
            .bind(i64::from(today.0))
            .bind(TERMS_MAX)
            .fetch_all(&mut *conn)
            .await?;
            let owed: Option<i64> =
                sqlx::query_scalar("SELECT owed_minor FROM till_balance WHERE person = $1 AND currency = $2")
                    .bind(&person)
                    .bind(&money)
                    .fetch_optional(&mut *conn)
                    .await?;
            let extras: Vec<(String, String, i64)> = sqlx::query_as(
                "SELECT target, owner, CAST(SUM(extra_minor) AS BIGINT) FROM limit_override
                 WHERE currency = $1 AND ended_ms IS NULL AND from_ms <= $2 AND until_ms > $2
                     AND (owner = $3 OR owner IN (SELECT payer FROM payer_member WHERE person = $3))
                 GROUP BY target, owner",
            )
            .bind(&money)
            .bind(now.0)
            .bind(&person)
            .fetch_all(&mut *conn)
            .await?;
            let pots: Vec<(String, i64, i64)> = sqlx::query_as(
                "SELECT payer, limit_minor, used_minor FROM pot
                 WHERE currency = $1 AND payer IN (SELECT payer FROM payer_member WHERE person = $2)",
            )
            .bind(&money)
            .bind(&person)
            .fetch_all(&mut *conn)
            .await?;
            Ok((rows, owed, extras, pots))
        })?;
        let terms: Vec<Terms> = rows.into_iter().map(read_terms).collect::<Result<_, _>>()?;
        let Some(chosen) = choose(terms.iter(), of, today) else { return Ok(Standing::default()) };
        let extra = |owner: &str| -> Result<Amount, Error> {
            let minor = extras.iter().filter(|(_, id, _)| id == owner).map(|(.., minor)| *minor).sum();
            amount("limit_override", "extra_minor", minor)
        };
        let more = |limit: Amount, extra: Amount| limit.plus(extra).unwrap_or(limit);
        let mut standing = Standing { mode: Some(chosen.mode), ..Standing::default() };
        if chosen.mode != Mode::Postpaid {
            return Ok(standing);
        }
        if let Some(limit) = chosen.limit {
            let used = amount("till_balance", "owed_minor", owed.unwrap_or(0))?;
            standing.limit = Some(Bound { limit: more(limit, extra(&person)?), used });
        }
        if let Some(payer) = &chosen.pot {
            let found: Option<Pot> =
                pots.iter().find(|(id, ..)| id == payer).map(|(_, limit, used)| (*limit, *used));
            if let Some((limit, used)) = found {
                let limit = more(amount("pot", "limit_minor", limit)?, extra(payer)?);
                standing.pot = Some(Bound { limit, used: amount("pot", "used_minor", used)? });
            }
        }
        Ok(standing)
    }
}

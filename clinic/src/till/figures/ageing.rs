//! How long it has been owed what nobody has paid yet.

use std::collections::BTreeMap;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{Owner, Scope};
use domain::{Permission, PersonId};
use store::{Error, read};

use super::exposure::owner;
use super::person;
use crate::acting::Acting;
use crate::rows::number;
use crate::till::ledger::{amount, currency, day};
use crate::till::{Till, TillError};

/// The ages in days at which an amount goes over to the next column: 0-7, 8-30, 31-90, more.
pub const AGES: [i32; 3] = [7, 30, 90];
/// Most patients of the list; those who owe most come first.
pub const DEBTORS_MAX: usize = 1000;

/// What is owed for services rendered, by age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ageing {
    /// As of which day.
    pub day: LocalDate,
    /// By whose terms it is owed, and in which currency; those who owe most come first.
    pub lines: Vec<AgeingLine>,
    /// By patient, at most [`DEBTORS_MAX`]; those who owe most come first.
    pub debtors: Vec<Debtor>,
}

/// What is owed on the terms of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeingLine {
    /// Whose terms.
    pub owner: Owner,
    /// The name of the group or contract.
    pub name: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// By age, the youngest first.
    pub ages: [Amount; 4],
    /// All of it.
    pub total: Amount,
    /// How many charges.
    pub charges: u64,
}

/// What one patient owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    /// Who, by pseudonym.
    pub patient: PersonId,
    /// The currency.
    pub currency: Currency,
    /// By age, the youngest first.
    pub ages: [Amount; 4],
    /// All of it.
    pub total: Amount,
    /// How many charges.
    pub charges: u64,
    /// The day of the oldest one.
    pub oldest: LocalDate,
}

impl Till {
    /// What is owed for services rendered, by age; all currencies, or one.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; engine errors.
    pub async fn ageing(&self, acting: &Acting, only: Option<Currency>) -> Result<Ageing, TillError> {
        acting.must(Permission::TillReport)?;
        self.note_figures(acting, "ageing").await?;
        let today = self.today();
        let edges = AGES.map(|days| i64::from(today.0) - i64::from(days));
        let only = only.map(|currency| currency.to_string());
        let (groups, patients): (Vec<GroupRow>, Vec<DebtorRow>) = read!(self.database, "till.ageing", |conn| {
            let groups = sqlx::query_as(
                "SELECT t.scope, t.owner, y.name, c.currency,
                     CAST(CASE WHEN c.day >= $1 THEN 0 WHEN c.day >= $2 THEN 1 WHEN c.day >= $3 THEN 2 ELSE 3 END AS BIGINT)
                         AS age,
                     CAST(SUM(c.net_minor - c.paid_minor - c.written_off_minor) AS BIGINT) AS minor,
                     CAST(COUNT(*) AS BIGINT) AS charges
                 FROM charge c LEFT JOIN terms t ON t.id = c.terms AND t.version = c.terms_version
                 LEFT JOIN payer y ON y.id = t.owner
                 WHERE c.state <> 'cancelled' AND c.paid_minor + c.written_off_minor < c.net_minor AND c.state = 'rendered'
                   AND ($4 IS NULL OR c.currency = $4)
                 GROUP BY t.scope, t.owner, y.name, c.currency, 5",
            )
            .bind(edges[0])
            .bind(edges[1])
            .bind(edges[2])
            .bind(&only)
            .fetch_all(&mut *conn)
            .await?;
            let patients = sqlx::query_as(
                "SELECT c.patient, c.currency,
                     CAST(SUM(CASE WHEN c.day >= $1 THEN c.net_minor - c.paid_minor - c.written_off_minor ELSE 0 END)
                         AS BIGINT) AS age0,
                     CAST(SUM(CASE WHEN c.day < $1 AND c.day >= $2 THEN c.net_minor - c.paid_minor - c.written_off_minor
                         ELSE 0 END) AS BIGINT) AS age1,
                     CAST(SUM(CASE WHEN c.day < $2 AND c.day >= $3 THEN c.net_minor - c.paid_minor - c.written_off_minor
                         ELSE 0 END) AS BIGINT) AS age2,
                     CAST(SUM(CASE WHEN c.day < $3 THEN c.net_minor - c.paid_minor - c.written_off_minor ELSE 0 END)
                         AS BIGINT) AS age3,
                     CAST(COUNT(*) AS BIGINT) AS charges, MIN(c.day) AS oldest
                 FROM charge c
                 WHERE c.state <> 'cancelled' AND c.paid_minor + c.written_off_minor < c.net_minor AND c.state = 'rendered'
                   AND ($4 IS NULL OR c.currency = $4)
                 GROUP BY c.patient, c.currency
                 ORDER BY SUM(c.net_minor - c.paid_minor - c.written_off_minor) DESC, c.patient LIMIT $5",
            )
            .bind(edges[0])
            .bind(edges[1])
            .bind(edges[2])
            .bind(&only)
            .bind(DEBTORS_MAX as i64)
            .fetch_all(&mut *conn)
            .await?;
            Ok((groups, patients))
        })?;
        let debtors = patients.into_iter().map(DebtorRow::read).collect::<Result<_, _>>()?;
        Ok(Ageing { day: today, lines: lines_of(groups)?, debtors })
    }
}

/// Puts the ages of one owner and currency into one line.
fn lines_of(rows: Vec<GroupRow>) -> Result<Vec<AgeingLine>, Error> {
    let mut found: BTreeMap<(Owner, Currency), AgeingLine> = BTreeMap::new();
    for row in rows {
        let owner = match (row.scope.as_deref(), row.owner.as_deref()) {
            (Some(scope), Some(text)) => owner(scope, text)?,
            _ => (Scope::Everybody, Owner::Everybody),
        }
        .1;
        let currency = currency("charge", &row.currency)?;
        let minor = amount("charge", "net_minor", row.minor)?;
        let line = found.entry((owner.clone(), currency)).or_insert_with(|| AgeingLine {
            owner,
            name: row.name,
            currency,
            ages: [Amount::ZERO; 4],
            total: Amount::ZERO,
            charges: 0,
        });
        let age: usize = number("charge", "age", row.age)?;
        if let Some(sum) = line.ages.get_mut(age) {
            *sum = sum.plus(minor).unwrap_or(*sum);
        }
        line.total = line.total.plus(minor).unwrap_or(line.total);
        line.charges += number::<u64>("charge", "charges", row.charges)?;
    }
    let mut lines: Vec<_> = found.into_values().collect();
    lines.sort_by_key(|line| (line.currency, std::cmp::Reverse(line.total)));
    Ok(lines)
}

#[derive(sqlx::FromRow)]
struct GroupRow {
    scope: Option<String>,
    owner: Option<String>,
    name: Option<String>,
    currency: String,
    age: i64,
    minor: i64,
    charges: i64,
}

#[derive(sqlx::FromRow)]
struct DebtorRow {
    patient: String,
    currency: String,
    age0: i64,
    age1: i64,
    age2: i64,
    age3: i64,
    charges: i64,
    oldest: i64,
}

impl DebtorRow {
    fn read(self) -> Result<Debtor, Error> {
        const T: &str = "charge";
        let mut ages = [Amount::ZERO; 4];
        let mut total = Amount::ZERO;
        for (age, minor) in ages.iter_mut().zip([self.age0, self.age1, self.age2, self.age3]) {
            *age = amount(T, "net_minor", minor)?;
            total = total.plus(*age).unwrap_or(total);
        }
        Ok(Debtor {
            patient: person(T, &self.patient)?,
            currency: currency(T, &self.currency)?,
            ages,
            total,
            charges: number(T, "charges", self.charges)?,
            oldest: day(T, "day", self.oldest)?,
        })
    }
}

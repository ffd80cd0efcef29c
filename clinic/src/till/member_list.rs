//! Taking over the members of a group or contract from a file, by their record numbers. Owns what its columns may contain. Record
//! numbers are personal data: they are in no message and in no entry; a fault names its line.

use std::collections::{BTreeMap, BTreeSet};

use domain::schedule::LocalDate;
use domain::{Permission, PersonId};
use store::{Error, transact};

use super::office::check_day;
use super::payers::terms_change;
use super::price_import::Take;
use super::price_list::{Fields, ListFaultKind, ListFaults, sheet};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::changes;
use crate::rows::column;

/// The column that must be there.
pub const MEMBERS_COLUMN: &str = "number";
/// Columns that may be there.
pub const MEMBERS_COLUMNS: [&str; 2] = ["from", "until"];
/// Rows of one statement.
const MANY_MAX: usize = 400;

/// What a list of members changes, would change, or has wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersReport {
    /// Of the file and of what it changes.
    pub digest: String,
    /// How many become members, or from or until another day.
    pub changed: u32,
    /// How many are so already.
    pub unchanged: u32,
    /// What is wrong. With any fault nothing is taken.
    pub faults: ListFaults,
    /// Whether it was taken.
    pub is_taken: bool,
}

/// A sound line.
struct Row {
    line: u64,
    number: String,
    from: LocalDate,
    until: Option<LocalDate>,
}

/// An engine's connection inside a transaction, with record numbers.
trait NumbersOn {
    /// Whom these numbers mean, merges followed: a pseudonym, the number of the person's record, or what another system
    /// calls the person. More than one: the number is not clear.
    async fn persons_of(&mut self, numbers: &[String]) -> Result<BTreeMap<String, BTreeSet<PersonId>>, Error>;
}

macro_rules! numbers_on {
    ($connection:ty) => {
        impl NumbersOn for $connection {
            async fn persons_of(&mut self, numbers: &[String]) -> Result<BTreeMap<String, BTreeSet<PersonId>>, Error> {
                let mut found: BTreeMap<String, BTreeSet<PersonId>> = BTreeMap::new();
                for some in numbers.chunks(MANY_MAX) {
                    let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "SELECT n.number, COALESCE(m.into_person, n.person) FROM (",
                    );
                    for (at, text) in [
                        "SELECT external_ref AS number, id AS person FROM person WHERE external_ref IN (",
                        "SELECT id AS number, id AS person FROM person WHERE id IN (",
                        "SELECT value AS number, person FROM person_alias WHERE value IN (",
                    ]
                    .into_iter()
                    .enumerate()
                    {
                        if at > 0 {
                            select.push(" UNION ");
                        }
                        select.push(text);
                        let mut list = select.separated(", ");
                        for number in some {
                            list.push_bind(number);
                        }
                        select.push(")");
                    }
                    select.push(") n LEFT JOIN person_merge m ON m.person = n.person");
                    let rows: Vec<(String, String)> =
                        select.build_query_as().persistent(some.len() == 1).fetch_all(&mut *self).await?;
                    for (number, person) in rows {
                        found.entry(number).or_default().insert(column("person", "id", &person, str::parse)?);
                    }
                }
                Ok(found)
            }
        }
    };
}

store::for_each_connection!(numbers_on);

/// Reads a list; members without a first day are members from `from` on.
fn read(file: &[u8], from: LocalDate, faults: &mut ListFaults) -> Vec<Row> {
    use ListFaultKind as K;
    let is_known = |column: &str| MEMBERS_COLUMNS.contains(&column);
    let Some(sheet) = sheet(file, MEMBERS_COLUMN, is_known, faults) else { return Vec::new() };
    let mut rows: Vec<Row> = Vec::with_capacity(sheet.rows.len());
    let mut seen = BTreeSet::new();
    for (line, fields) in sheet.rows {
        let fields = Fields { columns: &sheet.columns, fields: &fields };
        let field = |name: &str| fields.get(name).unwrap_or_default();
        let day = |name: &str| match field(name) {
            "" => Ok(None),
            text => text.parse().ok().filter(|day| check_day("day", *day).is_ok()).map(Some).ok_or(K::Day),
        };
        let number = field(MEMBERS_COLUMN).to_owned();
        if number.is_empty() || number.chars().any(char::is_control) {
            faults.add(line, MEMBERS_COLUMN, K::Person);
            continue;
        }
        if !seen.insert(number.clone()) {
            faults.add(line, MEMBERS_COLUMN, K::Twice);
            continue;
        }
        match (day("from"), day("until")) {
            (Err(kind), _) => faults.add(line, "from", kind),
            (_, Err(kind)) => faults.add(line, "until", kind),
            (Ok(first), Ok(until)) => {
                let from = first.unwrap_or(from);
                if until.is_some_and(|until| until < from) {
                    faults.add(line, "until", K::Days);
                } else {
                    rows.push(Row { line, number, from, until });
                }
            }
        }
    }
    rows
}

/// A membership by person and first day.
type Memberships = BTreeMap<(PersonId, LocalDate), Option<LocalDate>>;

fn digest(file: &[u8], payer: &str, changed: &Memberships) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(file));
    hash.update(payer);
    for ((person, from), until) in changed {
        hash.update(format!("\n{person} {from} {until:?}"));
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Till {
    /// Whom a record number means; `None` for nobody, or where it is not clear. The look is recorded, without the number.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, or the database.
    pub async fn person_by_number(&self, acting: &Acting, number: &str) -> Result<Option<PersonId>, TillError> {
        acting.must(Permission::TermsEdit)?;
        self.by_number(acting, number).await
    }

    /// As [`Till::person_by_number`], for who may allow more than a limit.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `limit_override`, or the database.
    pub async fn patient_to_override(&self, acting: &Acting, number: &str) -> Result<Option<PersonId>, TillError> {
        acting.must(Permission::LimitOverride)?;
        self.by_number(acting, number).await
    }

    async fn by_number(&self, acting: &Acting, number: &str) -> Result<Option<PersonId>, TillError> {
        let purpose = Some(Purpose::Payment);
        let entry = Draft { purpose, ..acting.draft(self.clock.now(), Action::PersonSearched) };
        let numbers = vec![number.trim().to_owned()];
        Ok(transact!(self.database, "till.person_by_number", |conn| {
            let found = conn.persons_of(&numbers).await?.into_values().next().unwrap_or_default();
            let person = (found.len() == 1).then(|| found.first().copied()).flatten();
            let entry = Draft { subject: person, ..entry.clone() };
            audit::record!(conn, &entry);
            Ok(person)
        })?)
    }

    /// Looks at a list of members in CSV, or takes it: whole, or with any fault not at all. Who is not on the list stays what
    /// they are. Without a first day somebody is a member from `from` on.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`; [`TillError::NotFound`] for an unknown payer; [`TillError::Changed`] when
    /// the list no longer changes what was shown; or the database. What is wrong with the file stands in the report.
    pub async fn import_members(
        &self,
        acting: &Acting,
        payer: &str,
        file: Vec<u8>,
        from: LocalDate,
        take: Take<'_>,
    ) -> Result<MembersReport, TillError> {
        acting.must(Permission::TermsEdit)?;
        check_day("from", from)?;
        let now = self.clock.now();
        let mut faults = ListFaults::default();
        let rows = read(&file, from, &mut faults);
        let numbers: Vec<String> = rows.iter().map(|row| row.number.clone()).collect();
        let is_look = take == Take::Look;
        let shown = match take {
            Take::AsShown(digest) => Some(digest.to_owned()),
            Take::Look | Take::Now => None,
        };
        let payer = payer.to_owned();
        let entry = Draft { object: Some(format!("payer/{payer}")), ..acting.draft(now, Action::TermsChanged) };
        transact!(self.database, "till.import_members", |conn| {
            let known: Option<String> = sqlx::query_scalar("SELECT id FROM payer WHERE id = $1")
                .bind(&payer)
                .fetch_optional(&mut *conn)
                .await?;
            if known.is_none() {
                return Ok(Err(TillError::NotFound));
            }
            let persons = conn.persons_of(&numbers).await?;
            let there: Vec<(String, i64, Option<i64>)> =
                sqlx::query_as("SELECT person, from_day, until_day FROM payer_member WHERE payer = $1")
                    .bind(&payer)
                    .fetch_all(&mut *conn)
                    .await?;
            let mut before = Memberships::new();
            for (person, from, until) in there {
                let member = super::payers::member(&person, from, until)?;
                before.insert((member.person, member.from), member.until);
            }
            let mut faults = faults.clone();
            let mut seen = BTreeSet::new();
            let (mut changed, mut unchanged) = (Memberships::new(), 0_u32);
            for row in &rows {
                let person = persons.get(&row.number).filter(|found| found.len() == 1).and_then(|it| it.first());
                let Some(person) = person else {
                    faults.add(row.line, MEMBERS_COLUMN, ListFaultKind::Person);
                    continue;
                };
                if !seen.insert(*person) {
                    faults.add(row.line, MEMBERS_COLUMN, ListFaultKind::Twice);
                    continue;
                }
                // Whoever is a member on that day until that day is so already, since whenever.
                let is_so = before
                    .range((*person, LocalDate(i32::MIN))..=(*person, row.from))
                    .any(|(_, until)| *until == row.until && until.is_none_or(|until| until >= row.from));
                if is_so {
                    unchanged += 1;
                } else {
                    changed.insert((*person, row.from), row.until);
                }
            }
            let count = u32::try_from(changed.len()).unwrap_or(u32::MAX);
            let digest = digest(&file, &payer, &changed);
            let mut report = MembersReport { digest, changed: count, unchanged, faults, is_taken: false };
            if is_look || !report.faults.is_empty() {
                return Ok(Ok(report));
            }
            if shown.as_ref().is_some_and(|shown| *shown != report.digest) {
                return Ok(Err(TillError::Changed));
            }
            report.is_taken = true;
            if changed.is_empty() {
                return Ok(Ok(report));
            }
            // What is still open on the first day ends the day before.
            let mut writes = changed.clone();
            for (person, from) in changed.keys() {
                for ((_, began), until) in before.range((*person, LocalDate(i32::MIN))..(*person, *from)) {
                    if until.is_none_or(|until| until >= *from) {
                        writes.insert((*person, *began), Some(LocalDate(from.0 - 1)));
                    }
                }
            }
            let all: Vec<_> = writes.into_iter().collect();
            for some in all.chunks(MANY_MAX) {
                let mut insert =
                    sqlx::QueryBuilder::<Db>::new("INSERT INTO payer_member (payer, person, from_day, until_day) ");
                insert.push_values(some, |mut row, ((person, from), until)| {
                    row.push_bind(payer.clone())
                        .push_bind(person.to_string())
                        .push_bind(i64::from(from.0))
                        .push_bind(until.map(|day| i64::from(day.0)));
                });
                insert.push(" ON CONFLICT (payer, person, from_day) DO UPDATE SET until_day = excluded.until_day");
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            let drafts: Vec<Draft> = changed
                .iter()
                .map(|((person, from), until)| {
                    let until = until.map_or_else(|| "-".to_owned(), |day| day.to_string());
                    let detail = Some(format!("member from={from} until={until}"));
                    Draft { subject: Some(*person), detail, ..entry.clone() }
                })
                .collect();
            audit::Log::append_all(&mut *conn, &drafts).await?;
            let told: Vec<_> =
                changed.keys().map(|(person, _)| terms_change(now, Some(*person), format!("payer={payer}"))).collect();
            changes::Feed::append_changes(&mut *conn, &told).await?;
            Ok(Ok(report))
        })?
    }
}

//! Applying a list of people: all of it or nothing, in one transaction. What the list does not mention stays as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;

use chrono::NaiveDate;
use chrono_tz::Tz;
use domain::card::{CardKey, SealKey};
use domain::pin::PinKey;
use domain::policy::PassState;
use domain::vault::PassportChange;
use domain::{CardId, CategoryId, PersonId, Spoken, UtcMillis};
use store::{Database, Error, transact};

use super::sheet::{self, Holder, Mistakes, Reading, RowError, SheetError, Wanted};
use super::{Reference, Row, hex, language_news, write_told};
use crate::rows::{code, column};

/// Rows of one statement: 13 parameters each.
const ROWS_MAX: usize = 500;

/// A person as stored: id, external reference, language, and who told it.
type PersonRow = (String, Option<String>, Option<String>, Option<String>);

/// How to read the file.
#[derive(Debug)]
pub struct Options {
    /// The key that makes card numbers into pseudonyms.
    pub card_key: CardKey,
    /// The key for the columns `pin` and `duress_pin`; without it they must be empty.
    pub pin_key: Option<PinKey>,
    /// The key that seals card numbers, where a device must be told them; passes that lack theirs get it. Without it
    /// no number is kept; those already kept stay.
    pub seal_key: Option<SealKey>,
    /// The clinic's time zone.
    pub zone: Tz,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Lines with content after the first.
    pub rows: u64,
    /// Persons not known before.
    pub persons_added: u64,
    /// Passes added.
    pub added: u64,
    /// Passes that change.
    pub changed: u64,
    /// Passes that are as the file says already.
    pub unchanged: u64,
    /// Passes in the file that are blocked, lost or withdrawn, and stay so.
    pub not_active: u64,
    /// Persons whose language is told anew.
    pub spoken: u64,
    /// Categories that neither the layout nor any pass knew: perhaps a typing error.
    pub new_categories: Vec<CategoryId>,
    /// Mistakes; with any, nothing is applied.
    pub errors: Vec<RowError>,
    /// How many further mistakes there are.
    pub more_errors: u64,
    /// Whether it was applied: no dry run, no mistakes.
    pub applied: bool,
    /// What the file says of persons for the identity vault; who imports puts it there. The last line about somebody
    /// counts.
    pub named: Vec<(Who, PassportChange)>,
}

/// Whom a line is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Our pseudonym.
    Person(PersonId),
    /// What another system calls them.
    Reference(Reference),
}

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
    /// No random bytes for pseudonyms.
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    /// The program is stopping.
    #[error("the import was stopped before it began")]
    Stopped,
}

/// Imports a CSV file. Importing the same file again changes nothing.
///
/// # Errors
/// [`ImportError`] when the file is no list at all or the engine fails; mistakes in rows are part of the report.
pub async fn import_csv(
    database: &Database,
    source: impl Read + Send + 'static,
    options: Options,
    now: UtcMillis,
) -> Result<ImportReport, ImportError> {
    let Options { card_key, pin_key, seal_key, zone, dry_run } = options;
    let today = chrono::DateTime::from_timestamp_millis(now.0).map_or(NaiveDate::MAX, |now| now.date_naive());
    let reading = Reading { card_key, pin_key, seal_key, zone, today };
    // A million keyed hashes take about a second: not on a thread that serves others.
    let sheet = tokio::task::spawn_blocking(move || sheet::read(source, &reading))
        .await
        .map_err(|_| ImportError::Stopped)??;
    let seed = Seed::draw().map_err(|error| ImportError::Random(error.to_string()))?;
    let (count, mut errors, mut rows) = (sheet.count, sheet.errors, sheet.rows);
    let named: BTreeMap<Who, PassportChange> = rows
        .iter_mut()
        .filter_map(|row| {
            let who = match &row.holder {
                Holder::Pseudonym(person) => Who::Person(*person),
                Holder::Reference(reference) => Who::Reference(reference.clone()),
            };
            Some((who, row.passport.take()?))
        })
        .collect();
    let apply = !dry_run && errors.kept.is_empty();
    let (mut report, found) = apply_rows(database, rows, seed, apply, now).await?;
    found.kept.into_iter().for_each(|error| errors.push(error));
    errors.more += found.more;
    errors.kept.sort_by_key(|error| error.line);
    report.rows = count;
    report.named = named.into_iter().collect();
    report.errors = errors.kept;
    report.more_errors = errors.more;
    Ok(report)
}

/// Two rounds over the rows in one transaction: the first only looks, the second writes, if there was no mistake. Each
/// takes a statement's worth of rows at a time, so that a million rows need no million passes in memory.
async fn apply_rows(
    database: &Database,
    rows: Vec<Wanted>,
    seed: Seed,
    apply: bool,
    now: UtcMillis,
) -> Result<(ImportReport, Mistakes), Error> {
    transact!(database, "people.import", |conn| {
        let categories: Vec<String> =
            sqlx::query_scalar("SELECT id FROM category UNION SELECT category FROM credential WHERE until_ms IS NULL")
                .fetch_all(&mut *conn)
                .await?;
        let mut total = Total::default();
        for writing in [false, true] {
            if writing && (!apply || !total.mistakes.kept.is_empty() || total.is_empty()) {
                break;
            }
            for chunk in rows.chunks(ROWS_MAX) {
                let full = chunk.len() == ROWS_MAX;
                let mut known = Known::default();
                let mut query = sqlx::QueryBuilder::<Db>::new(
                    "SELECT id, external_ref, language_told, language_by FROM person WHERE external_ref IN (",
                );
                let mut list = query.separated(", ");
                for row in chunk {
                    list.push_bind(row.holder.reference().map(str::to_owned));
                }
                query.push(") OR id IN (");
                let mut list = query.separated(", ");
                for row in chunk {
                    list.push_bind(row.holder.pseudonym().map(|person| person.to_string()));
                }
                query.push(")");
                let found: Vec<PersonRow> = query.build_query_as().persistent(full).fetch_all(&mut *conn).await?;
                for (id, reference, told, by) in found {
                    known.add_person(&id, reference)?;
                    known.languages.push((id, told, by));
                }
                let mut query =
                    sqlx::QueryBuilder::<Db>::new("SELECT * FROM credential WHERE until_ms IS NULL AND card IN (");
                let mut list = query.separated(", ");
                for row in chunk {
                    list.push_bind(row.card.to_string());
                }
                query.push(")");
                let found: Vec<Row> = query.build_query_as().persistent(full).fetch_all(&mut *conn).await?;
                for row in found {
                    known.passes.insert(column("credential", "card", &row.card, |text: &str| text.parse())?, row);
                }
                let plan = plan(chunk, &known, seed)?;
                if !writing {
                    total.add(plan);
                    continue;
                }
                if !plan.persons.is_empty() {
                    let mut insert =
                        sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, external_ref, created_ms) ");
                    insert.push_values(&plan.persons, |mut row, (person, reference)| {
                        row.push_bind(person.to_string()).push_bind(reference.clone()).push_bind(now.0);
                    });
                    insert.build().persistent(plan.persons.len() == ROWS_MAX).execute(&mut *conn).await?;
                }
                write_told!(conn, Db, &plan.languages);
                if !plan.close.is_empty() {
                    let mut update = sqlx::QueryBuilder::<Db>::new("UPDATE credential SET until_ms = ");
                    update.push_bind(now.0).push(", number = NULL WHERE id IN (");
                    let mut list = update.separated(", ");
                    for id in &plan.close {
                        list.push_bind(*id);
                    }
                    update.push(")");
                    update.build().persistent(plan.close.len() == ROWS_MAX).execute(&mut *conn).await?;
                }
                if plan.passes.is_empty() {
                    continue;
                }
                let count = i64::try_from(plan.passes.len()).unwrap_or(i64::MAX);
                let last: i64 = sqlx::query_scalar(
                    "UPDATE counter SET value = value + $1 WHERE name = 'credential' RETURNING value",
                )
                .bind(count)
                .fetch_one(&mut *conn)
                .await?;
                let mut id = last - count;
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO credential (id, card, person, kind, category, state, one_time, valid_from,
                         valid_until, pin, duress_pin, number, since_ms) ",
                );
                insert.push_values(&plan.passes, |mut row, pass| {
                    id += 1;
                    row.push_bind(id)
                        .push_bind(pass.card.clone())
                        .push_bind(pass.person.clone())
                        .push_bind(pass.kind.clone())
                        .push_bind(pass.category.clone())
                        .push_bind(pass.state.clone())
                        .push_bind(pass.one_time)
                        .push_bind(pass.valid_from)
                        .push_bind(pass.valid_until)
                        .push_bind(pass.pin.clone())
                        .push_bind(pass.duress_pin.clone())
                        .push_bind(pass.number.clone())
                        .push_bind(now.0);
                });
                insert.build().persistent(plan.passes.len() == ROWS_MAX).execute(&mut *conn).await?;
            }
            // Gateways do not know languages.
            if writing && total.report.added + total.report.changed > 0 {
                sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy'").execute(&mut *conn).await?;
            }
        }
        Ok(total.report(apply, &categories))
    })
}

/// What the database has of the persons and cards of some rows.
#[derive(Default)]
struct Known {
    references: HashMap<String, PersonId>,
    persons: HashSet<PersonId>,
    passes: HashMap<CardId, Row>,
    /// Person, language that was told, by which source.
    languages: Vec<(String, Option<String>, Option<String>)>,
}

impl Known {
    fn add_person(&mut self, id: &str, reference: Option<String>) -> Result<(), Error> {
        let id: PersonId = column("person", "id", id, |text: &str| text.parse())?;
        self.persons.insert(id);
        if let Some(reference) = reference {
            self.references.insert(reference, id);
        }
        Ok(())
    }

    fn find(&self, holder: &Holder) -> Option<PersonId> {
        match holder {
            Holder::Pseudonym(person) => self.persons.contains(person).then_some(*person),
            Holder::Reference(reference) => self.references.get(reference.reveal()).copied(),
        }
    }
}

/// What the first round found.
#[derive(Default)]
struct Total {
    report: ImportReport,
    mistakes: Mistakes,
    persons: HashSet<PersonId>,
    categories: BTreeSet<CategoryId>,
}

impl Total {
    fn add(&mut self, plan: Plan) {
        let Plan { report, mistakes, persons, categories, .. } = plan;
        self.report.added += report.added;
        self.report.changed += report.changed;
        self.report.unchanged += report.unchanged;
        self.report.not_active += report.not_active;
        self.report.spoken += report.spoken;
        mistakes.kept.into_iter().for_each(|mistake| self.mistakes.push(mistake));
        self.mistakes.more += mistakes.more;
        self.persons.extend(persons.into_iter().map(|(person, _)| person));
        self.categories.extend(categories);
    }

    fn is_empty(&self) -> bool {
        self.report.added + self.report.changed + self.report.spoken == 0 && self.persons.is_empty()
    }

    fn report(self, apply: bool, categories: &[String]) -> (ImportReport, Mistakes) {
        let applied = apply && self.mistakes.kept.is_empty();
        let known: HashSet<&str> = categories.iter().map(String::as_str).collect();
        let new_categories = self.categories.into_iter().filter(|it| !known.contains(it.as_str())).collect();
        let persons_added = self.persons.len() as u64;
        (ImportReport { applied, new_categories, persons_added, ..self.report }, self.mistakes)
    }
}

/// What to write for some rows.
#[derive(Default)]
struct Plan {
    /// Counts only.
    report: ImportReport,
    mistakes: Mistakes,
    categories: BTreeSet<CategoryId>,
    persons: Vec<(PersonId, Option<String>)>,
    /// Rows that end.
    close: Vec<i64>,
    /// Rows that begin; `id` and `since_ms` are set when they are written.
    passes: Vec<Row>,
    /// Person, language; by no source.
    languages: Vec<(String, Option<String>, Option<String>)>,
}

fn plan(rows: &[Wanted], known: &Known, seed: Seed) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut fresh: HashMap<&Holder, PersonId> = HashMap::new();
    let mut languages: BTreeMap<String, Option<Spoken>> = BTreeMap::new();
    for row in rows {
        let before = known.passes.get(&row.card);
        let person = known.find(&row.holder).or_else(|| fresh.get(&row.holder).copied());
        if let Some(before) = before
            && before.state != PassState::Withdrawn.as_str()
            && person.is_none_or(|person| person.to_string() != before.person)
        {
            plan.mistakes.push(RowError {
                line: row.line,
                column: "card_number",
                problem: format!("this card is assigned to another person (state: {})", before.state),
                advice: "withdraw it from that person first, or correct the number".to_owned(),
            });
            continue;
        }
        let person = match person {
            Some(person) => person,
            None => {
                let person = match &row.holder {
                    Holder::Pseudonym(person) => *person,
                    Holder::Reference(reference) => seed.person(reference.reveal()),
                };
                fresh.insert(&row.holder, person);
                plan.persons.push((person, row.holder.reference().map(str::to_owned)));
                person
            }
        };
        if let Some(language) = &row.language {
            languages.insert(person.to_string(), Some(language.clone()));
        }
        plan.categories.insert(row.category.clone());
        let after = wanted(row, person, before)?;
        if after.state != PassState::Active.as_str() {
            plan.report.not_active += 1;
        }
        match before {
            Some(before) if same(before, &after) => plan.report.unchanged += 1,
            Some(before) => {
                plan.report.changed += 1;
                plan.close.push(before.id);
                plan.passes.push(after);
            }
            None => {
                plan.report.added += 1;
                plan.passes.push(after);
            }
        }
    }
    let fresh = plan.persons.iter().map(|(person, _)| (person.to_string(), None, None));
    let there: Vec<_> = known.languages.iter().cloned().chain(fresh).collect();
    // What a source told itself counts before a list.
    plan.languages = language_news(&languages, &there, None, |_| false);
    plan.report.spoken = plan.languages.len() as u64;
    Ok(plan)
}

/// The pass as the file wants it. A list does not make a blocked pass work again; a withdrawn card that is given to
/// somebody else does.
fn wanted(row: &Wanted, person: PersonId, before: Option<&Row>) -> Result<Row, Error> {
    let person = person.to_string();
    let own = before.filter(|before| before.person == person);
    let state = match own {
        Some(own) => code("credential", "state", &own.state, PassState::parse)?,
        None => PassState::Active,
    };
    let one_time = match own {
        Some(own) if own.kind == row.kind.as_str() => own.one_time,
        _ => i64::from(row.kind.is_one_time_by_default()),
    };
    Ok(Row {
        id: 0,
        card: row.card.to_string(),
        person,
        kind: row.kind.as_str().to_owned(),
        category: row.category.to_string(),
        state: state.as_str().to_owned(),
        one_time,
        valid_from: row.valid_from.map(|it| it.0),
        valid_until: row.valid_until.map(|it| it.0),
        pin: row.pin.map(|pin| hex(pin.0)).or_else(|| own.and_then(|own| own.pin.clone())),
        duress_pin: row.duress.map(|pin| hex(pin.0)).or_else(|| own.and_then(|own| own.duress_pin.clone())),
        // It is the card's, whoever holds it.
        number: row.number.map(|number| hex(number.0)).or_else(|| before.and_then(|before| before.number.clone())),
        since_ms: 0,
    })
}

fn same(before: &Row, after: &Row) -> bool {
    let key = |row: &Row| {
        let Row { card: _, id: _, since_ms: _, person, kind, category, state, one_time, .. } = row.clone();
        (
            person,
            kind,
            category,
            state,
            one_time,
            row.valid_from,
            row.valid_until,
            row.pin.clone(),
            row.duress_pin.clone(),
            row.number.clone(),
        )
    };
    key(before) == key(after)
}

/// Random bits from which an import draws its new pseudonyms: one draw, so that planning twice (after a collision
/// with another transaction) gives the same answer.
#[derive(Clone, Copy)]
struct Seed([u8; 32]);

impl Seed {
    fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The first 128 bits of SHA-256 over the seed, which is then forgotten, and the reference: random for everybody
    /// who does not know the seed.
    fn person(self, reference: &str) -> PersonId {
        use sha2::{Digest, Sha256};
        let digest: [u8; 32] = Sha256::new().chain_update(self.0).chain_update(reference).finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        PersonId(id)
    }
}

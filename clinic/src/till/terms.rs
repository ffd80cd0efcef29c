//! Terms of payment: who pays how, within which limit, from when until when. Owns the table `terms`; which of several counts
//! is `domain::till::terms::choose`'s. Never changes a version: each change is a new one.

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::terms::choose;
use domain::till::{Mode, Owner, Scope, Terms};
use domain::{Permission, PersonId, UtcMillis, codes};
use store::{Error, read, transact};

use super::ledger;
use super::office::{Made, OfficeOn, check_day, invalid, minor, read_code, step, who};
use super::payers::{PayerKind, terms_change};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::changes;
use crate::rows::{code, column, number};

/// The highest priority.
pub const PRIORITY_MAX: u32 = 1000;
/// Most terms and versions of one answer.
const AT: i64 = 2000;
/// The stored owner of terms for everybody.
const EVERYBODY: &str = "-";

/// A version of terms, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTerms {
    /// The terms.
    pub terms: Terms,
    /// Whether it is the newest version.
    pub is_current: bool,
    /// Whether the terms were withdrawn by it: they count no more.
    pub is_withdrawn: bool,
    /// Who made this version.
    pub made: Made,
}

/// Terms to be made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTerms {
    /// The terms to be changed, with the version that was shown; `None` makes new ones.
    pub id: Option<(String, u32)>,
    /// Whom they are for; stays what it was.
    pub owner: Owner,
    /// When services are paid.
    pub mode: Mode,
    /// In which currency.
    pub currency: Currency,
    /// On postpaid terms: the most that one patient may owe.
    pub limit: Option<Amount>,
    /// On postpaid terms: the payer whose shared pot counts as well.
    pub pot: Option<String>,
    /// The scale of discounts, by its code.
    pub scheme: Option<String>,
    /// 0 to [`PRIORITY_MAX`]; the higher counts.
    pub priority: u32,
    /// The first day.
    pub from: LocalDate,
    /// The last day; `None`: until changed.
    pub until: Option<LocalDate>,
}

impl NewTerms {
    /// Prepaid terms of priority 0 from a day on; fill in the rest by struct update.
    pub const fn new(owner: Owner, currency: Currency, from: LocalDate) -> Self {
        Self {
            id: None,
            owner,
            mode: Mode::Prepaid,
            currency,
            limit: None,
            pot: None,
            scheme: None,
            priority: 0,
            from,
            until: None,
        }
    }

    /// Postpaid terms with a limit for each patient.
    pub fn postpaid(owner: Owner, currency: Currency, limit: Amount, from: LocalDate) -> Self {
        Self { mode: Mode::Postpaid, limit: Some(limit), ..Self::new(owner, currency, from) }
    }
}

codes! {
    /// Why terms count for a patient today, or do not.
    Why {
        /// They count.
        Counts = "counts",
        /// Others have a higher priority.
        Priority = "priority",
        /// Others are more particular.
        Particular = "particular",
        /// Others of the same place were made before.
        Older = "older",
        /// They begin later.
        Later = "later",
        /// They have ended.
        Over = "over",
        /// They are in another currency.
        Currency = "currency",
    }
}

/// What counts for a patient on a day, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsAnswer {
    /// The record that is left after merges.
    pub patient: PersonId,
    /// The day.
    pub day: LocalDate,
    /// The currency.
    pub currency: Currency,
    /// All terms that could count, the one that does first.
    pub lines: Vec<(StoredTerms, Why)>,
}

impl TermsAnswer {
    /// The terms that count; `None`: nothing can be registered.
    pub fn counting(&self) -> Option<&Terms> {
        self.lines.iter().find(|(_, why)| *why == Why::Counts).map(|(stored, _)| &stored.terms)
    }
}

/// Stored terms.
#[derive(sqlx::FromRow)]
struct TermsRow {
    id: String,
    version: i64,
    is_current: i64,
    withdrawn: i64,
    scope: String,
    owner: String,
    mode: String,
    currency: String,
    limit_minor: Option<i64>,
    pot: Option<String>,
    scheme: Option<String>,
    priority: i64,
    from_day: i64,
    until_day: Option<i64>,
    made_ms: i64,
    actor_kind: String,
    actor: Option<String>,
    entry: i64,
}

impl TermsRow {
    fn read(self) -> Result<StoredTerms, Error> {
        const T: &str = "terms";
        let scope = code(T, "scope", &self.scope, Scope::parse)?;
        let owner = match scope {
            Scope::Everybody => Owner::Everybody,
            Scope::Group | Scope::Contract => Owner::Payer(self.owner),
            Scope::Patient => Owner::Patient(column(T, "owner", &self.owner, str::parse)?),
        };
        let terms = Terms {
            id: self.id,
            version: number(T, "version", self.version)?,
            scope,
            owner,
            mode: code(T, "mode", &self.mode, Mode::parse)?,
            currency: ledger::currency(T, &self.currency)?,
            limit: self.limit_minor.map(|minor| ledger::amount(T, "limit_minor", minor)).transpose()?,
            pot: self.pot,
            scheme: self.scheme,
            priority: number(T, "priority", self.priority)?,
            from: ledger::day(T, "from_day", self.from_day)?,
            until: self.until_day.map(|day| ledger::day(T, "until_day", day)).transpose()?,
        };
        let (at, entry) = (UtcMillis(self.made_ms), self.entry.cast_unsigned());
        Ok(StoredTerms {
            terms,
            is_current: self.is_current != 0,
            is_withdrawn: self.withdrawn != 0,
            made: Made { at, actor_kind: self.actor_kind, actor: self.actor, entry },
        })
    }
}

/// The owner as it is stored.
fn owner_text(owner: &Owner) -> String {
    match owner {
        Owner::Everybody => EVERYBODY.to_owned(),
        Owner::Payer(id) => id.clone(),
        Owner::Patient(person) => person.to_string(),
    }
}

/// The person whom terms are of.
const fn patient_of(owner: &Owner) -> Option<PersonId> {
    match owner {
        Owner::Patient(person) => Some(*person),
        Owner::Everybody | Owner::Payer(_) => None,
    }
}

/// What changes, in codes.
fn detail(before: Option<&Terms>, after: &Terms, is_withdrawn: bool) -> String {
    let text = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
    let day = |it: Option<LocalDate>| it.map_or_else(|| "-".to_owned(), |day| day.to_string());
    let mut words = vec![
        format!("version={} scope={}", after.version, after.scope),
        step("mode", before.map(|it| it.mode).as_ref(), &after.mode),
        format!("currency={}", after.currency),
        step("limit", before.map(|it| minor(it.limit)).as_ref(), &minor(after.limit)),
        step("pot", before.map(|it| text(&it.pot)).as_ref(), &text(&after.pot)),
        step("scheme", before.map(|it| text(&it.scheme)).as_ref(), &text(&after.scheme)),
        step("priority", before.map(|it| it.priority).as_ref(), &after.priority),
        step("from", before.map(|it| it.from).as_ref(), &after.from),
        step("until", before.map(|it| day(it.until)).as_ref(), &day(after.until)),
    ];
    if is_withdrawn {
        words.push("withdrawn".to_owned());
    }
    words.join(" ")
}

/// An engine's connection inside a transaction, with terms.
trait TermsOn {
    /// The newest version of terms.
    async fn newest(&mut self, id: &str) -> Result<Option<StoredTerms>, Error>;

    /// Stores a version after the one before it, with its entry, and returns it.
    async fn add_terms(
        &mut self,
        acting: &Acting,
        now: UtcMillis,
        before: Option<&Terms>,
        after: Terms,
        is_withdrawn: bool,
    ) -> Result<StoredTerms, Error>;
}

macro_rules! terms_on {
    ($connection:ty) => {
        impl TermsOn for $connection {
            async fn newest(&mut self, id: &str) -> Result<Option<StoredTerms>, Error> {
                let row: Option<TermsRow> = sqlx::query_as("SELECT * FROM terms WHERE id = $1 AND is_current = 1")
                    .bind(id)
                    .fetch_optional(&mut *self)
                    .await?;
                row.map(TermsRow::read).transpose()
            }

            async fn add_terms(
                &mut self,
                acting: &Acting,
                now: UtcMillis,
                before: Option<&Terms>,
                after: Terms,
                is_withdrawn: bool,
            ) -> Result<StoredTerms, Error> {
                let entry = Draft {
                    object: Some(format!("terms/{}", after.id)),
                    subject: patient_of(&after.owner),
                    detail: Some(detail(before, &after, is_withdrawn)),
                    ..acting.draft(now, Action::TermsChanged)
                };
                let no = audit::record!(self, &entry);
                let (kind, actor) = who(acting);
                sqlx::query("UPDATE terms SET is_current = 0 WHERE id = $1 AND is_current = 1")
                    .bind(&after.id)
                    .execute(&mut *self)
                    .await?;
                sqlx::query(
                    "INSERT INTO terms (id, version, is_current, withdrawn, scope, owner, mode, currency, limit_minor, pot,
                         scheme, priority, from_day, until_day, made_ms, actor_kind, actor, entry)
                     VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
                )
                .bind(&after.id)
                .bind(i64::from(after.version))
                .bind(i64::from(is_withdrawn))
                .bind(after.scope.as_str())
                .bind(owner_text(&after.owner))
                .bind(after.mode.as_str())
                .bind(after.currency.to_string())
                .bind(after.limit.map(Amount::minor))
                .bind(&after.pot)
                .bind(&after.scheme)
                .bind(i64::from(after.priority))
                .bind(i64::from(after.from.0))
                .bind(after.until.map(|day| i64::from(day.0)))
                .bind(now.0)
                .bind(kind)
                .bind(&actor)
                .bind(no.cast_signed())
                .execute(&mut *self)
                .await?;
                changes::append!(self, &terms_change(now, patient_of(&after.owner), format!("terms={}", after.id)));
                let made = Made { at: now, actor_kind: kind.to_owned(), actor, entry: no };
                Ok(StoredTerms { terms: after, is_current: true, is_withdrawn, made })
            }
        }
    };
}

store::for_each_connection!(terms_on);

impl Till {
    /// Makes terms, or the next version of known ones. What is so already makes no version.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`; [`TillError::NotFound`] for unknown terms, payers or persons;
    /// [`TillError::Changed`] when there is a newer version than the one shown; [`TillError::Invalid`] for terms that make no
    /// sense, or a pot or scale that is not there; or the database.
    pub async fn put_terms(&self, acting: &Acting, new: NewTerms) -> Result<StoredTerms, TillError> {
        acting.must(Permission::TermsEdit)?;
        if new.priority > PRIORITY_MAX {
            return Err(invalid("priority", format!("a priority is 0 to {PRIORITY_MAX}")));
        }
        check_day("from", new.from)?;
        new.until.map(|day| check_day("until", day)).transpose()?;
        let scheme = new.scheme.as_deref().map(|id| read_code("scheme", id)).transpose()?;
        let wanted = Terms {
            id: String::new(),
            version: 1,
            scope: Scope::Everybody,
            owner: new.owner,
            mode: new.mode,
            currency: new.currency,
            limit: new.limit,
            pot: new.pot,
            scheme,
            priority: new.priority,
            from: new.from,
            until: new.until,
        };
        wanted.check().map_err(|problem| invalid("terms", problem.to_string()))?;
        let now = self.clock.now();
        let (acting, shown) = (acting.clone(), new.id);
        transact!(self.database, "till.put_terms", |conn| {
            let mut wanted = wanted.clone();
            match &wanted.owner {
                Owner::Everybody => {}
                Owner::Payer(id) => {
                    let kind: Option<String> = sqlx::query_scalar("SELECT kind FROM payer WHERE id = $1")
                        .bind(id)
                        .fetch_optional(&mut *conn)
                        .await?;
                    let Some(kind) = kind else { return Ok(Err(TillError::NotFound)) };
                    wanted.scope = match code("payer", "kind", &kind, PayerKind::parse)? {
                        PayerKind::Group => Scope::Group,
                        PayerKind::Contract => Scope::Contract,
                    };
                }
                Owner::Patient(person) => {
                    let Some(left) = conn.survivor(*person).await? else { return Ok(Err(TillError::NotFound)) };
                    wanted.owner = Owner::Patient(left);
                    wanted.scope = Scope::Patient;
                }
            }
            if let Some(pot) = &wanted.pot {
                let known: Option<i64> =
                    sqlx::query_scalar("SELECT limit_minor FROM pot WHERE payer = $1 AND currency = $2")
                        .bind(pot)
                        .bind(wanted.currency.to_string())
                        .fetch_optional(&mut *conn)
                        .await?;
                if known.is_none() {
                    let problem = format!("this group or contract has no pot in {}; set one first", wanted.currency);
                    return Ok(Err(invalid("pot", problem)));
                }
            }
            if let Some(scheme) = &wanted.scheme {
                let currency: Option<String> = sqlx::query_scalar(
                    "SELECT currency FROM discount_scheme WHERE id = $1 ORDER BY version DESC LIMIT 1",
                )
                .bind(scheme)
                .fetch_optional(&mut *conn)
                .await?;
                if currency.as_deref() != Some(wanted.currency.as_str()) {
                    let problem = format!("there is no scale of discounts of this code in {}", wanted.currency);
                    return Ok(Err(invalid("scheme", problem)));
                }
            }
            let before = match &shown {
                None => {
                    wanted.id = format!("t{:06}", conn.next_no("terms").await?);
                    None
                }
                Some((id, version)) => {
                    let Some(known) = conn.newest(id).await? else { return Ok(Err(TillError::NotFound)) };
                    if known.terms.version != *version {
                        return Ok(Err(TillError::Changed));
                    }
                    if known.terms.owner != wanted.owner {
                        let problem = "terms stay with whom they are for; withdraw them and make others";
                        return Ok(Err(invalid("owner", problem)));
                    }
                    wanted.id.clone_from(id);
                    wanted.version = known.terms.version;
                    if known.terms == wanted && !known.is_withdrawn {
                        return Ok(Ok(known));
                    }
                    wanted.version += 1;
                    Some(known.terms)
                }
            };
            Ok(Ok(conn.add_terms(&acting, now, before.as_ref(), wanted, false).await?))
        })?
    }

    /// Withdraws terms: they count no more from now on. What was registered on them stays as it is.
    ///
    /// # Errors
    /// [`TillError::NotFound`] for unknown terms or those withdrawn already; otherwise as [`Till::put_terms`].
    pub async fn withdraw_terms(&self, acting: &Acting, id: &str, shown: u32) -> Result<(), TillError> {
        acting.must(Permission::TermsEdit)?;
        let now = self.clock.now();
        let (acting, id) = (acting.clone(), id.to_owned());
        transact!(self.database, "till.withdraw_terms", |conn| {
            let Some(known) = conn.newest(&id).await? else { return Ok(Err(TillError::NotFound)) };
            if known.is_withdrawn {
                return Ok(Err(TillError::NotFound));
            }
            if known.terms.version != shown {
                return Ok(Err(TillError::Changed));
            }
            let after = Terms { version: shown + 1, ..known.terms.clone() };
            conn.add_terms(&acting, now, Some(&known.terms), after, true).await?;
            Ok(Ok(()))
        })?
    }

    /// The newest versions of the terms of an owner, without those withdrawn; of all owners for `None`, at most 2,000.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, or the database.
    pub async fn terms_of(&self, acting: &Acting, owner: Option<&Owner>) -> Result<Vec<StoredTerms>, TillError> {
        acting.must(Permission::TermsEdit)?;
        let owner = owner.map(owner_text);
        let rows: Vec<TermsRow> = read!(self.database, "till.terms_of", |conn| {
            Ok(sqlx::query_as(
                "SELECT * FROM terms WHERE is_current = 1 AND withdrawn = 0 AND (CAST($1 AS TEXT) IS NULL OR owner = $1)
                 ORDER BY id DESC LIMIT $2",
            )
            .bind(owner.as_deref())
            .bind(AT)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(TermsRow::read).collect::<Result<_, _>>()?)
    }

    /// All versions of terms, the newest first.
    ///
    /// # Errors
    /// As [`Till::terms_of`].
    pub async fn terms_history(&self, acting: &Acting, id: &str) -> Result<Vec<StoredTerms>, TillError> {
        acting.must(Permission::TermsEdit)?;
        let rows: Vec<TermsRow> = read!(self.database, "till.terms_history", |conn| {
            Ok(sqlx::query_as("SELECT * FROM terms WHERE id = $1 ORDER BY version DESC LIMIT $2")
                .bind(id)
                .bind(AT)
                .fetch_all(&mut *conn)
                .await?)
        })?;
        Ok(rows.into_iter().map(TermsRow::read).collect::<Result<_, _>>()?)
    }

    /// Which terms count for a patient on a day in a currency, and why the others do not. The look is recorded.
    ///
    /// # Errors
    /// [`TillError::NotFound`] for an unknown person; otherwise as [`Till::terms_of`].
    pub async fn terms_for(
        &self,
        acting: &Acting,
        patient: PersonId,
        day: LocalDate,
        currency: Currency,
    ) -> Result<TermsAnswer, TillError> {
        acting.must(Permission::TermsEdit)?;
        let now = self.clock.now();
        let purpose = Some(Purpose::Payment);
        let entry = Draft { purpose, object: Some("terms".to_owned()), ..acting.draft(now, Action::AccountSeen) };
        let found: Option<(PersonId, Vec<StoredTerms>)> = transact!(self.database, "till.terms_for", |conn| {
            let Some(patient) = conn.survivor(patient).await? else { return Ok(None) };
            let rows: Vec<TermsRow> = sqlx::query_as(
                "SELECT * FROM terms WHERE is_current = 1 AND withdrawn = 0 AND (owner = '-' OR owner = $1
                     OR owner IN (SELECT person FROM person_merge WHERE into_person = $1)
                     OR owner IN (SELECT m.payer FROM payer_member m JOIN payer p ON p.id = m.payer
                         WHERE m.person = $1 AND m.from_day <= $2 AND (m.until_day IS NULL OR m.until_day >= $2)
                             AND p.ended_ms IS NULL))
                 ORDER BY priority DESC, id LIMIT $3",
            )
            .bind(patient.to_string())
            .bind(i64::from(day.0))
            .bind(AT)
            .fetch_all(&mut *conn)
            .await?;
            let entry = Draft { subject: Some(patient), ..entry.clone() };
            audit::record!(conn, &entry);
            let all = rows.into_iter().map(TermsRow::read).collect::<Result<_, _>>()?;
            Ok(Some((patient, all)))
        })?;
        let (patient, all) = found.ok_or(TillError::NotFound)?;
        Ok(TermsAnswer { patient, day, currency, lines: explain(all, currency, day) })
    }
}

/// Says of each of these terms why it counts or does not; the one that counts first.
fn explain(all: Vec<StoredTerms>, currency: Currency, day: LocalDate) -> Vec<(StoredTerms, Why)> {
    let chosen = choose(all.iter().map(|stored| &stored.terms), currency, day).cloned();
    let why = |terms: &Terms| match &chosen {
        _ if terms.currency != currency => Why::Currency,
        _ if terms.from > day => Why::Later,
        _ if !terms.is_valid_on(day) => Why::Over,
        Some(chosen) if chosen.id == terms.id => Why::Counts,
        Some(chosen) if chosen.priority != terms.priority => Why::Priority,
        Some(chosen) if chosen.scope != terms.scope => Why::Particular,
        _ => Why::Older,
    };
    let mut lines: Vec<(StoredTerms, Why)> = all
        .into_iter()
        .map(|stored| {
            let why = why(&stored.terms);
            (stored, why)
        })
        .collect();
    lines.sort_by_key(|(_, why)| *why);
    lines
}

/// Pairs of terms of which one hides the other by chance: the same owner, currency and priority, and a day in common. Each
/// as (the one that counts, the one that does not).
pub fn overlaps(all: &[StoredTerms]) -> Vec<(&Terms, &Terms)> {
    let mut sorted: Vec<&Terms> =
        all.iter().filter(|stored| stored.is_current && !stored.is_withdrawn).map(|stored| &stored.terms).collect();
    let place = |terms: &&Terms| (terms.owner.clone(), terms.currency, terms.priority, terms.id.clone());
    sorted.sort_by_key(place);
    let mut pairs = Vec::new();
    for (at, first) in sorted.iter().enumerate() {
        let same = |other: &&&Terms| {
            other.owner == first.owner && other.currency == first.currency && other.priority == first.priority
        };
        for other in sorted.iter().skip(at + 1).take_while(same) {
            let is_apart = first.until.is_some_and(|until| until < other.from)
                || other.until.is_some_and(|until| until < first.from);
            if !is_apart {
                pairs.push((*first, *other));
            }
        }
    }
    pairs
}

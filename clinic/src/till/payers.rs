//! Payers: groups of patients and contracts under which patients come, who belongs to them, and the pot that they share. Owns
//! the tables `payer` and `payer_member` and the limits of `pot`; what is used of a pot is the ledger's.

use std::collections::BTreeMap;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Permission, PersonId, UtcMillis, codes};
use store::{Error, read, transact};

use super::ledger;
use super::office::{
    NAME_MAX_CHARS, OfficeOn, WORD_MAX_CHARS, check_day, invalid, read_code, read_name, read_optional, step,
};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::changes::{self, Change, ChangeKind};
use crate::rows::{code, column};

/// Most payers of a clinic.
pub const PAYERS_MAX: i64 = 20_000;
/// Members of one answer.
pub const MEMBERS_PAGE_MAX: u32 = 1000;

codes! {
    /// What a payer is.
    PayerKind {
        /// A group of patients: a family, a firm's staff, pensioners.
        Group = "group",
        /// A contract with an insurer or a firm.
        Contract = "contract",
    }
}

/// A shared pot: the most that all members of a payer may owe together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PotState {
    /// Which currency.
    pub currency: Currency,
    /// The most that may be owed.
    pub limit: Amount,
    /// What is owed now.
    pub used: Amount,
}

/// A payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// Its code, for ever.
    pub id: String,
    /// What it is.
    pub kind: PayerKind,
    /// What people call it.
    pub name: String,
    /// What other systems call it.
    pub external: Option<String>,
    /// Since when it has ended: its terms count no more.
    pub ended: Option<UtcMillis>,
    /// How many belong to it today.
    pub members: u64,
    /// Its pots, one for each currency.
    pub pots: Vec<PotState>,
}

/// A payer to be made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayer {
    /// Its code: a new one makes a payer. Empty: one is drawn.
    pub id: String,
    /// What it is.
    pub kind: PayerKind,
    /// What people call it.
    pub name: String,
    /// What other systems call it.
    pub external: Option<String>,
    /// Whether it has ended.
    pub ended: bool,
}

impl NewPayer {
    /// A payer of this code and name.
    pub fn new(id: &str, kind: PayerKind, name: &str) -> Self {
        Self { id: id.to_owned(), kind, name: name.to_owned(), external: None, ended: false }
    }
}

/// Somebody who belongs to a payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: PersonId,
    /// The first day.
    pub from: LocalDate,
    /// The last day; `None`: until changed.
    pub until: Option<LocalDate>,
}

/// A stored payer.
#[derive(sqlx::FromRow)]
pub(super) struct PayerRow {
    id: String,
    kind: String,
    name: String,
    external: Option<String>,
    ended_ms: Option<i64>,
    members: i64,
}

impl PayerRow {
    fn read(self) -> Result<Payer, Error> {
        Ok(Payer {
            id: self.id,
            kind: code("payer", "kind", &self.kind, PayerKind::parse)?,
            name: self.name,
            external: self.external,
            ended: self.ended_ms.map(UtcMillis),
            members: self.members.unsigned_abs(),
            pots: Vec::new(),
        })
    }
}

/// The change that opens or closes what patients may get: pages follow it. Of one patient, or of whoever is concerned.
pub(super) fn terms_change(now: UtcMillis, patient: Option<PersonId>, detail: String) -> Change {
    Change { patient, detail: Some(detail), ..Change::new(now, now, ChangeKind::TermsChanged) }
}

impl Till {
    /// Makes a payer, or changes the one of this code. The kind stays what it was.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, [`TillError::Invalid`], or the database.
    pub async fn put_payer(&self, acting: &Acting, new: NewPayer) -> Result<Payer, TillError> {
        acting.must(Permission::TermsEdit)?;
        let id = if new.id.trim().is_empty() { crate::draw::id()? } else { read_code("id", &new.id)? };
        let name = read_name("name", &new.name, NAME_MAX_CHARS)?;
        let external = read_optional("external", new.external.as_deref(), WORD_MAX_CHARS)?;
        let (now, today) = (self.clock.now(), self.today());
        let entry = Draft { object: Some(format!("payer/{id}")), ..acting.draft(now, Action::TermsChanged) };
        let wanted = id.clone();
        transact!(self.database, "till.put_payer", |conn| {
            let known: Option<(String, String, Option<String>, Option<i64>)> =
                sqlx::query_as("SELECT kind, name, external, ended_ms FROM payer WHERE id = $1")
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            match &known {
                Some((kind, ..)) if kind != new.kind.as_str() => {
                    return Ok(Err(invalid(
                        "kind",
                        "a group stays a group and a contract a contract; make another one",
                    )));
                }
                Some((_, before, other, ended))
                    if *before == name && *other == external && ended.is_some() == new.ended =>
                {
                    return Ok(Ok(()));
                }
                Some(_) => {}
                None => {
                    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM payer").fetch_one(&mut *conn).await?;
                    if count >= PAYERS_MAX {
                        return Ok(Err(invalid(
                            "id",
                            format!("a clinic has at most {PAYERS_MAX} groups and contracts"),
                        )));
                    }
                }
            }
            if external.is_some() {
                let other: Option<String> = sqlx::query_scalar("SELECT id FROM payer WHERE external = $1 AND id <> $2")
                    .bind(&external)
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
                if other.is_some() {
                    return Ok(Err(invalid("external", "another group or contract has this id of the other system")));
                }
            }
            let was_ended = known.as_ref().and_then(|(.., ended)| *ended);
            let ended = new.ended.then(|| was_ended.unwrap_or(now.0));
            sqlx::query(
                "INSERT INTO payer (id, kind, name, external, ended_ms, changed_ms) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, external = excluded.external,
                     ended_ms = excluded.ended_ms, changed_ms = excluded.changed_ms",
            )
            .bind(&id)
            .bind(new.kind.as_str())
            .bind(&name)
            .bind(&external)
            .bind(ended)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            let is_new = if known.is_some() { "changed" } else { "new" };
            let before = known.as_ref().map(|(.., ended)| u8::from(ended.is_some()));
            let ends = step("ended", before.as_ref(), &u8::from(new.ended));
            let entry = Draft { detail: Some(format!("{is_new} kind={} {ends}", new.kind)), ..entry.clone() };
            audit::record!(conn, &entry);
            changes::append!(conn, &terms_change(now, None, format!("payer={id}")));
            Ok(Ok(()))
        })??;
        self.find_payer(&wanted, today).await?.ok_or(TillError::NotFound)
    }

    /// Groups and contracts in the order of their names, at most 1,000: those whose code, name or other code has this text.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, or the database.
    pub async fn payers(&self, acting: &Acting, find: &str, with_ended: bool) -> Result<Vec<Payer>, TillError> {
        acting.must(Permission::TermsEdit)?;
        let today = self.today();
        let rows: Vec<PayerRow> = read!(self.database, "till.payers", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, kind, name, external, ended_ms, (SELECT COUNT(*) FROM payer_member m WHERE m.payer = payer.id
                     AND m.from_day <= $1 AND (m.until_day IS NULL OR m.until_day >= $1)) AS members
                 FROM payer WHERE $2 = 1 OR ended_ms IS NULL ORDER BY name, id",
            )
            .bind(i64::from(today.0))
            .bind(i64::from(with_ended))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let wanted = find.trim().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let mut payers: Vec<Payer> = rows.into_iter().map(PayerRow::read).collect::<Result<_, _>>()?;
        payers.retain(|it| has(&it.id) || has(&it.name) || it.external.as_deref().is_some_and(has));
        payers.truncate(MEMBERS_PAGE_MAX as usize);
        let pots: Vec<(String, String, i64, i64)> = read!(self.database, "till.pots", |conn| {
            Ok(sqlx::query_as("SELECT payer, currency, limit_minor, used_minor FROM pot ORDER BY payer, currency")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let mut by_payer: BTreeMap<String, Vec<PotState>> = BTreeMap::new();
        for (payer, currency, limit, used) in pots {
            by_payer.entry(payer).or_default().push(pot(&currency, limit, used)?);
        }
        for payer in &mut payers {
            payer.pots = by_payer.remove(&payer.id).unwrap_or_default();
        }
        Ok(payers)
    }

    /// One group or contract; `None` if there is none of this code.
    ///
    /// # Errors
    /// As [`Till::payers`].
    pub async fn payer(&self, acting: &Acting, id: &str) -> Result<Option<Payer>, TillError> {
        acting.must(Permission::TermsEdit)?;
        self.find_payer(id, self.today()).await
    }

    async fn find_payer(&self, id: &str, today: LocalDate) -> Result<Option<Payer>, TillError> {
        let row: Option<PayerRow> = read!(self.database, "till.payer", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, kind, name, external, ended_ms, (SELECT COUNT(*) FROM payer_member m WHERE m.payer = payer.id
                     AND m.from_day <= $1 AND (m.until_day IS NULL OR m.until_day >= $1)) AS members
                 FROM payer WHERE id = $2",
            )
            .bind(i64::from(today.0))
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some(mut payer) = row.map(PayerRow::read).transpose()? else { return Ok(None) };
        let pots: Vec<(String, i64, i64)> = read!(self.database, "till.pots_of", |conn| {
            Ok(sqlx::query_as("SELECT currency, limit_minor, used_minor FROM pot WHERE payer = $1 ORDER BY currency")
                .bind(id)
                .fetch_all(&mut *conn)
                .await?)
        })?;
        payer.pots = pots.into_iter().map(|(code, limit, used)| pot(&code, limit, used)).collect::<Result<_, _>>()?;
        Ok(Some(payer))
    }

    /// Makes a person a member of a payer from a day on, until a day or until changed. A membership that begins on the
    /// same day is changed; one that is open and began before ends on the day before. Merges of records are followed.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, [`TillError::NotFound`] for an unknown payer or person,
    /// [`TillError::Invalid`] for days, or the database.
    pub async fn put_member(&self, acting: &Acting, payer: &str, member: Member) -> Result<(), TillError> {
        acting.must(Permission::TermsEdit)?;
        check_day("from", member.from)?;
        if let Some(until) = member.until {
            check_day("until", until)?;
            if until < member.from {
                return Err(invalid("until", "the last day lies before the first"));
            }
        }
        let now = self.clock.now();
        let payer = payer.to_owned();
        let entry = Draft { object: Some(format!("payer/{payer}")), ..acting.draft(now, Action::TermsChanged) };
        transact!(self.database, "till.put_member", |conn| {
            let known: Option<String> = sqlx::query_scalar("SELECT id FROM payer WHERE id = $1")
                .bind(&payer)
                .fetch_optional(&mut *conn)
                .await?;
            let (Some(_), Some(person)) = (known, conn.survivor(member.person).await?) else {
                return Ok(Err(TillError::NotFound));
            };
            let (from, until) = (i64::from(member.from.0), member.until.map(|day| i64::from(day.0)));
            sqlx::query(
                "UPDATE payer_member SET until_day = $3 - 1 WHERE payer = $1 AND person = $2 AND from_day < $3
                     AND (until_day IS NULL OR until_day >= $3)",
            )
            .bind(&payer)
            .bind(person.to_string())
            .bind(from)
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "INSERT INTO payer_member (payer, person, from_day, until_day) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (payer, person, from_day) DO UPDATE SET until_day = excluded.until_day",
            )
            .bind(&payer)
            .bind(person.to_string())
            .bind(from)
            .bind(until)
            .execute(&mut *conn)
            .await?;
            let until = member.until.map_or_else(|| "-".to_owned(), |day| day.to_string());
            let detail = Some(format!("member from={} until={until}", member.from));
            let entry = Draft { subject: Some(person), detail, ..entry.clone() };
            audit::record!(conn, &entry);
            changes::append!(conn, &terms_change(now, Some(person), format!("payer={payer}")));
            Ok(Ok(()))
        })?
    }

    /// Ends a membership: its last day is this one, or it never was where it begins later.
    ///
    /// # Errors
    /// [`TillError::NotFound`] for a membership that is not there or ended before; otherwise as [`Till::put_member`].
    pub async fn end_member(
        &self,
        acting: &Acting,
        payer: &str,
        person: PersonId,
        last: LocalDate,
    ) -> Result<(), TillError> {
        acting.must(Permission::TermsEdit)?;
        check_day("until", last)?;
        let now = self.clock.now();
        let payer = payer.to_owned();
        let entry = Draft { object: Some(format!("payer/{payer}")), ..acting.draft(now, Action::TermsChanged) };
        transact!(self.database, "till.end_member", |conn| {
            let Some(person) = conn.survivor(person).await? else { return Ok(Err(TillError::NotFound)) };
            let day = i64::from(last.0);
            let gone = sqlx::query("DELETE FROM payer_member WHERE payer = $1 AND person = $2 AND from_day > $3")
                .bind(&payer)
                .bind(person.to_string())
                .bind(day)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            let ended = sqlx::query(
                "UPDATE payer_member SET until_day = $3 WHERE payer = $1 AND person = $2 AND from_day <= $3
                     AND (until_day IS NULL OR until_day > $3)",
            )
            .bind(&payer)
            .bind(person.to_string())
            .bind(day)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if gone + ended == 0 {
                return Ok(Err(TillError::NotFound));
            }
            let entry = Draft { subject: Some(person), detail: Some(format!("member until={last}")), ..entry.clone() };
            audit::record!(conn, &entry);
            changes::append!(conn, &terms_change(now, Some(person), format!("payer={payer}")));
            Ok(Ok(()))
        })?
    }

    /// Who belongs to a payer today or later, by pseudonym, those after this person and first day, at most [`MEMBERS_PAGE_MAX`].
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, or the database.
    pub async fn members(
        &self,
        acting: &Acting,
        payer: &str,
        after: Option<(PersonId, LocalDate)>,
        limit: u32,
    ) -> Result<Vec<Member>, TillError> {
        acting.must(Permission::TermsEdit)?;
        let today = self.today();
        let (after, day) = after.map_or_else(|| (String::new(), 0), |(person, day)| (person.to_string(), day.0));
        let rows: Vec<(String, i64, Option<i64>)> = read!(self.database, "till.members", |conn| {
            Ok(sqlx::query_as(
                "SELECT person, from_day, until_day FROM payer_member WHERE payer = $1
                     AND (person > $2 OR (person = $2 AND from_day > $3)) AND (until_day IS NULL OR until_day >= $4)
                 ORDER BY person, from_day LIMIT $5",
            )
            .bind(payer)
            .bind(&after)
            .bind(i64::from(day))
            .bind(i64::from(today.0))
            .bind(i64::from(limit.min(MEMBERS_PAGE_MAX)))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(|(person, from, until)| member(&person, from, until)).collect::<Result<_, _>>()?)
    }

    /// Sets how much the members of a payer may owe together in a currency. It may be less than what they owe already: then
    /// nothing more goes until enough is paid.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, [`TillError::NotFound`] for an unknown payer, [`TillError::Invalid`] for a
    /// negative limit, or the database.
    pub async fn set_pot(
        &self,
        acting: &Acting,
        payer: &str,
        currency: Currency,
        limit: Amount,
    ) -> Result<PotState, TillError> {
        acting.must(Permission::TermsEdit)?;
        if limit.minor() < 0 {
            return Err(invalid("limit", "a limit is not negative; 0 lets nothing be owed"));
        }
        let now = self.clock.now();
        let payer = payer.to_owned();
        let entry = Draft { object: Some(format!("payer/{payer}")), ..acting.draft(now, Action::TermsChanged) };
        transact!(self.database, "till.set_pot", |conn| {
            let known: Option<String> = sqlx::query_scalar("SELECT id FROM payer WHERE id = $1")
                .bind(&payer)
                .fetch_optional(&mut *conn)
                .await?;
            if known.is_none() {
                return Ok(Err(TillError::NotFound));
            }
            let before: Option<i64> =
                sqlx::query_scalar("SELECT limit_minor FROM pot WHERE payer = $1 AND currency = $2")
                    .bind(&payer)
                    .bind(currency.to_string())
                    .fetch_optional(&mut *conn)
                    .await?;
            let used: i64 = sqlx::query_scalar(
                "INSERT INTO pot (payer, currency, limit_minor, used_minor, changed_ms) VALUES ($1, $2, $3, 0, $4)
                 ON CONFLICT (payer, currency) DO UPDATE SET limit_minor = excluded.limit_minor,
                     changed_ms = excluded.changed_ms
                 RETURNING used_minor",
            )
            .bind(&payer)
            .bind(currency.to_string())
            .bind(limit.minor())
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            let state = PotState { currency, limit, used: ledger::amount("pot", "used_minor", used)? };
            if before != Some(limit.minor()) {
                let words = step("pot_limit", before.as_ref(), &limit.minor());
                let entry = Draft { detail: Some(format!("currency={currency} {words}")), ..entry.clone() };
                audit::record!(conn, &entry);
                changes::append!(conn, &terms_change(now, None, format!("payer={payer}")));
            }
            Ok(Ok(state))
        })?
    }
}

/// A pot from its columns.
pub(super) fn pot(currency: &str, limit: i64, used: i64) -> Result<PotState, Error> {
    const T: &str = "pot";
    Ok(PotState {
        currency: ledger::currency(T, currency)?,
        limit: ledger::amount(T, "limit_minor", limit)?,
        used: ledger::amount(T, "used_minor", used)?,
    })
}

/// A membership from its columns.
pub(super) fn member(person: &str, from: i64, until: Option<i64>) -> Result<Member, Error> {
    const T: &str = "payer_member";
    Ok(Member {
        person: column(T, "person", person, str::parse)?,
        from: ledger::day(T, "from_day", from)?,
        until: until.map(|day| ledger::day(T, "until_day", day)).transpose()?,
    })
}

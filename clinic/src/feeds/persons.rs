//! Staff and patients: who a record is about, what the vault is to know, and the passes, the row among staff and the
//! record itself in one transaction for each batch. The vault comes before that transaction, so that a record counts as
//! told only when everything of it is stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::policy::PassKind;
use domain::vault::PassportChange;
use domain::{Permission, PersonId, Spoken, UtcMillis, Zones};
use store::{Error, read, transact};

use super::digest::Canon;
use super::passes::{self, Card, There, Wish, Writes, passes_there, windows, write_passes};
use super::take::{Batch, Known, Row, save_records};
use super::{
    Alias, CardRecord, FeedError, FeedKind, Feeds, PatientRecord, Problem, Refusal, SiteKeys, Source, StaffRecord,
};
use crate::acting::Acting;
use crate::audit::{self, Purpose};
use crate::changes::{Change, ChangeKind, Feed};
use crate::people::{Reference, language_news, write_told};
use crate::rows::column;
use crate::vault::{VaultError, VaultState};

/// Records of one transaction.
pub(super) const BATCH_MAX: usize = 500;

/// A record about a person, whichever kind.
#[derive(Clone)]
pub(super) struct Told {
    pub row: u64,
    pub id: Reference,
    pub changed: Option<UtcMillis>,
    aliases: Vec<(String, Reference)>,
    passport: Option<PassportChange>,
    language: Option<Option<Spoken>>,
    category: Option<String>,
    cards: Option<Vec<Card>>,
    from: Option<UtcMillis>,
    until: Option<UtcMillis>,
    pub active: bool,
    staff: Option<Staff>,
    pub digest: String,
    content: String,
}

#[derive(Clone)]
struct Staff {
    role: String,
    login: Option<String>,
    practitioner: Option<String>,
    specialty: Option<String>,
}

impl Told {
    pub fn of_staff(row: u64, record: StaffRecord, source: &Source, feeds: &Feeds) -> Self {
        let staff = record.role.map(|role| Staff {
            role: role.as_str().to_owned(),
            login: record.login.as_ref().map(|login| login.reveal().to_owned()),
            practitioner: record.practitioner.as_ref().map(|it| it.reveal().to_owned()),
            specialty: record.specialty.clone(),
        });
        let category = record.category.as_ref().unwrap_or(&feeds.inner.settings.staff_category).to_string();
        Self {
            row,
            id: record.id,
            changed: record.changed,
            aliases: aliases(record.aliases, source),
            passport: record.passport.filter(|passport| !passport.is_empty()),
            language: None,
            category: Some(category),
            cards: record.cards.map(|cards| read_cards(cards, PassKind::Staff, &feeds.inner.keys)),
            from: record.from,
            until: record.until,
            active: record.active,
            staff,
            digest: String::new(),
            content: String::new(),
        }
        .digested(&feeds.inner.keys)
    }

    pub fn of_patient(row: u64, record: PatientRecord, source: &Source, feeds: &Feeds) -> Self {
        let category = record.category.as_ref().unwrap_or(&feeds.inner.settings.patient_category).to_string();
        Self {
            row,
            id: record.id,
            changed: record.changed,
            aliases: aliases(record.aliases, source),
            passport: record.passport.filter(|passport| !passport.is_empty()),
            language: record.language,
            category: Some(category),
            cards: record.cards.map(|cards| read_cards(cards, PassKind::Patient, &feeds.inner.keys)),
            from: record.from,
            until: record.until,
            active: record.active,
            staff: None,
            digest: String::new(),
            content: String::new(),
        }
        .digested(&feeds.inner.keys)
    }

    /// What is missing from a whole list has ended.
    fn ending(id: Reference) -> Self {
        Self {
            row: 0,
            id,
            changed: None,
            aliases: Vec::new(),
            passport: None,
            language: None,
            category: None,
            cards: None,
            from: None,
            until: None,
            active: false,
            staff: None,
            digest: "ended".to_owned(),
            content: String::new(),
        }
    }

    fn digested(mut self, keys: &SiteKeys) -> Self {
        let mut canon = Canon::new();
        canon.passport(self.passport.as_ref()).opt(self.category.as_deref());
        canon.instant(self.from).instant(self.until).number(i64::from(self.active));
        if let Some(staff) = &self.staff {
            canon.text(&staff.role).opt(staff.login.as_deref()).opt(staff.practitioner.as_deref());
            canon.opt(staff.specialty.as_deref());
        }
        // Without ids, cards and language: what two sources can say differently of one person.
        self.content = canon.digest(&keys.card);
        if let Some(language) = &self.language {
            canon.number(7).opt(language.as_ref().map(Spoken::as_str));
        }
        for (system, value) in &self.aliases {
            canon.text(system).text(value.reveal());
        }
        canon.number(self.cards.is_some().into());
        for card in self.cards.iter().flatten() {
            canon.text(&card.id).text(card.kind.as_str()).instant(card.from).instant(card.until);
            canon.number(card.number.is_some().into());
        }
        self.digest = canon.digest(&keys.card);
        self
    }
}

fn aliases(told: Vec<Alias>, source: &Source) -> Vec<(String, Reference)> {
    let system = |alias: &Alias| alias.system.clone().unwrap_or_else(|| source.to_string());
    told.into_iter().map(|alias| (system(&alias), alias.value)).collect()
}

fn read_cards(cards: Vec<CardRecord>, usual: PassKind, keys: &SiteKeys) -> Vec<Card> {
    let read = |card: CardRecord| Card {
        id: keys.card.id(&card.number).to_string(),
        number: keys.seal.as_ref().map(|key| key.seal(&card.number)),
        kind: card.kind.unwrap_or(usual),
        from: card.from,
        until: card.until,
    };
    let mut read: Vec<Card> = cards.into_iter().map(read).collect();
    read.sort_by(|a, b| a.id.cmp(&b.id));
    read.dedup_by(|a, b| a.id == b.id);
    read
}

impl Feeds {
    /// One batch of staff or patients.
    pub(super) async fn persons(
        &self,
        acting: &Acting,
        source: &Source,
        kind: FeedKind,
        told: Vec<Told>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let known = self.known(source, kind, told.iter().map(|told| told.id.reveal().to_owned()).collect()).await?;
        let fresh: Vec<Told> = told
            .into_iter()
            .filter(|told| match known.get(told.id.reveal()) {
                Some(known) => batch.is_news(known, told.changed, &told.digest),
                None => true,
            })
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let found = self.identify(source, &fresh).await?;
        let mut named = Vec::new();
        for (told, person) in fresh.into_iter().zip(found) {
            match person {
                Ok(person) => named.push((told, person)),
                Err(problem) => batch.refuse(told.row, "id", problem),
            }
        }
        let named = self.put_names(acting, source, kind, named, batch).await?;
        self.write_persons(acting, source, kind, named, known, batch, now).await
    }

    /// Ends what a whole list does not mention.
    pub(super) async fn end_persons(
        &self,
        acting: &Acting,
        source: &Source,
        kind: FeedKind,
        ids: Vec<(String, PersonId)>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let known = self.known(source, kind, ids.iter().map(|(id, _)| id.clone()).collect()).await?;
        let named =
            ids.into_iter().filter_map(|(id, person)| Some((Told::ending(Reference::new(&id)?), person))).collect();
        self.write_persons(acting, source, kind, named, known, batch, now).await
    }

    /// Who each record is about; persons not known before are made, and what other systems call them is written.
    async fn identify(&self, source: &Source, told: &[Told]) -> Result<Vec<Result<PersonId, Problem>>, FeedError> {
        let mut seed = [0_u8; 32];
        getrandom::fill(&mut seed).map_err(|error| FeedError::System(error.to_string()))?;
        let now = self.inner.clock.now();
        let adopt = self.inner.settings.adopt_references;
        let ids: Vec<(u64, Vec<(String, String)>)> = told
            .iter()
            .map(|told| {
                let own = (source.to_string(), told.id.reveal().to_owned());
                let others = told.aliases.iter().map(|(system, value)| (system.clone(), value.reveal().to_owned()));
                (told.row, std::iter::once(own).chain(others).collect())
            })
            .collect();
        let source = source.to_string();
        let found = transact!(self.inner.database, "feeds.identify", |conn| {
            let values: Vec<&String> = ids.iter().flat_map(|(_, ids)| ids.iter().map(|(_, value)| value)).collect();
            let mut by_alias: HashMap<(String, String), PersonId> = HashMap::new();
            let mut by_reference: HashMap<String, PersonId> = HashMap::new();
            for values in values.chunks(1000) {
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT person_alias.system, person_alias.value,
                         COALESCE(person_merge.into_person, person_alias.person)
                     FROM person_alias LEFT JOIN person_merge ON person_merge.person = person_alias.person
                     WHERE person_alias.value IN (",
                );
                let mut list = select.separated(", ");
                for value in values {
                    list.push_bind((*value).clone());
                }
                select.push(")");
                let rows: Vec<(String, String, String)> =
                    select.build_query_as().persistent(false).fetch_all(&mut *conn).await?;
                for (system, value, person) in rows {
                    by_alias.insert((system, value), parse_person(&person)?);
                }
                if !adopt {
                    continue;
                }
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT person.external_ref, COALESCE(person_merge.into_person, person.id) FROM person
                     LEFT JOIN person_merge ON person_merge.person = person.id WHERE person.external_ref IN (",
                );
                let mut list = select.separated(", ");
                for value in values {
                    list.push_bind((*value).clone());
                }
                select.push(")");
                let rows: Vec<(String, String)> =
                    select.build_query_as().persistent(false).fetch_all(&mut *conn).await?;
                for (reference, person) in rows {
                    by_reference.insert(reference, parse_person(&person)?);
                }
            }
            let mut found = Vec::with_capacity(ids.len());
            let (mut persons, mut aliases) = (Vec::new(), Vec::new());
            for (_, ids) in &ids {
                let named: HashSet<PersonId> = ids.iter().filter_map(|id| by_alias.get(id).copied()).collect();
                let by_own_reference = ids
                    .iter()
                    .filter(|(system, _)| *system == source)
                    .find_map(|(_, value)| by_reference.get(value).copied());
                let person = match (named.len(), named.iter().next().copied().or(by_own_reference)) {
                    (0 | 1, Some(person)) => person,
                    (0, None) => {
                        let person = drawn(&seed, ids);
                        persons.push(person);
                        person
                    }
                    _ => {
                        found.push(Err(Problem::SeveralPersons));
                        continue;
                    }
                };
                for id in ids {
                    if by_alias.insert(id.clone(), person).is_none() {
                        aliases.push((id.clone(), person));
                    }
                }
                found.push(Ok(person));
            }
            for persons in persons.chunks(500) {
                let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
                insert.push_values(persons, |mut row, person| {
                    row.push_bind(person.to_string()).push_bind(now.0);
                });
                insert.push(" ON CONFLICT (id) DO NOTHING");
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            for aliases in aliases.chunks(500) {
                let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO person_alias (system, value, person) ");
                insert.push_values(aliases, |mut row, ((system, value), person)| {
                    row.push_bind(system.clone()).push_bind(value.clone()).push_bind(person.to_string());
                });
                insert.push(" ON CONFLICT (system, value) DO NOTHING");
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            Ok(found)
        })?;
        Ok(found)
    }

    /// Names, dates of birth and contacts into the vault. What cannot be stored is refused, with its record.
    async fn put_names(
        &self,
        acting: &Acting,
        source: &Source,
        kind: FeedKind,
        told: Vec<(Told, PersonId)>,
        batch: &mut Batch,
    ) -> Result<Vec<(Told, PersonId)>, FeedError> {
        let today = self.inner.clock.now().to_chrono().map(|at| at.date_naive()).unwrap_or_default();
        let outranked = self.outranked(source, kind, told.iter().map(|(_, person)| *person)).await?;
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for (told, person) in told {
            match &told.passport {
                Some(passport) if passport.check(today).is_err() => {
                    batch.refuse(told.row, "family", Problem::Passport);
                }
                Some(passport) if told.active && !outranked.contains_key(&person.to_string()) => {
                    let passport = passport.clone();
                    with.push((told, person, passport));
                }
                _ => without.push((told, person)),
            }
        }
        if with.is_empty() {
            return Ok(without);
        }
        let vault = self.inner.vault.as_ref().filter(|vault| matches!(vault.state(), VaultState::Open { .. }));
        let Some(vault) = vault else {
            with.iter().for_each(|(told, ..)| batch.refuse(told.row, "family", Problem::VaultLocked));
            return Ok(without);
        };
        // Telling of somebody includes what the vault knows of them: the feed itself may not open or correct anything.
        let mut acting = acting.clone();
        acting.rights.add(&[Permission::PersonEdit], &[], &Zones::All);
        let mut last: BTreeMap<PersonId, PassportChange> = BTreeMap::new();
        for (_, person, passport) in &with {
            last.insert(*person, passport.clone());
        }
        match vault.load(&acting, last.into_iter().collect(), Purpose::Maintenance).await {
            Ok(_) => without.extend(with.into_iter().map(|(told, person, _)| (told, person))),
            Err(VaultError::Denied(denied)) => return Err(denied.into()),
            // One of them spoils the batch: each by itself.
            Err(_) => {
                for (told, person, passport) in with {
                    match vault.put(&acting, person, passport, Purpose::Maintenance).await {
                        Ok(()) => without.push((told, person)),
                        Err(VaultError::Erased(_)) => batch.refuse(told.row, "id", Problem::Erased),
                        Err(VaultError::Refused(_)) => batch.refuse(told.row, "family", Problem::Passport),
                        Err(VaultError::Store(error)) => return Err(error.into()),
                        Err(_) => batch.refuse(told.row, "family", Problem::VaultLocked),
                    }
                }
            }
        }
        Ok(without)
    }

    /// Of which of these persons a source tells that is believed first, by person: that source and its content.
    async fn outranked(
        &self,
        source: &Source,
        kind: FeedKind,
        persons: impl Iterator<Item = PersonId>,
    ) -> Result<HashMap<String, (String, String)>, Error> {
        let ids: Vec<String> = persons.map(|person| person.to_string()).collect();
        let mut outranked = HashMap::new();
        for ids in ids.chunks(1000) {
            let rows: Vec<(String, String, String)> = read!(self.inner.database, "feeds.others", |conn| {
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT person, source, content FROM feed_record WHERE ended_ms IS NULL AND kind = ",
                );
                select.push_bind(kind.as_str()).push(" AND source <> ").push_bind(source.as_str());
                select.push(" AND person IN (");
                let mut list = select.separated(", ");
                for id in ids {
                    list.push_bind(id.clone());
                }
                select.push(")");
                Ok(select.build_query_as().persistent(false).fetch_all(&mut *conn).await?)
            })?;
            for (person, other, content) in rows {
                let Ok(by) = Source::new(&other) else { continue };
                if self.inner.settings.is_before(&by, source) {
                    outranked.insert(person, (other, content));
                }
            }
        }
        Ok(outranked)
    }

    #[expect(clippy::too_many_arguments, reason = "one batch, one transaction")]
    async fn write_persons(
        &self,
        acting: &Acting,
        source: &Source,
        kind: FeedKind,
        told: Vec<(Told, PersonId)>,
        known: HashMap<String, Known>,
        batch: &mut Batch,
        now: UtcMillis,
    ) -> Result<(), FeedError> {
        if told.is_empty() {
            return Ok(());
        }
        let outranked = self.outranked(source, kind, told.iter().map(|(_, person)| *person)).await?;
        let settings = self.inner.settings.clone();
        let kinds: &'static [PassKind] = match kind {
            FeedKind::Staff => &[PassKind::Staff],
            _ => &[PassKind::Patient, PassKind::PatientTemporary],
        };
        let entry = batch.entry(acting, source, kind, now);
        let source_name = source.to_string();
        let (source, database) = (source.clone(), self.inner.database.clone());
        let (done, refused) = transact!(database, "feeds.persons", |conn| {
            let persons: Vec<String> = told.iter().map(|(_, person)| person.to_string()).collect();
            let cards: Vec<String> =
                told.iter().flat_map(|(told, _)| told.cards.iter().flatten().map(|card| card.id.clone())).collect();
            let (there_passes, brought) = passes_there!(conn, Db, &persons, &cards);
            let windows = match kind {
                FeedKind::Patients => windows!(conn, Db, &settings, &persons, now),
                _ => HashMap::new(),
            };
            let mut taken: HashMap<String, String> = HashMap::new();
            if kind == FeedKind::Staff {
                let rows: Vec<(String, Option<String>, Option<String>)> =
                    sqlx::query_as("SELECT person, login, practitioner FROM staff").fetch_all(&mut *conn).await?;
                for (person, login, practitioner) in rows {
                    taken.extend(login.map(|login| (format!("l{login}"), person.clone())));
                    taken.extend(practitioner.map(|it| (format!("p{it}"), person)));
                }
            }
            let there = There { passes: &there_passes, brought: &brought, source: &source_name, now };
            let mut writes = Writes::default();
            let (mut rows, mut refused, mut changes, mut staff) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let (mut differences, mut agreed) = (Vec::new(), Vec::new());
            let mut given: HashMap<String, PersonId> = HashMap::new();
            let mut done = Batch::default();
            let mut languages: BTreeMap<String, Option<Spoken>> = BTreeMap::new();
            for (told, person) in &told {
                let id = person.to_string();
                let before = known.get(told.id.reveal());
                let record = Row {
                    external: told.id.reveal().to_owned(),
                    version_ms: told.changed.map(|at| at.0).or(before.and_then(|before| before.version_ms)),
                    digest: told.digest.clone(),
                    content: told.content.clone(),
                    person: Some(id.clone()),
                    ended_ms: (!told.active).then(|| told.until.map_or(now.0, |at| at.0.min(now.0))),
                };
                if let Some((believed, content)) = outranked.get(&id) {
                    languages.extend(told.language.clone().map(|language| (id.clone(), language)));
                    if *content != told.content && told.active {
                        differences.push((id.clone(), believed.clone()));
                        done.report.differences += 1;
                    } else {
                        agreed.push(id.clone());
                    }
                    done.count(before, told.active);
                    rows.push(record);
                    continue;
                }
                agreed.push(id.clone());
                if let Some(new) = &told.staff {
                    let mut names = new
                        .login
                        .iter()
                        .map(|login| format!("l{login}"))
                        .chain(new.practitioner.iter().map(|practitioner| format!("p{practitioner}")));
                    if names.any(|name| taken.insert(name, id.clone()).is_some_and(|other| other != id)) {
                        refused.push((told.row, "login", Problem::NameTaken));
                        continue;
                    }
                }
                let wish = Wish {
                    person: *person,
                    cards: told.cards.as_deref(),
                    category: told.category.as_deref(),
                    from: told.from,
                    until: told.until,
                    active: told.active,
                    window: windows.get(&id).copied().filter(|_| told.until.is_none()),
                    kinds,
                };
                let twice = told
                    .cards
                    .iter()
                    .flatten()
                    .any(|card| given.insert(card.id.clone(), *person).is_some_and(|other| other != *person));
                match passes::plan(&wish, &there) {
                    Ok(_) if twice => {
                        refused.push((told.row, "card_number", Problem::CardTaken));
                        continue;
                    }
                    Ok(own) => writes.add(own),
                    Err(problem) => {
                        refused.push((told.row, "card_number", problem));
                        continue;
                    }
                }
                languages.extend(told.language.clone().map(|language| (id.clone(), language)));
                done.count(before, told.active);
                rows.push(record);
                let what = if kind == FeedKind::Staff { ChangeKind::StaffChanged } else { ChangeKind::PersonChanged };
                let reason = match (before, told.active) {
                    (None, true) => "added",
                    (_, true) => "changed",
                    (_, false) => "ended",
                };
                let change =
                    Change { reason: Some(reason.to_owned()), ..Change::new(now, told.changed.unwrap_or(now), what) };
                changes.push(match kind {
                    FeedKind::Staff => Change { staff: Some(*person), ..change },
                    _ => Change { patient: Some(*person), ..change },
                });
                if kind == FeedKind::Staff {
                    staff.push((id, told.staff.clone(), told.active, told.until));
                }
            }
            // A pass may stand in two records of one person: the later one counts.
            dedup(&mut writes);
            write_passes!(conn, Db, &writes, source_name, now);
            let ended = |active: bool, until: Option<UtcMillis>| match (active, until) {
                (true, until) => until.map(|at| at.0),
                (false, until) => Some(until.map_or(now.0, |at| at.0.min(now.0))),
            };
            let working: Vec<_> = staff.iter().filter(|(_, staff, ..)| staff.is_some()).collect();
            if !working.is_empty() {
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO staff (person, role, login, practitioner, specialty, ended_ms, changed_ms) ",
                );
                insert.push_values(working, |mut row, (person, staff, active, until)| {
                    let (role, login, practitioner, specialty) = match staff {
                        Some(it) => (it.role.clone(), it.login.clone(), it.practitioner.clone(), it.specialty.clone()),
                        None => (String::new(), None, None, None),
                    };
                    row.push_bind(person.clone())
                        .push_bind(role)
                        .push_bind(login)
                        .push_bind(practitioner)
                        .push_bind(specialty)
                        .push_bind(ended(*active, *until))
                        .push_bind(now.0);
                });
                insert.push(
                    " ON CONFLICT (person) DO UPDATE SET role = excluded.role, login = excluded.login,
                          practitioner = excluded.practitioner, specialty = excluded.specialty,
                          ended_ms = excluded.ended_ms, changed_ms = excluded.changed_ms",
                );
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            // Those of whom the record says no role: an earlier row ends with the record.
            let gone: Vec<&String> =
                staff.iter().filter(|(_, staff, active, _)| staff.is_none() && !active).map(|(id, ..)| id).collect();
            if !gone.is_empty() {
                let mut update = sqlx::QueryBuilder::<Db>::new("UPDATE staff SET ended_ms = ");
                update.push_bind(now.0).push(", changed_ms = ").push_bind(now.0);
                update.push(" WHERE (ended_ms IS NULL OR ended_ms > ").push_bind(now.0).push(") AND person IN (");
                let mut list = update.separated(", ");
                for id in gone {
                    list.push_bind(id.clone());
                }
                update.push(")");
                update.build().persistent(false).execute(&mut *conn).await?;
            }
            if !differences.is_empty() {
                differences.sort();
                differences.dedup_by(|a, b| a.0 == b.0);
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO feed_difference (person, kind, source, believed, at_ms) ",
                );
                insert.push_values(&differences, |mut row, (person, believed)| {
                    row.push_bind(person.clone())
                        .push_bind(kind.as_str())
                        .push_bind(source_name.clone())
                        .push_bind(believed.clone())
                        .push_bind(now.0);
                });
                insert.push(
                    " ON CONFLICT (person, kind, source) DO UPDATE SET believed = excluded.believed,
                          at_ms = excluded.at_ms",
                );
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            if !agreed.is_empty() {
                let mut delete = sqlx::QueryBuilder::<Db>::new("DELETE FROM feed_difference WHERE kind = ");
                delete.push_bind(kind.as_str()).push(" AND source = ").push_bind(source_name.clone());
                delete.push(" AND person IN (");
                let mut list = delete.separated(", ");
                for id in &agreed {
                    list.push_bind(id.clone());
                }
                delete.push(")");
                delete.build().persistent(false).execute(&mut *conn).await?;
            }
            if !languages.is_empty() {
                let mut select =
                    sqlx::QueryBuilder::<Db>::new("SELECT id, language_told, language_by FROM person WHERE id IN (");
                let mut list = select.separated(", ");
                for id in languages.keys() {
                    list.push_bind(id.clone());
                }
                select.push(")");
                let there: Vec<(String, Option<String>, Option<String>)> =
                    select.build_query_as().persistent(false).fetch_all(&mut *conn).await?;
                let may = |other: &str| Source::new(other).is_ok_and(|other| settings.is_before(&source, &other));
                let news = language_news(&languages, &there, Some(&source_name), may);
                write_told!(conn, Db, &news);
            }
            save_records!(conn, Db, &rows, source_name, kind, now);
            let entry = done.described(&entry);
            audit::record!(conn, &entry);
            Feed::append_changes(&mut *conn, &changes).await?;
            Ok((done, refused))
        })?;
        batch.add(done);
        for (row, field, problem) in refused {
            batch.refuse(row, field, problem);
        }
        Ok(())
    }
}

fn dedup(writes: &mut Writes) {
    writes.close.sort_unstable();
    writes.close.dedup();
    let mut last: HashMap<String, usize> = HashMap::new();
    for (at, pass) in writes.passes.iter().enumerate() {
        last.insert(pass.card.clone(), at);
    }
    let mut at = 0;
    writes.passes.retain(|pass| {
        at += 1;
        last.get(&pass.card) == Some(&(at - 1))
    });
    let mut seen = HashSet::new();
    writes.brought.reverse();
    writes.brought.retain(|(card, ..)| seen.insert(card.clone()));
}

/// Random for everybody who does not know the seed, and the same when the transaction runs again.
fn drawn(seed: &[u8; 32], ids: &[(String, String)]) -> PersonId {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new_with_prefix(seed);
    for (system, value) in ids.iter().take(1) {
        hash.update((system.len() as u64).to_be_bytes());
        hash.update(system);
        hash.update(value);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    PersonId(id)
}

pub(super) fn parse_person(text: &str) -> Result<PersonId, Error> {
    column("person_alias", "person", text, |text: &str| text.parse())
}

impl Refusal {
    pub(super) fn new(row: u64, field: &'static str, problem: Problem) -> Self {
        let words = problem.advice().to_owned();
        Self { row, field, problem, words }
    }
}

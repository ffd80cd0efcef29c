//! Many waiting registrations in one transaction: everything that they depend on is read with a constant number of
//! statements, each is decided about in memory in its turn, and what came of it is written with as few.

use std::collections::{BTreeMap, BTreeSet};

use domain::till::terms::Terms;
use domain::till::{ChargeState, EntryKind, Mode};
use domain::visit::OutOfCardKind;
use domain::{CardId, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, Error, padded, transact};

use super::Rules;
use super::charge::Charge;
use super::decide::{No, Session, Wish, World, postings_of};
use super::ledger::{LedgerOn, NewEntry};
use super::resolve::{ResolveOn, in_list};
use super::rows::{ChargesOn, NewRow, detail};
use crate::acting::Actor;
use crate::audit::{Action, Draft, Log, Outcome, Purpose};
use crate::changes::{Change, ChangeKind, Feed};
use crate::irregular::{Case, IrregularOn, began, entry_of};
use crate::rows::{column, optional};
use crate::visits::{How, Visit, VisitRow, select_visit};

/// Where and when a batch is worked.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub rules: Rules,
    pub zone: chrono_tz::Tz,
    pub now: UtcMillis,
}

/// What came of each wish, in their order.
pub(super) type Outcomes = Vec<Result<Charge, No>>;

/// Works a batch.
///
/// # Errors
/// The database: then nothing of the batch was done, or, when the connection broke at the commit, all of it or nothing.
pub(super) async fn run(
    database: &Database,
    setting: Setting,
    wishes: std::sync::Arc<Vec<Wish>>,
) -> Result<Outcomes, Error> {
    transact!(database, "till.register", |conn| {
        conn.take_turn().await?;
        let mut world = read(conn, &setting, &wishes).await?;
        let outcomes: Outcomes = wishes.iter().map(|wish| world.decide(wish)).collect();
        write(conn, &setting, &world, &wishes, outcomes).await
    })
}

/// An engine's connection inside a transaction, with what of other modules a registration depends on.
pub(super) trait PlacesOn {
    /// Visits by their ids.
    ///
    /// # Errors
    /// Engine errors.
    async fn visits_of(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Visit>, Error>;

    /// Bindings by their ids, those that have not ended.
    ///
    /// # Errors
    /// Engine errors.
    async fn sessions_of(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Session>, Error>;

    /// Staff by their accounts.
    ///
    /// # Errors
    /// Engine errors.
    async fn staff_by_account(&mut self, accounts: &BTreeSet<String>) -> Result<BTreeMap<String, PersonId>, Error>;
}

macro_rules! places_on {
    ($connection:ty) => {
        impl PlacesOn for $connection {
            async fn visits_of(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Visit>, Error> {
                if ids.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let list = padded(ids);
                let rows: Vec<VisitRow> = in_list!(self, $connection, select_visit!("WHERE id IN ("), &list, ")");
                rows.into_iter().map(|row| row.read().map(|visit| (visit.id.clone(), visit))).collect()
            }

            async fn sessions_of(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Session>, Error> {
                const T: &str = "desk_session";
                if ids.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let list = padded(ids);
                let rows: Vec<(String, String, String, String, Option<String>, String, i64)> = in_list!(
                    self,
                    $connection,
                    "SELECT id, workstation, zone, person, card, state, confirmed_ms FROM desk_session
                     WHERE ended_ms IS NULL AND id IN (",
                    &list,
                    ")"
                );
                let mut found = BTreeMap::new();
                for (id, workstation, zone, person, card, state, confirmed) in rows {
                    let session = Session {
                        workstation: column(T, "workstation", &workstation, PointId::new)?,
                        zone: Some(column(T, "zone", &zone, ZoneId::new)?),
                        staff: column(T, "person", &person, str::parse)?,
                        card: optional(T, "card", card.as_deref(), str::parse::<CardId>)?,
                        is_usable: state == "open",
                        confirmed: UtcMillis(confirmed),
                    };
                    found.insert(id, session);
                }
                Ok(found)
            }

            async fn staff_by_account(
                &mut self,
                accounts: &BTreeSet<String>,
            ) -> Result<BTreeMap<String, PersonId>, Error> {
                if accounts.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let list = padded(accounts);
                let rows: Vec<(String, String)> = in_list!(
                    self,
                    $connection,
                    "SELECT account, person FROM staff WHERE ended_ms IS NULL AND account IN (",
                    &list,
                    ")"
                );
                let read = |(account, person): (String, String)| {
                    Ok((account, column("staff", "person", &person, str::parse)?))
                };
                rows.into_iter().map(read).collect()
            }
        }
    };
}

store::for_each_connection!(places_on);

/// Reads what the wishes depend on.
async fn read<C: LedgerOn + ResolveOn + ChargesOn + PlacesOn>(
    conn: &mut C,
    setting: &Setting,
    wishes: &[Wish],
) -> Result<World, Error> {
    let now = setting.now;
    let today = super::day_in(setting.zone, now);
    let day = conn.posting_day(today).await?;
    let mut world = World::at(now, setting.zone, day, &setting.rules);
    let keys: Vec<&str> = wishes.iter().map(|wish| wish.new.key.as_str()).collect();
    for (key, asked, charge) in conn.by_keys(&keys).await? {
        world.used.insert(key, (asked, charge));
    }
    let visits = wishes.iter().filter_map(|wish| wish.new.visit.clone()).collect();
    world.visits = conn.visits_of(&visits).await?;
    let sessions = wishes.iter().filter_map(|wish| wish.new.session.clone()).collect();
    world.sessions = conn.sessions_of(&sessions).await?;
    let account_of = |wish: &Wish| match &wish.acting.actor {
        Actor::Account(account) => Some(account.clone()),
        _ => None,
    };
    world.staff = conn.staff_by_account(&wishes.iter().filter_map(account_of).collect()).await?;
    let persons: BTreeSet<PersonId> =
        wishes.iter().map(|wish| wish.new.patient).chain(world.visits.values().map(|visit| visit.patient)).collect();
    world.persons = conn.persons(&persons).await?;
    let patients: BTreeSet<PersonId> = wishes.iter().filter_map(|wish| world.patient(wish.new.patient)).collect();
    let patients: Vec<PersonId> = patients.into_iter().collect();
    let services = wishes.iter().map(|wish| wish.new.service.clone()).collect();
    world.services = conn.prices(&services, now).await?;
    let currencies: BTreeSet<_> =
        wishes.iter().map(|wish| wish.new.currency.unwrap_or(setting.rules.currency)).collect();
    read_terms(conn, &mut world, &patients, &currencies).await?;
    Ok(world)
}

/// Reads what counts for patients: terms and everything that they name.
pub(super) async fn read_terms<C: LedgerOn + ResolveOn>(
    conn: &mut C,
    world: &mut World,
    patients: &[PersonId],
    currencies: &BTreeSet<domain::money::Currency>,
) -> Result<(), Error> {
    world.terms = conn.terms_for(patients, world.today).await?;
    let all = || world.terms.values().flatten();
    let postpaid = |terms: &&Terms| terms.mode == Mode::Postpaid;
    let pots = all().filter(postpaid).filter_map(|terms| Some((terms.pot.clone()?, terms.currency))).collect();
    let schemes = all().filter_map(|terms| terms.scheme.clone()).collect();
    let mut owners: BTreeSet<String> = patients.iter().map(ToString::to_string).collect();
    owners.extend(all().filter(postpaid).filter_map(|terms| terms.pot.clone()));
    let accounts =
        patients.iter().flat_map(|patient| currencies.iter().map(move |currency| (*patient, *currency))).collect();
    world.accounts = conn.accounts(&accounts).await?;
    world.pots = conn.pots(&pots).await?;
    world.schemes = conn.schemes(&schemes).await?;
    world.overrides = conn.overrides(&owners, world.now).await?;
    Ok(())
}

/// Writes what was decided. Order: balances, pots, numbers, the audit log, charges, the ledger, the feed of changes.
async fn write<C: LedgerOn + ChargesOn + IrregularOn + Log + Feed>(
    conn: &mut C,
    setting: &Setting,
    world: &World,
    wishes: &[Wish],
    outcomes: Outcomes,
) -> Result<Outcomes, Error> {
    // A repetition gives the charge that is there: it has a number, or its first of this batch comes before it.
    let mut fresh: Vec<(usize, Charge)> = Vec::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        if let Ok(charge) = outcome.as_ref()
            && charge.id == wishes[index].id
        {
            fresh.push((index, charge.clone()));
        }
    }
    let accounts = world.touched.iter().filter_map(|key| Some((*key, *world.accounts.get(key)?))).collect();
    conn.save_accounts(&accounts).await?;
    let pots = world.drained.iter().filter_map(|key| Some((key.clone(), *world.pots.get(key)?))).collect();
    conn.save_pots(&pots, setting.now).await?;
    if !fresh.is_empty() {
        let first = conn.take_numbers(fresh.len()).await?;
        for ((_, charge), no) in fresh.iter_mut().zip(first..) {
            charge.no = no;
        }
    }

    // Entries of the audit log in the order of the wishes: the case before its charge, refusals in their place.
    let mut drafts = Vec::with_capacity(wishes.len());
    let mut cases: Vec<(usize, Case)> = Vec::new();
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut made = fresh.iter().peekable();
    for (index, (wish, outcome)) in wishes.iter().zip(&outcomes).enumerate() {
        match outcome {
            Err(no) => drafts.push(refusal(world, wish, no)),
            Ok(_) => {
                let Some((_, charge)) = made.next_if(|(at, _)| *at == index) else { continue };
                if let Some(case) = case_of(setting, wish, charge) {
                    let words = wish.new.out_of_card.as_ref().map(|(_, words)| words.clone());
                    let how = How::by(&wish.acting, setting.now);
                    let merged = (charge.patient != wish.new.patient).then_some(wish.new.patient);
                    cases.push((drafts.len(), case.clone()));
                    drafts.push(entry_of(&case, &how, words, merged));
                }
                numbers.insert(index, drafts.len());
                drafts.push(registered(world, wish, charge));
            }
        }
    }
    let number = if drafts.is_empty() { 0 } else { conn.append_all(&drafts).await? };
    let entry_at = |place: usize| number + u64::try_from(place).unwrap_or(0);
    for (index, charge) in &mut fresh {
        charge.entry = numbers.get(index).map_or(0, |place| entry_at(*place));
    }
    let cases: Vec<Case> = cases.into_iter().map(|(place, case)| Case { entry: entry_at(place), ..case }).collect();
    conn.insert_cases(&cases).await?;
    let rows: Vec<NewRow<'_>> = fresh
        .iter()
        .map(|(index, charge)| NewRow { charge, key: &wishes[*index].new.key, asked: &wishes[*index].asked })
        .collect();
    conn.insert_charges(&rows).await?;
    let entries: Vec<NewEntry> = fresh.iter().filter_map(|(_, charge)| entry(charge, setting.now)).collect();
    if !entries.is_empty() {
        conn.post(&entries).await?;
    }
    conn.append_changes(&changes(setting, world, wishes, &outcomes, &fresh, &cases)).await?;

    // What is answered has numbers, also where a key came twice in one batch.
    let by_id: BTreeMap<&str, &Charge> = fresh.iter().map(|(_, charge)| (charge.id.as_str(), charge)).collect();
    let answer = |charge: Charge| by_id.get(charge.id.as_str()).map_or(charge.clone(), |made| (*made).clone());
    Ok(outcomes.iter().cloned().map(|outcome| outcome.map(answer)).collect())
}

/// The case of a charge without a visit.
fn case_of(setting: &Setting, wish: &Wish, charge: &Charge) -> Option<Case> {
    let id = charge.irregular.clone()?;
    let (code, _) = wish.new.out_of_card.as_ref()?;
    Some(Case {
        id,
        kind: OutOfCardKind::Service,
        code: *code,
        staff: charge.staff,
        patient: Some(charge.patient),
        visit: None,
        workstation: charge.workstation.clone(),
        zone: charge.zone.clone(),
        session: wish.new.session.clone(),
        source: None,
        entry: 0,
        at: setting.now,
        expires: None,
        ended: Some(setting.now),
        due: setting.now.plus_ms(setting.rules.review_ms),
        review: None,
    })
}

/// The entry about a charge.
fn registered(world: &World, wish: &Wish, charge: &Charge) -> Draft {
    let merged = match charge.patient == wish.new.patient {
        true => String::new(),
        false => format!("; merged_from={}", wish.new.patient),
    };
    Draft {
        session: wish.new.session.clone().or_else(|| wish.acting.session.clone()),
        subject: Some(charge.patient),
        object: Some(charge.id.clone()),
        purpose: Some(Purpose::Treatment),
        detail: Some(detail(charge, &merged, &postings_of(charge))),
        ..wish.acting.draft(world.now, Action::ServiceRegistered)
    }
}

/// The entry about a refusal: the code and the numbers. What was typed as the service stands in it only when there is such
/// a service.
fn refusal(world: &World, wish: &Wish, no: &No) -> Draft {
    let mut words = format!("code={}; quantity={}", no.code(), wish.new.quantity);
    words.push_str(&format!("; currency={}", wish.new.currency.unwrap_or(world.currency)));
    if let No::Refused(refusal) = no {
        words.push_str(&numbers_of(refusal));
    }
    Draft {
        session: wish.new.session.clone().filter(|id| world.sessions.contains_key(id)),
        outcome: Outcome::Refused,
        subject: world.persons.get(&wish.new.patient).map(|known| known.survivor),
        object: world.services.contains_key(&wish.new.service).then(|| wish.new.service.clone()),
        purpose: Some(Purpose::Treatment),
        detail: Some(words),
        ..wish.acting.draft(world.now, Action::ServiceRefused)
    }
}

/// The numbers of a refusal, in minor units.
fn numbers_of(refusal: &domain::till::Refusal) -> String {
    use domain::till::Refusal as R;
    match refusal {
        R::PriceChanged { shown, now } => format!("; shown={}; now={}", shown.minor(), now.minor()),
        R::PatientLimit { limit, left, missing } | R::PotLimit { limit, left, missing } => {
            format!("; limit={}; left={}; missing={}", limit.minor(), left.minor(), missing.minor())
        }
        R::Deposit { left, missing } => format!("; left={}; missing={}", left.minor(), missing.minor()),
        R::NotPaid { missing } => format!("; missing={}", missing.minor()),
        R::NoTerms | R::OtherCurrency | R::NoPrice | R::Quantity | R::TooLarge => String::new(),
    }
}

/// What a charge posts; nothing for an order and for what costs nothing.
fn entry(charge: &Charge, now: UtcMillis) -> Option<NewEntry> {
    let postings = postings_of(charge);
    (!postings.is_empty()).then(|| NewEntry {
        kind: EntryKind::Rendered,
        at: now,
        day: charge.day,
        currency: charge.currency,
        patient: Some(charge.patient),
        charge: Some(charge.id.clone()),
        payment: None,
        shift: None,
        audit: charge.entry,
        postings,
    })
}

/// What is told, in the order of the wishes.
fn changes(
    setting: &Setting,
    world: &World,
    wishes: &[Wish],
    outcomes: &Outcomes,
    fresh: &[(usize, Charge)],
    cases: &[Case],
) -> Vec<Change> {
    let mut told: Vec<Change> = cases.iter().map(|case| began(case, setting.now)).collect();
    for (index, charge) in fresh {
        let kind = match charge.state {
            ChargeState::Ordered => ChangeKind::ChargeOrdered,
            ChargeState::Rendered | ChargeState::Cancelled => ChangeKind::ChargeRendered,
        };
        told.push(change_of(charge, wishes[*index].new.session.clone(), kind, setting.now));
    }
    for (wish, outcome) in wishes.iter().zip(outcomes) {
        let (Err(No::Refused(refusal)), Some(patient)) = (outcome, world.patient(wish.new.patient)) else { continue };
        let session = wish.new.session.as_ref().and_then(|id| world.sessions.get(id).map(|session| (id, session)));
        told.push(Change {
            reason: Some(refusal.code().to_owned()),
            workstation: session.map(|(_, session)| session.workstation.clone()),
            session: session.map(|(id, _)| id.clone()),
            staff: session.map(|(_, session)| session.staff),
            patient: Some(patient),
            visit: wish.new.visit.clone().filter(|visit| world.visits.contains_key(visit)),
            ..Change::new(setting.now, setting.now, ChangeKind::ChargeRefused)
        });
    }
    told
}

/// A change about a charge.
pub(super) fn change_of(charge: &Charge, session: Option<String>, kind: ChangeKind, now: UtcMillis) -> Change {
    Change {
        workstation: charge.workstation.clone(),
        session,
        staff: charge.staff,
        patient: Some(charge.patient),
        visit: charge.visit.clone(),
        detail: Some(charge.id.clone()),
        ..Change::new(now, now, kind)
    }
}

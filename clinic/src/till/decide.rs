//! Deciding about waiting registrations, one after the other, in memory: what is known comes in, each accepted one changes
//! what the next one finds. The rule itself is [`domain::till::register`]. No statements here.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::terms::{Terms, choose};
use domain::till::{Account, Bounds, ChargeState, Mode, Refusal, Scheme, Wanted, posting};
use domain::visit::may_be_seen_by;
use domain::{CardId, PersonId, PointId, UtcMillis, ZoneId};

use super::charge::{Charge, NewCharge};
use super::ledger::{AccountKey, Pot, PotKey};
use super::resolve::{Known, OF_PATIENT, OF_POT, OverrideKey, SchemeNow, ServiceNow};
use super::{Rules, TillError, day_in};
use crate::acting::{Acting, Actor};
use crate::visits::Visit;

/// How far ahead a confirmation may lie: the clocks of two gateways differ a little.
const SKEW_MS: i64 = domain::visit::SKEW_MS;

/// A registration that waits.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// The id that the charge gets.
    pub id: String,
    /// The id that the case of work without the card gets.
    pub case: String,
    /// A hash of what is asked.
    pub asked: String,
    pub new: NewCharge,
    pub acting: Acting,
}

/// Why a wish was not fulfilled; a value, because it is decided inside a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum No {
    Refused(Refusal),
    NotFound,
    NotTheirs,
    KeyReused,
    /// The workstation is locked, or nobody or somebody else is bound there.
    NotBound,
    /// The last tap is too long ago for work without the card.
    NotFresh,
    UnknownService,
    /// The patient is not in a visit of who renders what was ordered.
    NotHere,
}

impl No {
    /// A stable code for the audit log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::NotFound => "not_found",
            Self::NotTheirs => "not_theirs",
            Self::KeyReused => "key_reused",
            Self::NotBound => "not_bound",
            Self::NotFresh => "not_fresh",
            Self::UnknownService => "no_service",
            Self::NotHere => "not_here",
        }
    }
}

impl From<No> for TillError {
    fn from(no: No) -> Self {
        let session = |problem: &str| Self::Invalid { field: "session", problem: problem.to_owned() };
        match no {
            No::Refused(refusal) => Self::Refused(refusal),
            No::NotFound => Self::NotFound,
            No::NotTheirs => Self::NotTheirs,
            No::KeyReused => Self::KeyReused,
            No::NotBound => session("the workstation is locked or somebody else works there now; tap your card"),
            No::NotFresh => session("tap your card or enter your PIN first: work without the patient's card needs it"),
            No::UnknownService => {
                Self::Invalid { field: "service", problem: "there is no service of this code".to_owned() }
            }
            No::NotHere => {
                let problem = "the patient is in no visit of yours; they tap their card first";
                Self::Invalid { field: "visit", problem: problem.to_owned() }
            }
        }
    }
}

/// A binding of a workstation.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub workstation: PointId,
    pub zone: Option<ZoneId>,
    pub staff: PersonId,
    pub card: Option<CardId>,
    /// In force, not locked, no second factor wanted.
    pub is_usable: bool,
    pub confirmed: UtcMillis,
}

/// What is known, of everything that the waiting registrations name.
#[derive(Debug)]
pub(super) struct World {
    pub now: UtcMillis,
    pub zone: Tz,
    /// The clinic's day now, and the day that is posted to.
    pub today: LocalDate,
    pub day: LocalDate,
    pub currency: Currency,
    pub fresh_ms: i64,
    /// Keys that were used: what was asked with them, and what came of it.
    pub used: BTreeMap<String, (String, Charge)>,
    pub persons: BTreeMap<PersonId, Known>,
    pub visits: BTreeMap<String, Visit>,
    pub sessions: BTreeMap<String, Session>,
    /// Staff by account.
    pub staff: BTreeMap<String, PersonId>,
    pub services: BTreeMap<String, ServiceNow>,
    pub terms: BTreeMap<PersonId, Vec<Terms>>,
    pub schemes: BTreeMap<String, SchemeNow>,
    pub accounts: BTreeMap<AccountKey, Account>,
    pub pots: BTreeMap<PotKey, Pot>,
    pub overrides: BTreeMap<OverrideKey, Amount>,
    /// What the accepted ones changed.
    pub touched: BTreeSet<AccountKey>,
    pub drained: BTreeSet<PotKey>,
}

/// Where, by whom and for whom a service is registered.
struct Place {
    patient: PersonId,
    staff: Option<PersonId>,
    workstation: Option<PointId>,
    zone: Option<ZoneId>,
    card: Option<CardId>,
}

impl World {
    /// Nothing is known but when, and how the till is kept.
    pub fn at(now: UtcMillis, zone: Tz, day: LocalDate, rules: &Rules) -> Self {
        Self {
            now,
            zone,
            today: day_in(zone, now),
            day,
            currency: rules.currency,
            fresh_ms: rules.fresh_ms,
            used: BTreeMap::new(),
            persons: BTreeMap::new(),
            visits: BTreeMap::new(),
            sessions: BTreeMap::new(),
            staff: BTreeMap::new(),
            services: BTreeMap::new(),
            terms: BTreeMap::new(),
            schemes: BTreeMap::new(),
            accounts: BTreeMap::new(),
            pots: BTreeMap::new(),
            overrides: BTreeMap::new(),
            touched: BTreeSet::new(),
            drained: BTreeSet::new(),
        }
    }

    /// The record that is left of a patient, if there is one and it can be charged.
    pub fn patient(&self, person: PersonId) -> Option<PersonId> {
        self.persons.get(&person).filter(|known| !known.is_erased).map(|known| known.survivor)
    }

    /// The terms that count for a patient. Of another currency, if there are none in this one: then it is that which is
    /// refused.
    pub fn terms_of(&self, patient: PersonId, currency: Currency) -> Option<&Terms> {
        let all = self.terms.get(&patient)?;
        let other = || all.iter().find(|terms| terms.is_valid_on(self.today));
        choose(all, currency, self.today).or_else(other)
    }

    /// The scheme of some terms, in their currency.
    pub fn scheme_of(&self, terms: &Terms) -> Option<&Scheme> {
        let scheme = self.schemes.get(terms.scheme.as_deref()?)?;
        (scheme.currency == terms.currency).then_some(&scheme.scheme)
    }

    /// What supervisors allowed on top.
    pub fn extra(&self, target: &'static str, owner: &str, currency: Currency) -> Amount {
        self.overrides.get(&(target, owner.to_owned(), currency)).copied().unwrap_or(Amount::ZERO)
    }

    /// What bounds a patient on terms now.
    pub fn bounds_of(&self, patient: PersonId, terms: &Terms) -> Bounds {
        if terms.mode != Mode::Postpaid {
            return Bounds::default();
        }
        let more = |limit: Amount, extra: Amount| limit.plus(extra).unwrap_or(limit);
        let extra = || self.extra(OF_PATIENT, &patient.to_string(), terms.currency);
        let pot = terms.pot.as_ref().map(|payer| {
            let pot = self.pots.get(&(payer.clone(), terms.currency)).copied().unwrap_or_default();
            (more(pot.limit, self.extra(OF_POT, payer, terms.currency)), pot.used)
        });
        Bounds { limit: terms.limit.map(|limit| more(limit, extra())), pot }
    }

    /// Decides about one. What it changes the next one finds.
    pub fn decide(&mut self, wish: &Wish) -> Result<Charge, No> {
        if let Some((asked, charge)) = self.used.get(&wish.new.key) {
            return if *asked == wish.asked { Ok(charge.clone()) } else { Err(No::KeyReused) };
        }
        let place = self.place(wish)?;
        let charge = self.charge(wish, place)?;
        self.used.insert(wish.new.key.clone(), (wish.asked.clone(), charge.clone()));
        Ok(charge)
    }

    /// Whether they may register there for this patient.
    fn place(&self, wish: &Wish) -> Result<Place, No> {
        let new = &wish.new;
        let patient = self.patient(new.patient).ok_or(No::NotFound)?;
        let own = match &wish.acting.actor {
            Actor::Staff(person) => Some(*person),
            Actor::Account(account) => self.staff.get(account).copied(),
            _ => None,
        };
        let session = match &new.session {
            None => None,
            Some(id) => {
                let session = self.sessions.get(id).filter(|session| session.is_usable).ok_or(No::NotBound)?;
                if own != Some(session.staff) {
                    return Err(No::NotTheirs);
                }
                Some(session)
            }
        };
        let (workstation, zone, card) = match session {
            Some(session) => (Some(session.workstation.clone()), session.zone.clone(), session.card),
            None => (None, None, None),
        };
        let Some(visit) = &new.visit else {
            if own.is_some_and(|staff| !may_be_seen_by(patient, staff)) {
                return Err(No::NotTheirs);
            }
            if let Some(session) = session {
                let age = self.now.since_ms(session.confirmed);
                if age > self.fresh_ms || age < -SKEW_MS {
                    return Err(No::NotFresh);
                }
            }
            return Ok(Place { patient, staff: own, workstation, zone, card });
        };
        let visit = self.visits.get(visit).ok_or(No::NotFound)?;
        if self.patient(visit.patient) != Some(patient) {
            return Err(No::NotTheirs);
        }
        // Without a binding only the specialist themselves, or an account or system that answers for it.
        let is_at_desk = session.is_some() || matches!(wish.acting.actor, Actor::Staff(_));
        if is_at_desk && own != Some(visit.staff) {
            return Err(No::NotTheirs);
        }
        if !is_of_day(visit, self.zone, self.today) {
            return Err(No::NotFound);
        }
        Ok(Place {
            patient,
            staff: Some(visit.staff),
            workstation: workstation.or_else(|| Some(visit.workstation.clone())),
            zone: zone.or_else(|| Some(visit.zone.clone())),
            card,
        })
    }

    /// What it costs, whether limits and deposit allow it, and the charge that it becomes.
    fn charge(&mut self, wish: &Wish, place: Place) -> Result<Charge, No> {
        let new = &wish.new;
        let service = self.services.get(&new.service).ok_or(No::UnknownService)?;
        let currency = new.currency.unwrap_or(self.currency);
        let (price_version, unit) = match service.prices.get(&currency) {
            Some((version, unit)) if !service.is_over => (*version, *unit),
            _ => (0, None),
        };
        let wanted = Wanted { unit, currency, quantity: new.quantity, at_home: service.at_home, shown: new.shown };
        let key = (place.patient, currency);
        let account = self.accounts.get(&key).copied().unwrap_or_default();
        let terms = self.terms_of(place.patient, currency);
        let scheme = terms.and_then(|terms| self.scheme_of(terms));
        let bounds = terms.map(|terms| self.bounds_of(place.patient, terms)).unwrap_or_default();
        let done = domain::till::register(&wanted, terms, scheme, &account, &bounds).map_err(No::Refused)?;
        let terms = terms.ok_or(No::Refused(Refusal::NoTerms))?;
        let pot = terms.pot.clone().filter(|_| done.mode == Mode::Postpaid);
        let charge = Charge {
            id: wish.id.clone(),
            no: 0,
            patient: place.patient,
            visit: new.visit.clone(),
            irregular: new.visit.is_none().then(|| wish.case.clone()),
            staff: place.staff,
            workstation: place.workstation,
            zone: place.zone,
            card: place.card,
            service: new.service.clone(),
            price_version,
            quantity: new.quantity,
            currency,
            price: domain::till::Priced {
                discount: domain::till::Discount { next: None, ..done.price.discount },
                ..done.price
            },
            before: account.rendered,
            scheme: scheme.map(|scheme| (scheme.id.clone(), scheme.version)),
            terms: (terms.id.clone(), terms.version),
            mode: done.mode,
            pot: pot.clone(),
            state: if done.rendered { ChargeState::Rendered } else { ChargeState::Ordered },
            paid: if done.mode == Mode::Deposit { done.price.net } else { Amount::ZERO },
            written_off: Amount::ZERO,
            actor_kind: wish.acting.actor.kind().to_owned(),
            actor: wish.acting.actor.id().map(|id| id.into_owned()),
            registered: self.now,
            day: self.day,
            rendered: done.rendered.then_some(self.now),
            cancelled: None,
            entry: 0,
        };
        if done.account != account {
            self.accounts.insert(key, done.account);
            self.touched.insert(key);
        }
        if let (Some(payer), Some(used)) = (pot, done.pot_used) {
            let key = (payer, currency);
            if let Some(pot) = self.pots.get_mut(&key).filter(|pot| pot.used != used) {
                pot.used = used;
                self.drained.insert(key);
            }
        }
        Ok(charge)
    }
}

/// Whether services of a visit may still be registered and rendered on a day: it runs, or ended that day.
pub(super) fn is_of_day(visit: &Visit, zone: Tz, today: LocalDate) -> bool {
    !visit.is_cancelled() && visit.ended.is_none_or(|(at, _)| day_in(zone, at) >= today)
}

/// What a charge that was just registered posts: nothing for an order.
pub(super) fn postings_of(charge: &Charge) -> Vec<domain::till::Posting> {
    if charge.state == ChargeState::Ordered {
        return Vec::new();
    }
    posting::rendered(charge.mode, charge.price.net, charge.price.discount.amount)
}

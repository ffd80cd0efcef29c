//! Shifts: a cashier at a drawer, from its opening with change to its closing with what was counted. One open at a drawer, one
//! of a cashier. Owns the table `till_shift`.

mod rows;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{EntryKind, Ledger, Method, posting};
use domain::{Permission, UtcMillis, codes};
use store::{Error, read, transact};

use super::keys::{self, Asked};
use super::ledger::LedgerOn;
use super::payments::moves::{Moves, What};
use super::payments::rows::PaymentsOn;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::Action;
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::draw;

pub(crate) use rows::{MethodRow, ShiftsOn, read_method};
use rows::{ShiftRow, select_shift};

/// Longest name of a drawer, in bytes.
pub const DRAWER_MAX_BYTES: usize = 40;
/// Most shifts read at once.
pub const SHIFTS_MAX: u32 = 500;

codes! {
    /// Why a drawer, or the slips of the terminal, are not what they should be.
    DifferenceReason {
        /// A mistake when giving change.
        Change = "change",
        /// A mistake when counting.
        Counting = "counting",
        /// A false note or coin.
        Counterfeit = "counterfeit",
        /// A slip is missing or too much, or the terminal says something else.
        Slips = "slips",
        /// Nobody knows.
        Unexplained = "unexplained",
        /// Something else; the words say what.
        Other = "other",
    }
}

/// A shift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Its id.
    pub id: String,
    /// Its number, without gaps.
    pub no: u64,
    /// The drawer's name.
    pub drawer: String,
    /// The account of the cashier.
    pub account: String,
    /// The currency of the drawer.
    pub currency: Currency,
    /// When it was opened.
    pub opened: UtcMillis,
    /// Change that was put in.
    pub float: Amount,
    /// What should have been in it when it was closed.
    pub expected: Option<Amount>,
    /// What was counted.
    pub counted: Option<Amount>,
    /// What the card slips should have summed up to.
    pub card_expected: Option<Amount>,
    /// What they did.
    pub card: Option<Amount>,
    /// Why there was a difference.
    pub reason: Option<DifferenceReason>,
    /// When it was closed.
    pub closed: Option<UtcMillis>,
    /// The account that closed it.
    pub closed_by: Option<String>,
    /// The number of the audit log's entry of its opening.
    pub entry: u64,
}

/// A shift to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShift {
    /// The caller's key, as of [`super::payments::NewPayment`].
    pub key: String,
    /// The drawer's name: 1 to [`DRAWER_MAX_BYTES`] bytes.
    pub drawer: String,
    /// Its currency; `None`: the clinic's.
    pub currency: Option<Currency>,
    /// Change that is put in from the safe; not negative.
    pub float: Amount,
}

/// How a shift is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The caller's key.
    pub key: String,
    /// Which shift.
    pub shift: String,
    /// What was counted; not negative.
    pub counted: Amount,
    /// What the card slips of the shift sum up to: payments less what was given back.
    pub card: Amount,
    /// Why there is a difference, where there is one.
    pub reason: Option<DifferenceReason>,
    /// The reason in words, where there is a difference: 10 to 500 characters.
    pub words: String,
}

/// What a method brought and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodTotals {
    /// Which.
    pub method: Method,
    /// In which currency.
    pub currency: Currency,
    /// How many payments, back and forth.
    pub count: u64,
    /// What came.
    pub taken: Amount,
    /// What went back.
    pub given: Amount,
}

/// A shift with its sums as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftTotals {
    /// The shift.
    pub shift: Shift,
    /// The cash that should be in the drawer now; of a closed one, what should have been.
    pub cash: Amount,
    /// What the card slips should sum up to.
    pub card: Amount,
    /// By method.
    pub methods: Vec<MethodTotals>,
    /// Payments that still wait for a terminal: it cannot be closed before they are settled.
    pub waiting: u64,
}

/// Which shifts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShiftFilter {
    /// Of this account.
    pub account: Option<String>,
    /// At this drawer.
    pub drawer: Option<String>,
    /// Open ones only, or closed ones only.
    pub open: Option<bool>,
    /// Opened on or after this day of the clinic.
    pub from: Option<LocalDate>,
    /// Opened on or before this day.
    pub until: Option<LocalDate>,
    /// Those with smaller numbers: where the page before ended.
    pub before: Option<u64>,
    /// At most so many, at most [`SHIFTS_MAX`]; 0 means that.
    pub limit: u32,
}

impl Till {
    /// Opens a drawer for the account that acts. Repeating the key gives the same shift.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `Changed` when the drawer or the cashier has an open shift;
    /// `NoShift` for who is no account and so can have no drawer; `Invalid`, `KeyReused`.
    pub async fn open_shift(&self, acting: &Acting, new: NewShift) -> Result<Shift, TillError> {
        acting.must(Permission::PaymentTake)?;
        let account = acting.account().ok_or(TillError::NoShift)?.to_owned();
        keys::check(&new.key)?;
        let drawer = new.drawer.trim().to_owned();
        if drawer.is_empty() || drawer.len() > DRAWER_MAX_BYTES || drawer.chars().any(char::is_control) {
            return Err(invalid("drawer", "the name of the drawer, 1 to 40 bytes on one line"));
        }
        if new.float.minor() < 0 {
            return Err(invalid("float", "what is put in cannot be negative"));
        }
        let currency = new.currency.unwrap_or(self.rules.currency);
        let asked = Asked::of("open_shift").with(&account).with(&drawer).with(currency).with(new.float.minor()).hash();
        let (now, key, id) = (self.clock.now(), new.key, draw::id()?);
        let (today, draft) = (self.day_at(now), acting.draft(now, Action::DrawerChanged));
        transact!(self.database, "till.open_shift", |conn| {
            if let Some((shift, before)) = conn.shift_of_key(&key).await? {
                return Ok(if before == asked { Ok(shift) } else { Err(TillError::KeyReused) });
            }
            if conn.is_drawer_open(&drawer, &account).await? {
                return Ok(Err(TillError::Changed));
            }
            let day = conn.posting_day(today).await?;
            let what = What { now, day, currency, payment: None, shift: Some(id.clone()) };
            let mut moves = Moves::load(conn, what, std::collections::BTreeMap::new(), &[]).await?;
            moves.drawer(EntryKind::Float, posting::float(new.float));
            let no = conn.next_no("till_shift").await?;
            let detail = format!("shift={id} no={no} state=opened float={}", new.float.minor());
            let draft = crate::audit::Draft { object: Some(id.clone()), detail: Some(detail), ..draft.clone() };
            let entry = moves.write(conn, draft).await?;
            let shift = Shift {
                id: id.clone(),
                no,
                drawer: drawer.clone(),
                account: account.clone(),
                currency,
                opened: now,
                float: new.float,
                expected: None,
                counted: None,
                card_expected: None,
                card: None,
                reason: None,
                closed: None,
                closed_by: None,
                entry,
            };
            conn.insert_shift(&shift, &key, &asked).await?;
            Ok(Ok(shift))
        })?
    }

    /// Closes a drawer: one's own, or another's with [`domain::Permission::TillClose`]. What was counted goes to the safe; a
    /// difference is posted. Repeating the key gives the same shift.
    ///
    /// # Errors
    /// `Denied`, `NotFound` (also for one that is closed), `NotTheirs` for another's without the right, `ReasonWanted` when
    /// there is a difference without reason and words, `Changed` while a payment of it waits for a terminal, `Invalid`,
    /// `KeyReused`.
    pub async fn close_shift(&self, acting: &Acting, closing: Closing) -> Result<Shift, TillError> {
        acting.must(Permission::PaymentTake)?;
        keys::check(&closing.key)?;
        if closing.counted.minor() < 0 {
            return Err(invalid("counted", "what was counted cannot be negative"));
        }
        let typed = words(&closing.words, REASON_MIN_CHARS);
        let may_close_others = acting.rights.allows(Permission::TillClose);
        let own = acting.account().map(str::to_owned);
        let asked = Asked::of("close_shift")
            .with(&closing.shift)
            .with(closing.counted.minor())
            .with(closing.card.minor())
            .with_some(closing.reason)
            .with_some(typed.as_ref())
            .hash();
        let now = self.clock.now();
        let (today, draft) = (self.day_at(now), acting.draft(now, Action::DrawerChanged));
        transact!(self.database, "till.close_shift", |conn| {
            if let Some((shift, before)) = conn.shift_of_close_key(&closing.key).await? {
                return Ok(if before == asked { Ok(shift) } else { Err(TillError::KeyReused) });
            }
            let Some(mut shift) = conn.shift(&closing.shift).await? else { return Ok(Err(TillError::NotFound)) };
            if own.as_ref() != Some(&shift.account) && !may_close_others {
                return Ok(Err(TillError::NotTheirs));
            }
            if shift.closed.is_some() {
                return Ok(Err(TillError::NotFound));
            }
            if conn.waiting_of_shift(&shift.id).await? > 0 {
                return Ok(Err(TillError::Changed));
            }
            let expected = conn.cash_of(&shift.id).await?;
            let card = conn.card_of(&shift.id, shift.currency).await?;
            let differs = expected != closing.counted || card != closing.card;
            if differs && (closing.reason.is_none() || typed.is_none()) {
                return Ok(Err(TillError::ReasonWanted));
            }
            let day = conn.posting_day(today).await?;
            let what = What { now, day, currency: shift.currency, payment: None, shift: Some(shift.id.clone()) };
            let mut moves = Moves::load(conn, what, std::collections::BTreeMap::new(), &[]).await?;
            let (difference, collected): (Vec<_>, Vec<_>) = posting::closed(expected, closing.counted)
                .into_iter()
                .partition(|posting| posting.debit == Ledger::Difference || posting.credit == Ledger::Difference);
            moves.drawer(EntryKind::Difference, difference);
            moves.drawer(EntryKind::Collected, collected);
            let reason = closing.reason.filter(|_| differs);
            let told = reason.map(|reason| format!(" reason={reason}")).unwrap_or_default();
            let detail = format!(
                "shift={} no={} state=closed expected={} counted={} card_expected={} card={}{told}",
                shift.id,
                shift.no,
                expected.minor(),
                closing.counted.minor(),
                card.minor(),
                closing.card.minor(),
            );
            let draft = crate::audit::Draft {
                object: Some(shift.id.clone()),
                detail: Some(detail),
                note: typed.clone().filter(|_| differs),
                ..draft.clone()
            };
            moves.write(conn, draft).await?;
            shift.expected = Some(expected);
            shift.counted = Some(closing.counted);
            shift.card_expected = Some(card);
            shift.card = Some(closing.card);
            shift.reason = reason;
            shift.closed = Some(now);
            shift.closed_by.clone_from(&own);
            conn.end_shift(&shift, &closing.key, &asked).await?;
            Ok(Ok(shift))
        })?
    }

    /// The open shift of the account that acts.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; the engine's.
    pub async fn shift_of(&self, acting: &Acting) -> Result<Option<Shift>, TillError> {
        acting.must(Permission::PaymentTake)?;
        let Some(account) = acting.account().map(str::to_owned) else { return Ok(None) };
        Ok(read!(self.database, "till.shift_of", |conn| { conn.open_shift_of(&account).await })?)
    }

    /// A shift and its sums: one's own, or another's with [`domain::Permission::TillClose`].
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `NotTheirs`, the engine's.
    pub async fn shift_totals(&self, acting: &Acting, shift: &str) -> Result<ShiftTotals, TillError> {
        acting.must(Permission::PaymentTake)?;
        let (id, may_others) = (shift.to_owned(), acting.rights.allows(Permission::TillClose));
        let own = acting.account().map(str::to_owned);
        // A transaction, so that all sums are of one moment.
        transact!(self.database, "till.shift_totals", |conn| {
            let Some(shift) = conn.shift(&id).await? else { return Ok(Err(TillError::NotFound)) };
            if own.as_ref() != Some(&shift.account) && !may_others {
                return Ok(Err(TillError::NotTheirs));
            }
            let cash = match shift.expected {
                Some(expected) => expected,
                None => conn.cash_of(&id).await?,
            };
            let card = conn.card_of(&id, shift.currency).await?;
            let methods = conn.methods_of_shift(&id).await?;
            let waiting = conn.waiting_of_shift(&id).await?;
            Ok(Ok(ShiftTotals { shift, cash, card, methods, waiting }))
        })?
    }

    /// Shifts, newest first: one's own, or all with [`domain::Permission::TillClose`].
    ///
    /// # Errors
    /// `Denied`; the engine's.
    pub async fn shifts(&self, acting: &Acting, filter: &ShiftFilter) -> Result<Vec<Shift>, TillError> {
        acting.must(Permission::PaymentTake)?;
        let mut filter = filter.clone();
        if !acting.rights.allows(Permission::TillClose) {
            let Some(own) = acting.account() else { return Ok(Vec::new()) };
            filter.account = Some(own.to_owned());
        }
        let limit = if filter.limit == 0 { SHIFTS_MAX } else { filter.limit.min(SHIFTS_MAX) };
        let (from, until) = (filter.from.map(|day| self.start_of(day).0), filter.until.map(|day| self.end_of(day).0));
        let rows: Vec<ShiftRow> = read!(self.database, "till.shifts", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(select_shift!("WHERE 1 = 1"));
            if let Some(account) = &filter.account {
                select.push(" AND account = ").push_bind(account);
            }
            if let Some(drawer) = &filter.drawer {
                select.push(" AND drawer = ").push_bind(drawer);
            }
            match filter.open {
                Some(true) => drop(select.push(" AND closed_ms IS NULL")),
                Some(false) => drop(select.push(" AND closed_ms IS NOT NULL")),
                None => {}
            }
            if let Some(from) = from {
                select.push(" AND opened_ms >= ").push_bind(from);
            }
            if let Some(until) = until {
                select.push(" AND opened_ms < ").push_bind(until);
            }
            if let Some(before) = filter.before {
                select.push(" AND no < ").push_bind(before.cast_signed());
            }
            select.push(" ORDER BY no DESC LIMIT ").push_bind(i64::from(limit));
            Ok(select.build_query_as().fetch_all(&mut *conn).await?)
        })?;
        Ok(rows.into_iter().map(ShiftRow::read).collect::<Result<_, Error>>()?)
    }
}

pub(super) fn invalid(field: &'static str, problem: &str) -> TillError {
    TillError::Invalid { field, problem: problem.to_owned() }
}

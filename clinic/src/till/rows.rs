//! The rows of charges: reading them, and the statements that change them, on either engine. No rule.

use domain::money::Amount;
use domain::till::discount::Discount;
use domain::till::{ChargeState, Mode, Priced};
use domain::{CardId, PersonId, PointId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::Error;

use super::charge::Charge;
use super::ledger::{amount, currency, day};
use crate::rows::{code, column, number, optional};

/// Columns of a charge, in the order of [`ChargeRow`]; the beginning of every statement that reads one.
macro_rules! select_charge {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, patient, visit, irregular, staff, workstation, zone, card, service, price_version, quantity, \
             currency, gross_minor, discount_minor, net_minor, rate, scheme, scheme_version, before_minor, terms, \
             terms_version, mode, pot, state, paid_minor, written_off_minor, actor_kind, actor, registered_ms, day, \
             rendered_ms, cancelled_ms, cancel_reason, entry FROM charge ",
            $rest
        )
    };
}
pub(crate) use select_charge;

/// A stored charge.
#[derive(FromRow)]
pub(crate) struct ChargeRow {
    id: String,
    no: i64,
    patient: String,
    visit: Option<String>,
    irregular: Option<String>,
    staff: Option<String>,
    workstation: Option<String>,
    zone: Option<String>,
    card: Option<String>,
    service: String,
    price_version: i64,
    quantity: i64,
    currency: String,
    gross_minor: i64,
    discount_minor: i64,
    net_minor: i64,
    rate: i64,
    scheme: Option<String>,
    scheme_version: Option<i64>,
    before_minor: i64,
    terms: String,
    terms_version: i64,
    mode: String,
    pot: Option<String>,
    state: String,
    paid_minor: i64,
    written_off_minor: i64,
    actor_kind: String,
    actor: Option<String>,
    registered_ms: i64,
    day: i64,
    rendered_ms: Option<i64>,
    cancelled_ms: Option<i64>,
    cancel_reason: Option<String>,
    entry: i64,
}

impl ChargeRow {
    pub(crate) fn read(self) -> Result<Charge, Error> {
        const T: &str = "charge";
        let money = |name, minor| amount(T, name, minor);
        let scheme = match (self.scheme, self.scheme_version) {
            (Some(id), Some(version)) => Some((id, number(T, "scheme_version", version)?)),
            _ => None,
        };
        let discount: Amount = money("discount_minor", self.discount_minor)?;
        Ok(Charge {
            no: self.no.cast_unsigned(),
            patient: column(T, "patient", &self.patient, str::parse::<PersonId>)?,
            staff: optional(T, "staff", self.staff.as_deref(), str::parse::<PersonId>)?,
            workstation: optional(T, "workstation", self.workstation.as_deref(), PointId::new)?,
            zone: optional(T, "zone", self.zone.as_deref(), ZoneId::new)?,
            card: optional(T, "card", self.card.as_deref(), str::parse::<CardId>)?,
            price_version: self.price_version.cast_unsigned(),
            quantity: number(T, "quantity", self.quantity)?,
            currency: currency(T, &self.currency)?,
            price: Priced {
                gross: money("gross_minor", self.gross_minor)?,
                discount: Discount { rate: number(T, "rate", self.rate)?, amount: discount, next: None },
                net: money("net_minor", self.net_minor)?,
            },
            before: money("before_minor", self.before_minor)?,
            scheme,
            terms: (self.terms, number(T, "terms_version", self.terms_version)?),
            mode: code(T, "mode", &self.mode, Mode::parse)?,
            pot: self.pot,
            state: code(T, "state", &self.state, ChargeState::parse)?,
            paid: money("paid_minor", self.paid_minor)?,
            written_off: money("written_off_minor", self.written_off_minor)?,
            actor_kind: self.actor_kind,
            actor: self.actor,
            registered: UtcMillis(self.registered_ms),
            day: day(T, "day", self.day)?,
            rendered: self.rendered_ms.map(UtcMillis),
            cancelled: self.cancelled_ms.map(|at| (UtcMillis(at), self.cancel_reason.unwrap_or_default())),
            entry: self.entry.cast_unsigned(),
            visit: self.visit,
            irregular: self.irregular,
            service: self.service,
            id: self.id,
        })
    }
}

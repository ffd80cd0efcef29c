//! A charge: a service registered for a patient, and what is asked for with it. Reading charges; making them is the
//! registrar's. Rows are those of `rows`. May import `domain`, `store` and the audit log.

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Mode, Priced};
use domain::visit::OutOfCardCode;
use domain::{CardId, Permission, PersonId, PointId, UtcMillis, ZoneId, codes};
use store::read;

use super::rows::{ChargeRow, select_charge};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::Purpose;

/// Most charges in one answer: those of a visit, or open ones of a patient. The oldest come first.
pub const CHARGES_MAX: u32 = 2_000;

codes! {
    /// Why a charge is taken back. Stable codes, keys of translations.
    CancelReason {
        /// Another service was meant, or another number of pieces.
        Mistake = "mistake",
        /// It was not given.
        NotGiven = "not_given",
        /// It was given to another patient.
        WrongPatient = "wrong_patient",
        /// It was registered twice.
        Twice = "twice",
        /// The patient did not want it any more.
        Declined = "declined",
        /// Something else, in words.
        Other = "other",
    }
}

/// A service that is to be registered.
#[derive(Clone)]
pub struct NewCharge {
    /// The caller's, unique for ever: 8 to 100 visible ASCII characters. A repetition gets the first outcome.
    pub key: String,
    /// For whom. Merged records are followed.
    pub patient: PersonId,
    /// In which visit: one that runs, or ended today. `None`: out of card, with [`NewCharge::out_of_card`].
    pub visit: Option<String>,
    /// The binding of the workstation where it is registered: of the specialist of the visit, in force and not locked.
    pub session: Option<String>,
    /// Without a visit: why, by code and in words of 10 to 500 characters.
    pub out_of_card: Option<(OutOfCardCode, String)>,
    /// The code of the service.
    pub service: String,
    /// How many.
    pub quantity: u32,
    /// `None`: the clinic's.
    pub currency: Option<Currency>,
    /// What is to be paid, as it was shown; `None`: nothing was shown. Another sum is refused.
    pub shown: Option<Amount>,
}

impl std::fmt::Debug for NewCharge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCharge")
            .field("patient", &self.patient)
            .field("service", &self.service)
            .field("quantity", &self.quantity)
            .finish_non_exhaustive()
    }
}

/// A registered service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// A UUID; also that of the charge in other systems.
    pub id: String,
    /// 1, 2, 3 … for people, without a gap.
    pub no: u64,
    /// Whose: the record that was left when it was registered, or that it came to by a merge.
    pub patient: PersonId,
    /// In which visit; `None`: out of card.
    pub visit: Option<String>,
    /// The case of work without the card, where there is no visit.
    pub irregular: Option<String>,
    /// Who rendered it: the specialist of the visit, or who registered it.
    pub staff: Option<PersonId>,
    /// At which workstation.
    pub workstation: Option<PointId>,
    /// In which zone.
    pub zone: Option<ZoneId>,
    /// The card by which the specialist was at the workstation.
    pub card: Option<CardId>,
    /// The code of the service.
    pub service: String,
    /// The version of the price list that its price is of.
    pub price_version: u64,
    /// How many.
    pub quantity: u32,
    /// In which currency all amounts are.
    pub currency: Currency,
    /// What it costs. The next step of the scale is not kept: `price.discount.next` is always `None`.
    pub price: Priced,
    /// What had been rendered to the patient before: the sum that the discount goes by.
    pub before: Amount,
    /// The scheme of discounts and its version.
    pub scheme: Option<(String, u32)>,
    /// The terms and their version.
    pub terms: (String, u32),
    /// How it is paid.
    pub mode: Mode,
    /// The payer whose shared pot it counts against.
    pub pot: Option<String>,
    /// How far it has come.
    pub state: ChargeState,
    /// What was paid of it.
    pub paid: Amount,
    /// What was written off.
    pub written_off: Amount,
    /// The kind of who registered it: [`crate::acting::Actor::kind`].
    pub actor_kind: String,
    /// The id of who registered it, where the kind has one.
    pub actor: Option<String>,
    /// When it was registered.
    pub registered: UtcMillis,
    /// The clinic's day it counts to.
    pub day: LocalDate,
    /// When it was rendered.
    pub rendered: Option<UtcMillis>,
    /// When it was taken back and why: a [`CancelReason`].
    pub cancelled: Option<(UtcMillis, String)>,
    /// The number of its entry in the audit log.
    pub entry: u64,
}

impl Charge {
    /// What is still to be paid. Nothing for one that was taken back.
    pub fn open(&self) -> Amount {
        if self.state == ChargeState::Cancelled {
            return Amount::ZERO;
        }
        let rest = self.price.net.minus(self.paid).and_then(|rest| rest.minus(self.written_off));
        rest.unwrap_or(Amount::ZERO)
    }
}

impl Till {
    /// One charge.
    ///
    /// # Errors
    /// [`TillError::Denied`], [`TillError::NotFound`], the database.
    pub async fn charge(&self, acting: &Acting, id: &str) -> Result<Charge, TillError> {
        acting.must(Permission::ChargeSee)?;
        let id = id.to_owned();
        let row: Option<ChargeRow> = read!(self.database, "till.charge", |conn| {
            Ok(sqlx::query_as(select_charge!("WHERE id = $1")).bind(&id).fetch_optional(&mut *conn).await?)
        })?;
        let charge = row.ok_or(TillError::NotFound)?.read()?;
        self.looked(acting, charge.patient, Purpose::Payment).await?;
        Ok(charge)
    }

    /// The charges of a visit in the order of their numbers, taken back ones too.
    ///
    /// # Errors
    /// [`TillError::Denied`], the database.
    pub async fn charges_of_visit(&self, acting: &Acting, visit: &str) -> Result<Vec<Charge>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let visit = visit.to_owned();
        let rows: Vec<ChargeRow> = read!(self.database, "till.charges_of_visit", |conn| {
            Ok(sqlx::query_as(select_charge!("WHERE visit = $1 ORDER BY no LIMIT $2"))
                .bind(&visit)
                .bind(i64::from(CHARGES_MAX))
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let charges: Vec<Charge> = rows.into_iter().map(ChargeRow::read).collect::<Result<_, _>>()?;
        if let Some(first) = charges.first() {
            self.looked(acting, first.patient, Purpose::Treatment).await?;
        }
        Ok(charges)
    }

    /// What was ordered for a patient and is neither rendered nor taken back, in whatever visit, the oldest first. Merged
    /// records are followed.
    ///
    /// # Errors
    /// [`TillError::Denied`], the database.
    pub async fn orders_of(&self, acting: &Acting, patient: PersonId) -> Result<Vec<Charge>, TillError> {
        acting.must(Permission::ChargeSee)?;
        self.looked(acting, patient, Purpose::Treatment).await?;
        let person = patient.to_string();
        let rows: Vec<ChargeRow> = read!(self.database, "till.orders_of", |conn| {
            Ok(sqlx::query_as(select_charge!(
                "WHERE patient = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)
                   AND state = 'ordered'
                 ORDER BY no LIMIT $2"
            ))
            .bind(&person)
            .bind(i64::from(CHARGES_MAX))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(ChargeRow::read).collect::<Result<_, _>>()?)
    }

    /// What is to be paid of a patient, ordered or rendered, the oldest first. Merged records are followed.
    ///
    /// # Errors
    /// [`TillError::Denied`], the database.
    pub async fn open_charges(&self, acting: &Acting, patient: PersonId) -> Result<Vec<Charge>, TillError> {
        acting.must(Permission::ChargeSee)?;
        self.looked(acting, patient, Purpose::Payment).await?;
        let person = patient.to_string();
        let rows: Vec<ChargeRow> = read!(self.database, "till.open_charges", |conn| {
            Ok(sqlx::query_as(select_charge!(
                "WHERE patient = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)
                   AND state <> 'cancelled' AND paid_minor + written_off_minor < net_minor
                 ORDER BY no LIMIT $2"
            ))
            .bind(&person)
            .bind(i64::from(CHARGES_MAX))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(ChargeRow::read).collect::<Result<_, _>>()?)
    }
}

//! Lists of stable codes, as the description shows them: made from the lists of `domain`, so that they cannot differ.

use clinic::audit::Purpose;
use clinic::till::CancelReason;
use clinic::till::inbound::{NoticeKind, NoticeProblem, NoticeState};
use clinic::till::payments::{PaymentKind, PaymentState};
use domain::equipment::{DoorState, PeerKind, ReaderState};
use domain::policy::{PassKind, PassState};
use domain::till::{ChargeState, Method, Mode};
use domain::visit::OutOfCardCode;
use domain::{Direction, Field, Kind, Permission, Reason};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};

fn one_of(codes: Vec<&'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)).into()
}

fn some_of(codes: Vec<&'static str>) -> Schema {
    ArrayBuilder::new().items(RefOr::T(one_of(codes))).into()
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident => $wrap:ident $type:ty;)*) => { $(
        $(#[$doc])*
        pub fn $name() -> Schema {
            $wrap(<$type>::ALL.iter().map(|code| code.as_str()).collect())
        }
    )* };
}

lists! {
    /// Permissions.
    permissions => some_of Permission;
    /// Fields of persons.
    fields => some_of Field;
    /// A kind of event.
    kind => one_of Kind;
    /// A reason of an event.
    reason => one_of Reason;
    /// What a door is doing.
    door_state => one_of DoorState;
    /// Whether a reader answers.
    reader_state => one_of ReaderState;
    /// What a network peer is.
    peer_kind => one_of PeerKind;
    /// What for somebody looks.
    purpose => one_of Purpose;
    /// What kind of pass.
    pass_kind => one_of PassKind;
    /// Whether a pass works.
    pass_state => one_of PassState;
    /// When a service is paid.
    till_mode => one_of Mode;
    /// How far a charge has come.
    charge_state => one_of ChargeState;
    /// Why a charge is taken back.
    cancel_reason => one_of CancelReason;
    /// How money comes or goes.
    till_method => one_of Method;
    /// What a payment is.
    payment_kind => one_of PaymentKind;
    /// How far a payment has come.
    payment_state => one_of PaymentState;
    /// What a payment service tells.
    notice_kind => one_of NoticeKind;
    /// What became of a notice.
    notice_state => one_of NoticeState;
    /// Why a notice waits for somebody.
    notice_problem => one_of NoticeProblem;
    /// Why something is done without the card it needs.
    out_of_card => one_of OutOfCardCode;
}

/// What the vault keeps in clear of nobody: what can be revealed.
pub const VAULT_FIELDS: &[Field] = &[Field::Name, Field::BirthDate, Field::Document, Field::Contact];

/// Fields that can be revealed; at least one.
pub fn vault_fields() -> Schema {
    let codes = VAULT_FIELDS.iter().map(|field| field.as_str()).collect();
    ArrayBuilder::new().items(RefOr::T(one_of(codes))).min_items(Some(1)).max_items(Some(8)).into()
}

/// What became of an order.
pub fn progress() -> Schema {
    one_of(vec!["waiting", "sent", "done", "refused", "expired"])
}

/// In or out.
pub fn direction() -> Schema {
    one_of(vec![Direction::In.as_str(), Direction::Out.as_str()])
}

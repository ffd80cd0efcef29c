//! Lists of stable codes, as the description shows them: made from the lists of `domain`, so that they cannot differ.

use domain::equipment::{DoorState, PeerKind, ReaderState};
use domain::{Direction, Field, Kind, Permission, Reason};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};

fn one_of(codes: Vec<&'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)).into()
}

fn some_of(codes: Vec<&'static str>) -> Schema {
    ArrayBuilder::new().items(one_of(codes)).into()
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident $(/ $many:ident)? => $type:ty;)*) => { $(
        $(#[$doc])*
        pub fn $name() -> Schema {
            one_of(<$type>::ALL.iter().map(|code| code.as_str()).collect())
        }
        $($(#[$doc])*
        pub fn $many() -> Schema {
            some_of(<$type>::ALL.iter().map(|code| code.as_str()).collect())
        })?
    )* };
}

lists! {
    /// Permissions.
    permission / permissions => Permission;
    /// Fields of persons.
    field / fields => Field;
    /// Kinds of events.
    kind => Kind;
    /// Reasons of events.
    reason => Reason;
    /// What a door is doing.
    door_state => DoorState;
    /// Whether a reader answers.
    reader_state => ReaderState;
    /// What a network peer is.
    peer_kind => PeerKind;
}

/// In or out.
pub fn direction() -> Schema {
    one_of(vec![Direction::In.as_str(), Direction::Out.as_str()])
}

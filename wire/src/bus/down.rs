//! From the bridge to a gateway. Every one of these is authenticated: the only way to obtain a [`Down`] from bytes
//! checks its HMAC with a key of the gateway's [`KeyRing`].

use std::fmt;

use domain::{Epoch, GatewayId, PersonId, PointId, UtcMillis};
use serde_json::{Value, json};

use super::auth::{Canonical, KeyRing, LinkKey};
use super::{BusError, CHUNK_BYTES, POLICY_MAX_BYTES};
use crate::json::{Fields, envelope, hex, opt, write};

/// Everything that the bridge says in an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// "I have committed everything up to here."
    Ack(Ack),
    /// "There is a newer policy."
    Policy(PolicyOffer),
    /// "Do this."
    Command(Command),
}

/// Cumulative: everything of `epoch` up to and including `seq` is committed. It may be lower than the last one; then
/// the receiver lacks what follows and the gateway rewinds its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// To whom.
    pub gateway: GatewayId,
    /// Which life of its journal.
    pub epoch: Epoch,
    /// The last committed entry, 0 for none.
    pub seq: u64,
}

/// A policy snapshot that the gateway should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOffer {
    /// To whom.
    pub gateway: GatewayId,
    /// Rises with every change.
    pub version: u64,
    /// When this offer was made. A repeated offer of the version in force confirms that it is current, which is what
    /// the age of a policy is counted from.
    pub at: UtcMillis,
    /// Length of the snapshot in bytes, at most [`POLICY_MAX_BYTES`].
    pub bytes: u64,
    /// SHA-256 of the snapshot.
    pub digest: [u8; 32],
}

impl PolicyOffer {
    /// How many chunks of [`CHUNK_BYTES`] the snapshot has.
    pub fn chunks(&self) -> u32 {
        u32::try_from(self.bytes.div_ceil(CHUNK_BYTES as u64)).unwrap_or(u32::MAX)
    }
}

/// 128 random bits: the name of a command and its nonce.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub [u8; 16]);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an authorised person wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Random; a second command with the same id is a replay.
    pub id: CommandId,
    /// By whom it is to be done.
    pub gateway: GatewayId,
    /// What.
    pub action: Action,
    /// Pseudonym or account name of who ordered it, for the journal.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// When it was ordered.
    pub issued_at: UtcMillis,
    /// From when on it must not be done any more.
    pub expires_at: UtcMillis,
}

/// The things that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Release the point once, timed.
    Open(PointId),
    /// Keep the point closed for everybody who enters.
    Lock(PointId),
    /// Back to normal after lock, free passage or emergency.
    Normal(PointId),
    /// Let everybody through until told otherwise.
    FreePassage(PointId),
    /// Open the way out, everywhere if no point is named.
    Emergency(Option<PointId>),
    /// Forget where a person is (anti-passback), everybody if none is named.
    Forgive(Option<PersonId>),
    /// Send the status now.
    Report,
}

impl Action {
    /// The stable code.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Lock(_) => "lock",
            Self::Normal(_) => "normal",
            Self::FreePassage(_) => "free_passage",
            Self::Emergency(_) => "emergency",
            Self::Forgive(_) => "forgive",
            Self::Report => "report",
        }
    }

    /// The point concerned, if one is named.
    pub const fn point(&self) -> Option<&PointId> {
        match self {
            Self::Open(point) | Self::Lock(point) | Self::Normal(point) | Self::FreePassage(point) => Some(point),
            Self::Emergency(point) => point.as_ref(),
            Self::Forgive(_) | Self::Report => None,
        }
    }

    /// The person concerned, if one is named.
    pub const fn person(&self) -> Option<PersonId> {
        match self {
            Self::Forgive(person) => *person,
            Self::Open(_)
            | Self::Lock(_)
            | Self::Normal(_)
            | Self::FreePassage(_)
            | Self::Emergency(_)
            | Self::Report => None,
        }
    }

    /// Puts an action together from its parts, as they stand in a message or a table.
    ///
    /// # Errors
    /// A text for operators: unknown code, or a part missing.
    pub fn from_parts(code: &str, point: Option<PointId>, person: Option<PersonId>) -> Result<Self, String> {
        let needed = || point.clone().ok_or_else(|| format!("{code:?} needs a point"));
        Ok(match code {
            "open" => Self::Open(needed()?),
            "lock" => Self::Lock(needed()?),
            "normal" => Self::Normal(needed()?),
            "free_passage" => Self::FreePassage(needed()?),
            "emergency" => Self::Emergency(point),
            "forgive" => Self::Forgive(person),
            "report" => Self::Report,
            other => return Err(format!("{other:?} is not known to this version")),
        })
    }
}

impl Down {
    /// To whom.
    pub const fn gateway(&self) -> &GatewayId {
        match self {
            Self::Ack(ack) => &ack.gateway,
            Self::Policy(offer) => &offer.gateway,
            Self::Command(command) => &command.gateway,
        }
    }

    /// The bytes for the line, authenticated with `key`.
    ///
    /// # Errors
    /// If a text is too long or the policy too large.
    pub fn encode(&self, key: &LinkKey) -> Result<Vec<u8>, BusError> {
        let mut value = self.to_json();
        // Reading back what we write is cheap and keeps a limit from being found out by the receiver.
        Self::from_json(&Fields::root(&value)?)?;
        value["key"] = Value::from(key.id());
        value["mac"] = Value::from(hex(&key.mac(&self.canonical())));
        write(&value)
    }

    /// Reads and authenticates what the bridge wrote to `me`.
    ///
    /// # Errors
    /// Names the field that is missing or wrong; [`BusError::UnknownKey`], [`BusError::BadMac`] or
    /// [`BusError::NotForUs`] if the sender is not to be believed.
    pub fn decode(bytes: &[u8], keys: &KeyRing, me: &GatewayId) -> Result<Self, BusError> {
        let value = envelope(bytes)?;
        let fields = Fields::root(&value)?;
        let down = Self::from_json(&fields)?;
        let key_id = fields.text("key")?;
        let key = keys.find(key_id).ok_or_else(|| BusError::UnknownKey(key_id.to_owned()))?;
        if !key.verify(&down.canonical(), &fields.bytes("mac")?) {
            return Err(BusError::BadMac);
        }
        if down.gateway() != me {
            return Err(BusError::NotForUs(down.gateway().to_string()));
        }
        Ok(down)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Ack(ack) => json!({
                "v": 1, "type": "ack", "gateway": ack.gateway.as_str(), "epoch": ack.epoch.to_string(), "seq": ack.seq,
            }),
            Self::Policy(offer) => json!({
                "v": 1, "type": "policy", "gateway": offer.gateway.as_str(), "version": offer.version,
                "at": offer.at.0, "bytes": offer.bytes, "digest": hex(&offer.digest),
            }),
            Self::Command(command) => json!({
                "v": 1, "type": "command", "gateway": command.gateway.as_str(), "id": hex(&command.id.0),
                "action": command.action.as_str(), "point": opt(command.action.point()),
                "person": opt(command.action.person()), "actor": command.actor, "reason": command.reason,
                "issued_at": command.issued_at.0, "expires_at": command.expires_at.0,
            }),
        }
    }

    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        let gateway: GatewayId = fields.parse("gateway")?;
        Ok(match fields.text("type")? {
            "ack" => Self::Ack(Ack { gateway, epoch: fields.parse("epoch")?, seq: fields.u64("seq")? }),
            "policy" => {
                let bytes = fields.u64("bytes")?;
                if bytes == 0 || bytes > POLICY_MAX_BYTES {
                    return Err(fields.wrong("bytes", format_args!("must be 1 to {POLICY_MAX_BYTES}")));
                }
                let (version, at) = (fields.u64("version")?, fields.instant("at")?);
                Self::Policy(PolicyOffer { gateway, version, at, bytes, digest: fields.bytes("digest")? })
            }
            "command" => {
                let (point, person) = (fields.opt_parse("point")?, fields.opt_parse("person")?);
                let action = Action::from_parts(fields.text("action")?, point, person)
                    .map_err(|problem| fields.wrong("action", problem))?;
                Self::Command(Command {
                    id: CommandId(fields.bytes("id")?),
                    gateway,
                    action,
                    actor: fields.text("actor")?.to_owned(),
                    reason: fields.opt_text("reason")?,
                    issued_at: fields.instant("issued_at")?,
                    expires_at: fields.instant("expires_at")?,
                })
            }
            other => return Err(BusError::Type(other.to_owned())),
        })
    }

    /// What the authentication code covers: every field, each with its length, so that no two messages share bytes.
    fn canonical(&self) -> Vec<u8> {
        let mut out = Canonical::new("tapward bus 1");
        out.text(self.gateway().as_str());
        match self {
            Self::Ack(ack) => {
                out.text("ack").bytes(&ack.epoch.0).number(ack.seq);
            }
            Self::Policy(offer) => {
                out.text("policy").number(offer.version).instant(offer.at).number(offer.bytes).bytes(&offer.digest);
            }
            Self::Command(command) => {
                out.text("command").bytes(&command.id.0).text(command.action.as_str());
                out.optional(command.action.point().map(|point| point.as_str().as_bytes()));
                out.optional(command.action.person().as_ref().map(|person| &person.0[..]));
                out.text(&command.actor).optional(command.reason.as_ref().map(|reason| reason.as_bytes()));
                out.instant(command.issued_at).instant(command.expires_at);
            }
        }
        out.finish()
    }
}

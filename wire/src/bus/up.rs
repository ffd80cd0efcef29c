//! From a gateway to the bridge.

use domain::{CardId, Direction, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, ReaderId, Reason};
use serde_json::{Value, json};

use super::{BATCH_MAX_ENTRIES, BusError, CHUNK_REQUEST_MAX, CommandId, MESSAGE_MAX_BYTES, Status, TEXT_MAX_BYTES};
use crate::json::{Fields, envelope, hex, opt, write};

/// Everything that a gateway says.
#[derive(Debug, Clone, PartialEq)]
pub enum Up {
    /// Journal entries.
    Events(EventBatch),
    /// How it is.
    Status(Box<Status>),
    /// The last will: the broker has lost the gateway.
    Gone(GatewayId),
    /// Send these chunks of a policy snapshot.
    ChunkRequest(ChunkRequest),
    /// What became of a command.
    CommandResult(CommandResult),
}

/// Entries of one journal without a gap, oldest first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// Whose journal.
    pub gateway: GatewayId,
    /// Which life of it.
    pub epoch: Epoch,
    /// 1 to [`BATCH_MAX_ENTRIES`] entries of this gateway and epoch, `seq` rising by one.
    pub entries: Vec<Entry>,
}

/// "Send me chunks `first` to `first + count - 1` of snapshot `version`."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRequest {
    /// Who asks.
    pub gateway: GatewayId,
    /// The version offered.
    pub version: u64,
    /// Index of the first chunk.
    pub first: u32,
    /// How many, 1 to [`CHUNK_REQUEST_MAX`].
    pub count: u32,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// Who answers.
    pub gateway: GatewayId,
    /// Which command.
    pub id: CommandId,
    /// Done or not.
    pub outcome: CommandOutcome,
}

/// Done or not, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandOutcome {
    /// Carried out and recorded.
    Done,
    /// Refused; a short reason for operators.
    Refused(String),
}

impl Up {
    /// Who speaks.
    pub fn gateway(&self) -> &GatewayId {
        match self {
            Self::Events(batch) => &batch.gateway,
            Self::Status(status) => &status.gateway,
            Self::Gone(gateway) => gateway,
            Self::ChunkRequest(request) => &request.gateway,
            Self::CommandResult(result) => &result.gateway,
        }
    }

    /// The bytes for the line.
    ///
    /// # Errors
    /// If the batch is empty, mixed or has a gap, or a limit is exceeded.
    pub fn encode(&self) -> Result<Vec<u8>, BusError> {
        write(&match self {
            Self::Events(batch) => batch.to_json()?,
            Self::Status(status) => status.to_json()?,
            Self::Gone(gateway) => json!({"v": 1, "type": "gone", "gateway": gateway.as_str()}),
            Self::ChunkRequest(request) => json!({
                "v": 1, "type": "chunk_request", "gateway": request.gateway.as_str(), "version": request.version,
                "first": request.first, "count": request.count,
            }),
            Self::CommandResult(result) => {
                let (done, problem) = match &result.outcome {
                    CommandOutcome::Done => (true, None),
                    CommandOutcome::Refused(problem) => (false, Some(problem)),
                };
                json!({
                    "v": 1, "type": "command_result", "gateway": result.gateway.as_str(), "id": hex(&result.id.0),
                    "done": done, "problem": opt(problem),
                })
            }
        })
    }

    /// Reads what a gateway wrote.
    ///
    /// # Errors
    /// Names the field that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, BusError> {
        let value = envelope(bytes)?;
        let fields = Fields::root(&value)?;
        Ok(match fields.text("type")? {
            "events" => Self::Events(EventBatch::from_json(&fields)?),
            "status" => Self::Status(Box::new(Status::from_json(&fields)?)),
            "gone" => Self::Gone(fields.parse("gateway")?),
            "chunk_request" => Self::ChunkRequest(ChunkRequest::from_json(&fields)?),
            "command_result" => Self::CommandResult(CommandResult::from_json(&fields)?),
            other => return Err(BusError::Type(other.to_owned())),
        })
    }
}

impl EventBatch {
    /// The last sequence number in the batch; 0 if it is empty, which a decoded batch never is.
    pub fn last_seq(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }

    /// The longest beginning of `entries` that fits into one message and belongs to one journal; `None` if there is
    /// no entry. `entries` are in order and without a gap, as a journal gives them.
    pub fn beginning(entries: &[Entry]) -> Option<Self> {
        let first = entries.first()?;
        let mut bytes = ENVELOPE_MAX_BYTES;
        let fits = |entry: &&Entry| {
            bytes += entry_max_bytes(entry);
            bytes <= MESSAGE_MAX_BYTES && entry.gateway == first.gateway && entry.epoch == first.epoch
        };
        let entries = entries.iter().take(BATCH_MAX_ENTRIES).take_while(fits).cloned().collect();
        Some(Self { gateway: first.gateway.clone(), epoch: first.epoch, entries })
    }

    fn to_json(&self) -> Result<Value, BusError> {
        self.check()?;
        let entries: Vec<Value> = self.entries.iter().map(entry_to_json).collect();
        Ok(json!({
            "v": 1, "type": "events", "gateway": self.gateway.as_str(), "epoch": self.epoch.to_string(),
            "entries": entries,
        }))
    }

    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        let gateway: GatewayId = fields.parse("gateway")?;
        let epoch: Epoch = fields.parse("epoch")?;
        let items = fields.list("entries", BATCH_MAX_ENTRIES)?;
        let entries = items.iter().map(|item| entry_from_json(item, &gateway, epoch)).collect::<Result<_, _>>()?;
        let batch = Self { gateway, epoch, entries };
        batch.check()?;
        Ok(batch)
    }

    fn check(&self) -> Result<(), BusError> {
        let wrong = |field: String, problem: &str| Err(BusError::Field { field, problem: problem.to_owned() });
        let Some(first) = self.entries.first() else {
            return wrong("entries".into(), "must not be empty");
        };
        if self.entries.len() > BATCH_MAX_ENTRIES {
            let (count, limit) = (self.entries.len(), BATCH_MAX_ENTRIES);
            return Err(BusError::TooMany { field: "entries".into(), count, limit });
        }
        if first.seq == 0 {
            return wrong("entries[0].seq".into(), "must be 1 or more");
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.gateway != self.gateway || entry.epoch != self.epoch {
                return wrong(format!("entries[{index}]"), "belongs to another journal than the batch");
            }
            if entry.seq.checked_sub(first.seq) != u64::try_from(index).ok() {
                return wrong(format!("entries[{index}].seq"), "must be one more than the entry before");
            }
        }
        Ok(())
    }
}

/// More than an envelope takes around its entries.
const ENVELOPE_MAX_BYTES: usize = 512;

/// At least as many bytes as the entry takes: names have no characters that JSON escapes, a detail may consist of
/// them, six bytes each.
fn entry_max_bytes(entry: &Entry) -> usize {
    let fact = &entry.fact;
    let names = fact.point.as_ref().map_or(0, |name| name.as_str().len())
        + fact.reader.as_ref().map_or(0, |name| name.as_str().len());
    320 + names + 6 * fact.detail.as_ref().map_or(0, String::len)
}

/// Absent fields are left out: most entries have half of them, and a batch is sent every few milliseconds.
fn entry_to_json(entry: &Entry) -> Value {
    let fact = &entry.fact;
    let mut map = serde_json::Map::new();
    map.insert("seq".into(), entry.seq.into());
    map.insert("at".into(), fact.at.0.into());
    map.insert("kind".into(), fact.kind.as_str().into());
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            map.insert(key.into(), value.into());
        }
    };
    put("reason", fact.reason.map(|reason| reason.as_str().to_owned()));
    put("point", fact.point.as_ref().map(ToString::to_string));
    put("reader", fact.reader.as_ref().map(ToString::to_string));
    put("direction", fact.direction.map(|direction| direction.as_str().to_owned()));
    put("card", fact.card.map(|card| card.to_string()));
    put("person", fact.person.map(|person| person.to_string()));
    put("detail", fact.detail.as_deref().map(clip).map(str::to_owned));
    if let Some(age_ms) = fact.age_ms {
        map.insert("age_ms".into(), age_ms.into());
    }
    Value::Object(map)
}

/// The journal keeps details short; one that slipped through must not stop the line for ever.
fn clip(detail: &str) -> &str {
    let mut end = detail.len().min(TEXT_MAX_BYTES);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    &detail[..end]
}

fn entry_from_json(fields: &Fields<'_>, gateway: &GatewayId, epoch: Epoch) -> Result<Entry, BusError> {
    let fact = Draft {
        at: fields.instant("at")?,
        kind: fields.code("kind", Kind::parse)?,
        reason: fields.opt_code("reason", Reason::parse)?,
        point: fields.opt_parse::<PointId>("point")?,
        reader: fields.opt_parse::<ReaderId>("reader")?,
        direction: fields.opt_code("direction", Direction::parse)?,
        card: fields.opt_parse::<CardId>("card")?,
        person: fields.opt_parse::<PersonId>("person")?,
        age_ms: fields.opt_number("age_ms")?,
        detail: fields.opt_text("detail")?,
    };
    Ok(Entry { gateway: gateway.clone(), epoch, seq: fields.u64("seq")?, fact })
}

impl ChunkRequest {
    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        let request = Self {
            gateway: fields.parse("gateway")?,
            version: fields.u64("version")?,
            first: fields.number("first")?,
            count: fields.number("count")?,
        };
        if !(1..=CHUNK_REQUEST_MAX).contains(&request.count) {
            return Err(fields.wrong("count", format_args!("must be 1 to {CHUNK_REQUEST_MAX}")));
        }
        Ok(request)
    }
}

impl CommandResult {
    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        let outcome = if fields.flag("done")? {
            CommandOutcome::Done
        } else {
            CommandOutcome::Refused(fields.opt_text("problem")?.unwrap_or_default())
        };
        Ok(Self { gateway: fields.parse("gateway")?, id: CommandId(fields.bytes("id")?), outcome })
    }
}

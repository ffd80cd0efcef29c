//! One party's end of the bus, the same for both transports.

use std::time::Duration;

use bytes::Bytes;
use domain::{GatewayId, SiteId};
use thiserror::Error;
use tokio::sync::mpsc;
use wire::bus::{Channel, MESSAGE_MAX_BYTES, Topic, Up};

use crate::{local, mqtt};

/// Most messages that wait for a consumer. What happens when it is full: see the crate's promises.
pub const INBOX_MAX_MESSAGES: usize = 128;
/// How long [`Publisher::publish`] waits for room.
pub(crate) const PUBLISH_WAIT: Duration = Duration::from_secs(5);

/// Who is at this end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// A gateway.
    Gateway(GatewayId),
    /// A bridge; the name distinguishes several.
    Bridge(String),
}

impl Party {
    /// The client name on a broker: unique within it, the same after a restart.
    pub fn client_id(&self, site: &SiteId) -> String {
        match self {
            Self::Gateway(gateway) => format!("tapward-{site}-gateway-{gateway}"),
            Self::Bridge(name) => format!("tapward-{site}-bridge-{name}"),
        }
    }

    pub(crate) fn may_publish(&self, topic: &Topic) -> bool {
        match self {
            Self::Gateway(gateway) => topic.channel.is_up() && topic.gateway == *gateway,
            Self::Bridge(_) => !topic.channel.is_up(),
        }
    }

    pub(crate) fn reads(&self, topic: &Topic) -> bool {
        match self {
            Self::Gateway(gateway) => !topic.channel.is_up() && topic.gateway == *gateway,
            Self::Bridge(_) => topic.channel.is_up(),
        }
    }

    /// What the bus says for a gateway that ended without a word.
    pub(crate) fn last_will(&self) -> Option<(Topic, Bytes)> {
        let Self::Gateway(gateway) = self else { return None };
        let bytes = Up::Gone(gateway.clone()).encode().ok()?;
        Some((Topic::new(gateway.clone(), Channel::Status), bytes.into()))
    }
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The transport is up. `session_present`: it kept what was on its way to us.
    Connected {
        /// Whether the broker knew us.
        session_present: bool,
    },
    /// The transport is down and being set up again.
    Lost {
        /// For operators.
        why: String,
    },
    /// A message.
    Message(Message),
}

/// A message and what the transport knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: Topic,
    /// At most `wire::bus::MESSAGE_MAX_BYTES`.
    pub bytes: Bytes,
    /// A copy that the broker had stored, not a live message. Commands in such copies are refused.
    pub retained: bool,
    /// The transport says that it may have delivered it before.
    pub duplicate: bool,
}

/// Why a message was not taken over for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The queue is full: wait and try again.
    #[error("the queue to the bus is full")]
    Full,
    /// Not connected: start again from the cursor after [`Incoming::Connected`].
    #[error("the bus is not connected")]
    Down,
    /// Longer than a message may be.
    #[error("the message has {0} bytes, at most {MESSAGE_MAX_BYTES} are allowed")]
    TooLong(usize),
    /// This party does not write there.
    #[error("this program may not publish on that topic")]
    NotAllowed,
    /// The link was closed.
    #[error("the link to the bus is closed")]
    Closed,
}

/// Both directions.
#[derive(Debug)]
pub struct Link {
    /// Towards the bus; can be cloned.
    pub publisher: Publisher,
    /// From the bus; one owner.
    pub inbox: Inbox,
}

/// Sends. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    party: Party,
    to: To,
}

#[derive(Debug, Clone)]
enum To {
    Hub(local::Member),
    Broker(mqtt::Sender),
}

impl Publisher {
    pub(crate) const fn hub(party: Party, member: local::Member) -> Self {
        Self { party, to: To::Hub(member) }
    }

    pub(crate) const fn broker(party: Party, sender: mqtt::Sender) -> Self {
        Self { party, to: To::Broker(sender) }
    }

    /// Whose link it is.
    pub const fn party(&self) -> &Party {
        &self.party
    }

    /// Hands a message over without waiting.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn try_publish(&self, topic: &Topic, bytes: impl Into<Bytes>) -> Result<(), PublishError> {
        let bytes = self.checked(topic, bytes.into())?;
        match &self.to {
            To::Hub(member) => member.try_publish(topic, bytes),
            To::Broker(sender) => sender.try_publish(topic, bytes),
        }
    }

    /// Hands a message over, waiting up to 5 s for room. Dropping the future before it is done sends nothing or
    /// everything, never a part.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, topic: &Topic, bytes: impl Into<Bytes>) -> Result<(), PublishError> {
        let bytes = self.checked(topic, bytes.into())?;
        let sending = async {
            match &self.to {
                To::Hub(member) => member.publish(topic, bytes).await,
                To::Broker(sender) => sender.publish(topic, bytes).await,
            }
        };
        tokio::time::timeout(PUBLISH_WAIT, sending).await.unwrap_or(Err(PublishError::Full))
    }

    fn checked(&self, topic: &Topic, bytes: Bytes) -> Result<Bytes, PublishError> {
        if bytes.len() > MESSAGE_MAX_BYTES {
            return Err(PublishError::TooLong(bytes.len()));
        }
        if self.party.may_publish(topic) { Ok(bytes) } else { Err(PublishError::NotAllowed) }
    }
}

/// Receives. Dropping it ends the link as a crash would; [`Inbox::close`] ends it in order.
#[derive(Debug)]
pub struct Inbox {
    events: mpsc::Receiver<Delivery>,
    /// What the consumer is working on.
    taken: Option<mqtt::Receipt>,
    end: End,
}

/// An event with what confirms it to the transport.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) incoming: Incoming,
    pub(crate) receipt: Option<mqtt::Receipt>,
}

impl From<Incoming> for Delivery {
    fn from(incoming: Incoming) -> Self {
        Self { incoming, receipt: None }
    }
}

/// Ends the transport's side when dropped.
#[derive(Debug)]
pub(crate) enum End {
    Hub(local::Membership),
    Broker(mqtt::Connection),
}

impl Inbox {
    pub(crate) const fn new(events: mpsc::Receiver<Delivery>, end: End) -> Self {
        Self { events, taken: None, end }
    }

    /// The next event; also says that the one before has been dealt with. `None` when the link has ended for good.
    /// May be cancelled at any time without losing anything.
    pub async fn next(&mut self) -> Option<Incoming> {
        if let Some(receipt) = &self.taken {
            receipt.confirm().await;
            self.taken = None;
        }
        let delivery = self.events.recv().await?;
        self.taken = delivery.receipt;
        Some(delivery.incoming)
    }

    /// Says goodbye, so that no last will is sent. What was handed over for sending before is sent, within 2 s.
    pub async fn close(mut self) {
        if let Some(receipt) = self.taken.take() {
            receipt.confirm().await;
        }
        match self.end {
            End::Hub(membership) => membership.leave(),
            End::Broker(connection) => connection.close().await,
        }
    }
}

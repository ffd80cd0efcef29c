//! The two transports between programs, behind one interface: [`local::Hub`] when everything runs in one process,
//! [`mqtt`] through a broker when programs run apart.
//!
//! Owns: connections, subscriptions, topics on the broker, the last will, reconnecting.
//! Never: understands a message (that is `wire::bus`), remembers what was delivered (that is the journal's cursor).
//! May import: `domain`, `wire`.
//!
//! What both transports promise, and one test checks on both:
//! - A [`Link`] belongs to one [`Party`]. A gateway writes its own upward channels and reads its own downward ones;
//!   a bridge reads all upward channels of the site and writes all downward ones. Everything else is refused.
//! - Messages of one sender on one channel arrive in order while the connection lasts. After a loss they may arrive
//!   twice, or not at all.
//! - `Ok` from publishing means "taken over for sending", never "delivered". Delivery is what `wire::bus::Ack` says.
//! - [`Incoming::Connected`] comes first, and again after each loss. Then the sender starts again from its cursor.
//! - A message counts as taken when the consumer asks for the next one; MQTT repeats it if the program dies before.
//! - Queues are bounded. A full queue towards the line is [`PublishError::Full`]; a full [`Inbox`] makes the hub
//!   answer `Full` to the sender and makes MQTT break the connection, so that the broker keeps what was not taken.
//! - When a gateway's link ends without [`Inbox::close`], the bridges get `wire::bus::Up::Gone`.

mod link;
pub mod local;
pub mod mqtt;
#[cfg(feature = "testing")]
pub mod testing;

pub use link::{INBOX_MAX_MESSAGES, Inbox, Incoming, Link, Message, Party, PublishError, Publisher};

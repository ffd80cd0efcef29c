//! From a frame to its answer: whose message it is, whether it was answered before, what it says, and the acknowledgement
//! that follows, in the original or the enhanced mode.

use std::fmt;
use std::net::IpAddr;

use clinic::acting::Acting;
use clinic::feeds::Feeds;
use clinic::received::{self, Numbered};
use domain::Clock;
use sha2::{Digest, Sha256};
use store::Database;
use tokio::sync::Mutex;
use tracing::{debug, info, warn};
use wire::hl7::mllp::{Framed, frame};
use wire::hl7::out::{self, AckOut};
use wire::hl7::view::{AckCode, AckWhen, Header};
use wire::hl7::{Code, Hl7Error, Message, Place};

use super::settings::{ReceiverSettings, SenderRule};
use super::take::{Answer, NotTaken, Taker, check};

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub address: IpAddr,
    /// SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
}

/// Nothing is answered, and the connection is closed: the sender keeps the message and sends it again.
#[derive(Debug)]
pub(crate) struct NotNow;

/// Answers frames.
pub(crate) struct Desk {
    pub settings: ReceiverSettings,
    pub feeds: Feeds,
    pub database: Database,
    pub clock: Clock,
    /// For each sender: one message at a time, so that their order is kept over several connections too.
    pub turns: Vec<Mutex<()>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({} senders)", self.turns.len())
    }
}

impl Desk {
    /// What is to be written for a frame; empty if nothing is.
    pub(crate) async fn answer(&self, framed: Framed, peer: &Peer) -> Result<Vec<u8>, NotNow> {
        let bytes = match framed {
            Framed::Message(bytes) => bytes,
            Framed::TooLong(head) => {
                warn!("hl7.received.too_long");
                let answer = Hl7Error::TooLong(self.settings.message_max_bytes).into();
                let header = header_of(&head);
                return self.write(header.as_ref(), Err(answer), "");
            }
            Framed::BrokenOff => {
                debug!("hl7.received.broken_off");
                return Ok(Vec::new());
            }
        };
        let Some(header) = header_of(&bytes) else {
            warn!("hl7.received.unreadable");
            let error = match Message::parse(&bytes, bytes.len(), wire::hl7::Charset::Latin1) {
                Err(error) => error,
                Ok(_) => Hl7Error::NotHl7,
            };
            return self.write(None, Err(error.into()), "");
        };
        let Some((rule, turn)) = self.rule(&header, peer) else {
            warn!(address = %peer.address, "hl7.received.unknown_sender");
            let advice = "this sender is not configured here (MSH-3, MSH-4, certificate, address)";
            let answer = Answer::reject(Code::TableValue, Some(Place::of("MSH", 3)), advice);
            return self.write(Some(&header), Err(answer), "");
        };
        let _turn = turn.lock().await;
        self.of_sender(&bytes, &header, rule, peer).await
    }

    fn rule(&self, header: &Header, peer: &Peer) -> Option<(&SenderRule, &Mutex<()>)> {
        let fits = |rule: &SenderRule| {
            header.application.is(&rule.application)
                && rule.facility.as_ref().is_none_or(|facility| header.facility.is(facility))
                && rule.certificate.is_none_or(|wanted| peer.certificate == Some(wanted))
                && (rule.addresses.is_empty() || rule.addresses.contains(&peer.address))
        };
        let at = self.settings.senders.iter().position(fits)?;
        Some((self.settings.senders.get(at)?, self.turns.get(at)?))
    }

    async fn of_sender(
        &self,
        bytes: &[u8],
        lenient: &Header,
        rule: &SenderRule,
        peer: &Peer,
    ) -> Result<Vec<u8>, NotNow> {
        let parsed = Message::parse(bytes, self.settings.message_max_bytes, rule.unsaid);
        let read = parsed.and_then(|message| Ok((Header::read(&message)?, message)));
        let (header, message) = match read {
            Ok(read) => read,
            // Without a number, or without its text, nothing can be recognised if it comes again.
            Err(error) => {
                info!(source = %rule.source, "hl7.received.refused: {error}");
                return self.write(Some(lenient), Err(error.into()), rule.source.as_str());
            }
        };
        let numbered = Numbered {
            source: rule.source.to_string(),
            application: header.application.components().join("^"),
            facility: header.facility.components().join("^"),
            control: header.control.clone(),
            content: sum_of(&header, &message),
        };
        match received::answer_of(&self.database, &numbered).await {
            Ok(None) => {}
            Ok(Some(answer)) => {
                debug!(source = %rule.source, "hl7.received.again");
                return Ok(answer.into_bytes());
            }
            Err(error) => return Err(not_now(rule, &error.to_string())),
        }
        let mut acting = Acting::feed(&rule.source);
        acting.address = Some(peer.address);
        let taker =
            Taker { feeds: &self.feeds, database: &self.database, rule, acting: &acting, now: self.clock.now() };
        let taken = match check(&header, rule) {
            Ok(()) => taker.take(&message, &header).await,
            Err(answer) => Err(NotTaken::Answer(answer)),
        };
        let outcome = match taken {
            Ok(()) => Ok(()),
            Err(NotTaken::Answer(answer)) => Err(answer),
            Err(NotTaken::NotNow(why)) => return Err(not_now(rule, why)),
        };
        if let Err(answer) = &outcome {
            let place = answer.place.map(|place| place.to_string()).unwrap_or_default();
            info!(source = %rule.source, code = answer.error.as_str(), place, "hl7.received.refused");
        }
        let passing = outcome.is_err_and(|answer| answer.passing);
        let written = self.write(Some(&header), outcome, rule.source.as_str())?;
        if passing {
            return Ok(written);
        }
        let text = String::from_utf8(written).map_err(|_| NotNow)?;
        match received::remember(&self.database, &numbered, text, self.clock.now()).await {
            Ok(answer) => Ok(answer.into_bytes()),
            Err(error) => Err(not_now(rule, &error.to_string())),
        }
    }

    /// The frames of an answer: one in the original mode, none to two in the enhanced one.
    fn write(&self, header: Option<&Header>, outcome: Result<(), Answer>, source: &str) -> Result<Vec<u8>, NotNow> {
        let good = outcome.is_ok();
        let result = outcome.as_ref().err().map_or(AckCode::Accept, |answer| answer.code);
        let mut codes = Vec::new();
        match header.filter(|header| header.is_enhanced()) {
            None => codes.push((result, true)),
            Some(header) => {
                let wants = |when: Option<AckWhen>, good| when.is_some_and(|when| when.wants(good));
                let says_result = wants(header.result, good);
                // Whoever wants no result is told of an error by the commit answer, or not at all.
                let commit = match (result, says_result) {
                    (AckCode::Reject, false) => AckCode::CommitReject,
                    (AckCode::Error, false) => AckCode::CommitError,
                    _ => AckCode::CommitAccept,
                };
                if wants(header.accept, commit.is_good()) {
                    codes.push((commit, !says_result));
                }
                if says_result {
                    codes.push((result, true));
                }
            }
        }
        let mut written = Vec::new();
        for (code, tells) in codes {
            let told = outcome.as_ref().err().filter(|_| tells);
            let ack = AckOut {
                code,
                error: told.map(|answer| (answer.error, answer.place)),
                advice: told.map_or("", |answer| answer.advice),
            };
            let control = control().map_err(|why| {
                warn!(source, "hl7.received.not_now: {why}");
                NotNow
            })?;
            let bytes = out::ack(header, ack, &control, self.clock.now(), &self.settings.zone);
            written.extend(frame(&bytes));
        }
        Ok(written)
    }
}

fn not_now(rule: &SenderRule, why: &str) -> NotNow {
    warn!(source = %rule.source, "hl7.received.not_now: {why}; the message is not answered and will be sent again");
    NotNow
}

fn header_of(bytes: &[u8]) -> Option<Header> {
    Message::salvage(bytes).and_then(|message| Header::lenient(&message))
}

/// 32 bits of what a message is and says: enough to notice a number that was used for something else, too few to find out
/// what was said. Not the sender's time, which some set anew when they send again.
fn sum_of(header: &Header, message: &Message) -> u32 {
    let mut hash = Sha256::new();
    for part in [&header.code, &header.event, message.body()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let sum = hash.finalize();
    sum.iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// A number for an answer of ours, never used twice.
fn control() -> Result<String, String> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

//! The two transports behind one interface, and short words for what every test does.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use bus::testing::{Config, Mosquitto};
use bus::{Incoming, Link, Message, Party};
use domain::{GatewayId, SiteId};
use tokio::time::timeout;
use wire::bus::{Channel, Topic};

/// Longer than anything takes on a busy machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(30);

pub trait Transport {
    /// Joins and waits for the connection.
    async fn join(&self, party: Party) -> Link;
    /// Breaks every connection.
    fn cut(&mut self);
    /// Lets them come back.
    fn mend(&mut self);
}

#[derive(Default)]
pub struct Hub(bus::local::Hub);

impl Transport for Hub {
    async fn join(&self, party: Party) -> Link {
        let mut link = self.0.join(party);
        connected(&mut link).await;
        link
    }

    fn cut(&mut self) {
        self.0.interrupt();
    }

    fn mend(&mut self) {
        self.0.resume();
    }
}

pub struct Broker(pub Mosquitto);

impl Default for Broker {
    fn default() -> Self {
        Self(Mosquitto::new(&Config::default()))
    }
}

impl Broker {
    /// Waiting times for tests.
    pub const fn quick() -> bus::mqtt::Retry {
        let (first, longest) = (Duration::from_millis(20), Duration::from_millis(200));
        bus::mqtt::Retry { first, longest, steady: Duration::from_secs(30) }
    }

    pub fn settings(&self) -> bus::mqtt::Settings {
        bus::mqtt::Settings { retry: Self::quick(), ..bus::mqtt::Settings::loopback(self.0.port()) }
    }
}

impl Transport for Broker {
    async fn join(&self, party: Party) -> Link {
        let mut link = bus::mqtt::connect(&self.settings(), &site(), party).unwrap();
        connected(&mut link).await;
        link
    }

    fn cut(&mut self) {
        self.0.kill();
    }

    fn mend(&mut self) {
        self.0.start();
    }
}

pub fn site() -> SiteId {
    SiteId::new("clinic-1").unwrap()
}

pub fn gateway(name: &str) -> Party {
    Party::Gateway(GatewayId::new(name).unwrap())
}

pub fn bridge(name: &str) -> Party {
    Party::Bridge(name.into())
}

pub fn topic(gateway: &str, channel: Channel) -> Topic {
    Topic::new(GatewayId::new(gateway).unwrap(), channel)
}

/// The next event.
pub async fn next(link: &mut Link) -> Option<Incoming> {
    timeout(PATIENCE, link.inbox.next()).await.expect("something comes in time")
}

/// Waits for the connection, passing over attempts that failed; returns whether the session was there.
pub async fn connected(link: &mut Link) -> bool {
    loop {
        match next(link).await {
            Some(Incoming::Connected { session_present }) => return session_present,
            Some(Incoming::Lost { .. }) => {}
            other => panic!("connected or lost, not {other:?}"),
        }
    }
}

/// The next event, which must be a message.
pub async fn message(link: &mut Link) -> Message {
    match next(link).await {
        Some(Incoming::Message(message)) => message,
        other => panic!("a message, not {other:?}"),
    }
}

/// The next message of some kind, passing over everything else.
pub async fn until_message(link: &mut Link, wanted: impl Fn(&Message) -> bool) -> Message {
    loop {
        if let Some(Incoming::Message(message)) = next(link).await
            && wanted(&message)
        {
            return message;
        }
    }
}

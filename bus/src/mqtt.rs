//! The bus through an MQTT 3.1.1 broker.
//!
//! Each connection has a client of its own: when it is lost, what the client had queued is dropped with it, because
//! the journal's cursor knows what has to be sent again. So no stale message waits in memory, and no leftover of one
//! session can disturb the next. What was on its way to us is kept by the broker (persistent session, QoS 1) and is
//! confirmed only when the consumer has dealt with it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::SiteId;
use rumqttc::mqttbytes::v4::SubscribeReasonCode;
use rumqttc::{
    AckMode, AsyncClient, Broker, Event, EventLoop, LastWill, ManualAck, MqttOptions, Packet, PublishOptions, QoS,
    SubscribeFilter, TlsConfiguration, Transport,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use wire::bus::{Channel, MESSAGE_MAX_BYTES, Topic};

use crate::link::{Delivery, End};
use crate::{INBOX_MAX_MESSAGES, Inbox, Incoming, Link, Message, Party, PublishError, Publisher};

/// Most publications that the broker has not confirmed.
const IN_FLIGHT_MAX: u16 = 100;
/// Most publications that wait for the line. Full: [`PublishError::Full`].
const QUEUE_MAX: usize = 100;
/// Names and headers around a message.
const PACKET_OVERHEAD_BYTES: usize = 1024;
/// How long connecting may take, in seconds.
const CONNECT_TIMEOUT_S: u64 = 5;
/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the broker is and how to be let in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// Port, usually 8883 with TLS and 1883 without.
    pub port: u16,
    /// Without TLS only addresses of this machine are allowed.
    pub tls: Option<Tls>,
    /// User name and password, if the broker wants them.
    pub login: Option<Login>,
    /// How often the connection is checked when idle, in seconds, 5 or more.
    pub keep_alive_s: u16,
    /// Waiting times between attempts to connect.
    pub retry: Retry,
}

impl Settings {
    /// A broker on this machine without TLS.
    pub fn loopback(port: u16) -> Self {
        let (host, retry) = ("127.0.0.1".to_owned(), Retry::default());
        Self { host, port, tls: None, login: None, keep_alive_s: 5, retry }
    }
}

/// Doubling waiting times, each shortened by a random part of up to one half so that many gateways do not come back
/// in step.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
    /// A connection that lasted this long sets the waiting time back to `first`.
    pub steady: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(15), steady: Duration::from_secs(30) }
    }
}

/// Certificates, PEM.
#[derive(Clone)]
pub struct Tls {
    /// Who may have signed the broker's certificate. The system's list is not used: a site has its own authority.
    pub authority: Vec<u8>,
    /// Our certificate chain and its key, by which the broker knows us.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls {{ identity: {} }}", self.identity.is_some())
    }
}

/// User name and password.
#[derive(Clone)]
pub struct Login {
    /// The name; the access list in `deploy/mosquitto` wants the gateway's name here.
    pub user: String,
    /// The secret.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login {{ user: {:?}, … }}", self.user)
    }
}

/// Why no link can be made; a broker that is away is not an error but [`Incoming::Lost`].
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Plain text to another machine.
    #[error("the broker {0:?} is another machine: set up TLS for it (plain connections are for 127.0.0.1 and ::1)")]
    PlainNotLocal(String),
    /// A certificate or key cannot be used.
    #[error("{what}: {problem}")]
    Certificate {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The client's settings do not fit.
    #[error("the broker's settings: {0}")]
    Other(String),
}

/// Starts a link and keeps it connected until the inbox is closed or dropped. Must be called within a tokio runtime.
///
/// # Errors
/// If the settings can never work.
pub fn connect(settings: &Settings, site: &SiteId, party: Party) -> Result<Link, SettingsError> {
    let options = options(settings, site, &party)?;
    let (events, inbox) = mpsc::channel(INBOX_MAX_MESSAGES);
    let (client, clients) = watch::channel(None);
    let (stop, stopped) = oneshot::channel();
    let filters = filters(site, &party);
    let sender = Sender { site: site.clone(), clients };
    let task = Task { options, site: site.clone(), filters, retry: settings.retry, events, client };
    let running = tokio::spawn(task.run(stopped));
    let connection = Connection { stop: Some(stop), running };
    Ok(Link { publisher: Publisher::broker(party, sender), inbox: Inbox::new(inbox, End::Broker(connection)) })
}

fn options(settings: &Settings, site: &SiteId, party: &Party) -> Result<MqttOptions, SettingsError> {
    let broker = Broker::tcp(settings.host.clone(), settings.port);
    let mut options = MqttOptions::new(party.client_id(site), broker);
    match &settings.tls {
        Some(tls) => {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(client_config(tls)?))));
        }
        None if is_this_machine(&settings.host) => {}
        None => return Err(SettingsError::PlainNotLocal(settings.host.clone())),
    }
    if let Some(login) = &settings.login {
        options.set_credentials(login.user.clone(), Bytes::from(login.password.clone().into_bytes()));
    }
    if let Some((topic, bytes)) = party.last_will() {
        options.set_last_will(LastWill::new(topic.name(site), bytes, QoS::AtLeastOnce, false));
    }
    let longest = MESSAGE_MAX_BYTES + PACKET_OVERHEAD_BYTES;
    options
        .set_keep_alive(settings.keep_alive_s.max(5))
        .set_clean_session(false)
        .set_ack_mode(AckMode::Manual)
        .set_max_packet_size(longest, longest)
        .try_set_inflight(IN_FLIGHT_MAX)
        .map_err(|error| SettingsError::Other(error.to_string()))?;
    Ok(options)
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn client_config(tls: &Tls) -> Result<rustls::ClientConfig, SettingsError> {
    let wrong = |what, problem: &dyn fmt::Display| SettingsError::Certificate { what, problem: problem.to_string() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&tls.authority) {
        let certificate = certificate.map_err(|error| wrong("the authority's certificate", &error))?;
        roots.add(certificate).map_err(|error| wrong("the authority's certificate", &error))?;
    }
    if roots.is_empty() {
        return Err(wrong("the authority's certificate", &"the file contains none"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", &error))?
        .with_root_certificates(roots);
    let Some((chain, key)) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong("this program's certificate", &error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("this program's key", &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| wrong("this program's certificate", &error))
}

fn filters(site: &SiteId, party: &Party) -> Vec<String> {
    match party {
        Party::Gateway(gateway) => {
            Channel::DOWN.map(|channel| Topic::new(gateway.clone(), channel).name(site)).to_vec()
        }
        Party::Bridge(_) => Channel::UP.map(|channel| Topic::filter_all(site, channel)).to_vec(),
    }
}

/// A party's way to the broker: the client of the connection of the moment, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    site: SiteId,
    clients: watch::Receiver<Option<AsyncClient>>,
}

impl Sender {
    fn client(&self) -> Result<AsyncClient, PublishError> {
        if self.clients.has_changed().is_err() {
            return Err(PublishError::Closed);
        }
        self.clients.borrow().clone().ok_or(PublishError::Down)
    }

    pub(crate) fn try_publish(&self, topic: &Topic, bytes: Bytes) -> Result<(), PublishError> {
        let client = self.client()?;
        // The client cannot say whether it is full or gone; gone shows in the next call.
        client
            .try_publish(topic.name(&self.site), bytes, PublishOptions::at_least_once())
            .map_err(|_| if self.client().is_ok() { PublishError::Full } else { PublishError::Down })
    }

    pub(crate) async fn publish(&self, topic: &Topic, bytes: Bytes) -> Result<(), PublishError> {
        let client = self.client()?;
        let sending = client.publish(topic.name(&self.site), bytes, PublishOptions::at_least_once());
        sending.await.map_err(|_| PublishError::Down)
    }
}

/// Confirms a message to the broker that sent it.
#[derive(Debug)]
pub(crate) struct Receipt {
    client: AsyncClient,
    ack: ManualAck,
}

impl Receipt {
    pub(crate) async fn confirm(&self) {
        // If that connection has ended, the broker sends the message again.
        let _ = self.client.manual_ack(self.ack.clone()).await;
    }
}

/// Belongs to the inbox: ends the connection with it.
#[derive(Debug)]
pub(crate) struct Connection {
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Connection {
    pub(crate) async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(CLOSE_TIMEOUT, &mut self.running).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Owns the connection.
struct Task {
    options: MqttOptions,
    site: SiteId,
    filters: Vec<String>,
    retry: Retry,
    events: mpsc::Sender<Delivery>,
    client: watch::Sender<Option<AsyncClient>>,
}

/// How a connection ended.
enum Ended {
    Stopped,
    Lost(String),
}

impl Task {
    async fn run(self, mut stopped: oneshot::Receiver<()>) {
        let mut wait = self.retry.first;
        loop {
            let began = Instant::now();
            let ended = self.one_connection(&mut stopped).await;
            self.client.send_replace(None);
            let Ended::Lost(why) = ended else { return };
            wait = if began.elapsed() >= self.retry.steady { self.retry.first } else { wait };
            let pause = jittered(wait);
            let wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            warn!(bus.client = %self.options.client_id(), wait_ms, "the bus is not connected: {why}");
            if self.events.send(Incoming::Lost { why }.into()).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = &mut stopped => return,
            }
            wait = (wait * 2).min(self.retry.longest);
        }
    }

    async fn one_connection(&self, stopped: &mut oneshot::Receiver<()>) -> Ended {
        let built = AsyncClient::builder(self.options.clone()).capacity(QUEUE_MAX).try_build();
        let (client, mut connection) = match built {
            Ok(pair) => pair,
            Err(error) => return Ended::Lost(error.to_string()),
        };
        let mut network = connection.network_options();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT_S);
        connection.set_network_options(network);
        let mut session_present = false;
        let mut announced = false;
        loop {
            let event = tokio::select! {
                event = connection.poll() => event,
                _ = &mut *stopped => {
                    say_goodbye(&client, &mut connection).await;
                    return Ended::Stopped;
                }
            };
            let event = match event {
                Ok(Event::Incoming(packet)) => packet,
                Ok(Event::Outgoing(_)) => continue,
                Err(error) => return Ended::Lost(error.to_string()),
            };
            match event {
                Packet::ConnAck(ack) => {
                    session_present = ack.session_present;
                    let filters = self.filters.iter().map(|f| SubscribeFilter::new(f.clone(), QoS::AtLeastOnce));
                    // A persistent session would remember, a lost one does not: subscribing again is harmless.
                    if let Err(error) = client.try_subscribe_many(filters) {
                        return Ended::Lost(error.to_string());
                    }
                }
                Packet::SubAck(ack) => {
                    if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                        return Ended::Lost("the broker refuses the subscription; check its access list".into());
                    }
                    announced = announced || self.announce(&client, session_present).await;
                }
                Packet::Publish(publish) => {
                    // A broker that kept our session does not wait for our subscriptions.
                    announced = announced || self.announce(&client, session_present).await;
                    if let Err(ended) = self.take(&client, publish) {
                        return ended;
                    }
                }
                _ => {}
            }
        }
    }

    /// Says that the connection is up. Waits for room in the inbox: nothing else does while the connection is up, and
    /// at this point little is queued.
    async fn announce(&self, client: &AsyncClient, session_present: bool) -> bool {
        info!(bus.client = %self.options.client_id(), session_present, "the bus is connected");
        self.client.send_replace(Some(client.clone()));
        // A consumer that has gone shows with the next message, and ends this task with its inbox.
        let _ = self.events.send(Incoming::Connected { session_present }.into()).await;
        true
    }

    /// Never waits: a connection that is not served is closed by the broker.
    fn take(&self, client: &AsyncClient, publish: rumqttc::Publish) -> Result<(), Ended> {
        let receipt = client.prepare_ack(&publish).map(|ack| Receipt { client: client.clone(), ack });
        let name = String::from_utf8_lossy(&publish.topic);
        let topic = match Topic::parse(&self.site, &name) {
            Ok(topic) => topic,
            Err(error) => {
                warn!(bus.client = %self.options.client_id(), "a message is ignored: {error}");
                if let Some(receipt) = receipt {
                    let _ = client.try_manual_ack(receipt.ack);
                }
                return Ok(());
            }
        };
        let (retained, duplicate) = (publish.retain, publish.dup);
        let message = Message { topic, bytes: publish.payload, retained, duplicate };
        self.events.try_send(Delivery { incoming: Incoming::Message(message), receipt }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Ended::Lost(format!("{INBOX_MAX_MESSAGES} messages wait to be dealt with; the broker keeps the rest"))
            }
            mpsc::error::TrySendError::Closed(_) => Ended::Stopped,
        })
    }
}

/// Sends what is queued, then DISCONNECT, so that the broker sends no last will.
async fn say_goodbye(client: &AsyncClient, connection: &mut EventLoop) {
    if client.try_disconnect_with_timeout(CLOSE_TIMEOUT / 2).is_err() {
        return;
    }
    let draining = async { while connection.poll().await.is_ok() {} };
    let _ = timeout(CLOSE_TIMEOUT, draining).await;
}

fn jittered(wait: Duration) -> Duration {
    let mut random = [0_u8; 1];
    // Without randomness the waiting time is merely not spread.
    let _ = getrandom::fill(&mut random);
    wait.mul_f64(1.0 - f64::from(random[0]) / 512.0)
}

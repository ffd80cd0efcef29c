//! The task that sends, one letter at a time: notices are few, and a mail server that is slow must not make us many
//! connections.

use std::error::Error as _;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use clinic::notices::{Due, Ending, Letter, Notices, Reply, ReplyCode, Wording};
use domain::Clock;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{Address, AsyncTransport, Tokio1Executor};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Security, Settings, SettingsError};

/// How often the outbox is looked into.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often old notices are tidied away.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// One step of talking with the server may take this long.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// A whole letter may take this long; less than a notice belongs to who took it.
const LETTER_WITHIN: Duration = Duration::from_secs(60);
/// After the server was away, the others wait this long too: they would fail the same way.
const AWAY_PAUSE: Duration = Duration::from_secs(30);

/// Speaks with one mail server.
pub struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

/// Tells other programs that nobody reads an answer (RFC 3834), so that no holiday notice comes back.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Sender {
    /// Checks the settings and reads the authority's certificate. Connects nowhere yet.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let from: Mailbox = settings.from.parse().map_err(|_| SettingsError::From(settings.from.clone()))?;
        let tls = match settings.security {
            Security::Plain => Tls::None,
            Security::Tls => Tls::Wrapper(tls(settings)?),
            // Required: a server, or somebody between, that does not offer it gets nothing.
            Security::StartTls => Tls::Required(tls(settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.server)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(STEP_WITHIN))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// Sends one letter and says how that ended.
    pub async fn send(&self, due: &Due, letter: &Letter, clock: &Clock) -> Ending {
        let message = match self.message(due, letter, clock) {
            Ok(message) => message,
            Err(_) => return Ending::GaveUp(Reply::new(ReplyCode::Letter, "")),
        };
        match timeout(LETTER_WITHIN, self.transport.send(message)).await {
            Ok(Ok(_)) => Ending::Sent,
            Ok(Err(error)) => ending_of(&error),
            Err(_) => Ending::Failed(Reply::new(ReplyCode::Away, "no answer in time")),
        }
    }

    fn message(&self, due: &Due, letter: &Letter, clock: &Clock) -> Result<Message, lettre::error::Error> {
        let to: Address = due.recipient.reveal().parse().map_err(|_| lettre::error::Error::MissingTo)?;
        let subject: String = letter.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let now = u64::try_from(clock.now().0).unwrap_or(0);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_millis(now))
            // The same at each try: who gets it twice sees it once.
            .message_id(Some(format!("<{}@{}>", due.id, self.from.email.domain())))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
    }
}

fn tls(settings: &Settings) -> Result<TlsParameters, SettingsError> {
    let mut builder = TlsParameters::builder(settings.server.clone());
    if let Some(path) = &settings.authority {
        let bad = |why: String| SettingsError::Authority { path: path.clone(), why };
        let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| bad(error.to_string()))?);
    }
    builder.build_rustls().map_err(|_| SettingsError::Server)
}

/// What a failure means for the notice.
fn ending_of(error: &smtp::Error) -> Ending {
    let mut said = error.to_string();
    if let Some(source) = error.source() {
        said = source.to_string();
    }
    let code = error.status().map(u16::from);
    // 530, 534, 535 and 538 are about who we are: somebody corrects the configuration, then the letter goes.
    if matches!(code, Some(530 | 534 | 535 | 538)) {
        return Ending::Failed(Reply::new(ReplyCode::Login, &said));
    }
    if error.is_permanent() {
        return Ending::GaveUp(Reply::new(ReplyCode::Refused, &said));
    }
    let code = if error.is_transient() {
        ReplyCode::Later
    } else if error.is_tls() || said.contains("certificate") || said.contains("STARTTLS") {
        ReplyCode::Tls
    } else if said.contains("authentication") {
        ReplyCode::Login
    } else {
        ReplyCode::Away
    };
    Ending::Failed(Reply::new(code, &said))
}

/// Sends what is due until `shutdown`. Without a server, notices are kept for a day and then given up, so that whoever
/// configures one late still gets today's.
pub async fn run(
    sender: Option<Sender>,
    notices: Notices,
    wording: Wording,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tidied: Option<Instant> = None;
    let mut away_until = Instant::now();
    let mut database_ok = true;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = look.tick() => {}
        }
        let mut outcome = Ok(());
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            outcome = notices.tidy(sender.is_some()).await;
        }
        while let (Some(sender), Ok(()), true) = (&sender, &outcome, Instant::now() >= away_until) {
            if shutdown.is_cancelled() {
                return;
            }
            let due = match notices.take_due().await {
                Ok(Some(due)) => due,
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            let ending = sender.send(&due, &wording(&due), &clock).await;
            match &ending {
                Ending::Sent => info!(notice = due.id, kind = due.kind.as_str(), "notice.sent"),
                Ending::Failed(reply) | Ending::GaveUp(reply) => {
                    warn!(notice = due.id, kind = due.kind.as_str(), why = reply.code.as_str(), "notice.not_sent");
                }
            }
            if let Ending::Failed(reply) = &ending
                && matches!(reply.code, ReplyCode::Away | ReplyCode::Tls | ReplyCode::Login)
            {
                away_until = Instant::now() + AWAY_PAUSE;
            }
            outcome = notices.settle(&due, ending).await;
        }
        // Said once, and once when it is over.
        match outcome {
            Ok(()) => database_ok = true,
            Err(error) if database_ok => {
                warn!(%error, "notice.database.failed");
                database_ok = false;
            }
            Err(_) => {}
        }
    }
}

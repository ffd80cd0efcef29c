//! Puts the programs together: which run in this process, how they are joined, in which order they start and end.
//!
//! Start: database, gateway, bridge, pages. End, in an order in which nothing is lost: the lines close first, the
//! gateway writes down what it knows, the bridge takes that in, the pages go last.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bus::local::Hub;
use bus::{Link, Party, mqtt};
use clinic::accounts::{Accounts, SecondFactor, SessionRules};
use clinic::till::terminal::Terminal;
use clinic::vault::Vault;
use dashboard::{Dashboard, DeskSettings, TillSettings, TlsSource};
use domain::{Clock, Epoch, SiteId};
use gateway::{Gateway, Parts};
use mis_bridge::terminal::HttpTerminal;
use store::Database;
use store::journal::Journal;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::bus::{KeyRing, LinkKey};
use zeroize::Zeroizing;

use crate::config::{BusSettings, Config, trust};
use crate::desk_reader::desk_reader;
use crate::{exchange, keys, upkeep};

/// How long bridge, pages and database may each take to end; people wait at the terminal.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Which programs run in this process.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// Doors.
    pub gateway: bool,
    /// Other systems.
    pub bridge: bool,
    /// Pages.
    pub dashboard: bool,
}

impl Programs {
    /// Everything.
    pub const ALL: Self = Self { gateway: true, bridge: true, dashboard: true };
}

/// A running installation.
pub struct Running {
    gateway: Option<Gateway>,
    gateway_stop: CancellationToken,
    others: Vec<JoinHandle<anyhow::Result<()>>>,
    others_stop: CancellationToken,
    /// Ends after all others: the last head of the audit log covers what they did.
    audit: Option<JoinHandle<anyhow::Result<()>>>,
    audit_stop: CancellationToken,
    database: Option<Database>,
    /// Where the pages are and how to sign in the first time, if they run here.
    pub pages: Option<Pages>,
}

/// Where the pages are.
#[derive(Debug, Clone)]
pub struct Pages {
    /// `https://…`
    pub address: String,
    /// The one-time link for making the first administrator's account, while there is none.
    pub first_run: Option<String>,
}

/// Starts the programs.
pub async fn start(config: &Config, programs: Programs, clock: &Clock) -> anyhow::Result<Running> {
    keys::private_folder(&config.data)?;
    let database = match programs.bridge || programs.dashboard {
        true => Some(open_database(config, clock, programs.bridge).await?),
        false => None,
    };
    // Before anything is started: a port that is taken leaves no gateway half started.
    let listener = programs.dashboard.then(|| listen(config)).transpose()?;
    let joint = Joint::new(config)?;
    let mut running = Running {
        gateway: None,
        gateway_stop: CancellationToken::new(),
        others: Vec::new(),
        others_stop: CancellationToken::new(),
        audit: None,
        audit_stop: CancellationToken::new(),
        database: database.clone(),
        pages: None,
    };
    // First, so that whom a restored copy has brought back is erased before any program works with it.
    let mut vault = None;
    if let Some(database) = &database {
        // Kept open beside the programs: a medium with its key may come and go.
        let (opened, stop) = (crate::vault::open(config, database, clock).await?, running.others_stop.clone());
        if programs.bridge {
            upkeep::before(database, &opened, clock).await?;
            running.others.extend(upkeep::start(config, database, clock, &running.others_stop));
        }
        let watched = opened.clone();
        running.others.push(tokio::spawn(async move {
            stop.run_until_cancelled(watched.watch()).await;
            Ok(())
        }));
        vault = Some(opened);
    }
    if let (true, Some(database)) = (programs.bridge, &database) {
        let desk = clinic::desk::Desk::new(database.clone(), clock.clone(), config.desk).with_visits(config.visits);
        let settings = mis_bridge::Settings { desk: Some(desk), ..mis_bridge::Settings::new(joint.key()?) };
        let link = joint.link(config, Party::Bridge("bridge".into()))?;
        let (database, clock, stop) = (database.clone(), clock.clone(), running.others_stop.clone());
        running.others.push(tokio::spawn(async move {
            mis_bridge::run(settings, database, link, clock, stop).await;
            Ok(())
        }));
    }
    if let (true, Some(database)) = (programs.bridge, &database) {
        let work = crate::audit::Work::new(config)?;
        let (database, clock, stop) = (database.clone(), clock.clone(), running.audit_stop.clone());
        running.audit = Some(tokio::spawn(crate::audit::run(work, database, clock, stop)));
    }
    if let (true, Some(database)) = (programs.bridge, &database) {
        running.others.push(crate::mail::start(config, database, clock, running.others_stop.clone())?);
    }
    if let (true, Some(database), Some(vault)) = (programs.bridge, &database, &vault) {
        let beside = exchange::start(config, database, clock, vault, &running.others_stop).await?;
        running.others.extend(beside);
    }
    if programs.gateway {
        running.gateway = Some(start_gateway(config, &joint, clock, &running.gateway_stop).await?);
    }
    if let (Some(listener), Some(database), Some(vault)) = (listener, &database, vault) {
        running.pages = Some(start_pages(config, listener, database, clock, vault, &mut running).await?);
    }
    Ok(running)
}

fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let at = config.dashboard.listen;
    TcpListener::bind(at).with_context(|| {
        format!("the pages cannot listen at {at} (dashboard.listen); is Tapward, or another program, running there?")
    })
}

/// Opens the clinic's database; the bridge also puts the configured layout there.
pub async fn open_database(config: &Config, clock: &Clock, put_layout: bool) -> anyhow::Result<Database> {
    if let Some(folder) = config.database.strip_prefix("sqlite:").and_then(|path| Path::new(path).parent()) {
        keys::private_folder(folder)?;
    }
    let database = Database::open(&config.database).await?;
    if put_layout {
        clinic::policy::put_layout(&database, config.layout.clone(), clock.now()).await?;
    }
    Ok(database)
}

async fn start_gateway(
    config: &Config,
    joint: &Joint,
    clock: &Clock,
    stop: &CancellationToken,
) -> anyhow::Result<Gateway> {
    let mut epoch = [0; 16];
    keys::random(&mut epoch)?;
    let path = config.data.join("journal.db");
    let journal = Journal::open(&path, config.gateway.gateway.clone(), Epoch(epoch), clock).await?;
    let parts = Parts {
        settings: config.gateway.clone(),
        keys: keys::site_keys(&config.data)?,
        journal,
        link: joint.link(config, Party::Gateway(config.gateway.gateway.clone()))?,
        down_keys: KeyRing::new(vec![joint.key()?])?,
        clock: clock.clone(),
        policy_file: config.data.join("policy.bin"),
        software: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Gateway::start(parts, stop.clone()).await?)
}

async fn start_pages(
    config: &Config,
    listener: TcpListener,
    database: &Database,
    clock: &Clock,
    vault: Vault,
    running: &mut Running,
) -> anyhow::Result<Pages> {
    let tls = match &config.dashboard.certificate {
        Some((certificate, key)) => TlsSource::Files { certificate: certificate.clone(), key: key.clone() },
        None => TlsSource::Own { folder: config.data.join("tls"), names: Vec::new() },
    };
    let settings = dashboard::Settings {
        site: config.gateway.site.clone(),
        time_zone: config.time_zone,
        language: config.dashboard.language.clone(),
        tls,
        sessions: sessions(config),
        retention: config.retention,
        accounts_key: keys::accounts_key(&config.data)?,
        trusted_proxies: config.dashboard.trusted_proxies.clone(),
        desk: desk_settings(config)?,
        till: till_settings(config)?,
    };
    let (ready, address) = oneshot::channel();
    let pages = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let stop = running.others_stop.clone();
    running.others.push(tokio::spawn(async move { Ok(pages.serve(listener, stop, Some(ready)).await?) }));
    let address = match address.await {
        Ok(address) => format!("https://{address}"),
        // The task ended before it was ready: its error is what to tell.
        Err(_) => match running.others.pop() {
            Some(task) => return Err(task.await?.err().unwrap_or_else(|| anyhow::anyhow!("the pages did not start"))),
            None => bail!("the pages did not start"),
        },
    };
    let link = first_run_link(config, database, clock).await?;
    Ok(Pages { first_run: link.map(|path| format!("{address}{path}")), address })
}

/// What pages of the till are told.
fn till_settings(config: &Config) -> anyhow::Result<TillSettings> {
    let mut terminals: Vec<Arc<dyn Terminal>> = Vec::new();
    for settings in &config.till.terminals {
        terminals.push(Arc::new(HttpTerminal::new(settings.clone())?));
    }
    Ok(TillSettings {
        rules: config.till.rules.clone(),
        papers: config.till.papers.clone(),
        terminals,
        services: config.till.services.clone(),
    })
}

/// What pages of workstations are told.
fn desk_settings(config: &Config) -> anyhow::Result<DeskSettings> {
    let reader = match config.web_reader.clone() {
        Some((profile, rule)) => Some(desk_reader(profile, rule, keys::site_keys(&config.data)?.card)),
        None => None,
    };
    let identity = &config.exchange.identity;
    let fhircast = identity.address.clone().map(|address| clinic::fhircast::Settings {
        topic_is_enough: identity.topic_alone,
        patient_id_of: identity.patient_system.clone(),
        public_url: Some(address),
        ..clinic::fhircast::Settings::default()
    });
    Ok(DeskSettings {
        rules: config.desk,
        visits: config.visits,
        irregular: config.irregular,
        reader,
        fhircast,
        feeds: Some(exchange::feed_setup(config)?),
        openid: exchange::provider_rules(config),
        ..DeskSettings::default()
    })
}

/// The accounts of those who use the pages.
pub fn accounts(config: &Config, database: &Database, clock: &Clock) -> anyhow::Result<Accounts> {
    let (site, key) = (config.gateway.site.as_str(), keys::accounts_key(&config.data)?);
    Ok(Accounts::new(database.clone(), clock.clone(), sessions(config), site, key))
}

fn sessions(config: &Config) -> SessionRules {
    let second_factor = match config.accounts.second_factor {
        trust::SecondFactor::Optional => SecondFactor::Off,
        trust::SecondFactor::Powerful => SecondFactor::Roles,
        trust::SecondFactor::Everybody => SecondFactor::All,
    };
    let (idle_ms, absolute_ms) = (config.accounts.idle_ms, config.accounts.absolute_ms);
    SessionRules { idle_ms, absolute_ms, second_factor, ..SessionRules::default() }
}

/// The path of a new one-time link, while there is no administrator yet.
pub async fn first_run_link(config: &Config, database: &Database, clock: &Clock) -> anyhow::Result<Option<String>> {
    let accounts = accounts(config, database, clock)?;
    let sealed = accounts.seal_names().await?;
    if sealed > 0 {
        tracing::info!(sealed, "account.names.sealed");
    }
    Ok(accounts.create_first_run_link().await?.map(|link| link.path()))
}

impl Running {
    /// Puts a new configuration in force: lines that did not change go on undisturbed. What cannot be changed without
    /// a restart (data folder, database, bus, pages) is left as it is.
    pub async fn apply(&self, config: &Config, clock: &Clock) -> anyhow::Result<()> {
        if let Some(database) = &self.database {
            clinic::policy::put_layout(database, config.layout.clone(), clock.now()).await?;
        }
        if let Some(gateway) = &self.gateway {
            gateway.apply(config.gateway.clone()).await;
        }
        Ok(())
    }

    /// Tells the journal of something that concerns the whole gateway.
    pub async fn record(&self, fact: domain::Draft) {
        if let Some(gateway) = &self.gateway {
            gateway.record(fact).await;
        }
    }

    /// Whether everything that was started is still at work.
    pub fn is_alive(&self) -> bool {
        self.gateway.as_ref().is_none_or(Gateway::is_alive) && !self.others.iter().any(JoinHandle::is_finished)
    }

    /// Ends everything in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.gateway_stop.cancel();
        let had_gateway = self.gateway.is_some();
        if let Some(gateway) = self.gateway {
            gateway.finish().await;
        }
        if had_gateway && self.database.is_some() {
            // The bridge takes in the gateway's last words; what it misses comes from the journal at the next start.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.others_stop.cancel();
        let mut result = Ok(());
        for mut task in self.others {
            match tokio::time::timeout(STOP_LIMIT, &mut task).await {
                Ok(ended) => {
                    if let Err(error) = ended? {
                        result = Err(error);
                    }
                }
                Err(_) => {
                    tracing::warn!("a part of the program does not end; it is cut off");
                    task.abort();
                }
            }
        }
        self.audit_stop.cancel();
        if let Some(mut task) = self.audit {
            match tokio::time::timeout(STOP_LIMIT, &mut task).await {
                Ok(ended) => result = result.and(ended?),
                // A second place that does not answer; it is told at the next start.
                Err(_) => task.abort(),
            }
        }
        if let Some(database) = self.database
            && tokio::time::timeout(STOP_LIMIT, database.close()).await.is_err()
        {
            tracing::warn!("the database does not let go; what was committed is there");
        }
        result
    }
}

/// How gateway and bridge are joined: within this process, or by a broker.
struct Joint {
    site: SiteId,
    hub: Arc<Hub>,
    secret: Zeroizing<[u8; 32]>,
    key_id: &'static str,
}

impl Joint {
    fn new(config: &Config) -> anyhow::Result<Self> {
        let (secret, key_id) = match &config.bus {
            Some(bus) => (bus.command_key.clone(), "site"),
            None => {
                let mut secret = Zeroizing::new([0; 32]);
                keys::random(&mut *secret)?;
                (secret, "process")
            }
        };
        Ok(Self { site: config.gateway.site.clone(), hub: Arc::new(Hub::new()), secret, key_id })
    }

    fn key(&self) -> anyhow::Result<LinkKey> {
        Ok(LinkKey::new(self.key_id, *self.secret)?)
    }

    fn link(&self, config: &Config, party: Party) -> anyhow::Result<Link> {
        match &config.bus {
            None => Ok(self.hub.join(party)),
            Some(bus) => Ok(mqtt::connect(&broker(bus)?, &self.site, party)?),
        }
    }
}

fn broker(bus: &BusSettings) -> anyhow::Result<mqtt::Settings> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let tls = match bus.tls {
        false => None,
        true => {
            let Some(authority) = &bus.ca else {
                bail!("bus.ca is missing: which authority signed the broker's certificate?")
            };
            let identity = match (&bus.cert, &bus.key) {
                (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
                (None, None) => None,
                _ => bail!("bus.cert and bus.key belong together"),
            };
            Some(mqtt::Tls { authority: read(authority)?, identity })
        }
    };
    Ok(mqtt::Settings { host: bus.host.clone(), port: bus.port, tls, ..mqtt::Settings::loopback(bus.port) })
}

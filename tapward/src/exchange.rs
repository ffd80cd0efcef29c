//! What runs beside the bridge for other systems: deliveries to each, feeds from each, the listener for HL7, and the upkeep
//! of the OpenID provider.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clinic::feeds::{Feeds, SiteKeys, Source};
use clinic::openid::Provider;
use clinic::vault::Vault;
use dashboard::FeedSetup;
use domain::Clock;
use mis_bridge::delivery::{self, Deliver};
use mis_bridge::feeds::{FolderSettings, PullSettings, read_fhir, read_folder};
use mis_bridge::fhir::{ChargeItems, Fhir};
use mis_bridge::fhircast::{OtherHub, TopicOf};
use mis_bridge::gnuhealth::{self, Assertions, GnuHealth, Lines};
use mis_bridge::hl7::{self, Receiver};
use mis_bridge::http::Client;
use mis_bridge::reconcile::{self, Charges, Unread};
use mis_bridge::webhook::Webhook;
use mis_bridge::{fhir, fhircast, logout, webhook};
use store::Database;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::config::exchange::{SystemKind, SystemSettings};
use crate::keys;

/// How often the provider's keys and leftovers are looked after.
const PROVIDER_EVERY: Duration = Duration::from_secs(60);
/// How often feeds are looked after.
const FEEDS_EVERY: Duration = Duration::from_secs(3600);

type Task = JoinHandle<anyhow::Result<()>>;

/// What the OpenID provider goes by, if this installation has an address.
pub fn provider_rules(config: &Config) -> Option<clinic::openid::Rules> {
    let identity = &config.exchange.identity;
    let mut rules = clinic::openid::Rules::new(identity.address.as_ref()?);
    rules.ends_on_lock = identity.ends_on_lock;
    rules.patient_system.clone_from(&identity.patient_system);
    Some(rules)
}

fn provider(config: &Config, database: &Database, clock: &Clock) -> anyhow::Result<Option<Provider>> {
    let Some(rules) = provider_rules(config) else { return Ok(None) };
    let key = keys::accounts_key(&config.data)?;
    Ok(Some(Provider::new(database.clone(), clock.clone(), key, rules)))
}

/// What taking from other systems needs.
pub fn feed_setup(config: &Config) -> anyhow::Result<FeedSetup> {
    let site = keys::site_keys(&config.data)?;
    let keys = SiteKeys { card: site.card, seal: Some(site.numbers) };
    Ok(FeedSetup { keys, settings: config.exchange.feeds.clone() })
}

fn feeds(config: &Config, database: &Database, clock: &Clock, vault: &Vault) -> anyhow::Result<Feeds> {
    let FeedSetup { keys, settings } = feed_setup(config)?;
    Ok(Feeds::new(database.clone(), clock.clone(), Some(vault.clone()), keys, settings))
}

/// Everything that one system's task needs.
struct Beside<'a> {
    config: &'a Config,
    database: &'a Database,
    clock: &'a Clock,
    vault: &'a Vault,
    provider: Option<Provider>,
    feeds: Feeds,
    stop: &'a CancellationToken,
    tasks: Vec<Task>,
}

/// Starts the tasks; they end with `stop`.
pub async fn start(
    config: &Config,
    database: &Database,
    clock: &Clock,
    vault: &Vault,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Task>> {
    let provider = provider(config, database, clock)?;
    let feeds = feeds(config, database, clock, vault)?;
    let mut beside = Beside { config, database, clock, vault, provider, feeds, stop, tasks: Vec::new() };
    beside.keep_provider();
    beside.tell_of_ends()?;
    beside.keep_feeds();
    beside.listen_for_hl7().await?;
    for system in &config.exchange.systems {
        beside.system(system).with_context(|| format!("system \"{}\" cannot be served", system.name))?;
    }
    Ok(beside.tasks)
}

impl Beside<'_> {
    fn keep_provider(&mut self) {
        let Some(provider) = self.provider.clone() else { return };
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(async move {
            loop {
                if let Err(error) = provider.tick().await {
                    tracing::error!(%error, "openid.upkeep.failed");
                }
                if stop.run_until_cancelled(tokio::time::sleep(PROVIDER_EVERY)).await.is_none() {
                    return Ok(());
                }
            }
        }));
    }

    /// Systems that sign people in by card hear when their session ends.
    fn tell_of_ends(&mut self) -> anyhow::Result<()> {
        let Some(provider) = self.provider.clone() else { return Ok(()) };
        let client = Client::new(self.config.exchange.identity.http.clone())?;
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(async move {
            logout::run(provider, client, stop).await;
            Ok(())
        }));
        Ok(())
    }

    /// Once an hour: what gateways know of coming appointments reaches some weeks ahead.
    fn keep_feeds(&mut self) {
        let (feeds, stop) = (self.feeds.clone(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move {
            loop {
                if let Err(error) = feeds.tick().await {
                    tracing::warn!(%error, "feeds.upkeep.failed");
                }
                if stop.run_until_cancelled(tokio::time::sleep(FEEDS_EVERY)).await.is_none() {
                    return Ok(());
                }
            }
        }));
    }

    async fn listen_for_hl7(&mut self) -> anyhow::Result<()> {
        let Some(settings) = self.config.exchange.hl7.clone() else { return Ok(()) };
        let at = settings.listen;
        let receiver = Receiver::bind(settings, self.database.clone(), self.feeds.clone(), self.clock.clone());
        let receiver = receiver.await.with_context(|| format!("HL7 cannot be taken at {at} (hl7.listen)"))?;
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(async move {
            receiver.run(stop).await;
            Ok(())
        }));
        Ok(())
    }

    fn system(&mut self, system: &SystemSettings) -> anyhow::Result<()> {
        let name = system.name.as_str();
        match &system.kind {
            SystemKind::Fhir { tell, read } => {
                if let Some(settings) = tell {
                    let there = Fhir::new((**settings).clone(), self.clock.clone())?;
                    if settings.charges != fhir::Charges::Never {
                        self.reconcile(system, Some(ChargeItems::new(settings, self.clock.clone())?));
                    }
                    self.deliver(system, delivery::Settings::new(name, "fhir", &settings.wants()), there);
                }
                if let Some((server, every)) = read {
                    let zone = self.config.exchange.feeds.time_zone;
                    let settings = PullSettings { server: (**server).clone(), every: *every, zone };
                    let (feeds, source) = (self.feeds.clone(), system.name.clone());
                    let (clock, stop) = (self.clock.clone(), self.stop.clone());
                    let reading = read_fhir(settings, feeds, source, clock, stop);
                    self.tasks.push(tokio::spawn(async move { Ok(reading.await?) }));
                }
            }
            SystemKind::Hl7(settings) => {
                let vault = Some(self.vault.clone());
                let sender = hl7::Sender::new((**settings).clone(), self.database.clone(), vault, self.clock.clone())?;
                self.deliver(system, hl7::delivery_settings(settings), sender);
                if settings.charges {
                    self.reconcile(system, None::<Unread>);
                }
            }
            SystemKind::Webhook(settings) => {
                let there = Webhook::new((**settings).clone(), self.clock.clone())?;
                self.deliver(system, delivery::Settings::new(name, "webhook", webhook::WANTS), there);
                self.reconcile(system, None::<Unread>);
            }
            SystemKind::GnuHealth { settings, http, read } => {
                let assertions = self.assertions(&system.name, read.as_ref().map(|read| read.login.clone()))?;
                let client = Client::new(http.clone())?;
                let there = GnuHealth::new(settings.clone(), client.clone(), Arc::clone(&assertions))?;
                self.deliver(system, delivery::Settings::new(name, "gnuhealth", &settings.wants()), there);
                match read {
                    _ if !settings.charges => {}
                    Some(read) => {
                        let lines = Lines::new(settings, client.clone(), Arc::clone(&assertions), &read.login)?;
                        self.reconcile(system, Some(lines));
                    }
                    None => self.reconcile(system, None::<Unread>),
                }
                if let Some(reading) = read {
                    let feed = (self.feeds.clone(), system.name.clone());
                    let (clock, stop) = (self.clock.clone(), self.stop.clone());
                    let reading =
                        gnuhealth::run_feed(settings.clone(), reading.clone(), (client, assertions), feed, clock, stop);
                    self.tasks.push(tokio::spawn(async move { Ok(reading.await?) }));
                }
            }
            SystemKind::Fhircast { url, token, http } => {
                let record_numbers = Vec::new();
                let (url, token, http) = (url.clone(), token.clone(), http.clone());
                let settings = fhircast::Settings { url, token, http, topic: TopicOf::default(), record_numbers };
                let there = OtherHub::new(settings, self.clock.clone())?;
                self.deliver(system, delivery::Settings::new(name, "fhircast", fhircast::WANTS), there);
            }
            SystemKind::Csv(folder) => {
                let settings = FolderSettings::new(folder.clone());
                let (feeds, source) = (self.feeds.clone(), system.name.clone());
                let (clock, stop) = (self.clock.clone(), self.stop.clone());
                self.tasks.push(tokio::spawn(async move {
                    read_folder(settings, feeds, source, clock, stop).await;
                    Ok(())
                }));
            }
        }
        Ok(())
    }

    fn deliver<D: Deliver>(&mut self, system: &SystemSettings, mut settings: delivery::Settings, there: D) {
        settings.at_once = system.at_once.unwrap_or(settings.at_once);
        settings.attempts_max = system.attempts.unwrap_or(settings.attempts_max);
        let (database, clock, stop) = (self.database.clone(), self.clock.clone(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move { Ok(delivery::run(settings, database, clock, there, stop).await?) }));
    }

    /// Compares charges with a system, when somebody asks for it.
    fn reconcile<C: Charges>(&mut self, system: &SystemSettings, there: Option<C>) {
        let (database, clock, stop) = (self.database.clone(), self.clock.clone(), self.stop.clone());
        let name = system.name.as_str().to_owned();
        self.tasks.push(tokio::spawn(async move {
            reconcile::run(name, there, database, clock, stop).await;
            Ok(())
        }));
    }

    /// What signs doctors in by what their cards did, and the user who reads.
    fn assertions(&self, system: &Source, reader: Option<String>) -> anyhow::Result<Assertions> {
        let provider = self.provider.clone().context("it takes assertions, and these need [identity] address")?;
        let system = system.clone();
        Ok(Arc::new(move |login| {
            let (provider, system, is_reader) = (provider.clone(), system.clone(), reader.as_ref() == Some(&login));
            Box::pin(async move {
                let signed = match is_reader {
                    true => provider.as_reader(&system, &login).await,
                    false => provider.on_behalf(&system, &login).await,
                };
                match signed {
                    Ok(assertion) => Ok(Zeroizing::new(assertion.reveal().to_owned())),
                    Err(error) => Err(error.to_string()),
                }
            })
        }))
    }
}

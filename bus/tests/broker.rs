//! What only a broker can do to us: sessions, stored copies, names used twice, certificates, access lists.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod parties;

use std::time::Duration;

use bus::mqtt::{Settings, SettingsError, Tls, connect};
use bus::testing::{Config, Mosquitto};
use bus::{Incoming, PublishError};
use domain::{GatewayId, UtcMillis};
use parties::{Broker, Transport, bridge, connected, gateway, message, next, site, topic, until_message};
use rumqttc::{AsyncClient, MqttOptions, PublishOptions};
use wire::bus::{Action, Channel, Command, CommandGuard, CommandId, CommandRefused, Down, KeyRing, LinkKey};

#[tokio::test]
async fn what_was_on_its_way_survives_an_orderly_restart_of_the_broker() {
    let mut broker = Broker::default();
    let mut bridge = broker.join(bridge("b1")).await;
    let gateway = broker.join(gateway("gw-1")).await;
    bridge.inbox.close().await;
    for n in 0..10_u8 {
        gateway.publisher.publish(&topic("gw-1", Channel::Events), vec![n]).await.unwrap();
    }
    gateway.inbox.close().await;
    broker.0.stop();
    broker.0.start();
    bridge = connect(&broker.settings(), &site(), parties::bridge("b1")).unwrap();
    assert!(connected(&mut bridge).await, "the broker knows the session");
    for n in 0..10_u8 {
        assert_eq!(message(&mut bridge).await.bytes, vec![n]);
    }
}

#[tokio::test]
async fn a_lost_session_is_told_so_that_the_sender_starts_again_from_its_cursor() {
    let mut broker = Broker::default();
    let mut gateway = broker.join(gateway("gw-1")).await;
    broker.cut();
    assert!(matches!(next(&mut gateway).await, Some(Incoming::Lost { .. })));
    broker.mend();
    assert!(!connected(&mut gateway).await, "a killed broker has forgotten the session");
    let mut bridge = broker.join(bridge("b1")).await;
    bridge.publisher.publish(&topic("gw-1", Channel::Ack), "heard").await.unwrap();
    assert_eq!(message(&mut gateway).await.bytes, "heard", "subscribed again although the session was lost");
    gateway.publisher.publish(&topic("gw-1", Channel::Events), "too").await.unwrap();
    assert_eq!(message(&mut bridge).await.bytes, "too");
}

#[tokio::test]
async fn a_message_that_was_not_dealt_with_comes_again_after_a_crash_of_the_program() {
    let broker = Broker::default();
    let mut first = broker.join(bridge("b1")).await;
    let gateway = broker.join(gateway("gw-1")).await;
    for n in 0..3_u8 {
        gateway.publisher.publish(&topic("gw-1", Channel::Events), vec![n]).await.unwrap();
    }
    assert_eq!(message(&mut first).await.bytes, vec![0]);
    // Asking for the second confirms the first; the second is being dealt with when the program dies.
    assert_eq!(message(&mut first).await.bytes, vec![1]);
    drop(first);
    let mut again = connect(&broker.settings(), &site(), bridge("b1")).unwrap();
    assert!(connected(&mut again).await);
    let mut seen = Vec::new();
    while seen.last() != Some(&2) {
        seen.push(message(&mut again).await.bytes[0]);
    }
    // The confirmation of the first may have been lost with the connection.
    assert!(seen == [1, 2] || seen == [0, 1, 2], "{seen:?}");
}

#[tokio::test]
async fn a_command_stored_at_the_broker_is_marked_and_never_carried_out() {
    let broker = Broker::default();
    let secret: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    let key = LinkKey::new("k1", secret).unwrap();
    let (me, now) = (GatewayId::new("gw-1").unwrap(), UtcMillis(1_000_000));
    let command = Command {
        id: CommandId([1; 16]),
        gateway: me.clone(),
        action: Action::Report,
        actor: "guard".into(),
        reason: None,
        issued_at: now,
        expires_at: now.plus_ms(10_000),
    };
    let bytes = Down::Command(command).encode(&key).unwrap();
    let name = topic("gw-1", Channel::Command).name(&site());
    publish_stored(broker.0.port(), name, bytes).await;

    let mut gateway = broker.join(gateway("gw-1")).await;
    let stored = message(&mut gateway).await;
    assert!(stored.retained);
    let keys = KeyRing::new(vec![key]).unwrap();
    let Ok(Down::Command(command)) = Down::decode(&stored.bytes, &keys, &me) else { panic!("an authentic command") };
    let mut guard = CommandGuard::new(me, now);
    assert_eq!(guard.admit(&command, stored.retained, now), Err(CommandRefused::Retained));
}

/// Somebody with access to the broker stores a message there.
async fn publish_stored(port: u16, name: String, bytes: Vec<u8>) {
    let options = MqttOptions::new("somebody", ("127.0.0.1", port));
    let (client, mut connection) = AsyncClient::builder(options).capacity(10).build();
    client.publish(name, bytes, PublishOptions::at_least_once().retained()).await.unwrap();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), connection.poll()).await.unwrap().unwrap();
        if matches!(event, rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_))) {
            return;
        }
    }
}

#[tokio::test]
async fn two_programs_with_one_name_slow_down_instead_of_fighting() {
    let broker = Broker::default();
    let mut first = broker.join(gateway("gw-1")).await;
    let mut second = broker.join(gateway("gw-1")).await;
    // Each puts the other out; the waiting times grow to the longest, 200 ms here, less up to a half.
    let began = tokio::time::Instant::now();
    for _ in 0..6 {
        assert!(matches!(next(&mut first).await, Some(Incoming::Lost { .. })));
        connected(&mut first).await;
        assert!(matches!(next(&mut second).await, Some(Incoming::Lost { .. })));
        connected(&mut second).await;
    }
    let least = Duration::from_millis(10 + 20 + 40 + 80 + 100);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

#[tokio::test]
async fn names_of_other_sites_and_nonsense_on_our_topics_harm_nobody() {
    let broker = Broker::default();
    let mut bridge = broker.join(bridge("b1")).await;
    for name in ["tapward/1/clinic-1/bad name/events", "tapward/1/clinic-2/gw-1/events"] {
        publish_stored(broker.0.port(), name.into(), b"x".to_vec()).await;
    }
    let gateway = broker.join(gateway("gw-1")).await;
    gateway.publisher.publish(&topic("gw-1", Channel::Events), "good").await.unwrap();
    assert_eq!(message(&mut bridge).await.bytes, "good");
}

#[tokio::test]
async fn a_broker_that_is_away_is_an_event_and_not_an_error() {
    let mut broker = Broker::default();
    broker.cut();
    let mut gateway = connect(&broker.settings(), &site(), gateway("gw-1")).unwrap();
    let publisher = gateway.publisher.clone();
    for _ in 0..3 {
        assert!(matches!(next(&mut gateway).await, Some(Incoming::Lost { .. })));
        assert_eq!(publisher.try_publish(&topic("gw-1", Channel::Events), "x"), Err(PublishError::Down));
    }
    broker.mend();
    connected(&mut gateway).await;
}

#[tokio::test]
async fn plain_text_to_another_machine_is_refused() {
    for host in ["192.0.2.1", "broker.example.org", "0.0.0.0"] {
        let settings = Settings { host: host.into(), ..Settings::loopback(1883) };
        let refused = connect(&settings, &site(), gateway("gw-1")).unwrap_err();
        assert!(matches!(refused, SettingsError::PlainNotLocal(_)), "{refused}");
    }
}

/// A site's certificate authority, the broker's certificate and those of its clients.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "site authority");
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    /// Certificate and key, PEM.
    fn issue(&self, name: &str, hosts: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn tls(&self, name: &str) -> Tls {
        let (certificate, key) = self.issue(name, &[]);
        let identity = Some((certificate.into_bytes(), key.into_bytes()));
        Tls { authority: self.certificate.pem().into_bytes(), identity }
    }
}

/// Mosquitto with the configuration and access list that we recommend, on a port of its own.
fn recommended(authority: &Authority) -> Mosquitto {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/mosquitto/");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).unwrap();
    let text = read("mosquitto.conf")
        .replace("listener 8883", "listener {port} 127.0.0.1")
        .replace("/etc/mosquitto/tapward/", "{folder}/")
        .replace("/var/lib/mosquitto/", "{folder}/");
    let outside = |line: &&str| !line.starts_with('#') && line.contains("/etc/");
    assert!(text.contains("listener {port}") && text.lines().find(outside).is_none(), "{text}");
    let (certificate, key) = authority.issue("broker", &["localhost", "127.0.0.1"]);
    let files = [
        ("site-ca.pem", authority.certificate.pem()),
        ("broker.pem", certificate),
        ("broker.key", key),
        ("access.list", read("access.list")),
    ];
    let files = files.into_iter().map(|(name, content)| (name.to_owned(), content.into_bytes())).collect();
    Mosquitto::new(&Config { text: Some(text), more: String::new(), files })
}

fn with_tls(broker: &Mosquitto, tls: Tls) -> Settings {
    let quick = Broker::quick();
    Settings { host: "localhost".into(), tls: Some(tls), retry: quick, ..Settings::loopback(broker.port()) }
}

#[tokio::test]
async fn the_recommended_configuration_serves_certified_parties_and_keeps_them_to_their_topics() {
    let authority = Authority::new();
    let broker = recommended(&authority);
    let join = async |party, name: &str| {
        let mut link = connect(&with_tls(&broker, authority.tls(name)), &site(), party).unwrap();
        connected(&mut link).await;
        link
    };
    let mut bridge = join(bridge("b1"), "bridge").await;
    let mut gateway_1 = join(gateway("gw-1"), "gw-1").await;
    gateway_1.publisher.publish(&topic("gw-1", Channel::Events), "mine").await.unwrap();
    assert_eq!(message(&mut bridge).await.bytes, "mine");
    bridge.publisher.publish(&topic("gw-1", Channel::Ack), "got it").await.unwrap();
    assert_eq!(message(&mut gateway_1).await.bytes, "got it");

    // A gateway whose certificate says gw-2 claims to be gw-3: the broker lets it neither write nor read there.
    let mut liar = connect(&with_tls(&broker, authority.tls("gw-2")), &site(), gateway("gw-3")).unwrap();
    let subscribed = matches!(next(&mut liar).await, Some(Incoming::Connected { .. }));
    if subscribed {
        let _ = liar.publisher.publish(&topic("gw-3", Channel::Events), "forged").await;
        bridge.publisher.publish(&topic("gw-3", Channel::Command), "secret").await.unwrap();
    }
    gateway_1.publisher.publish(&topic("gw-1", Channel::Events), "true").await.unwrap();
    let heard = until_message(&mut bridge, |message| message.topic.channel == Channel::Events).await;
    assert_eq!(heard.bytes, "true", "nothing forged came before");
    let (_, mine) = (bridge.publisher.publish(&topic("gw-1", Channel::Ack), "x").await, message(&mut gateway_1).await);
    assert_eq!(mine.bytes, "x");
}

#[tokio::test]
async fn without_a_certificate_of_the_site_nobody_gets_in_and_a_false_broker_is_not_believed() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = recommended(&authority);
    let nameless = Tls { identity: None, ..authority.tls("gw-1") };
    let foreign = Tls { identity: stranger.tls("gw-1").identity, ..authority.tls("gw-1") };
    let believing_another = Tls { authority: stranger.tls("x").authority, ..authority.tls("gw-1") };
    for tls in [nameless, foreign, believing_another] {
        let mut link = connect(&with_tls(&broker, tls), &site(), gateway("gw-1")).unwrap();
        for _ in 0..2 {
            let event = next(&mut link).await;
            assert!(matches!(event, Some(Incoming::Lost { .. })), "{event:?}");
        }
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() {
    let right = Authority::new().tls("gw-1");
    let cases = [
        (Tls { authority: b"rubbish".to_vec(), ..right.clone() }, "the authority's certificate"),
        (Tls { identity: Some((b"rubbish".to_vec(), b"rubbish".to_vec())), ..right.clone() }, "this program's key"),
    ];
    for (tls, expected) in cases {
        let settings = Settings { tls: Some(tls), ..Settings::loopback(8883) };
        match connect(&settings, &site(), gateway("gw-1")).unwrap_err() {
            SettingsError::Certificate { what, .. } => assert_eq!(what, expected),
            other => panic!("{other}"),
        }
    }
}

//! Who may speak, and what both sides are told if not.

use std::sync::Arc;

use domain::{Kind, Reason};
use gateway::settings::{Cache, TlsFiles};
use wire::acs_link::Code;
use wire::acs_link::session::End;

use super::acs::{Acs, Memory, dial};
use super::passing::connected;
use super::rig::*;
use super::site::Site;

/// What a refused node hears: by TLS, or by an Error of acs-link.
async fn refused(rig: &Rig, files: &TlsFiles, node: &str) -> String {
    match dial(rig.address().await, files, &rig.clock).await {
        Err(why) => why,
        Ok(stream) => {
            let memory = Memory { node: node.to_owned(), ..Memory::new() };
            let mut acs = Acs::connect(stream, memory, &rig.clock);
            match acs.end().await {
                End::Failed(failure) => format!("{} {}", failure.code, failure.text.unwrap()),
                other => format!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_line_says_so() {
    let rig = Rig::start(Cache::Nobody).await;
    refused(&rig, &rig.site.files(NODE, (2020, 2021)), NODE).await;
    let alarm = rig.alarm(0, Reason::PeerRefused).await;
    assert!(alarm.contains("certificate has expired") && alarm.contains("node acs-1"), "{alarm}");
    rig.line("refused", |line| line.problem.as_ref().is_some_and(|why| why.contains("expired"))).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_site_is_refused_with_an_alarm() {
    let rig = Rig::start(Cache::Nobody).await;
    let another = Site::new("another site");
    let elsewhere = another.node(NODE);
    // A stranger that believes us, as our own authority's certificate is public.
    let credulous = TlsFiles { ca: rig.site.node(NODE).ca, ..elsewhere };
    refused(&rig, &credulous, NODE).await;
    let alarm = rig.alarm(0, Reason::PeerRefused).await;
    assert!(alarm.contains("not signed by this site's authority"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_node_that_says_that_it_is_another_is_told_so() {
    let rig = Rig::start(Cache::Nobody).await;
    let heard = refused(&rig, &rig.site.node(NODE), "acs-2").await;
    assert!(heard.starts_with("AUTH_NODE_MISMATCH") && heard.contains("acs-2"), "{heard}");
    let alarm = rig.alarm(0, Reason::PeerRefused).await;
    assert!(alarm.contains("acs-2") && alarm.contains("AUTH_NODE_MISMATCH"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_node_that_is_not_configured_is_told_so_and_the_operator_too() {
    let rig = Rig::start(Cache::Nobody).await;
    let heard = refused(&rig, &rig.site.node("acs-9"), "acs-9").await;
    assert!(heard.starts_with("AUTH_NODE_MISMATCH") && heard.contains("acs-9"), "{heard}");
    assert!(rig.alarm(0, Reason::PeerRefused).await.contains("acs-9"));
    rig.stop().await;
}

#[tokio::test]
async fn a_newer_connection_of_a_node_replaces_the_older_one_and_the_doors_never_go_offline() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut older = connected(&rig, Memory::new()).await;
    rig.ready().await;
    let mut newer = connected(&rig, Memory { epoch: older.memory.epoch, ..Memory::new() }).await;
    let End::Left(bye) = older.end().await else { panic!("the older one is told") };
    assert_eq!(bye.reason.as_str(), "replaced");
    let request = newer.ask(ACTIVE, wire::acs_link::message::Direction::In, 5000);
    newer.answer(request).await;
    assert!(!kinds(&rig.facts(0).await).contains(&Kind::Offline));
    rig.stop().await;
}

#[tokio::test]
async fn two_controllers_with_one_certificate_are_noticed() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(connected(&rig, Memory::new()).await);
    }
    let text = rig.until(0, "two nodes", |fact| {
        fact.reason == Some(Reason::PeerRefused)
            && fact.detail.as_ref().is_some_and(|detail| detail.contains("do two controllers have its certificate?"))
    });
    text.await;
    rig.stop().await;
}

#[tokio::test]
async fn the_gateway_connects_to_a_node_that_listens_and_to_no_other() {
    let site = Arc::new(Site::new("this site"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(Some(site.node("gw-1")), Cache::Nobody);
    if let gateway::settings::PeerProtocol::AcsLink(peer) = &mut settings.peers[0].protocol {
        peer.connect = Some(listener.local_addr().unwrap().to_string());
    }
    let rig = Rig::with(site, settings, usual_policy(1)).await;
    let accept = async |files: TlsFiles| {
        let tls = gateway::peer::acs_link::tls::Tls::load(&files, &rig.clock).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        tls.acceptor().unwrap().0.accept(stream).await
    };
    assert!(accept(rig.site.node("acs-2")).await.is_err(), "another node's certificate");
    rig.line("refused", |line| line.problem.as_ref().is_some_and(|why| why.contains("another node's"))).await;
    let stream = accept(rig.site.node(NODE)).await.unwrap();
    let mut acs = Acs::accept(Box::new(stream), Memory::new(), &rig.clock);
    acs.up().await;
    let request = acs.ask(ACTIVE, wire::acs_link::message::Direction::In, 5000);
    acs.answer(request).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_first_message_that_is_no_hello_ends_with_the_reason() {
    let rig = Rig::start(Cache::Nobody).await;
    let stream = dial(rig.address().await, &rig.site.node(NODE), &rig.clock).await.unwrap();
    let mut acs = Acs::connect(stream, Memory::new(), &rig.clock);
    let rubbish = b"<Msg/>";
    let mut frame = u32::try_from(rubbish.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(rubbish);
    acs.write(&frame).await;
    let End::Failed(failure) = acs.end().await else { panic!("told why") };
    assert!(Code::of(&failure.code).unwrap().is_fatal());
    rig.alarm(0, Reason::PeerRefused).await;
    rig.stop().await;
}

#[tokio::test]
async fn certificates_are_read_again_when_settings_are_applied() {
    let rig = Rig::start(Cache::Nobody).await;
    let address = rig.address().await;
    let mut acs = connected(&rig, Memory::new()).await;
    // The site has a new authority: its files take the places of the old ones.
    let renewed = Site::new("this site, renewed");
    let (old, new) = (rig.settings.acs_link.clone().unwrap().tls.unwrap(), renewed.node("gw-1"));
    for (from, to) in [(&new.ca, &old.ca), (&new.cert, &old.cert), (&new.key, &old.key)] {
        std::fs::copy(from, to).unwrap();
    }
    let mut settings = rig.settings.clone();
    settings.stale_after = std::time::Duration::from_secs(4);
    if let Some(listener) = &mut settings.acs_link {
        listener.listen = Some(address);
    }
    rig.gateway.apply(settings).await;
    let began = tokio::time::Instant::now();
    let stream = loop {
        match dial(address, &renewed.node(NODE), &rig.clock).await {
            Ok(stream) => break stream,
            Err(why) => assert!(began.elapsed() < PATIENCE, "{why}"),
        }
    };
    // The connection of before went on meanwhile, and is replaced now.
    let mut newer = Acs::connect(stream, Memory { epoch: acs.memory.epoch, ..Memory::new() }, &rig.clock);
    newer.up().await;
    let End::Left(bye) = acs.end().await else { panic!("replaced") };
    assert_eq!(bye.reason.as_str(), "replaced");
    rig.stop().await;
}

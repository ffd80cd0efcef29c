//! Our line against peers that lie, lag, stammer and leave.

use std::sync::Arc;
use std::time::Duration;

use mis_bridge::hl7::{AckMode, Line, LineFault, SenderSettings, TlsClient, Verdict};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use wire::hl7::view::AckCode;

use super::certificates::{Authority, Made};
use super::liars::{Act, Got, Liar};
use super::{ZONE, answer, framed};

pub fn settings(liar: &Liar) -> SenderSettings {
    SenderSettings {
        answer_within: Duration::from_millis(400),
        result_within: Duration::from_millis(400),
        ..SenderSettings::new("mis", "127.0.0.1", liar.address.port(), ZONE)
    }
}

/// Long enough for an answer that comes.
fn patient(liar: &Liar) -> SenderSettings {
    SenderSettings { answer_within: super::PATIENCE, result_within: super::PATIENCE, ..settings(liar) }
}

fn message(control: &str) -> Vec<u8> {
    format!("MSH|^~\\&|TAPWARD|C|MIS|C|20260105||ADT^A04^ADT_A01|{control}|P|2.5.1\rEVN||20260105\r").into_bytes()
}

async fn send(line: &mut Line, control: &str) -> Result<Verdict, LineFault> {
    line.exchange(control, &message(control)).await
}

fn good(got: &Got) -> Vec<u8> {
    answer("AA", &got.control)
}

#[tokio::test]
async fn messages_go_over_one_connection_one_after_the_other() {
    let liar = Liar::start(|got, _| vec![Act::Say(good(got))]).await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    for control in ["1", "2", "3"] {
        assert_eq!(send(&mut line, control).await, Ok(Verdict::Accepted));
    }
    let got = liar.got();
    assert!(got.iter().all(|got| got.connection == 0));
    assert_eq!(got[1].bytes, message("2"));
}

#[tokio::test]
async fn without_an_answer_the_connection_is_closed_and_the_same_message_sent_again() {
    let liar = Liar::start(|got, before| if before < 2 { Vec::new() } else { vec![Act::Say(good(got))] }).await;
    let mut line = Line::new(&settings(&liar)).unwrap();
    assert_eq!(send(&mut line, "1").await, Err(LineFault::Late));
    assert_eq!(send(&mut line, "1").await, Err(LineFault::Late));
    assert_eq!(send(&mut line, "1").await, Ok(Verdict::Accepted));
    let got = liar.got();
    assert_eq!(got.iter().map(|got| got.connection).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(got.iter().all(|got| got.bytes == message("1")), "byte for byte");
}

#[tokio::test]
async fn an_answer_to_something_else_acknowledges_nothing() {
    // The answer to the first message comes when the second one is sent, and then the second one's own.
    let liar = Liar::start(|got, before| match before {
        0 => Vec::new(),
        _ => vec![Act::Say(answer("AA", "1")), Act::Say(answer("AE", &got.control))],
    })
    .await;
    let mut line = Line::new(&settings(&liar)).unwrap();
    assert_eq!(send(&mut line, "1").await, Err(LineFault::Late));
    let refused = Verdict::Refused { code: AckCode::Error, error: None };
    assert_eq!(send(&mut line, "2").await, Ok(refused));

    let liar = Liar::start(|_, _| vec![Act::Say(answer("AA", "somebody-elses"))]).await;
    let mut line = Line::new(&settings(&liar)).unwrap();
    assert_eq!(send(&mut line, "1").await, Err(LineFault::Wrong));
    let liar = Liar::start(|_, _| vec![Act::Say(framed("no message at all")), Act::Say(b"\x0b\x1c\r".to_vec())]).await;
    let mut line = Line::new(&settings(&liar)).unwrap();
    assert_eq!(send(&mut line, "1").await, Err(LineFault::Wrong));
}

#[tokio::test]
async fn a_late_answer_on_the_open_connection_does_not_count_for_the_next_message() {
    // Two answers to each message: the second one comes while nobody waits.
    let liar = Liar::start(|got, before| {
        let second = if before == 0 { answer("AA", "2") } else { answer("AA", &got.control) };
        let code = if before == 0 { "AA" } else { "AR" };
        vec![Act::Say([answer(code, &got.control), second].concat())]
    })
    .await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    assert_eq!(send(&mut line, "1").await, Ok(Verdict::Accepted));
    let refused = Verdict::Refused { code: AckCode::Reject, error: None };
    assert_eq!(send(&mut line, "2").await, Ok(refused), "the answer that came too early is not taken");
    assert_eq!(liar.got().len(), 2);
}

#[tokio::test]
async fn an_answer_may_come_byte_by_byte_slowly_and_with_noise_around() {
    let liar = Liar::start(|got, _| {
        let noisy = [b"\r\nnoise".to_vec(), good(got), b"\r\n".to_vec()].concat();
        vec![Act::Wait(Duration::from_millis(50)), Act::Drip(noisy)]
    })
    .await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    for control in ["1", "2"] {
        assert_eq!(send(&mut line, control).await, Ok(Verdict::Accepted));
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_behind_our_back_is_made_anew_at_once() {
    let liar = Liar::start(|got, before| match before {
        1 => vec![Act::Close],
        _ => vec![Act::Say(good(got)), Act::Close],
    })
    .await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    assert_eq!(send(&mut line, "1").await, Ok(Verdict::Accepted));
    // On a fresh connection nobody promised more than was said: closed without an answer is a fault.
    assert_eq!(send(&mut line, "2").await, Err(LineFault::Broken));
    assert_eq!(send(&mut line, "2").await, Ok(Verdict::Accepted));
    assert_eq!(liar.got().iter().map(|got| got.connection).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_half_message_behind() {
    let liar = Liar::start(|got, before| if before == 0 { Vec::new() } else { vec![Act::Say(good(got))] }).await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(100), send(&mut line, "1")).await;
    assert!(gone.is_err());
    assert_eq!(send(&mut line, "2").await, Ok(Verdict::Accepted));
    assert_eq!(liar.got()[1].connection, 1, "the connection of the one that was given up is not used again");
}

#[tokio::test]
async fn refusals_come_with_their_code_and_without_words() {
    let error = "MSH|^~\\&|MIS|C|T|C|20260105||ACK|9|P|2.5.1\rMSA|AE|1|Ivanova\rERR||PID^1^3|204^Unknown key|E\r";
    let liar = Liar::start(move |_, _| vec![Act::Say(framed(error))]).await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    let refused = Verdict::Refused { code: AckCode::Error, error: Some("204".to_owned()) };
    assert_eq!(send(&mut line, "1").await, Ok(refused));
}

#[tokio::test]
async fn each_mode_waits_for_what_it_wants() {
    let run = |mode: AckMode, answers: &'static [&'static str]| async move {
        let liar =
            Liar::start(move |got, _| answers.iter().map(|code| Act::Say(answer(code, &got.control))).collect()).await;
        let mut line = Line::new(&SenderSettings { mode, ..settings(&liar) }).unwrap();
        send(&mut line, "1").await
    };
    let refused = |code| Ok(Verdict::Refused { code, error: None });
    assert_eq!(run(AckMode::Original, &["CA"]).await, Err(LineFault::Late), "kept is not taken");
    assert_eq!(run(AckMode::Original, &["CA", "AA"]).await, Ok(Verdict::Accepted));
    assert_eq!(run(AckMode::Commit, &["CA"]).await, Ok(Verdict::Accepted));
    assert_eq!(run(AckMode::Commit, &["AA"]).await, Ok(Verdict::Accepted), "a peer that knows one mode only");
    assert_eq!(run(AckMode::Commit, &["CR"]).await, refused(AckCode::CommitReject));
    assert_eq!(run(AckMode::CommitAndResult, &["CA", "AA"]).await, Ok(Verdict::Accepted));
    assert_eq!(run(AckMode::CommitAndResult, &["CA", "AE"]).await, refused(AckCode::Error));
    assert_eq!(run(AckMode::CommitAndResult, &["CA"]).await, Err(LineFault::Late));
    assert_eq!(run(AckMode::CommitAndResult, &["CE"]).await, refused(AckCode::CommitError));
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let liar = Liar::start(|_, _| Vec::new()).await;
    let mut settings = settings(&liar);
    // A port that was free a moment ago.
    settings.port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(send(&mut Line::new(&settings).unwrap(), "1").await, Err(LineFault::Unreachable));
    settings.host = "203.0.113.7".to_owned();
    assert!(Line::new(&settings).is_err(), "in clear beyond this machine");
}

/// Not a limit: one connection with one message in flight is as fast as the other end answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_go_over_one_connection_and_the_time_is_printed() {
    let liar = Liar::start(|got, _| vec![Act::Say(good(got))]).await;
    let mut line = Line::new(&patient(&liar)).unwrap();
    let begun = tokio::time::Instant::now();
    for number in 0..1000 {
        assert_eq!(send(&mut line, &number.to_string()).await, Ok(Verdict::Accepted));
    }
    let rate = 1000.0 / begun.elapsed().as_secs_f64();
    println!("one loopback connection, one message in flight: {rate:.0} messages/s");
    assert_eq!(liar.got().last().map(|got| got.connection), Some(0));
}

pub fn server(authority: &Authority, made: &Made) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority.pem()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn both_ends_show_certificates_and_wrong_ones_end_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let run = async |theirs: &Made, roots: &Authority, ours: Option<&Made>| {
        let liar = Liar::with_tls(Some(server(&authority, theirs)), |got, _| vec![Act::Say(good(got))]).await;
        let tls = TlsClient { roots: roots.roots(), identity: ours.map(Made::identity) };
        let settings = SenderSettings { tls: Some(tls), host: "localhost".to_owned(), ..patient(&liar) };
        let mut line = Line::new(&settings).unwrap();
        (send(&mut line, "1").await, liar.got().len())
    };
    let ours = authority.make();
    assert_eq!(run(&authority.make(), &authority, Some(&ours)).await, (Ok(Verdict::Accepted), 1));
    assert_eq!(run(&authority.expired(), &authority, Some(&ours)).await, (Err(LineFault::Tls), 0));
    assert_eq!(run(&other.make(), &authority, Some(&ours)).await, (Err(LineFault::Tls), 0));
    // What the other end does not accept of ours is noticed when it closes: with TLS 1.3 that is after the handshake.
    for (wrong, what) in
        [(None, "no certificate"), (Some(&other.make()), "another's"), (Some(&authority.expired()), "old")]
    {
        let (outcome, got) = run(&authority.make(), &authority, wrong).await;
        assert!(matches!(outcome, Err(LineFault::Broken | LineFault::Tls)), "{what}: {outcome:?}");
        assert_eq!(got, 0, "{what}");
    }
}

//! A card terminal over HTTP, against a pretended one with real sockets and real faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::time::Duration;

use clinic::till::payments::PaymentFault;
use clinic::till::terminal::{Terminal, TerminalAnswer, TerminalAsk};
use controller_sim::terminal::{TerminalFaults, TerminalSim};
use domain::money::{Amount, Currency};
use mis_bridge::terminal::{HttpTerminal, Settings, SetupError};

const TOKEN: &str = "a-token-of-the-terminal";

fn ask(id: &str) -> TerminalAsk {
    let (currency, amount) = (Currency::parse("UAH").unwrap(), Amount::new(101_850).unwrap());
    TerminalAsk { id: id.to_owned(), currency, amount, of: None }
}

fn back(id: &str, minor: i64) -> TerminalAsk {
    TerminalAsk { amount: Amount::new(minor).unwrap(), of: Some("pay-1".to_owned()), ..ask(id) }
}

fn settings(sim: &TerminalSim) -> Settings {
    let mut settings = Settings::new("desk-1", sim.url().parse().unwrap());
    settings.token = Some(TOKEN.to_owned().into());
    settings.ask_every = Duration::from_millis(20);
    settings.within = Duration::from_secs(3);
    settings.http.answer_within = Duration::from_secs(1);
    settings
}

async fn stage() -> (TerminalSim, HttpTerminal) {
    let sim = TerminalSim::start(TOKEN).await.unwrap();
    let terminal = HttpTerminal::new(settings(&sim)).unwrap();
    (sim, terminal)
}

#[tokio::test]
async fn money_is_taken_once_under_an_id_and_can_be_asked_about() {
    let (sim, terminal) = stage().await;
    assert_eq!(terminal.state(&ask("pay-1")).await, TerminalAnswer::Unknown);
    let done = terminal.pay(&ask("pay-1")).await;
    assert_eq!(done, TerminalAnswer::Done { external: "slip-000001".to_owned() });
    assert_eq!(terminal.pay(&ask("pay-1")).await, done, "again");
    assert_eq!(terminal.state(&ask("pay-1")).await, done);
    assert_eq!(terminal.cancel(&ask("pay-1")).await, done, "too late");
    assert_eq!((sim.taken("UAH"), sim.asked()), (101_850, 1));
}

#[tokio::test]
async fn money_goes_back_once_to_the_card_that_paid_and_no_more_than_it_paid() {
    let (sim, terminal) = stage().await;
    terminal.pay(&ask("pay-1")).await;
    let first = terminal.refund(&back("back-1", 100_000)).await;
    assert!(matches!(first, TerminalAnswer::Done { .. }));
    assert_eq!(terminal.refund(&back("back-1", 100_000)).await, first, "again");
    let declined = TerminalAnswer::Failed(PaymentFault::Declined);
    assert_eq!(terminal.refund(&back("back-2", 1_851)).await, declined, "more than is left of it");
    let unpaid = TerminalAsk { of: Some("pay-9".to_owned()), ..back("back-3", 1) };
    assert_eq!(terminal.refund(&unpaid).await, declined, "what never paid");
    sim.set_faults(TerminalFaults { dies_after_taking: true, ..TerminalFaults::default() });
    assert!(matches!(terminal.refund(&back("back-4", 1_850)).await, TerminalAnswer::Done { .. }));
    assert_eq!(sim.taken("UAH"), 0);
}

#[tokio::test]
async fn a_declined_card_takes_nothing() {
    let (sim, terminal) = stage().await;
    sim.set_faults(TerminalFaults { declines: true, ..TerminalFaults::default() });
    assert_eq!(terminal.pay(&ask("pay-1")).await, TerminalAnswer::Failed(PaymentFault::Declined));
    assert_eq!(sim.taken("UAH"), 0);
}

#[tokio::test]
async fn a_terminal_that_dies_after_taking_the_money_is_asked_what_became_of_it() {
    let (sim, terminal) = stage().await;
    sim.set_faults(TerminalFaults { dies_after_taking: true, ..TerminalFaults::default() });
    assert!(matches!(terminal.pay(&ask("pay-1")).await, TerminalAnswer::Done { .. }));
    assert_eq!((sim.taken("UAH"), sim.asked()), (101_850, 1));
}

#[tokio::test]
async fn a_slow_patient_is_waited_for_and_can_be_broken_off() {
    let (sim, terminal) = stage().await;
    let slow = TerminalFaults { slow: true, ..TerminalFaults::default() };
    sim.set_faults(slow);
    let hands = sim.clone();
    let paying = tokio::spawn(async move { terminal.pay(&ask("pay-1")).await });
    while hands.asked() == 0 {
        tokio::task::yield_now().await;
    }
    sim.set_faults(TerminalFaults::default());
    assert!(matches!(paying.await.unwrap(), TerminalAnswer::Done { .. }));
    sim.set_faults(slow);
    let terminal = HttpTerminal::new(Settings { within: Duration::from_millis(100), ..settings(&sim) }).unwrap();
    assert_eq!(terminal.pay(&ask("pay-2")).await, TerminalAnswer::UnderWay, "the time is over");
    assert_eq!(terminal.cancel(&ask("pay-2")).await, TerminalAnswer::Failed(PaymentFault::Cancelled));
    assert_eq!(terminal.pay(&ask("pay-2")).await, TerminalAnswer::Failed(PaymentFault::Cancelled), "never afterwards");
    assert_eq!(terminal.cancel(&ask("pay-3")).await, TerminalAnswer::Failed(PaymentFault::Cancelled));
    sim.set_faults(TerminalFaults::default());
    assert_eq!(
        terminal.pay(&ask("pay-3")).await,
        TerminalAnswer::Failed(PaymentFault::Cancelled),
        "nor an unasked one"
    );
    assert_eq!(sim.taken("UAH"), 101_850);
}

#[tokio::test]
async fn what_cannot_be_believed_says_nothing() {
    let (sim, _) = stage().await;
    let short = Settings { within: Duration::from_millis(60), ..settings(&sim) };
    let terminal = HttpTerminal::new(short.clone()).unwrap();
    let faults = [
        ("another amount", TerminalFaults { takes_more: 1, ..TerminalFaults::default() }),
        ("no answer at all", TerminalFaults { babbles: true, ..TerminalFaults::default() }),
        ("two answers in one", TerminalFaults { answers_twice: true, ..TerminalFaults::default() }),
        ("nobody there", TerminalFaults { dead: true, ..TerminalFaults::default() }),
    ];
    for (at, (name, fault)) in faults.into_iter().enumerate() {
        sim.set_faults(fault);
        assert_eq!(terminal.pay(&ask(&format!("pay-{at}"))).await, TerminalAnswer::Silent, "{name}");
    }
    sim.set_faults(TerminalFaults { takes_more: 1, ..TerminalFaults::default() });
    assert_eq!(terminal.state(&ask("pay-0")).await, TerminalAnswer::Silent, "nor is it believed later");
    sim.set_faults(TerminalFaults::default());
    let stranger = HttpTerminal::new(Settings { token: None, ..short.clone() }).unwrap();
    assert_eq!(stranger.state(&ask("pay-9")).await, TerminalAnswer::Silent, "a stranger");
    let elsewhere = Settings { url: format!("{}elsewhere/", sim.url()).parse().unwrap(), ..short };
    let elsewhere = HttpTerminal::new(elsewhere).unwrap();
    assert_eq!(elsewhere.state(&ask("pay-9")).await, TerminalAnswer::Silent, "a wrong path says nothing of a payment");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let url = |text: &str| text.parse::<url::Url>().unwrap();
    let good = Settings::new("desk-1", url("https://terminal.clinic.example/"));
    assert!(HttpTerminal::new(good.clone()).is_ok());
    for name in ["", "Desk 1", "каса", &"x".repeat(41)] {
        let bad = Settings { name: name.to_owned(), ..good.clone() };
        assert!(matches!(HttpTerminal::new(bad), Err(SetupError::BadName)), "{name}");
    }
    let plain = Settings { url: url("http://terminal.clinic.example/"), ..good.clone() };
    assert!(matches!(HttpTerminal::new(plain), Err(SetupError::BadAddress)));
    let token = Settings { token: Some("two words".to_owned().into()), ..good.clone() };
    assert!(matches!(HttpTerminal::new(token), Err(SetupError::BadToken)));
    assert_eq!(format!("{good:?}"), r#"Settings { name: "desk-1", .. }"#);
}

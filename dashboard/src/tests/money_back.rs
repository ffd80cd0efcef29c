//! Money that goes back to a card at its terminal, on the cashier's pages: offered where a card has paid, watched while the
//! terminal is asked, broken off, and allowed by somebody else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use clinic::acting::Acting;
use clinic::till::Till;
use clinic::till::payments::PaymentFault;
use clinic::till::terminal::{BoxFuture, Terminal, TerminalAnswer, TerminalAsk};
use domain::{Amount, Currency, Shipped};
use serde_json::Value;

use super::{Answer, Stage, scene};
use crate::TillSettings;

/// A terminal that takes every card, and gives back as it is told to.
#[derive(Debug)]
struct Desk {
    back: Mutex<TerminalAnswer>,
    asked: Mutex<Vec<TerminalAsk>>,
}

impl Terminal for Desk {
    fn name(&self) -> &str {
        "desk-1"
    }

    fn pay<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async move { TerminalAnswer::Done { external: format!("slip-{}", &ask.id[..8]) } })
    }

    fn state<'a>(&'a self, _: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async move { TerminalAnswer::Silent })
    }

    fn cancel<'a>(&'a self, _: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async move { TerminalAnswer::Failed(PaymentFault::Cancelled) })
    }

    fn refund<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        self.asked.lock().unwrap().push(ask.clone());
        let answer = self.back.lock().unwrap().clone();
        Box::pin(async move { answer })
    }
}

struct Cashier {
    stage: Stage,
    desk: Arc<Desk>,
    till: Till,
}

impl Cashier {
    async fn new() -> Self {
        let euro = Currency::default();
        let desk = Arc::new(Desk { back: Mutex::new(TerminalAnswer::UnderWay), asked: Mutex::default() });
        let rules =
            clinic::till::Rules { refund_alone_max: Amount::new(2_000).unwrap(), ..clinic::till::Rules::of(euro) };
        let terminal = Arc::clone(&desk) as Arc<dyn Terminal>;
        let settings = TillSettings { rules: rules.clone(), terminals: vec![terminal], ..TillSettings::of(euro) };
        let stage = Stage::with(settings).await;
        scene::furnish(&stage.database, stage.hands.now()).await;
        let till = Till::new(stage.database.clone(), stage.hands.clock(), chrono_tz::Europe::Kyiv, rules);
        Self { stage, desk, till }
    }

    async fn page(&self, path: &str) -> Answer {
        self.stage.get(path, Some(&self.stage.token(Shipped::Cashier))).await
    }

    async fn act(&self, path: &str, fields: &str) -> Answer {
        self.stage.post(path, &self.stage.token(Shipped::Cashier), fields).await
    }

    /// The payment to which one is sent.
    fn payment_of(answer: &Answer) -> String {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let to = answer.headers["location"].to_str().unwrap();
        to.strip_prefix("/till/payments/").unwrap_or_else(|| panic!("{to}")).to_owned()
    }

    async fn state(&self, payment: &str) -> String {
        let answer = self.page(&format!("/till/payments/{payment}/progress")).await;
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        body["state"].as_str().unwrap().to_owned()
    }

    async fn settled(&self, payment: &str) -> String {
        let done = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                match self.state(payment).await.as_str() {
                    "waiting" => tokio::task::yield_now().await,
                    other => return other.to_owned(),
                }
            }
        });
        done.await.expect("it is settled in time")
    }

    async fn deposit(&self) -> i64 {
        let (acting, purpose) = (Acting::console(), clinic::audit::Purpose::Payment);
        let account = self.till.account(&acting, scene::person(3), purpose).await.unwrap();
        account.balance(Currency::default()).account.deposit.minor()
    }
}

fn back(payment: &str, key: &str, amount: &str, sure: bool) -> String {
    let sure = if sure { "&sure=yes" } else { "" };
    format!("key={key}&currency=EUR&amount={amount}&method=card%3A{payment}&reason=wish&words=asked+for+by+them{sure}")
}

#[tokio::test]
async fn money_is_offered_back_to_the_card_that_paid_and_its_way_is_shown() {
    let cashier = Cashier::new().await;
    let account = format!("/till/patient/{}", scene::person(3));
    let fields = "key=key-pay-in-1&currency=EUR&amount=50.00&method=card&terminal=desk-1&sure=yes";
    let paid = Cashier::payment_of(&cashier.act(&format!("{account}/pay-in"), fields).await);
    assert_eq!(cashier.settled(&paid).await, "done");
    let page = cashier.page(&account).await.text;
    assert!(page.contains(&format!("value=\"card:{paid}\"")), "the card is offered");
    assert!(page.contains("to the card of payment"), "{page}");

    let give_back = format!("{account}/give-back");
    let asked = cashier.act(&give_back, &back(&paid, "key-back-01", "15.00", false)).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.text.contains("to the card that paid, at its terminal"), "{}", asked.text);
    assert!(cashier.desk.asked.lock().unwrap().is_empty(), "it was not meant yet");

    let meant = back(&paid, "key-back-01", "15.00", true);
    let sent = Cashier::payment_of(&cashier.act(&give_back, &meant).await);
    let page = cashier.page(&format!("/till/payments/{sent}")).await.text;
    assert!(page.contains("The terminal gives the money back to the card"), "{page}");
    assert!(page.contains(&format!("href=\"/till/payments/{paid}\"")), "of which payment");
    assert!(page.contains("/break-off"), "it can be broken off");
    assert_eq!((cashier.state(&sent).await.as_str(), cashier.deposit().await), ("waiting", 3_500));
    let again = Cashier::payment_of(&cashier.act(&give_back, &meant).await);
    assert_eq!(again, sent, "pressed twice");

    let broken = cashier.act(&format!("/till/payments/{sent}/break-off"), "").await;
    assert_eq!(broken.status, StatusCode::SEE_OTHER);
    assert_eq!((cashier.state(&sent).await.as_str(), cashier.deposit().await), ("failed", 5_000));
    let page = cashier.page(&format!("/till/payments/{sent}")).await.text;
    assert!(
        !page.contains("/break-off") && !page.contains("receipt.pdf"),
        "nothing is under way and nothing was given"
    );

    *cashier.desk.back.lock().unwrap() = TerminalAnswer::Done { external: "slip-back-1".to_owned() };
    let sent = Cashier::payment_of(&cashier.act(&give_back, &back(&paid, "key-back-02", "20.00", true)).await);
    assert_eq!(cashier.settled(&sent).await, "done");
    assert_eq!(cashier.deposit().await, 3_000);
    let asked = cashier.desk.asked.lock().unwrap().clone();
    let ids: std::collections::BTreeSet<&str> = asked.iter().map(|ask| ask.id.as_str()).collect();
    assert_eq!(ids.len(), 2, "a form that is sent twice asks under one id, under which a terminal does nothing twice");
    assert!(asked.iter().all(|ask| ask.of.as_deref() == Some(&*paid)));
    let page = cashier.page(&format!("/till/payments/{sent}")).await.text;
    assert!(page.contains("slip-back-1") && page.contains("receipt.pdf"), "{page}");

    // What is more than one gives back alone is asked for; whoever allows it sends it off.
    let asked = cashier.act(&give_back, &back(&paid, "key-back-03", "30.00", true)).await;
    assert!(asked.headers["location"].to_str().unwrap().ends_with("?done=asked"));
    let filter = clinic::till::requests::RequestFilter::default();
    let request = cashier.till.requests(&Acting::console(), &filter).await.unwrap().remove(0);
    let chief = cashier.stage.token(Shipped::Accountant);
    let page = cashier.stage.get(&format!("/till/requests?open={}", request.id), Some(&chief)).await.text;
    assert!(page.contains("to the card that paid, at its terminal"), "{page}");
    *cashier.desk.back.lock().unwrap() = TerminalAnswer::Done { external: "slip-back-2".to_owned() };
    let path = format!("/till/requests/{}", request.id);
    let allowed = cashier.stage.post(&path, &chief, "verdict=allow&words=it+is+their+money").await;
    assert_eq!(allowed.status, StatusCode::SEE_OTHER, "{}", allowed.text);
    let request = cashier.till.requests(&Acting::console(), &filter).await.unwrap().remove(0);
    assert_eq!(cashier.settled(&request.payment.unwrap()).await, "done");
    assert_eq!(cashier.deposit().await, 0);
    let page = cashier.page(&account).await.text;
    assert!(!page.contains("value=\"card:"), "nothing is left of it");
}

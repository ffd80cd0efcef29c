//! Orders to a door from its panel: who may, what is asked, what is recorded, what is shown of the answer.

use super::*;
use clinic::commands;
use clinic::devices::{self, Gateway, Report};
use domain::{GatewayId, PointId};

const DOOR: &str = "/devices?gateway=gateway-1&door=turnstile-1";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    scene::equipment(&stage.database, stage.hands.now()).await;
    stage
}

/// The number that the form of an order carries.
fn number(page: &str) -> String {
    page.split("name=\"id\" value=\"").nth(1).expect("a form for the order").split('"').next().unwrap().to_owned()
}

fn fields(id: &str, rest: &str) -> String {
    format!("gateway=gateway-1&point=turnstile-1&id={id}&{rest}")
}

/// Answers orders as a bridge and its gateway do, once.
async fn answer(database: Database, hands: Hands, problem: Option<&'static str>) {
    loop {
        if let Some(order) = commands::waiting(&database, hands.now()).await.unwrap().first() {
            commands::sent(&database, order.id, hands.now()).await.unwrap();
            commands::ended(&database, &order.gateway, order.id, problem, hands.now()).await.unwrap();
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_order_is_chosen_confirmed_recorded_and_its_answer_shown() {
    let stage = stage().await;
    let token = stage.token(Role::Guard);
    let page = stage.get(&format!("{DOOR}&order=open"), Some(&token)).await.text;
    let id = number(&page);
    assert!(page.contains("action=\"/doors/open\""), "{page}");
    let answering = tokio::spawn(answer(stage.database.clone(), stage.hands.clone(), None));
    let sent = stage.post("/doors/open", &token, &fields(&id, "reason=delivery&note=two+boxes")).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
    answering.await.unwrap();
    let target = sent.headers[header::LOCATION].to_str().unwrap();
    let shown = stage.get(target.split('#').next().unwrap(), Some(&token)).await.text;
    assert!(shown.contains("<p class=\"note ok\" role=\"status\">The gateway has carried it out"), "{shown}");
    assert!(!shown.contains("http-equiv"), "nothing more is to come");
    let (gateway, point) = (GatewayId::new("gateway-1").unwrap(), PointId::new("turnstile-1").unwrap());
    let last = commands::last_at(&stage.database, &gateway, &point, 5, stage.hands.now()).await.unwrap();
    let (order, progress) = &last[0];
    assert_eq!(progress, &commands::Progress::Done);
    assert_eq!((order.action.as_str(), order.reason.as_deref()), ("open", Some("delivery: two boxes")));
    assert_eq!(order.actor, stage.account(Role::Guard).await.as_str(), "an account's number, never a name");
    assert_eq!(order.expires_at.since_ms(order.issued_at), commands::LIFE_MS);
    assert!(shown.contains("<b>Open once</b> · guard"), "pages say who: {shown}");

    // The same form again, by a second press or by going back: the same order.
    let again = stage.post("/doors/open", &token, &fields(&id, "reason=delivery")).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    let last = commands::last_at(&stage.database, &gateway, &point, 5, stage.hands.now()).await.unwrap();
    assert_eq!(last.len(), 1);
}

#[tokio::test]
async fn a_refusal_and_a_missing_answer_are_said() {
    let stage = stage().await;
    let token = stage.token(Role::Manager);
    let id = number(&stage.get(&format!("{DOOR}&order=lock"), Some(&token)).await.text);
    let answering =
        tokio::spawn(answer(stage.database.clone(), stage.hands.clone(), Some("the point <b>is unknown</b> here")));
    let sent = stage.post("/doors/lock", &token, &fields(&id, "reason=drill")).await;
    answering.await.unwrap();
    let target = sent.headers[header::LOCATION].to_str().unwrap().split('#').next().unwrap().to_owned();
    let shown = stage.get(&target, Some(&token)).await.text;
    assert!(shown.contains("note bad\" role=\"status\">It was not carried out"), "{shown}");
    assert!(shown.contains("&#60;b&#62;is unknown") && !shown.contains("<b>is unknown"), "{shown}");

    let id = number(&stage.get(&format!("{DOOR}&order=normal"), Some(&token)).await.text);
    // Nobody takes it: the page does not wait for ever.
    let sent = stage.post("/doors/normal", &token, &fields(&id, "reason=drill")).await;
    let target = sent.headers[header::LOCATION].to_str().unwrap().split('#').next().unwrap().to_owned();
    let shown = stage.get(&target, Some(&token)).await.text;
    assert!(shown.contains(">It is on its way") && shown.contains("http-equiv=\"refresh\""), "{shown}");
    stage.hands.pass(2 * commands::LIFE_MS);
    let shown = stage.get(&target, Some(&token)).await.text;
    assert!(shown.contains(">No answer in time") && !shown.contains("http-equiv"), "{shown}");
    assert!(commands::waiting(&stage.database, stage.hands.now()).await.unwrap().is_empty(), "late is not live");
}

#[tokio::test]
async fn a_guard_helps_through_and_out_and_nothing_more() {
    let stage = stage().await;
    let offered = async |role: Role| {
        let page = stage.get(DOOR, Some(&stage.token(role))).await.text;
        let orders = page.split("order=").skip(1).map(|rest| rest.split('#').next().unwrap().to_owned());
        orders.collect::<Vec<_>>()
    };
    assert_eq!(offered(Role::Guard).await, ["open", "emergency"]);
    for role in [Role::Manager, Role::Administrator] {
        assert_eq!(offered(role).await, ["open", "normal", "lock", "free_passage", "emergency"]);
    }
    let token = stage.token(Role::Guard);
    let before = stage.state().await;
    for order in ["lock", "normal", "free_passage"] {
        let page = stage.get(&format!("{DOOR}&order={order}"), Some(&token)).await.text;
        assert!(!page.contains("name=\"id\""), "no form for what the role may not do");
        let answer = stage.post(&format!("/doors/{order}"), &token, &fields(&"ab".repeat(16), "reason=drill")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{order}");
    }
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn an_order_needs_a_reason_a_door_and_a_number() {
    let stage = stage().await;
    let token = stage.token(Role::Manager);
    let before = stage.state().await;
    let id = "ab".repeat(16);
    for (rest, says) in [("", "Choose why"), ("reason=nonsense", "Choose why"), ("reason=other&note=+", "Say in a few")]
    {
        let answer = stage.post("/doors/open", &token, &fields(&id, rest)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{rest}");
        assert!(answer.text.contains(says) && answer.text.contains(&id), "what was chosen stays: {}", answer.text);
    }
    for (fields, status) in [
        (format!("gateway=gateway-1&point=no-such-door&id={id}&reason=drill"), 404),
        (format!("gateway=no-gateway&point=turnstile-1&id={id}&reason=drill"), 404),
        (fields("12", "reason=drill"), 400),
        (fields("", "reason=drill"), 400),
    ] {
        assert_eq!(stage.post("/doors/open", &token, &fields).await.status.as_u16(), status, "{fields}");
    }
    assert_eq!(stage.state().await, before);
    for path in
        ["/devices?door=turnstile-1", "/devices?door=nothing&gateway=gateway-1", "/devices?gateway=%00&door=%00"]
    {
        let page = stage.get(path, Some(&token)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("id=\"door\""), "{path}");
    }
}

#[tokio::test]
async fn a_door_whose_gateway_is_away_says_that_orders_do_not_arrive() {
    let stage = stage().await;
    let token = stage.token(Role::Guard);
    let says = "An order cannot arrive now";
    assert!(!stage.get(DOOR, Some(&token)).await.text.contains(says));
    stage.hands.pass(crate::post::REPORT_STALE_MS + 1);
    assert!(stage.get(DOOR, Some(&token)).await.text.contains(says), "no report for too long");
    let gateway = GatewayId::new("gateway-1").unwrap();
    let report = Report { gateway: Gateway::new(gateway.clone()), lines: vec![], readers: vec![], doors: vec![] };
    devices::report(&stage.database, report, stage.hands.now()).await.unwrap();
    devices::gone(&stage.database, &gateway).await.unwrap();
    assert!(stage.get(DOOR, Some(&token)).await.text.contains(says), "gone");
}

#[tokio::test]
async fn the_journal_says_whose_order_it_was_and_guesses_nobody() {
    let mut stage = stage().await;
    let (account, token) = (stage.account(Role::Guard).await, stage.token(Role::Manager));
    let command = |detail: String| domain::Draft {
        detail: Some(detail),
        point: Some(PointId::new("turnstile-1").unwrap()),
        ..domain::Draft::new(stage.hands.now(), domain::Kind::Command)
    };
    let facts = vec![
        command(format!("open by {}: delivery", account.as_str())),
        command(format!("open by {}: delivery", "0".repeat(32))),
        command("open by the fire panel, which has a long name indeed".to_owned()),
        command("open by \u{44f}\u{44f}\u{44f}".to_owned()),
    ];
    stage.recorder.record(facts).await;
    let newest = clinic::events::last_id(&stage.database).await.unwrap();
    let mut names = Vec::new();
    for id in newest - 3..=newest {
        let page = stage.get(&format!("/journal?open={id}"), Some(&token)).await.text;
        let name = page.split("<dt>Ordered by</dt><dd>").nth(1);
        names.push(name.map(|rest| rest.split('<').next().unwrap().to_owned()));
    }
    assert_eq!(names, [Some("guard".to_owned()), None, None, None]);
}

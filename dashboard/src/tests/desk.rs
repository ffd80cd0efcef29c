//! Workstations without a browser: which routes open to which browser, and whose page may do what.

use clinic::acting::Acting;
use clinic::desk::{Desk, Factor, Rules};
use clinic::staff::{self, Staff};
use clinic::workstations::{DeskToken, Workstations};
use domain::policy::{Layout, Point, PointKind};
use domain::{CategoryId, Direction, Kind, PointId, Reason, ZoneId};

use super::*;
use crate::desk_visit::DESK_COOKIE;
use crate::routes::{Access, Desk as Wants, ROUTES, Verb};

const POINT: &str = "desk-1";
const DOCTOR: u32 = 3;
const OTHER: u32 = 10;

fn point() -> PointId {
    PointId::new(POINT).unwrap()
}

async fn lay_out(stage: &Stage) -> (Desk, DeskToken) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let mut layout = Layout {
        time_zone: "Europe/Kyiv".to_owned(),
        categories: ["patient-paying", "patient-insured", "patient-day", "surgeon", "nurse", "visitor", "ambulance"]
            .iter()
            .map(|name| CategoryId::new(name).unwrap())
            .collect(),
        points: vec![Point::new(point(), PointKind::Workstation, zone("room-1"), zone("room-1"))],
        ..Layout::empty()
    };
    layout.complete_zones();
    let (database, now) = (&stage.database, stage.hands.now());
    scene::furnish(database, now).await;
    clinic::policy::put_layout(database, layout, now).await.unwrap();
    for n in [DOCTOR, OTHER] {
        staff::put(database, &Acting::console(), &Staff::new(scene::person(n), Role::Doctor), now).await.unwrap();
    }
    let workstations = Workstations::new(database.clone(), stage.hands.clock());
    let token = workstations.enrol(&Acting::console(), &point()).await.unwrap();
    let rules = Rules { factor: Factor::None, ..Rules::default() };
    (Desk::new(database.clone(), stage.hands.clock(), rules), token)
}

async fn tap(stage: &mut Stage, desk: &Desk, holder: u32) {
    stage.hands.pass(5_000);
    let at = stage.hands.now();
    let fact = scene::fact(at, Kind::Granted, POINT, Direction::In, Some(holder), Some(Reason::Allowed));
    stage.recorder.record(vec![fact]).await;
    desk.work().await.unwrap();
}

fn asked(method: &str, path: &str, token: &DeskToken) -> axum::http::request::Builder {
    request(method, path, None).header(header::COOKIE, format!("{DESK_COOKIE}={}", token.reveal()))
}

async fn get(stage: &Stage, path: &str, token: &DeskToken) -> Answer {
    let method = if path == "/desk/stream" { "HEAD" } else { "GET" };
    stage.ask(asked(method, path, token).body(Body::empty()).unwrap()).await
}

async fn post(stage: &Stage, path: &str, token: &DeskToken, body: String) -> Answer {
    let kind = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    stage.ask(asked("POST", path, token).header(kind.0, kind.1).body(Body::from(body)).unwrap()).await
}

/// The token in the first form of a page.
fn form_in(page: &str) -> String {
    let rest = page.split("name=\"form\" value=\"").nth(1).expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn desk_routes_open_to_an_enrolled_browser_and_acts_to_an_open_binding_only() {
    let mut stage = Stage::new().await;
    let (desk, token) = lay_out(&stage).await;
    let is_ours =
        |route: &&crate::routes::Route| matches!(route.access, Access::AtDesk(_)) && route.path.starts_with("/desk");
    let routes: Vec<_> = ROUTES.iter().filter(is_ours).collect();
    assert!(routes.len() > 12, "{}", routes.len());
    let administrator = stage.token(Role::Administrator);
    for route in &routes {
        if route.verb == Verb::Show {
            let stranger = stage.get(&filled(route.path), Some(&administrator)).await;
            assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{}: an account is no workstation", route.path);
            assert!(stranger.text.contains("not a workstation"), "{}", stranger.text);
        }
        let answer = match route.verb {
            Verb::Show => get(&stage, &filled(route.path), &token).await,
            _ => post(&stage, &filled(route.path), &token, String::new()).await,
        };
        let expected = match (route.access, route.verb) {
            (Access::AtDesk(Wants::Open), _) => StatusCode::CONFLICT,
            (_, Verb::Show) => StatusCode::OK,
            // Without the form's token.
            _ => StatusCode::FORBIDDEN,
        };
        assert_eq!(answer.status, expected, "{} {}", route.verb.as_str(), route.path);
    }
    tap(&mut stage, &desk, DOCTOR).await;
    for path in ["/desk", "/desk/day", "/desk/without", "/desk/pin"] {
        assert_eq!(get(&stage, path, &token).await.status, StatusCode::OK, "{path}");
    }
    let workstations = Workstations::new(stage.database.clone(), stage.hands.clock());
    workstations.withdraw(&Acting::console(), &point()).await.unwrap();
    for path in ["/desk", "/desk/day"] {
        assert_eq!(get(&stage, path, &token).await.status, StatusCode::FORBIDDEN, "{path}: withdrawn");
    }
    stage.ending.cancel();
}

#[tokio::test]
async fn a_page_that_was_opened_under_one_specialist_does_nothing_under_the_next() {
    let mut stage = Stage::new().await;
    let (desk, token) = lay_out(&stage).await;
    tap(&mut stage, &desk, DOCTOR).await;
    let page = get(&stage, "/desk", &token).await;
    let old = form_in(&page.text);
    tap(&mut stage, &desk, OTHER).await;
    let session = desk.current(&point()).await.unwrap().unwrap();
    assert_eq!(session.person, scene::person(OTHER));
    let refused = post(&stage, "/desk/lock", &token, format!("form={old}")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(desk.current(&point()).await.unwrap().unwrap().is_open(), "nothing was done");
    let new = form_in(&get(&stage, "/desk", &token).await.text);
    assert_eq!(post(&stage, "/desk/lock", &token, format!("form={new}")).await.status, StatusCode::SEE_OTHER);
    assert!(!desk.current(&point()).await.unwrap().unwrap().is_open());
    let after = post(&stage, "/desk/end", &token, format!("form={new}")).await;
    assert_eq!(after.status, StatusCode::CONFLICT, "a locked workstation does nothing");
    // Another site's form, with the right token.
    tap(&mut stage, &desk, OTHER).await;
    let form = form_in(&get(&stage, "/desk", &token).await.text);
    let foreign = asked("POST", "/desk/lock", &token)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("origin", "https://evil.example")
        .body(Body::from(format!("form={form}")))
        .unwrap();
    assert_eq!(stage.ask(foreign).await.status, StatusCode::FORBIDDEN);
    assert!(desk.current(&point()).await.unwrap().unwrap().is_open());
    stage.ending.cancel();
}

#[tokio::test]
async fn a_code_typed_at_a_browser_gives_it_a_cookie_that_no_script_reads() {
    let stage = Stage::new().await;
    lay_out(&stage).await;
    let workstations = Workstations::new(stage.database.clone(), stage.hands.clock());
    let code = workstations.make_code(&Acting::console(), &point()).await.unwrap();
    let page = stage.get("/desk", None).await;
    let visit = page.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let form = form_in(&page.text);
    let typed = |code: &str| {
        request("POST", "/desk/enrol", None)
            .header(header::COOKIE, visit.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("form={form}&code={code}")))
            .unwrap()
    };
    assert_eq!(stage.ask(typed("0000-0000-0000")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let answer = stage.ask(typed(&code.reveal())).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for wanted in [DESK_COOKIE, "HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(wanted), "{set}");
    }
    assert_eq!(stage.ask(typed(&code.reveal())).await.status, StatusCode::UNPROCESSABLE_ENTITY, "once");
    stage.ending.cancel();
}

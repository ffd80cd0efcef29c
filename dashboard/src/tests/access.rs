use super::*;
use crate::headers;
use crate::routes::{Access, Csrf, ROUTES, Route, Verb};

#[test]
fn the_table_is_sound() {
    for route in ROUTES {
        if !route.data.is_empty() {
            assert_ne!(route.access, Access::Anyone, "{}: data for anybody", route.path);
        }
        assert!(route.audit.is_some() || route.verb == Verb::Show, "{}: changes are recorded", route.path);
        assert_eq!(route.csrf == Csrf::None, route.verb == Verb::Show, "{}: changes prove where from", route.path);
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_refused_in_a_designed_page() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/live/", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/assets/..%2f..%2fCargo.toml", 404),
        ("PUT", "/live", 405),
        ("DELETE", "/accounts", 405),
        ("TRACE", "/live", 405),
        ("POST", "/live", 405),
    ] {
        let answer = stage.ask(request(method, path, Some(&token)).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert!(answer.text.contains("<h1>"), "{method} {path}: {}", answer.text);
        assert!(!answer.text.contains("passwd"), "{path}");
        assert!(answer.text.contains("href=\"/journal\""), "{path}: who is signed in keeps the places");
    }
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    let mut requests =
        vec![request("GET", "/nowhere", None).body(Body::empty()).unwrap(), form("/sign-in", None, String::new())];
    for route in ROUTES.iter().filter(|route| route.verb == Verb::Show && route.path != "/live/stream") {
        requests.push(request("GET", &filled(route.path), Some(&token)).body(Body::empty()).unwrap());
        requests.push(request("GET", &filled(route.path), None).body(Body::empty()).unwrap());
    }
    requests.push(request("HEAD", "/live/stream", Some(&token)).body(Body::empty()).unwrap());
    for request in requests {
        let path = request.uri().to_string();
        let answer = stage.ask(request).await;
        for (name, value) in headers::ALWAYS {
            assert_eq!(answer.headers.get(*name).map(|v| v.to_str().unwrap()), Some(*value), "{path} {name}");
        }
        let cache = answer.headers[header::CACHE_CONTROL].to_str().unwrap();
        let expected = if path.starts_with("/assets/") {
            "public, max-age=31536000, immutable"
        } else if path == "/live/stream" {
            "no-cache"
        } else {
            "no-store"
        };
        assert!(cache == expected || cache == "no-store", "{path}: {cache}");
        if !answer.text.is_empty() {
            let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
            assert!(kind.contains("charset=utf-8"), "{path}: {kind}");
        }
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn forged_cookies_open_nothing() {
    let stage = Stage::new().await;
    let good = stage.token(Role::Guard).reveal();
    let flipped = format!("{}{}", if good.starts_with('0') { '1' } else { '0' }, &good[1..]);
    for forged in [
        "",
        "0",
        "null",
        "../../",
        &"0".repeat(64),
        &"f".repeat(64),
        &flipped,
        &good[..63],
        &good.to_uppercase(),
        &format!("{good}0"),
        &format!("\"{good}\""),
    ] {
        if *forged == good {
            continue;
        }
        let cookie = format!("{SESSION_COOKIE}={forged}");
        let request = Request::get("/live")
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT, "text/html")
            .body(Body::empty())
            .unwrap();
        assert_eq!(stage.ask(request).await.status, StatusCode::UNAUTHORIZED, "{forged:?}");
    }
    // A second cookie of the same name, as another site under our name could plant one.
    let cookie = format!("{SESSION_COOKIE}={good}; {SESSION_COOKIE}={}", "0".repeat(64));
    let request = Request::get("/live").header(header::COOKIE, cookie).body(Body::empty()).unwrap();
    assert_eq!(stage.ask(request).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stage.get("/live", Some(&stage.token(Role::Guard))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_ends_by_signing_out_by_idleness_and_by_age() {
    let stage = Stage::new().await;
    let rules = SessionRules::default();
    let token = stage.token(Role::Manager);
    stage.hands.pass(rules.idle_ms - 1000);
    assert_eq!(stage.get("/live", Some(&token)).await.status, StatusCode::OK, "one second before");
    stage.hands.pass(rules.idle_ms);
    assert_eq!(stage.get("/live", Some(&token)).await.status, StatusCode::UNAUTHORIZED, "idle");

    let from = visitor();
    let sign_in = || stage.accounts.sign_in("manager", Password::new(PASSWORD), &from);
    let token = sign_in().await.unwrap();
    let minutes = rules.absolute_ms / 60_000;
    for _ in 0..(minutes / 10 - 1) {
        stage.hands.pass(600_000);
        assert_eq!(stage.get("/me", Some(&token)).await.status, StatusCode::OK);
    }
    stage.hands.pass(600_000);
    assert_eq!(stage.get("/me", Some(&token)).await.status, StatusCode::UNAUTHORIZED, "twelve hours, however busy");

    let token = sign_in().await.unwrap();
    let answer = stage.post("/sign-out", &token, "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.headers.contains_key("clear-site-data"));
    let is_for_accounts = |route: &&Route| !matches!(route.access, Access::Anyone | Access::AtDesk(_));
    for route in ROUTES.iter().filter(is_for_accounts).filter(|route| route.verb == Verb::Show) {
        assert_eq!(stage.get(route.path, Some(&token)).await.status, StatusCode::UNAUTHORIZED, "{}", route.path);
    }
}

#[tokio::test]
async fn a_lost_role_counts_from_the_next_request() {
    let stage = Stage::new().await;
    let administrator = stage.session(&stage.token(Role::Administrator)).await;
    let (token, id) = (stage.token(Role::Manager), stage.account(Role::Manager).await);
    assert_eq!(stage.get("/journal.csv", Some(&token)).await.status, StatusCode::OK);
    let (acting, now) = (administrator.acting(&visitor()), stage.hands.clock().now());
    clinic::roles::give(&stage.database, &acting, now, &id, &[Grant::site(Role::Guard)]).await.unwrap();
    assert_eq!(stage.get("/journal.csv", Some(&token)).await.status, StatusCode::FORBIDDEN);
    stage.accounts.set_disabled(&acting, &id, true).await.unwrap();
    assert_eq!(stage.get("/live", Some(&token)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn exports_are_bounded_for_each_account() {
    let stage = Stage::new().await;
    let (manager, administrator) = (stage.token(Role::Manager), stage.token(Role::Administrator));
    let mut last = stage.get("/devices.csv", Some(&manager)).await;
    for _ in 0..=crate::rate::Rate::Export.burst() {
        if last.status != StatusCode::OK {
            break;
        }
        last = stage.get("/devices.csv", Some(&manager)).await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS, "{}", last.text);
    assert!(last.headers.contains_key(header::RETRY_AFTER) && last.text.contains("<h1>"), "{}", last.text);
    assert_eq!(stage.get("/devices.csv", Some(&administrator)).await.status, StatusCode::OK, "others go on");
    assert_eq!(stage.get("/live", Some(&manager)).await.status, StatusCode::OK, "pages go on");
}

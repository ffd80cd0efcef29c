use super::*;
use crate::guard::FORM_MAX_BYTES;
use crate::routes::{Access, ROUTES, Verb};

/// Fields that would change something at each route, were the form believed.
fn fields(path: &str, account: &AccountId) -> String {
    match path {
        "/accounts/create" => "login=planted&shown_name=x&role=administrator".to_owned(),
        "/accounts/change" => format!("account={}&what=role&role=administrator", account.as_str()),
        "/me/preferences" => "language=ru&theme=dark".to_owned(),
        "/me/password" => format!("current={PASSWORD}&password=another+quiet+morning&again=another+quiet+morning"),
        path if path.starts_with("/doors/") => {
            format!("gateway={}&point=turnstile-1&id={}&reason=delivery", scene::GATEWAY, "ab".repeat(16))
        }
        "/sign-in" => format!("login=guard&password={PASSWORD}"),
        _ => String::new(),
    }
}

#[tokio::test]
async fn a_form_that_is_not_ours_changes_nothing() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    let guard = stage.account(Role::Guard).await;
    let before = stage.state().await;
    let right = stage.form_of(&token).await;
    let others = stage.form_of(&stage.token(Role::Manager)).await;
    for route in ROUTES.iter().filter(|route| route.verb == Verb::Change) {
        let path = filled(route.path);
        let fields = fields(route.path, &guard);
        for (what, body) in [
            ("no token", fields.clone()),
            ("empty", format!("form=&{fields}")),
            ("another session's", format!("form={others}&{fields}")),
            ("cut", format!("form={}&{fields}", &right[..40])),
            ("the cookie itself", format!("form={}&{fields}", token.reveal())),
        ] {
            let answer = stage.ask(form(&path, Some(&token), body)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {what}");
        }
        // Everything right, but sent from elsewhere.
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let body = format!("form={right}&{fields}");
            let mut request = form(&path, Some(&token), body);
            request.headers_mut().insert(name, value.parse().unwrap());
            assert_eq!(stage.ask(request).await.status, StatusCode::FORBIDDEN, "{path}: {name} {value}");
        }
        let mut request = form(&path, Some(&token), format!("{{\"form\":\"{right}\"}}"));
        request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        assert_eq!(stage.ask(request).await.status, StatusCode::FORBIDDEN, "{path}: not a form");
    }
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn showing_changes_nothing() {
    let mut stage = Stage::new().await;
    scene::furnish(&stage.database, stage.hands.now()).await;
    scene::morning(&mut stage.recorder, stage.hands.now()).await;
    // That somebody looked is written down, and when a session was last used; nothing else.
    let looks = ["audit_", "disclosure", "account_session"];
    let before = stage.everything(&looks).await;
    assert!(before.len() > 100, "{}", before.len());
    for route in ROUTES.iter().filter(|route| route.verb == Verb::Show && route.path != "/live/stream") {
        for (_, token) in &stage.tokens {
            stage.get(&filled(route.path), Some(token)).await;
            stage.ask(request("HEAD", &filled(route.path), Some(token)).body(Body::empty()).unwrap()).await;
        }
    }
    assert_eq!(stage.everything(&looks).await, before);
}

#[tokio::test]
async fn a_form_may_be_so_long_and_no_longer() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Guard);
    let start = format!("form={}&language=en&x=", stage.form_of(&token).await);
    let longest = format!("{start}{}", "y".repeat(FORM_MAX_BYTES - start.len()));
    assert_eq!(stage.ask(form("/me/preferences", Some(&token), longest.clone())).await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        stage.ask(form("/me/preferences", Some(&token), longest + "y")).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn signing_in_gives_a_new_strict_cookie_and_leads_only_into_this_site() {
    let stage = Stage::new().await;
    for (next, target) in [
        ("/journal", "/journal"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
    ] {
        let page = stage.get("/sign-in", None).await;
        let cookie = page.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.starts_with(VISIT_COOKIE) && cookie.contains("HttpOnly"), "{cookie}");
        let visit = cookie.split(';').next().unwrap().to_owned();
        let hidden = page.text.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let mut request = form(
            "/sign-in",
            None,
            format!("form={hidden}&login=guard&password={}&next={next}", PASSWORD.replace(' ', "+")),
        );
        request.headers_mut().insert(header::COOKIE, visit.parse().unwrap());
        let answer = stage.ask(request).await;
        assert_eq!(
            (answer.status, answer.headers[header::LOCATION].to_str().unwrap()),
            (StatusCode::SEE_OTHER, target),
            "{next}"
        );
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.starts_with("__Host-tapward="), "{cookie}");
        for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_look_alike_and_slow_down() {
    let stage = Stage::new().await;
    let mut answers = Vec::new();
    for login in ["guard", "nobody-here"] {
        for n in 0..8 {
            let visit = SessionToken::draw().unwrap();
            let body = format!("form={}&login={login}&password=wrong+password+{n}", stage.form_of(&visit).await);
            let mut request = form("/sign-in", None, body);
            request.headers_mut().insert(header::COOKIE, format!("{VISIT_COOKIE}={}", visit.reveal()).parse().unwrap());
            let answer = stage.ask(request).await;
            // But for the hidden field and the name typed, which are the visitor's own.
            let text = answer.text.replace(&stage.form_of(&visit).await, "").replace(login, "");
            answers.push((answer.status, text));
        }
    }
    assert_eq!(answers[..8], answers[8..]);
    assert_eq!(answers[0].0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answers[7].0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_stale_administrator_must_give_the_password_again() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    assert_eq!(stage.post("/accounts/create", &token, "login=one&role=guard").await.status, StatusCode::OK);
    stage.hands.pass(SessionRules::default().fresh_ms);
    let before = stage.state().await.lines().filter(|line| line.contains("two")).count();
    let answer = stage.post("/accounts/create", &token, "login=two&role=guard").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(stage.state().await.lines().filter(|line| line.contains("two")).count(), before);
    let fields = format!("login=two&role=guard&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(stage.post("/accounts/create", &token, &fields).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_allows_more_than_a_limit_shows_that_it_is_still_they() {
    let stage = Stage::new().await;
    let chief = stage.token(Role::Accountant);
    let person = "5a".repeat(16);
    let id = person.clone();
    store::transact!(stage.database, "test.person", |conn| {
        store::sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 1)").bind(&id).execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    let fields = format!(
        "patient={person}&currency=EUR&extra=10&hours=1&reason_code=emergency&words=The+operation+cannot+wait+until+tomorrow"
    );
    stage.hands.pass(SessionRules::default().fresh_ms);
    let page = stage.get("/till/overrides", Some(&chief)).await;
    assert!(page.text.contains("name=\"password\""), "it is asked for");
    for wrong in ["", "&password=not+the+one"] {
        let answer = stage.post("/till/overrides/add", &chief, &format!("{fields}{wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(answer.text.contains("The operation cannot wait") && !answer.text.contains("not the one"));
    }
    let allowed: i64 = store::read!(stage.database, "test.allowed", |conn| {
        Ok(store::sqlx::query_scalar("SELECT COUNT(*) FROM limit_override").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    assert_eq!(allowed, 0);
    let fields = format!("{fields}&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(stage.post("/till/overrides/add", &chief, &fields).await.status, StatusCode::SEE_OTHER);
    assert!(!stage.get("/till/overrides", Some(&chief)).await.text.contains("name=\"password\""), "not again at once");
}

#[test]
fn every_change_but_signing_in_needs_somebody_signed_in() {
    let open: Vec<_> =
        ROUTES.iter().filter(|r| r.verb == Verb::Change && r.access == Access::Anyone).map(|r| r.path).collect();
    // Every way to a session is in this list (ASVS 6.3.4).
    // The code of a workstation makes no session; it says where a browser stands.
    assert_eq!(open, ["/desk/enrol", "/sign-in", "/sign-in/step", "/welcome/{link}"]);
}

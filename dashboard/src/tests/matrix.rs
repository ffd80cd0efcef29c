//! Who gets in where, made from the table of routes: every permission by itself and all but it, on every route.

use std::collections::BTreeSet;

use clinic::roles::{self, OwnId, RoleId, RoleText};
use domain::{Field, Permission, Rights};

use super::*;
use crate::routes::{Access, Route, Verb, all};

/// Somebody whose one role the test writes anew.
struct Probe {
    role: OwnId,
    account: AccountId,
    token: SessionToken,
}

impl Probe {
    async fn new(stage: &Stage) -> Self {
        let administrator = stage.session(&stage.token(Role::Administrator)).await.acting(&visitor());
        let text = RoleText { name: "Probe".to_owned(), ..RoleText::default() };
        let role = roles::create(&stage.database, &administrator, stage.hands.now(), &text).await.unwrap();
        let new = NewAccount {
            login: Login::new("probe").unwrap(),
            shown_name: String::new(),
            roles: vec![Grant::site(RoleId::Own(role.clone()))],
            locale: "en".to_owned(),
        };
        let link = stage.accounts.create(&administrator, new).await.unwrap();
        let token = stage.accounts.redeem_password(&link, Password::new(PASSWORD), &visitor()).await.unwrap();
        let account = stage.session(&token).await.account.id;
        Self { role, account, token }
    }

    async fn may(&self, stage: &Stage, permissions: BTreeSet<Permission>) {
        let administrator = stage.session(&stage.token(Role::Administrator)).await.acting(&visitor());
        let fields = Field::ALL.iter().copied().collect();
        let text = RoleText { name: "Probe".to_owned(), description: String::new(), permissions, fields };
        roles::change(&stage.database, &administrator, stage.hands.now(), &self.role, &text).await.unwrap();
    }
}

/// How a route answers when nothing that it could understand is sent; a change is told from a refusal by its page.
#[derive(Debug, PartialEq, Eq)]
enum Door {
    Open,
    SignIn,
    Closed,
}

async fn knock(stage: &Stage, route: &Route, token: Option<&SessionToken>) -> Door {
    let path = filled(route.path);
    let method = if matches!(route.path, "/live/stream" | "/desk/stream") { "HEAD" } else { route.verb.as_str() };
    let request = match route.verb {
        Verb::Show => request(method, &path, token).body(Body::empty()).unwrap(),
        Verb::Change | Verb::Put | Verb::Delete | Verb::Ask => {
            let mut request = form(&path, token, "form=wrong".to_owned());
            *request.method_mut() = method.parse().unwrap();
            request
        }
    };
    let answer = stage.ask(request).await;
    match answer.status {
        StatusCode::UNAUTHORIZED => Door::SignIn,
        // The form was looked at: the right was there.
        StatusCode::FORBIDDEN if answer.text.contains("This form is too old") => Door::Open,
        StatusCode::FORBIDDEN => Door::Closed,
        _ => Door::Open,
    }
}

/// The routes that a browser's session opens; those of the HTTP API have tests of their own, with keys.
fn pages() -> impl Iterator<Item = &'static Route> {
    all().filter(|route| route.operation.is_none())
}

#[tokio::test]
async fn a_route_opens_by_its_permission_alone_and_by_nothing_else() {
    let stage = Stage::new().await;
    let probe = Probe::new(&stage).await;
    let mut needed: BTreeSet<Permission> = BTreeSet::new();
    for route in pages() {
        let Access::Needs(permission) = route.access else { continue };
        needed.insert(permission);
    }
    assert!(needed.len() > 7, "{needed:?}");
    for permission in needed {
        let routes: Vec<_> = pages().filter(|route| route.access == Access::Needs(permission)).collect();
        if permission != Permission::OwnAccount {
            let others = Permission::ALL.iter().copied().filter(|other| *other != permission).collect();
            probe.may(&stage, others).await;
            for route in &routes {
                let door = knock(&stage, route, Some(&probe.token)).await;
                assert_eq!(door, Door::Closed, "{} with everything but {permission}", route.path);
            }
        }
        probe.may(&stage, BTreeSet::from([permission])).await;
        for route in &routes {
            let door = knock(&stage, route, Some(&probe.token)).await;
            assert_eq!(door, Door::Open, "{} with {permission} only", route.path);
        }
    }
}

#[tokio::test]
async fn every_route_opens_for_its_roles_and_for_nobody_else() {
    let stage = Stage::new().await;
    for route in pages() {
        let anonymous = match route.access {
            Access::Anyone => Door::Open,
            // No matter of signing in: this browser is no workstation's.
            Access::AtDesk(_) => Door::Closed,
            _ => Door::SignIn,
        };
        assert_eq!(knock(&stage, route, None).await, anonymous, "{}", route.path);
        for (role, token) in &stage.tokens {
            let expected = if route.access.lets(Some(&Rights::of(*role))) { Door::Open } else { Door::Closed };
            assert_eq!(knock(&stage, route, Some(token)).await, expected, "{} {role}", route.path);
        }
    }
}

#[tokio::test]
async fn every_refusal_of_somebody_signed_in_is_an_entry_with_who_and_what() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Cashier);
    let cashier = stage.account(Role::Cashier).await;
    let mut expected = 0;
    for route in pages().filter(|route| !route.access.lets(Some(&Rights::of(Role::Cashier)))) {
        assert_eq!(knock(&stage, route, Some(&token)).await, Door::Closed, "{}", route.path);
        expected += 1;
        // Of a route of workstations the path says what was refused, of the others the permission.
        let wanted = match route.access {
            Access::Needs(permission) => permission.as_str(),
            _ => route.path,
        };
        let entries = stage.refusals().await;
        assert_eq!(entries.len(), expected, "{}", route.path);
        let (actor, object, detail) = entries.last().unwrap();
        assert_eq!((actor.as_str(), object.as_str()), (cashier.as_str(), wanted));
        assert!(detail.ends_with(route.path), "{detail}");
    }
    assert!(expected > 15, "{expected}");
    // A form that is not ours, and an account that is not there.
    stage.ask(form("/me/preferences", Some(&token), "form=wrong".to_owned())).await;
    assert_eq!(stage.refusals().await.last().unwrap().2, "bad_form_token: POST /me/preferences");
    let administrator = stage.token(Role::Administrator);
    let fields = format!("account={}&what=disable", "ab".repeat(16));
    assert_eq!(stage.post("/accounts/change", &administrator, &fields).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stage.refusals().await.last().unwrap().2, "not_there: POST /accounts/change");
    assert_eq!(stage.refusals().await.len(), expected + 2);
}

#[tokio::test]
async fn ids_that_are_not_ones_own_are_not_there_and_the_try_is_recorded() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    let before = stage.state().await;
    for n in 0..20_u8 {
        let id = format!("{n:02x}").repeat(16);
        for (path, fields) in [
            ("/accounts/change", format!("account={id}&what=link")),
            ("/accounts/change", format!("account={id}&what=disable")),
            ("/accounts/roles", format!("account={id}&role=administrator")),
            ("/roles/change", format!("role={id}&name=x&permission=audit_see")),
            ("/roles/remove", format!("role={id}")),
        ] {
            let refused = stage.refusals().await.len();
            let status = stage.post(path, &token, &fields).await.status;
            assert!([StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status), "{path}: {status}");
            assert_eq!(stage.refusals().await.len(), refused + 1, "{path}");
        }
    }
    // Somebody else's session cannot be ended from one's own page.
    let (guard, manager) = (stage.token(Role::Guard), stage.session(&stage.token(Role::Manager)).await);
    stage.post("/me/sessions", &guard, &format!("session={}", manager.id.as_str())).await;
    assert_eq!(stage.get("/me", Some(&stage.token(Role::Manager))).await.status, StatusCode::OK);
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn fields_that_a_form_does_not_have_change_nothing() {
    let stage = Stage::new().await;
    let guard = stage.token(Role::Guard);
    let rights = stage.session(&guard).await.rights;
    let more = "role=administrator&roles=administrator&grant=administrator%7C&permission=audit_see&zone=&id=x\
                &password_hash=x&disabled_at=1&is_admin=true&account=x&rights=all";
    let answer = stage.post("/me/preferences", &guard, &format!("language=ru&theme=dark&{more}")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let after = stage.session(&guard).await;
    assert_eq!((after.rights, after.account.locale.as_str()), (rights, "ru"));
    let administrator = stage.token(Role::Administrator);
    let extra = "login=extra&role=guard&permission=audit_see&password_hash=x&theme=dark&roles=administrator";
    assert_eq!(stage.post("/accounts/create", &administrator, extra).await.status, StatusCode::OK);
    let acting = stage.session(&administrator).await.acting(&visitor());
    let made = stage.accounts.list(&acting).await.unwrap();
    let made = made.into_iter().find(|line| line.account.login.as_str() == "extra").unwrap();
    assert_eq!(made.roles.iter().map(|held| held.grant.clone()).collect::<Vec<_>>(), [Grant::site(Role::Guard)]);
    assert!(!made.has_password);
}

#[tokio::test]
async fn a_captured_cookie_opens_nothing_after_its_session_has_ended() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    assert_eq!(stage.post("/sign-out", &token, "").await.status, StatusCode::SEE_OTHER);
    for route in pages().filter(|route| !matches!(route.access, Access::Anyone | Access::AtDesk(_))) {
        assert_eq!(knock(&stage, route, Some(&token)).await, Door::SignIn, "{}", route.path);
    }
}

#[tokio::test]
async fn methods_that_are_not_in_the_table_are_not_answered() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    let paths: BTreeSet<_> = pages().map(|route| route.path).collect();
    for path in paths {
        let has = |verb: &str| {
            all().any(|route| {
                route.path == path && (route.verb.as_str() == verb || (verb == "HEAD" && route.verb == Verb::Show))
            })
        };
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
            if !has(method) {
                let answer = stage.ask(request(method, &filled(path), Some(&token)).body(Body::empty()).unwrap()).await;
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert!(!answer.text.contains(&token.reveal()), "nothing is echoed");
            }
        }
    }
}

#[tokio::test]
async fn no_answer_lets_another_site_read_it() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Administrator);
    for route in pages().filter(|route| route.verb == Verb::Show && route.path != "/live/stream") {
        for origin in ["https://evil.example", "null"] {
            let mut request = request("GET", &filled(route.path), Some(&token)).body(Body::empty()).unwrap();
            request.headers_mut().insert("origin", origin.parse().unwrap());
            let answer = stage.ask(request).await;
            let open = answer.headers.keys().find(|name| name.as_str().starts_with("access-control"));
            assert_eq!(open, None, "{} {origin}", route.path);
        }
    }
}

/// Handlers are mounted by the table only: nothing else builds a router.
#[test]
fn routes_are_made_in_one_place() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![folder];
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
        if name.ends_with(".rs") && !name.starts_with("src/routes") && !name.starts_with("src/tests") {
            let text = std::fs::read_to_string(&path).unwrap();
            looked_at += 1;
            for word in [".route(", ".route_service(", ".nest(", "Router::new", "fallback("] {
                assert!(!text.contains(word), "{name}: {word} belongs into the table of routes");
            }
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

#[tokio::test]
async fn a_role_given_in_a_zone_sees_and_opens_there_only() {
    let mut stage = Stage::new().await;
    scene::furnish(&stage.database, stage.hands.now()).await;
    scene::equipment(&stage.database, stage.hands.now()).await;
    let now = stage.hands.now();
    let fact = |point: &str| scene::fact(now, domain::Kind::Granted, point, domain::Direction::In, Some(1), None);
    stage.recorder.record(vec![fact("turnstile-1"), fact("surgery-door"), fact("north-barrier")]).await;
    let token = stage.token(Role::Guard);
    let all = stage.get("/journal", Some(&token)).await.text;
    assert!(all.contains("Turnstile 1") && all.contains("North barrier") && all.contains("Surgery door"), "{all}");

    let administrator = stage.session(&stage.token(Role::Administrator)).await.acting(&visitor());
    let yard = Grant { role: Role::Guard.into(), zone: Some(domain::ZoneId::new("yard").unwrap()) };
    let guard = stage.account(Role::Guard).await;
    roles::give(&stage.database, &administrator, now, &guard, &[yard]).await.unwrap();
    for path in ["/journal", "/live", "/devices", "/devices.csv"] {
        let page = stage.get(path, Some(&token)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let text = page.text.to_lowercase().replace('-', " ");
        assert!(text.contains("north barrier"), "{path}: {text}");
        assert!(!text.contains("turnstile 1") && !text.contains("surgery"), "{path}: {text}");
    }
    // One entry of another zone by its number, and an order to another zone's door.
    let other = stage.get("/journal?open=1", Some(&token)).await.text;
    assert!(!other.contains("id=\"entry\""), "{other}");
    let before = stage.state().await;
    for (point, status) in [("turnstile-1", 404), ("north-barrier", 303)] {
        let fields = format!("gateway={}&point={point}&id={}&reason=delivery", scene::GATEWAY, "ab".repeat(16));
        let answer = stage.post("/doors/open", &token, &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{point}: {}", answer.text);
        if status == 404 {
            assert_eq!(stage.state().await, before);
        }
    }
    assert_eq!(stage.refusals().await.last().unwrap().2, "not_there: POST /doors/open");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_and_the_try_is_recorded() {
    let stage = Stage::new().await;
    let probe = Probe::new(&stage).await;
    let some = [Permission::AccountSee, Permission::AccountEdit, Permission::RoleEdit, Permission::LiveWatch];
    probe.may(&stage, some.into_iter().collect()).await;
    let guard = stage.account(Role::Guard).await;
    let own = probe.account.as_str();
    let before = stage.state().await;
    for (path, fields) in [
        ("/accounts/roles", format!("account={}&role=administrator", guard.as_str())),
        ("/accounts/roles", format!("account={own}&role=guard")),
        ("/accounts/create", "login=friend&role=administrator".to_owned()),
        ("/accounts/change", format!("account={}&what=link", stage.account(Role::Administrator).await.as_str())),
        ("/accounts/change", format!("account={}&what=disable", stage.account(Role::Administrator).await.as_str())),
        ("/roles/create", "name=More&permission=vault_manage".to_owned()),
        ("/roles/change", format!("role={}&name=Probe&permission=audit_see", probe.role.as_str())),
    ] {
        let refused = stage.refusals().await.len();
        let answer = stage.post(path, &probe.token, &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {fields}");
        assert!(answer.text.contains("role=\"alert\""), "{path}: the page says why");
        assert_eq!(stage.refusals().await.len(), refused + 1, "{path} {fields}");
    }
    assert_eq!(stage.state().await, before);
}

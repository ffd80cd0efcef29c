//! What answers a request, and how it ends.

use clinic::jose::{Algorithm, decode};
use clinic::openid::{CallKind, CallOutcome, EndAsked, Ended, Step, WaitFor};
use domain::desk::Rules as DeskRules;
use serde_json::json;

use crate::scene::{HOUR, MINUTE, SECOND, plain};
use crate::stage::{BACK, ISSUER, error, parameter, stages};

fn wait(step: &Step) -> WaitFor {
    match step {
        Step::Wait { what, name, .. } => {
            assert_eq!(name, "The MIS");
            *what
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_at_the_requests_own_workstation_signs_in_and_no_other_tap_does() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let (here, there) = (stage.ask(&[]).await.unwrap(), stage.ask(&[]).await.unwrap());
        assert_eq!(wait(&stage.step(&here, 1).await), WaitFor::Tap);
        assert_eq!(wait(&stage.step(&there, 2).await), WaitFor::Tap);
        stage.scene.tap(2, 2).await;
        assert_eq!(wait(&stage.step(&here, 1).await), WaitFor::Tap, "a tap at another reader");
        assert_eq!(stage.step(&here, 2).await, Step::Elsewhere, "another workstation's browser");
        let tapped = stage.scene.now();
        stage.scene.tap(1, 1).await;
        stage.scene.go_on(SECOND);
        let Step::Go(url) = stage.step(&here, 1).await else { panic!() };
        assert!(url.starts_with(BACK), "{url}");
        assert_eq!(parameter(&url, "state").as_deref(), Some("a state"));
        assert_eq!(parameter(&url, "iss").as_deref(), Some(ISSUER));
        assert_eq!(stage.step(&here, 1).await, Step::Spent, "answered once");
        let answer = stage.redeem(&parameter(&url, "code").unwrap()).await.unwrap();
        assert_eq!(answer.scope, "fhirUser launch openid profile");
        let claims = stage.claims(answer.id_token.reveal(), Algorithm::Es256).await;
        for (name, value) in [
            ("iss", json!(ISSUER)),
            ("aud", json!(stage.id)),
            ("sub", json!("doctor-1")),
            ("nonce", json!("a nonce")),
            ("acr", json!("urn:tapward:badge")),
            ("amr", json!(["user"])),
            ("auth_time", json!(tapped.0 / 1000)),
            ("fhirUser", json!("https://mis.example/fhir/Practitioner/pr-1")),
            ("preferred_username", json!("doctor-1")),
        ] {
            assert_eq!(claims.0.get(name), Some(&value), "{name}");
        }
        let access = stage.provider.access(answer.access_token.reveal()).await.unwrap().unwrap();
        assert_eq!(Some(&access.sid), claims.text("sid").map(str::to_owned).as_ref());
        assert_eq!(access.session, stage.scene.at(1).await.unwrap().id);
        let told = stage.provider.userinfo(answer.access_token.reveal()).await.unwrap().unwrap();
        assert_eq!(told["sub"], "doctor-1");
        let Step::Go(url) = stage.step(&there, 2).await else { panic!() };
        let answer = stage.redeem(&parameter(&url, "code").unwrap()).await.unwrap();
        let claims = stage.claims(answer.id_token.reveal(), Algorithm::Es256).await;
        assert_eq!(claims.text("sub"), Some("doctor-2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_ends_its_tokens_at_once_and_the_system_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let answer = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        assert!(stage.is_good(&answer.access_token).await);
        assert!(stage.provider.calls(10).await.unwrap().is_empty());
        let pending = stage.code(1, &[]).await;
        stage.scene.go_on(MINUTE);
        // Another specialist's tap ends it.
        stage.scene.tap(1, 2).await;
        assert!(!stage.is_good(&answer.access_token).await, "before anybody looked");
        assert_eq!(crate::stage::refused(stage.redeem(&pending).await), "invalid_grant");
        assert_eq!(stage.provider.follow().await.unwrap(), 1);
        assert_eq!(stage.provider.follow().await.unwrap(), 0);
        let calls = stage.provider.calls(10).await.unwrap();
        assert_eq!(calls.len(), 1);
        assert!(stage.provider.calls(10).await.unwrap().is_empty(), "left to who took it");
        let call = &calls[0];
        assert_eq!((call.kind, call.url.as_str()), (CallKind::Logout, "https://mis.example/logout"));
        let token = call.body.strip_prefix("logout_token=").unwrap();
        let claims = stage.claims(token, Algorithm::Es256).await;
        let sid = stage.claims(answer.id_token.reveal(), Algorithm::Es256).await;
        assert_eq!(claims.text("sid"), sid.text("sid"));
        assert_eq!((claims.text("sub"), claims.text("aud")), (Some("doctor-1"), Some(stage.id.as_str())));
        assert_eq!(claims.0["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
        assert!(claims.0.contains_key("jti") && claims.0.contains_key("exp") && !claims.0.contains_key("nonce"));
        let header = String::from_utf8(decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert!(header.contains("logout+jwt"), "{header}");
        // It was not taken: again, later, with a token of then.
        stage.provider.called(&call.id, &CallOutcome::Later("answered with 500".into())).await.unwrap();
        assert!(stage.provider.calls(10).await.unwrap().is_empty());
        stage.scene.go_on(2 * SECOND);
        let again = stage.provider.calls(10).await.unwrap();
        assert_eq!(again[0].id, call.id);
        assert_ne!(again[0].body, call.body);
        stage.provider.called(&call.id, &CallOutcome::Taken).await.unwrap();
        stage.scene.go_on(HOUR);
        assert!(stage.provider.calls(10).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_sign_in_wants_a_tap_from_after_the_request() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let silent = [("prompt", "none")];
        let none = stage.ask(&silent).await.unwrap();
        let Step::Go(url) = stage.step(&none, 1).await else { panic!() };
        assert_eq!(parameter(&url, "error").as_deref(), Some("login_required"));
        stage.scene.tap(1, 1).await;
        stage.scene.go_on(10 * SECOND);
        stage.redeem(&stage.code(1, &silent).await).await.unwrap();
        for changed in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "5")] {
            let handle = stage.ask(&[changed]).await.unwrap();
            assert_eq!(wait(&stage.step(&handle, 1).await), WaitFor::FreshTap, "{changed:?}");
            let quiet = stage.ask(&[("prompt", "none"), ("max_age", "5")]).await.unwrap();
            let Step::Go(url) = stage.step(&quiet, 1).await else { panic!() };
            assert_eq!(parameter(&url, "error").as_deref(), Some("login_required"));
            stage.scene.go_on(10 * SECOND);
            let tapped = stage.scene.now();
            stage.scene.tap(1, 1).await;
            let Step::Go(url) = stage.step(&handle, 1).await else { panic!("{changed:?}") };
            let answer = stage.redeem(&parameter(&url, "code").unwrap()).await.unwrap();
            let claims = stage.claims(answer.id_token.reveal(), Algorithm::Es256).await;
            assert_eq!(claims.time("auth_time").unwrap().0, tapped.0 / 1000 * 1000);
            stage.scene.go_on(10 * SECOND);
        }
        stage.redeem(&stage.code(1, &[("max_age", "60")]).await).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waited_too_long_is_not_answered_by_a_later_tap() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let handle = stage.ask(&[]).await.unwrap();
        assert_eq!(wait(&stage.step(&handle, 1).await), WaitFor::Tap);
        stage.scene.go_on(5 * MINUTE);
        stage.scene.tap(1, 1).await;
        assert_eq!(stage.step(&handle, 1).await, Step::Spent);
        assert_eq!(stage.provider.step("nonsense", &crate::scene::point(1)).await.unwrap(), Step::Spent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_wanted_where_the_system_asks_for_it_and_told_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let strong = [("acr_values", "urn:other urn:tapward:badge+pin")];
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let handle = stage.ask(&strong).await.unwrap();
        assert_eq!(wait(&stage.step(&handle, 1).await), WaitFor::Pin);
        let quiet = stage.ask(&[strong[0], ("prompt", "none")]).await.unwrap();
        let Step::Go(url) = stage.step(&quiet, 1).await else { panic!() };
        assert_eq!(parameter(&url, "error").as_deref(), Some("interaction_required"));
        let pin = || clinic::desk::PinText::new("4071").unwrap();
        stage.scene.desk.set_pin(&crate::scene::manager(), crate::scene::person(1), pin()).await.unwrap();
        stage.scene.go_on(5 * SECOND);
        let session = stage.scene.at(1).await.unwrap();
        stage.scene.desk.confirm_pin(&session, pin()).await.unwrap();
        let Step::Go(url) = stage.step(&handle, 1).await else { panic!() };
        let answer = stage.redeem(&parameter(&url, "code").unwrap()).await.unwrap();
        let claims = stage.claims(answer.id_token.reveal(), Algorithm::Es256).await;
        assert_eq!(claims.text("acr"), Some("urn:tapward:badge+pin"));
        assert_eq!(claims.0["amr"], json!(["user", "pin"]));
    }
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), DeskRules::default()).await {
        let handle = stage.ask(&[]).await.unwrap();
        stage.scene.tap(1, 1).await;
        assert_eq!(wait(&stage.step(&handle, 1).await), WaitFor::Pin, "a session that waits for its PIN is not open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_there_stays_at_the_workstation_and_needs_a_tap_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let answer = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        stage.scene.go_on(10 * SECOND);
        let asked = EndAsked {
            id_token_hint: Some(answer.id_token.reveal().to_owned()),
            client_id: Some(stage.id.clone()),
            post_logout_redirect_uri: Some("https://mis.example/bye".into()),
            state: Some("s".into()),
        };
        let other = EndAsked { client_id: Some("other".into()), ..asked.clone() };
        assert!(matches!(stage.provider.end(&other).await.unwrap(), Ended::Nothing(_)));
        let strange = EndAsked { id_token_hint: Some("e30.e30.AA".into()), ..asked.clone() };
        assert!(matches!(stage.provider.end(&strange).await.unwrap(), Ended::Nothing(_)));
        assert!(stage.is_good(&answer.access_token).await);
        assert_eq!(stage.provider.end(&asked).await.unwrap(), Ended::Go("https://mis.example/bye?state=s".into()));
        let wild = EndAsked { post_logout_redirect_uri: Some("https://evil.example/".into()), ..asked };
        assert!(matches!(stage.provider.end(&wild).await.unwrap(), Ended::Nothing(_)));
        assert!(!stage.is_good(&answer.access_token).await);
        assert_eq!(stage.scene.shown(1).await, "open 1");
        let handle = stage.ask(&[]).await.unwrap();
        assert_eq!(wait(&stage.step(&handle, 1).await), WaitFor::FreshTap);
        stage.scene.go_on(10 * SECOND);
        stage.scene.tap(1, 1).await;
        assert!(matches!(stage.step(&handle, 1).await, Step::Go(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_names_who_must_tap() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let first = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        stage.scene.go_on(10 * SECOND);
        stage.scene.tap(1, 2).await;
        let hint = first.id_token.reveal();
        let handle = stage.ask(&[("id_token_hint", hint)]).await.unwrap();
        assert_eq!(wait(&stage.step(&handle, 1).await), WaitFor::OtherPerson);
        assert_eq!(error(stage.ask(&[("id_token_hint", "nonsense")]).await), "invalid_request");
        stage.scene.go_on(10 * SECOND);
        stage.scene.tap(1, 1).await;
        assert!(matches!(stage.step(&handle, 1).await, Step::Go(_)));
    }
}

//! Assertions, confirmations, keys, and systems that stand in the configuration.

use clinic::jose::Algorithm;
use clinic::openid::{
    CallKind, ClientError, ConfiguredClient, ConfirmationAsked, Credentials, NewClient, Rules, TokenAsked,
};

use crate::scene::{HOUR, MINUTE, SECOND, manager, plain, point};
use crate::stage::{ISSUER, Stage, refused, stages, system};

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_good_for_half_a_minute_once_and_for_its_system() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let (desk, caller) = (point(1), stage.caller().await);
        assert_eq!(refused(stage.provider.vouch(&desk, &stage.id).await), "login_required");
        stage.scene.tap(1, 1).await;
        assert_eq!(refused(stage.provider.vouch(&desk, "unknown").await), "unauthorized_client");
        let first = stage.provider.vouch(&desk, &stage.id).await.unwrap();
        let claims = stage.claims(first.reveal(), Algorithm::Es256).await;
        assert_eq!((claims.text("sub"), claims.text("aud")), (Some("doctor-1"), Some(stage.id.as_str())));
        assert_eq!((claims.text("workstation"), claims.text("acr")), (Some("desk-1"), Some("urn:tapward:badge")));
        let life = claims.time("exp").unwrap().since_ms(claims.time("iat").unwrap());
        assert!((1..=30_000).contains(&life), "{life}");
        let vouched = stage.provider.consume(&caller, first.reveal()).await.unwrap();
        assert_eq!(vouched.0["sub"], "doctor-1");
        assert_eq!(refused(stage.provider.consume(&caller, first.reveal()).await), "invalid_grant", "once");

        let late = stage.provider.vouch(&desk, &stage.id).await.unwrap();
        stage.scene.go_on(33 * SECOND);
        assert_eq!(refused(stage.provider.consume(&caller, late.reveal()).await), "invalid_grant", "too old");

        let other = stage.provider.make_client(&manager(), Some("other".into()), system()).await.unwrap();
        let basic = Some((other.id, other.secret.unwrap().reveal().to_owned()));
        let other = stage.provider.authenticate(&Credentials { basic, ..Credentials::default() }).await.unwrap();
        let mine = stage.provider.vouch(&desk, &stage.id).await.unwrap();
        assert_eq!(refused(stage.provider.consume(&other, mine.reveal()).await), "invalid_grant");
        // An id token is no assertion, though it is ours and for this system.
        let answer = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        assert_eq!(refused(stage.provider.consume(&caller, answer.id_token.reveal()).await), "invalid_grant");
        stage.scene.go_on(5 * SECOND);
        stage.scene.tap(1, 2).await;
        assert_eq!(refused(stage.provider.consume(&caller, mine.reveal()).await), "invalid_grant", "the session ended");
    }
}

fn asks(hint: &str) -> ConfirmationAsked {
    ConfirmationAsked {
        scope: "openid".into(),
        login_hint: Some(hint.into()),
        binding_message: Some("Prescription 17".into()),
        notification_token: Some("of-the-system".into()),
        ..ConfirmationAsked::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_takes_a_tap_that_was_meant_for_it() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let signing = NewClient { ping_uri: Some("https://mis.example/ping".into()), ..system() };
        let made = stage.provider.make_client(&manager(), Some("signing".into()), signing).await.unwrap();
        let basic = Some((made.id, made.secret.unwrap().reveal().to_owned()));
        let caller = stage.provider.authenticate(&Credentials { basic, ..Credentials::default() }).await.unwrap();
        stage.scene.tap(1, 1).await;
        let session = stage.scene.at(1).await.unwrap().id;
        let bad = ConfirmationAsked { id_token_hint: Some("x".into()), ..asks("doctor-1") };
        assert_eq!(refused(stage.provider.start_confirmation(&caller, &bad).await), "invalid_request");
        assert_eq!(refused(stage.provider.start_confirmation(&caller, &asks("nobody")).await), "unknown_user_id");
        let started = stage.provider.start_confirmation(&caller, &asks("doctor-1")).await.unwrap();
        let ask = || TokenAsked {
            grant_type: "urn:openid:params:grant-type:ciba".into(),
            auth_req_id: Some(started.request.reveal().to_owned()),
            ..TokenAsked::default()
        };
        assert_eq!(refused(stage.provider.confirmed(&caller, &ask()).await), "authorization_pending");
        stage.scene.go_on(SECOND);
        assert_eq!(refused(stage.provider.confirmed(&caller, &ask()).await), "slow_down");
        assert_eq!(refused(stage.provider.confirmed(&stage.caller().await, &ask()).await), "invalid_grant");
        stage.scene.go_on(5 * SECOND);
        stage.scene.tap(1, 1).await;
        assert_eq!(stage.provider.settle_confirmations().await.unwrap(), 0, "a tap for something else");
        let list = stage.provider.confirmations(&session).await.unwrap();
        assert_eq!((list.len(), list[0].message.as_str(), list[0].is_begun), (1, "Prescription 17", false));
        assert!(stage.provider.begin_confirmation(&session, &list[0].id).await.unwrap());
        assert_eq!(stage.provider.settle_confirmations().await.unwrap(), 0);
        stage.scene.go_on(5 * SECOND);
        stage.scene.tap(1, 1).await;
        assert_eq!(stage.provider.settle_confirmations().await.unwrap(), 1);
        let calls = stage.provider.calls(10).await.unwrap();
        assert_eq!((calls.len(), calls[0].kind), (1, CallKind::Ping));
        assert_eq!(calls[0].bearer.as_ref().unwrap().as_str(), "of-the-system");
        assert!(calls[0].body.contains(started.request.reveal()));
        let answer = stage.provider.confirmed(&caller, &ask()).await.unwrap();
        let claims = stage.claims(answer.id_token.reveal(), Algorithm::Es256).await;
        assert_eq!(claims.text("sub"), Some("doctor-1"));
        assert_eq!(refused(stage.provider.confirmed(&caller, &ask()).await), "invalid_grant", "once");

        let started = stage.provider.start_confirmation(&caller, &asks("doctor-1")).await.unwrap();
        let id = stage.provider.confirmations(&session).await.unwrap()[0].id.clone();
        assert!(stage.provider.refuse_confirmation(&session, &id).await.unwrap());
        let again = TokenAsked { auth_req_id: Some(started.request.reveal().to_owned()), ..ask() };
        assert_eq!(refused(stage.provider.confirmed(&caller, &again).await), "access_denied");
        let started = stage.provider.start_confirmation(&caller, &asks("doctor-1")).await.unwrap();
        stage.scene.go_on(2 * MINUTE);
        let late = TokenAsked { auth_req_id: Some(started.request.reveal().to_owned()), ..ask() };
        assert_eq!(refused(stage.provider.confirmed(&caller, &late).await), "expired_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_each_other_and_what_the_last_one_signed_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let kids = async || {
            let set = stage.provider.jwks().await.unwrap();
            set.0.iter().map(|key| key.kid().to_owned()).collect::<Vec<_>>()
        };
        let first = kids().await;
        assert_eq!(first.len(), 2, "one of each algorithm");
        let token = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        let beside = Stage::provider(&stage.scene, Rules::new(ISSUER));
        beside.tick().await.unwrap();
        assert_eq!(beside.jwks().await.unwrap(), stage.provider.jwks().await.unwrap(), "one set for all programs");
        stage.scene.go_on(29 * 24 * HOUR + MINUTE);
        stage.provider.tick().await.unwrap();
        let second = kids().await;
        assert_eq!(second.len(), 4, "the next ones are published a day before");
        assert!(first.iter().all(|kid| second.contains(kid)));
        stage.scene.go_on(24 * HOUR);
        stage.provider.tick().await.unwrap();
        stage.scene.tap(1, 2).await;
        let newer = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        let kid = |token: &str| {
            let header = clinic::jose::decode(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
        };
        assert_ne!(kid(token.id_token.reveal()), kid(newer.id_token.reveal()));
        assert!(second.contains(&kid(newer.id_token.reveal())), "it was published before it signed");
        stage.claims(token.id_token.reveal(), Algorithm::Es256).await;
        stage.scene.go_on(13 * HOUR);
        stage.provider.tick().await.unwrap();
        assert!(first.iter().all(|kid| !second.is_empty() && kid.len() > 20));
        let third = kids().await;
        assert!(first.iter().all(|kid| !third.contains(kid)), "gone when nothing of theirs lives");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_of_the_configuration_are_written_down_and_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let secret = "0123456789abcdef0123456789abcdef".to_owned();
        let good = ConfiguredClient { id: "mis".into(), client: system(), secret: Some(secret.clone()) };
        let short = ConfiguredClient { id: "short".into(), client: system(), secret: Some("short".into()) };
        let rules = Rules { clients: vec![good, short], ..Rules::new(ISSUER) };
        let provider = Stage::provider(&stage.scene, rules);
        provider.tick().await.unwrap();
        provider.tick().await.unwrap();
        let basic = |id: &str| Credentials { basic: Some((id.into(), secret.clone())), ..Credentials::default() };
        provider.authenticate(&basic("mis")).await.unwrap();
        assert_eq!(refused(provider.authenticate(&basic("short")).await), "invalid_client", "a bad one is left out");
        let changed = provider.change_client(&manager(), "mis", system(), false).await;
        assert!(matches!(changed, Err(ClientError::Configured)));
        assert!(matches!(provider.end_client(&manager(), "mis").await, Err(ClientError::Configured)));
        stage.provider.tick().await.unwrap();
        assert_eq!(refused(provider.authenticate(&basic("mis")).await), "invalid_client", "it stands there no more");
        for bad in [
            NewClient { redirect_uris: vec!["http://mis.example/".into()], ..system() },
            NewClient { scopes: "profile".into(), ..system() },
            NewClient { name: String::new(), ..system() },
            NewClient { access_ms: 1, ..system() },
            NewClient { logout_uri: Some("http://mis.example/".into()), ..system() },
            NewClient { jwks: Some("{}".into()), ..system() },
        ] {
            assert!(matches!(stage.provider.make_client(&manager(), None, bad).await, Err(ClientError::Bad(..))));
        }
    }
}

//! What somebody might try.

use clinic::jose::{Algorithm, SigningKey, encode};
use clinic::openid::{Auth, Credentials, NewClient, Step, TokenAsked};
use serde_json::{Map, json};

use crate::scene::{MINUTE, SECOND, manager, plain};
use crate::stage::{BACK, CHALLENGE, VERIFIER, error, refused, stages, system};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_as_it_must_be_goes_back_or_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        for (changed, wanted) in [
            (("client_id", "unknown"), "page"),
            (("redirect_uri", ""), "page"),
            (("redirect_uri", "https://mis.example/back"), "page"),
            (("redirect_uri", "https://mis.example/back?tenant=1&x=1"), "page"),
            (("redirect_uri", "https://evil.example/"), "page"),
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", "code id_token"), "unsupported_response_type"),
            (("response_mode", "fragment"), "invalid_request"),
            (("scope", "profile"), "invalid_scope"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("code_challenge", "short"), "invalid_request"),
            (("prompt", "none login"), "invalid_request"),
            (("prompt", "create"), "invalid_request"),
            (("max_age", "-1"), "invalid_request"),
            (("max_age", "soon"), "invalid_request"),
            (("request", "e30.e30."), "request_not_supported"),
            (("request_uri", "https://evil.example/r"), "request_uri_not_supported"),
        ] {
            assert_eq!(error(stage.ask(&[changed]).await), wanted, "{changed:?}");
        }
        let twice = [("client_id", stage.id.as_str()), ("client_id", "other")];
        let twice = twice.into_iter().map(|(name, value)| (name.into(), value.into()));
        let asked = clinic::openid::Asked::read(twice);
        assert_eq!(error(stage.provider.ask(&asked).await), "page", "which of two is meant cannot be known");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_once_for_its_system_its_address_and_its_proof() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let caller = stage.caller().await;
        let right = |code: &str| TokenAsked {
            grant_type: "authorization_code".into(),
            code: Some(code.into()),
            redirect_uri: Some(BACK.into()),
            code_verifier: Some(VERIFIER.into()),
            auth_req_id: None,
        };
        let code = stage.code(1, &[]).await;
        let wrong = [
            TokenAsked { code_verifier: None, ..right(&code) },
            TokenAsked { code_verifier: Some("a".repeat(43)), ..right(&code) },
            TokenAsked { code_verifier: Some(CHALLENGE.into()), ..right(&code) },
            TokenAsked { redirect_uri: Some("https://mis.example/other".into()), ..right(&code) },
            TokenAsked { redirect_uri: None, ..right(&code) },
            TokenAsked { code: Some("nonsense".into()), ..right(&code) },
            TokenAsked { code: None, ..right(&code) },
        ];
        for asked in &wrong {
            assert!(matches!(
                refused(stage.provider.redeem(&caller, asked).await),
                "invalid_grant" | "invalid_request"
            ));
        }
        let other = stage.provider.make_client(&manager(), Some("other".into()), system()).await.unwrap();
        let basic = Some((other.id, other.secret.unwrap().reveal().to_owned()));
        let other = stage.provider.authenticate(&Credentials { basic, ..Credentials::default() }).await.unwrap();
        assert_eq!(refused(stage.provider.redeem(&other, &right(&code)).await), "invalid_grant");

        let answer = stage.provider.redeem(&caller, &right(&code)).await.unwrap();
        assert!(stage.is_good(&answer.access_token).await);
        assert_eq!(refused(stage.provider.redeem(&caller, &right(&code)).await), "invalid_grant");
        assert!(!stage.is_good(&answer.access_token).await, "a code that comes twice takes its tokens back");

        let old = stage.code(1, &[]).await;
        stage.scene.go_on(30 * SECOND);
        assert_eq!(refused(stage.provider.redeem(&caller, &right(&old)).await), "invalid_grant", "too old");

        // Ten at once: at most one gets something, and it is worth nothing afterwards.
        let code = stage.code(1, &[]).await;
        let tries = (0..10).map(|_| {
            let (provider, caller, asked) = (stage.provider.clone(), caller.clone(), right(&code));
            tokio::spawn(async move { provider.redeem(&caller, &asked).await.ok() })
        });
        let tries: Vec<_> = tries.collect();
        let mut got = Vec::new();
        for one in tries {
            got.extend(one.await.unwrap());
        }
        assert!(got.len() <= 1, "{}", got.len());
        for answer in &got {
            assert!(!stage.is_good(&answer.access_token).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_ends_by_time_and_when_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        stage.scene.tap(1, 1).await;
        let answer = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        let caller = stage.caller().await;
        let told = stage.provider.introspect(&caller, answer.access_token.reveal()).await.unwrap();
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("doctor-1")));
        let other = NewClient { auth: Auth::None, ..system() };
        let other = stage.provider.make_client(&manager(), None, other).await.unwrap();
        let credentials = Credentials { client_id: Some(other.id), ..Credentials::default() };
        let other = stage.provider.authenticate(&credentials).await.unwrap();
        stage.provider.revoke(&other, answer.access_token.reveal()).await.unwrap();
        assert!(stage.is_good(&answer.access_token).await, "not its own");
        assert_eq!(refused(stage.provider.introspect(&other, "x").await), "unauthorized_client");
        stage.provider.revoke(&caller, answer.access_token.reveal()).await.unwrap();
        assert!(!stage.is_good(&answer.access_token).await);
        let told = stage.provider.introspect(&caller, answer.access_token.reveal()).await.unwrap();
        assert_eq!(told, json!({"active": false}));
        let answer = stage.redeem(&stage.code(1, &[]).await).await.unwrap();
        stage.scene.go_on(60 * MINUTE - 1);
        assert!(stage.is_good(&answer.access_token).await);
        stage.scene.go_on(1);
        assert!(!stage.is_good(&answer.access_token).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_proves_itself_by_its_own_way_only() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let ask = async |sent: Credentials| stage.provider.authenticate(&sent).await;
        let (id, secret) = (stage.id.clone(), stage.secret.clone());
        let none = Credentials::default;
        for sent in [
            none(),
            Credentials { client_id: Some(id.clone()), ..none() },
            Credentials { client_id: Some(id.clone()), client_secret: Some(secret.clone()), ..none() },
            Credentials { basic: Some((id.clone(), format!("{secret}x"))), ..none() },
            Credentials { basic: Some((id.clone(), String::new())), ..none() },
            Credentials { basic: Some(("unknown".into(), secret.clone())), ..none() },
        ] {
            assert_eq!(refused(ask(sent).await), "invalid_client");
        }
        let both = Credentials { basic: Some((id, secret.clone())), client_secret: Some(secret), ..none() };
        assert_eq!(refused(ask(both).await), "invalid_request");

        let key = SigningKey::from_pkcs8(Algorithm::Es384, &SigningKey::draw(Algorithm::Es384).unwrap()).unwrap();
        let jwks = Some(json!({"keys": [key.public().to_json()]}).to_string());
        let signer = NewClient { auth: Auth::Key, jwks, ..system() };
        let id = stage.provider.make_client(&manager(), Some("signer".into()), signer).await.unwrap().id;
        let now = stage.scene.now().0 / 1000;
        let claims = |jti: &str| json!({"iss": id, "sub": id, "aud": "https://tapward.example/openid/token", "jti": jti, "exp": now + 60});
        let sent = |proof: String| Credentials {
            assertion_type: Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into()),
            assertion: Some(proof),
            ..Credentials::default()
        };
        let sign = |claims: serde_json::Value| key.sign("JWT", Map::new(), &claims).unwrap();
        let good = sign(claims("1"));
        ask(sent(good.clone())).await.unwrap();
        assert_eq!(refused(ask(sent(good)).await), "invalid_client", "a proof counts once");
        let changed = |name: &str, value: serde_json::Value| {
            let mut claims = claims(name);
            claims[name] = value;
            claims
        };
        for bad in [
            changed("aud", json!("https://other.example/token")),
            changed("exp", json!(now - 60)),
            changed("exp", json!(now + 24 * 3600)),
            changed("iss", json!("other")),
            changed("jti", json!("")),
        ] {
            assert_eq!(refused(ask(sent(sign(bad))).await), "invalid_client");
        }
        let payload = encode(claims("2").to_string().as_bytes());
        let unsigned = format!("{}.{payload}.", encode(br#"{"alg":"none"}"#));
        assert_eq!(refused(ask(sent(unsigned)).await), "invalid_client");
        // The public key as the key of a MAC.
        let header = encode(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, key.kid()).as_bytes());
        let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.public().to_json().to_string().as_bytes());
        let tag = encode(ring::hmac::sign(&mac, format!("{header}.{payload}").as_bytes()).as_ref());
        assert_eq!(refused(ask(sent(format!("{header}.{payload}.{tag}"))).await), "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_of_one_browser_are_both_signed_in_by_one_tap_and_under_one_id() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path(), plain()).await {
        let (one, two) = (stage.ask(&[]).await.unwrap(), stage.ask(&[]).await.unwrap());
        stage.scene.tap(1, 1).await;
        let (first, second) = tokio::join!(stage.step(&one, 1), stage.step(&two, 1));
        let (Step::Go(first), Step::Go(second)) = (first, second) else { panic!() };
        let mut sids = Vec::new();
        for url in [first, second] {
            let answer = stage.redeem(&crate::stage::parameter(&url, "code").unwrap()).await.unwrap();
            sids.push(stage.claims(answer.id_token.reveal(), Algorithm::Es256).await.text("sid").unwrap().to_owned());
        }
        assert_eq!(sids[0], sids[1]);
    }
}

//! A provider beside the desks, a registered system, and a browser.

use std::borrow::Cow;
use std::path::Path;

use clinic::desk::Rules as DeskRules;
use clinic::jose::{self, Algorithm, Claims};
use clinic::openid::{
    AskError, Asked, Authenticated, Credentials, Handle, Made, NewClient, OpenIdError, Provider, Rules, Step, Token,
    TokenAnswer, TokenAsked,
};
use clinic::staff::{self, Staff};
use domain::vault::BoxKey;
use domain::{Clock, Shipped};

use crate::scene::{self, Scene, manager, person, point};

pub(crate) const ISSUER: &str = "https://tapward.example";
pub(crate) const BACK: &str = "https://mis.example/back?tenant=1";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Of [`VERIFIER`]: the example of RFC 7636, appendix B.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) provider: Provider,
    pub(crate) id: String,
    pub(crate) secret: String,
}

pub(crate) fn system() -> NewClient {
    NewClient {
        name: "The MIS".to_owned(),
        redirect_uris: vec![BACK.to_owned(), "https://mis.example/other".to_owned()],
        post_logout_uris: vec!["https://mis.example/bye".to_owned()],
        algorithm: Algorithm::Es256,
        fhir_user: Some("https://mis.example/fhir/Practitioner/".to_owned()),
        logout_uri: Some("https://mis.example/logout".to_owned()),
        scopes: "openid profile fhirUser launch fhircast/*.read".to_owned(),
        takes_assertions: true,
        ..NewClient::default()
    }
}

pub(crate) async fn stages(folder: &Path, rules: DeskRules) -> Vec<Stage> {
    let mut stages = Vec::new();
    for scene in scene::both(folder, rules).await {
        stages.push(Stage::new(scene, Rules::new(ISSUER)).await);
    }
    stages
}

impl Stage {
    pub(crate) async fn new(scene: Scene, rules: Rules) -> Self {
        let provider = Self::provider(&scene, rules);
        provider.tick().await.unwrap();
        for number in 1..=3 {
            let staff = Staff {
                login: Some(format!("doctor-{number}")),
                practitioner: Some(format!("pr-{number}")),
                ..Staff::new(person(number), Shipped::Doctor)
            };
            staff::put(&scene.database, &manager(), &staff, scene.now()).await.unwrap();
        }
        let Made { id, secret } = provider.make_client(&manager(), None, system()).await.unwrap();
        Self { scene, provider, id, secret: secret.unwrap().reveal().to_owned() }
    }

    /// Another program on the same database.
    pub(crate) fn provider(scene: &Scene, rules: Rules) -> Provider {
        let desk = scene.desk.clone();
        let clock = Clock::new(move || desk.now());
        Provider::new(scene.database.clone(), clock, BoxKey::new([8; 32]), rules)
    }

    /// A request as it should be, with these parameters changed; an empty one is left out.
    pub(crate) fn asked(&self, changed: &[(&str, &str)]) -> Asked {
        let usual = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("scope", "openid profile fhirUser launch unknown"),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let pairs = kept.chain(changed).filter(|(_, value)| !value.is_empty());
        Asked::read(pairs.map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))))
    }

    pub(crate) async fn ask(&self, changed: &[(&str, &str)]) -> Result<Handle, AskError> {
        self.provider.ask(&self.asked(changed)).await
    }

    pub(crate) async fn step(&self, handle: &Handle, desk: u8) -> Step {
        self.provider.step(handle.reveal(), &point(desk)).await.unwrap()
    }

    /// The code of a request that is answered at once at this desk.
    pub(crate) async fn code(&self, desk: u8, changed: &[(&str, &str)]) -> String {
        let handle = self.ask(changed).await.unwrap();
        match self.step(&handle, desk).await {
            Step::Go(url) => parameter(&url, "code").unwrap_or_else(|| panic!("{url}")),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn caller(&self) -> Authenticated {
        let basic = Some((self.id.clone(), self.secret.clone()));
        self.provider.authenticate(&Credentials { basic, ..Credentials::default() }).await.unwrap()
    }

    pub(crate) async fn redeem(&self, code: &str) -> Result<TokenAnswer, OpenIdError> {
        let asked = TokenAsked {
            grant_type: "authorization_code".to_owned(),
            code: Some(code.to_owned()),
            redirect_uri: Some(BACK.to_owned()),
            code_verifier: Some(VERIFIER.to_owned()),
            auth_req_id: None,
        };
        self.provider.redeem(&self.caller().await, &asked).await
    }

    /// What a token of ours says, read as a system would.
    pub(crate) async fn claims(&self, token: &str, algorithm: Algorithm) -> Claims {
        let keys = self.provider.jwks().await.unwrap().to_json().to_string();
        let keys = jose::JwkSet::parse(keys.as_bytes()).unwrap();
        jose::verify(token, &keys, &[algorithm]).unwrap().claims
    }

    pub(crate) async fn is_good(&self, token: &Token) -> bool {
        self.provider.access(token.reveal()).await.unwrap().is_some()
    }
}

/// A parameter of an address.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The error that a request goes back with.
pub(crate) fn error(answer: Result<Handle, AskError>) -> String {
    match answer {
        Err(AskError::Back(url)) => {
            assert!(url.starts_with(BACK), "{url}");
            assert_eq!(parameter(&url, "state").as_deref(), Some("a state"));
            parameter(&url, "error").unwrap()
        }
        Err(AskError::Page(_)) => "page".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The code of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, OpenIdError>) -> &'static str {
    match answer {
        Err(OpenIdError::Refused(refusal)) => refusal.code.as_str(),
        other => panic!("{other:?}"),
    }
}

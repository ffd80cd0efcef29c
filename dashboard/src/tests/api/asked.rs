//! What each call of the API is asked with in tests: a body that fits its description, and a path to something that is there.

use crate::routes::Route;
use crate::tests::scene;

pub(super) fn body_of(route: &Route) -> &'static str {
    let known = [
        ("/search", r#"{"words":"nobody of this name","purpose":"booking"}"#),
        ("/reveal", r#"{"fields":["name"],"purpose":"booking"}"#),
        ("/{kind}", r#"{"records":[]}"#),
        ("/language", r#"{"language":"uk"}"#),
        ("/cancel", r#"{"reason":"mistake"}"#),
        ("/charges", r#"{"patient":"00000000000000000000000000000000","service":"x","visit":"none"}"#),
        (
            "/payments",
            r#"{"patient":"00000000000000000000000000000000","method":"transfer","amount":"1","rest_to_deposit":true}"#,
        ),
        ("/prices", r#"{"list":"code,name\n","dry_run":true}"#),
        ("/irregular-sign-ins", r#"{"source":"his","id":"s-1","at":"2026-01-05T09:00:00Z"}"#),
    ];
    known.iter().find(|(end, _)| route.path.ends_with(end)).map_or("{}", |(_, body)| body)
}

pub(super) fn path_of(route: &Route) -> String {
    let known = [
        ("{card}", scene::card(3).to_string()),
        ("{person}", scene::person(3).to_string()),
        ("{zone}", "hall".to_owned()),
        ("{point}", "turnstile-1".to_owned()),
        ("{no}", "1".to_owned()),
        ("{order}", "0".repeat(32)),
        ("{source}", "his".to_owned()),
        ("{kind}", "patients".to_owned()),
        ("{charge}", "no-such-charge".to_owned()),
    ];
    known.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value))
}

//! Notices in words: what the bridge sends as e-mail. Plain text, in the language of who reads it, with no more in it
//! than what to do next; a link only where the notice is about one.

use std::sync::Arc;

use chrono_tz::Tz;
use clinic::notices::{Due, Letter, Wording};
use domain::SiteId;

use crate::browser::browser;
use crate::language::Language;
use crate::times::Times;

/// The words for notices of one site. `address` is where the pages are, for example
/// `https://tapward.clinic.example:8443`; without it links are written without it, and a text says so.
pub fn wording(site: &SiteId, time_zone: Tz, language: &str, address: Option<String>) -> Wording {
    let site = site.to_string();
    let fallback = Language::parse(language).unwrap_or(Language::En);
    Arc::new(move |due| letter(due, &site, time_zone, fallback, address.as_deref()))
}

fn letter(due: &Due, site: &str, time_zone: Tz, fallback: Language, address: Option<&str>) -> Letter {
    let texts = Language::parse(&due.locale).unwrap_or(fallback).texts();
    let times = Times::new(time_zone, texts);
    let when = times.full(due.at);
    let mut args: Vec<(&str, String)> = due
        .args
        .iter()
        .map(|(name, value)| match name.as_str() {
            "agent" => ("agent", browser(value).unwrap_or_else(|| value.clone())),
            name => (name, value.clone()),
        })
        .collect();
    args.push(("site", site.to_owned()));
    args.push((
        "login",
        args.iter().find(|(name, _)| *name == "login").map_or(due.login.clone(), |(_, own)| own.clone()),
    ));
    args.push(("when", when));
    let kind = due.kind.as_str();
    let subject = format!("{}: {}", site, texts.with(&format!("notice-subject-{kind}"), &args));
    let mut body = texts.with(&format!("notice-body-{kind}"), &args);
    if let Some(link) = &due.link {
        let whole = match address {
            Some(address) => format!("{address}{link}"),
            None => texts.a("notice-link-path", link),
        };
        body.push_str(&format!("\n\n{whole}\n\n{}", texts.t("notice-link-help")));
    }
    body.push_str("\n\n-- \n");
    body.push_str(&texts.with("notice-foot", &[("site", site.to_owned()), ("login", due.login.clone())]));
    body.push('\n');
    Letter { subject, body }
}

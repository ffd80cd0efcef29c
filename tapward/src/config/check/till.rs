//! The till: its currency, what may be done alone, what stands on papers, card terminals and payment services.

use std::collections::BTreeSet;
use std::time::Duration;

use clinic::irregular;
use clinic::till::Rules;
use clinic::till::inbound::{NoticeSecret, PaymentService as Service};
use dashboard::PaperSettings;
use domain::{Amount, Currency};
use mis_bridge::terminal::{HttpTerminal, Settings};
use toml::Spanned;

use super::Checker;
use crate::config::file::{PaymentService, Terminal, Till};
use crate::config::till::TillSettings;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Longest override, in hours: a month. What is needed for longer is a matter of terms.
const OVERRIDE_H_MAX: u64 = 31 * 24;
/// Most card terminals, and most payment services.
const ATTACHED_MAX: usize = 100;
/// Longest line of a paper, in bytes.
const LINE_MAX_BYTES: usize = 300;

impl Checker<'_> {
    /// The till. Work without the card is as fresh, and reviewed as soon, as elsewhere.
    pub(super) fn till(&mut self, given: &Till, irregular: irregular::Settings) -> Option<TillSettings> {
        let rules = self.rules_of_till(given);
        let papers = self.papers(given);
        let mut names = BTreeSet::new();
        let mut terminals = Vec::new();
        for terminal in given.terminal.iter().take(ATTACHED_MAX) {
            self.alone(&mut names, &terminal.name, "till.terminal.name");
            terminals.extend(self.terminal(terminal));
        }
        let mut services = Vec::new();
        for service in given.payment_service.iter().take(ATTACHED_MAX) {
            self.alone(&mut names, &service.name, "till.payment_service.name");
            services.extend(self.payment_service(service));
        }
        let extra = given.terminal.get(ATTACHED_MAX).map(|it| &it.name);
        if let Some(extra) = extra.or_else(|| given.payment_service.get(ATTACHED_MAX).map(|it| &it.name)) {
            self.fault(extra, "till.terminal", format!("more than {ATTACHED_MAX} of them"));
        }
        let rules = Rules { fresh_ms: irregular.fresh_ms, review_ms: irregular.review_ms, ..rules? };
        Some(TillSettings { rules, papers: papers?, terminals, services })
    }

    /// A name of a terminal or service is used once and has only what an address can hold.
    fn alone(&mut self, names: &mut BTreeSet<String>, name: &Spanned<String>, key: &str) {
        let text = name.get_ref();
        let is_sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > 40 || !text.bytes().all(is_sound) {
            self.fault(name, key, "a name has 1 to 40 small letters, digits, - and _");
        } else if !names.insert(text.clone()) {
            self.fault(name, key, format!("\"{text}\" is named twice"));
        }
    }

    fn papers(&mut self, given: &Till) -> Option<PaperSettings> {
        let usual = PaperSettings::default();
        let mut line = |value: &Option<Spanned<String>>, key: &str, usual: String| {
            let Some(value) = value else { return Some(usual) };
            let text = value.get_ref();
            if text.len() <= LINE_MAX_BYTES && !text.chars().any(|c| c.is_control() && c != '\n') {
                return Some(text.clone());
            }
            self.fault(value, key, format!("at most {LINE_MAX_BYTES} bytes of text"));
            None
        };
        let issuer = line(&given.papers.issuer, "till.papers.issuer", usual.issuer);
        let foot = line(&given.papers.foot, "till.papers.foot", usual.foot);
        let on_roll = given.papers.roll.as_ref().map_or(usual.on_roll, |it| *it.get_ref());
        Some(PaperSettings { issuer: issuer?, foot: foot?, on_roll })
    }

    fn terminal(&mut self, given: &Terminal) -> Option<Settings> {
        let plain = given.plain.as_ref().is_some_and(|it| *it.get_ref());
        let url = self.address(&given.url, plain, "till.terminal.url");
        let token = self.secret(given.token_file.as_ref(), "till.terminal.token_file");
        let roots = self.roots(given.ca.as_ref(), "till.terminal.ca");
        let within = self.number(given.within_s.as_ref(), "till.terminal.within_s", 10..=900, 180);
        let mut made = Settings::new(given.name.get_ref(), url?);
        made.token = token?;
        made.http.roots = roots?;
        made.http.plain = plain;
        made.within = Duration::from_secs(within);
        match HttpTerminal::new(made.clone()) {
            Ok(_) => Some(made),
            Err(error) => {
                self.fault(&given.name, "till.terminal", error.to_string());
                None
            }
        }
    }

    fn payment_service(&mut self, given: &PaymentService) -> Option<Service> {
        let mut secrets = Vec::new();
        for file in &given.secret_files {
            let text = self.secret(Some(file), "till.payment_service.secret_files")??;
            match NoticeSecret::parse(&text) {
                Ok(secret) => secrets.push(secret),
                Err(error) => self.fault(file, "till.payment_service.secret_files", error.to_string()),
            }
        }
        if secrets.is_empty() || secrets.len() > 2 {
            let what = "a payment service needs one secret, or two while one is changed";
            self.fault(&given.name, "till.payment_service.secret_files", what);
            return None;
        }
        Some(Service { name: given.name.get_ref().clone(), secrets })
    }

    fn rules_of_till(&mut self, given: &Till) -> Option<Rules> {
        let currency = match &given.currency {
            None => Currency::default(),
            Some(code) => match Currency::parse(code.get_ref()) {
                Some(currency) => currency,
                None => {
                    let problem =
                        format!("\"{}\" is no currency in use; write its ISO 4217 code, like UAH", code.get_ref());
                    self.fault(code, "till.currency", problem);
                    return None;
                }
            },
        };
        let usual = Rules::of(currency);
        let override_max = self.amount(given.override_max.as_ref(), "till.override_max", currency, usual.override_max);
        let refund_alone_max =
            self.amount(given.refund_alone_max.as_ref(), "till.refund_alone_max", currency, usual.refund_alone_max);
        let hours = u64::try_from(usual.override_longest_ms / HOUR_MS).unwrap_or(24);
        let hours = self.number(given.override_h.as_ref(), "till.override_h", 1..=OVERRIDE_H_MAX, hours);
        Some(Rules {
            override_max: override_max?,
            refund_alone_max: refund_alone_max?,
            override_longest_ms: i64::try_from(hours).unwrap_or(24).saturating_mul(HOUR_MS),
            ..usual
        })
    }

    /// An amount of a currency, as people write it; `usual` when nothing is written.
    fn amount(
        &mut self,
        value: Option<&Spanned<String>>,
        key: &str,
        currency: Currency,
        usual: Amount,
    ) -> Option<Amount> {
        let Some(value) = value else { return Some(usual) };
        match currency.read(value.get_ref()) {
            Ok(amount) if amount >= Amount::ZERO => return Some(amount),
            Ok(_) => self.fault(value, key, "this amount cannot be negative".to_owned()),
            Err(error) => self.fault(value, key, format!("{currency}: {error}")),
        }
        None
    }
}

//! What the file says about the till.

use clinic::changes::ChangeKind;

use super::*;
use crate::config::exchange::SystemKind;

#[test]
fn the_till_has_a_currency_and_amounts_of_it() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let with = |till: &str| parse(&sample(|text| format!("{text}\n[till]\n{till}\n")), folder.path(), today());
    assert_eq!(with("").unwrap().till.rules.currency.as_str(), "EUR");
    let rules = with("currency = \"UAH\"\noverride_max = \"2 500,50\"\noverride_h = 2\nrefund_alone_max = \"100\"")
        .unwrap()
        .till
        .rules;
    assert_eq!((rules.currency.as_str(), rules.override_max.minor()), ("UAH", 250_050));
    assert_eq!((rules.override_longest_ms, rules.refund_alone_max.minor()), (7_200_000, 10_000));
    for (till, key) in [
        ("currency = \"ABC\"", "till.currency"),
        ("override_max = \"-1\"", "till.override_max"),
        ("override_max = \"1.005\"", "till.override_max"),
        ("refund_alone_max = \"much\"", "till.refund_alone_max"),
        ("override_h = 0", "till.override_h"),
    ] {
        let faults = with(till).unwrap_err();
        assert!(faults.iter().any(|fault| fault.key == key), "{till}: {faults:?}");
    }
}

#[test]
fn terminals_payment_services_and_papers_are_described_and_their_secrets_stay_in_files() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let folder =
        folder_with_keys(&[("turnstile-1-in", KEY, 0o600), ("bank", secret, 0o600), ("desk", "a-token", 0o600)]);
    let with = |till: &str| parse(&sample(|text| format!("{text}\n{till}\n")), folder.path(), today());
    let terminal = "[[till.terminal]]\nname = \"desk-1\"\nurl = \"https://terminal.clinic.example/\"\n\
                    token_file = \"keys/desk\"\nwithin_s = 60\n";
    let service = "[[till.payment_service]]\nname = \"bank\"\nsecret_files = [\"keys/bank\"]\n";
    let papers = "[till.papers]\nissuer = \"Clinic No. 1\"\nroll = true\n";
    let config = with(&format!("{papers}{terminal}{service}")).unwrap();
    let till = &config.till;
    assert_eq!((till.terminals.len(), till.services.len(), till.papers.issuer.as_str()), (1, 1, "Clinic No. 1"));
    assert_eq!(till.terminals[0].within, std::time::Duration::from_secs(60));
    assert!(till.papers.on_roll);
    assert!(!format!("{till:?}").contains("a-token") && !format!("{till:?}").contains("MfKQ9r8"));
    for (text, key) in [
        (terminal.replace("https", "http"), "till.terminal"),
        (terminal.replace("desk-1", "Desk 1"), "till.terminal.name"),
        (terminal.replace("keys/desk", "keys/none"), "till.terminal.token_file"),
        (format!("{terminal}{terminal}"), "till.terminal.name"),
        (service.replace("[\"keys/bank\"]", "[]"), "till.payment_service.secret_files"),
        (service.replace("keys/bank", "keys/desk"), "till.payment_service.secret_files"),
    ] {
        let faults = with(&text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.key == key), "{text}: {faults:?}");
    }
}

#[test]
fn systems_are_told_charges_unless_they_are_not_to_be_and_invoices_need_somebody_to_make_them() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let with = |more: &str| {
        let system = "[identity]\naddress = \"https://tapward.clinic.example\"\n\
                      [[system]]\nname = \"gh\"\nkind = \"gnuhealth\"\nurl = \"https://gh.clinic.example\"\ndatabase = \"health\"\n";
        parse(&sample(|text| format!("{text}\n{system}{more}\n")), folder.path(), today())
    };
    let settings = |more: &str| {
        let config = with(more).unwrap();
        let SystemKind::GnuHealth { settings, .. } = config.exchange.systems[0].kind.clone() else { panic!("{more}") };
        settings
    };
    assert!(settings("").charges && settings("").invoices.is_none());
    let wants = |more: &str, kind| settings(more).wants().contains(&kind);
    assert!(!wants("charges = \"never\"", ChangeKind::ChargeRendered));
    assert!(wants("", ChangeKind::ChargeRendered) && !wants("", ChangeKind::PaymentTaken));
    let made = "login = \"tapward\"\ninvoices = \"when_paid\"";
    assert_eq!(settings(made).invoices.as_deref(), Some("tapward"));
    assert!(wants(made, ChangeKind::PaymentTaken));
    for wrong in [
        "invoices = \"when_paid\"".to_owned(),
        "invoices = \"always\"".to_owned(),
        format!("{made}\ncharges = \"never\""),
        format!("{made}\nservice = \"CONSULT\""),
    ] {
        let faults = with(&wrong).unwrap_err();
        assert!(faults.iter().any(|fault| fault.key == "system.invoices"), "{wrong}: {faults:?}");
    }
}

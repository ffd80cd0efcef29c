//! What the file says about the till.

use super::*;

#[test]
fn the_till_has_a_currency_and_amounts_of_it() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let with = |till: &str| parse(&sample(|text| format!("{text}\n[till]\n{till}\n")), folder.path(), today());
    assert_eq!(with("").unwrap().till.currency.as_str(), "EUR");
    let rules = with("currency = \"UAH\"\noverride_max = \"2 500,50\"\noverride_h = 2\nrefund_alone_max = \"100\"")
        .unwrap()
        .till;
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

//! What the configuration accepts, and how it says what is wrong.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::NaiveDate;
use gateway::settings::{Protocol, Security};

use super::*;

mod till;
mod trust;

const KEY: &str = "8b1f7a02c4d9e6335a90bb17f2e8614d";

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
}

fn folder_with_keys(names: &[(&str, &str, u32)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    for (name, text, mode) in names {
        let path = folder.path().join("keys").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
    }
    folder
}

fn sample(change: impl Fn(String) -> String) -> String {
    change(
        r#"[site]
id = "clinic-1"
time_zone = "Europe/Kyiv"
[data]
folder = "data"
[[zone]]
id = "hall"
inside = "clinic"
[[point]]
id = "turnstile-1"
kind = "turnstile"
from = "street"
to = "hall"
mode = "hard"
on_fault = "secure"
release_ms = 3000
[[line]]
id = "entrance"
port = "/dev/ttyUSB0"
protocol = "osdp"
baud = 115200
[[line.reader]]
id = "turnstile-1-in"
address = 1
key = "file:keys/turnstile-1-in"
point = "turnstile-1"
direction = "in"
"#
        .to_owned(),
    )
}

fn fault_of(change: impl Fn(String) -> String) -> Fault {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let faults = parse(&sample(change), folder.path(), today()).expect_err("the change must be refused");
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults[0].clone()
}

#[test]
fn the_published_sample_is_understood() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let config = parse(&sample(|text| text), folder.path(), today()).unwrap();
    let Protocol::Osdp(readers) = &config.gateway.lines[0].protocol else { panic!("an OSDP line") };
    assert_eq!(readers[0].address, 1);
    assert!(matches!(readers[0].security, Security::Key(_)));
    assert!(!format!("{config:?}").to_lowercase().contains(&KEY[..8]), "keys are never shown");
    let outside: Vec<&str> =
        config.layout.zones.iter().filter(|zone| zone.outside).map(|zone| zone.id.as_str()).collect();
    assert_eq!(outside, ["street"]);
}

#[test]
fn the_default_configuration_is_valid() {
    let config = parse(DEFAULT, Path::new("/etc/tapward"), today()).unwrap();
    assert_eq!(config.data, Path::new("/etc/tapward/data"));
}

#[test]
fn a_mistyped_key_is_found_with_its_line_and_the_nearest_valid_one() {
    let fault = fault_of(|text| text.replace("on_fault", "onfault"));
    assert_eq!((fault.line, fault.key.as_str()), (15, "onfault"));
    assert!(fault.what.contains("did you mean \"on_fault\"?"), "{fault:?}");
}

#[test]
fn a_mistyped_value_is_found_with_its_line_and_the_nearest_valid_one() {
    let fault = fault_of(|text| text.replace("\"turnstile\"", "\"turnstyle\""));
    assert_eq!((fault.line, fault.key.as_str()), (11, "point.kind"));
    assert!(fault.what.contains("did you mean \"turnstile\"?"), "{fault:?}");
    let fault = fault_of(|text| text.replace("Europe/Kyiv", "Europe/Kiyv"));
    assert!(fault.line == 3 && fault.what.contains("Europe/Kyiv"), "{fault:?}");
    let fault = fault_of(|text| text.replace("point = \"turnstile-1\"", "point = \"turnstile-l\""));
    assert!(fault.line == 26 && fault.what.contains("did you mean \"turnstile-1\"?"), "{fault:?}");
}

#[test]
fn a_wrong_type_is_found_with_its_line_and_key() {
    let fault = fault_of(|text| text.replace("release_ms = 3000", "release_ms = \"3 s\""));
    assert_eq!((fault.line, fault.key.as_str()), (16, "release_ms"));
    let fault = fault_of(|text| text.replace("release_ms = 3000", "release_ms = 100"));
    assert!(fault.what.contains("between 3000 and 60000"), "{fault:?}");
}

#[test]
fn attack_01_a_reader_without_a_key_is_an_error_unless_somebody_accepts_it_until_a_date() {
    let fault = fault_of(|text| text.replace("key = \"file:keys/turnstile-1-in\"\n", ""));
    assert!(fault.what.contains("osdp provision") && fault.what.contains("accepted by NAME"), "{fault:?}");
    let accepted = |words: &'static str| {
        move |text: String| text.replace("key = \"file:keys/turnstile-1-in\"", &format!("insecure = \"{words}\""))
    };
    assert!(fault_of(accepted("accepted by Olha until 2026-11-20")).what.contains("ended"));
    assert!(fault_of(accepted("yes")).what.contains("who accepts"));
    let text = sample(accepted("accepted by Olha Koval until 2026-11-21"));
    assert!(parse(&text, Path::new("/etc/tapward"), today()).is_ok());
}

#[test]
fn attack_06_weak_and_shared_keys_are_refused_at_load() {
    for weak in [
        "30313233343536373839 3a3b3c3d3e3f",
        "303132333435363738393a3b3c3d3e3f",
        "00000000000000000000000000000000",
        "short",
    ] {
        let folder = folder_with_keys(&[("turnstile-1-in", weak, 0o600)]);
        assert!(parse(&sample(|text| text), folder.path(), today()).is_err(), "{weak}");
    }
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600), ("b", KEY, 0o600)]);
    let second = "[[line.reader]]\nid = \"b\"\naddress = 2\nkey = \"file:keys/b\"\npoint = \"turnstile-1\"\n";
    let faults = parse(&sample(|text| text + second), folder.path(), today()).unwrap_err();
    assert!(faults[0].what.contains("same key"), "{faults:?}");
}

#[test]
fn attack_15_a_key_that_others_may_read_is_refused() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o644)]);
    let faults = parse(&sample(|text| text), folder.path(), today()).unwrap_err();
    assert!(faults[0].what.contains("chmod 600"), "{faults:?}");
    assert!(!format!("{faults:?}").contains(&KEY[..8]));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let folder = folder_with_keys(&[]);
    let text = sample(|text| text.replace("\"hard\"", "\"herd\"").replace("address = 1", "address = 200"));
    let faults = parse(&text, folder.path(), today()).unwrap_err();
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [14, 24, 25], "{faults:#?}");
}

#[test]
fn two_readers_of_a_line_cannot_share_an_address() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let second = "[[line.reader]]\nid = \"b\"\naddress = 1\ninsecure = \"accepted by Olha until 2027-01-01\"\n";
    let faults = parse(&sample(|text| text + second), folder.path(), today()).unwrap_err();
    assert!(faults[0].what.contains("taken by reader \"turnstile-1-in\""), "{faults:?}");
}

#[test]
fn rules_name_zones_and_schedules_that_exist() {
    let folder = folder_with_keys(&[("turnstile-1-in", KEY, 0o600)]);
    let rule = "[[schedule]]\nid = \"day\"\nhours = [\"mon-fri 07:30-20:00\", \"sat,sun 09:00-14:00\"]\n\
                [[rule]]\nzone = \"halll\"\nschedule = \"dai\"\n";
    let faults = parse(&sample(|text| text + rule), folder.path(), today()).unwrap_err();
    assert!(faults.iter().any(|fault| fault.what.contains("did you mean \"hall\"?")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.what.contains("did you mean \"day\"?")), "{faults:?}");
    let good = rule.replace("halll", "hall").replace("dai", "day");
    let config = parse(&sample(|text| text + &good), folder.path(), today()).unwrap();
    assert_eq!(config.layout.schedules[0].weekly.len(), 2);
}

fn desk(profile: &str, reader: &str) -> String {
    sample(|text| {
        let (head, _) = text.split_once("[[line]]").unwrap();
        format!(
            "{head}[[line]]\nid = \"desk\"\nport = \"/dev/ttyACM0\"\nprotocol = \"ascii\"\n{profile}\n\
             [[line.reader]]\nid = \"desk-1\"\n{reader}\n"
        )
    })
}

#[test]
fn a_desktop_reader_of_any_form_is_described_in_the_settings() {
    use wire::ascii::{IdentityRule, Profile};
    let read = |profile: &str, reader: &str| {
        let config = parse(&desk(profile, reader), Path::new("/etc/tapward"), today()).unwrap();
        match &config.gateway.lines[0].protocol {
            Protocol::Ascii(reader) => (reader.profile.clone(), reader.number),
            Protocol::Osdp(_) => panic!("an ascii line"),
        }
    };
    assert_eq!(read("", ""), (Profile::IronLogic, IdentityRule::AsRead));
    let (profile, rule) =
        read("profile = \"pattern\"\npattern = \"{facility,3},{number,5}\"\nnumber = \"facility-number\"", "");
    assert!(matches!(profile, Profile::Pattern(_)));
    assert_eq!(rule, IdentityRule::FacilityNumber);
    assert_eq!(read("profile = \"twn4\"", "uid_order = \"last-byte-first\"").1, IdentityRule::Reversed);
    for (profile, reader, key) in [
        ("profile = \"pattern\"", "", "line.pattern"),
        ("profile = \"pattern\"\npattern = \"{number\"", "", "line.pattern"),
        ("pattern = \"{uid}\"", "", "line.pattern"),
        ("number = \"rotated-4\"", "uid_order = \"last-byte-first\"", "line.reader.uid_order"),
    ] {
        let faults = parse(&desk(profile, reader), Path::new("/etc/tapward"), today()).unwrap_err();
        assert!(faults.iter().any(|fault| fault.key == key), "{profile}: {faults:?}");
    }
}

//! The protocol page shows messages as they are.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

use domain::GatewayId;
use wire::bus::{Down, KeyRing, LinkKey, Up};

#[test]
fn every_example_of_the_protocol_page_is_understood_and_written_the_same() {
    let page = include_str!("../../docs/protocol/bus.md");
    let examples: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"v\":1")).collect();
    assert_eq!(examples.len(), 8, "the page has an example of each message");
    let key = LinkKey::new("example", std::array::from_fn(|n| u8::try_from(n).unwrap())).unwrap();
    let (keys, me) = (KeyRing::new(vec![key.clone()]).unwrap(), GatewayId::new("gw-1").unwrap());
    for example in examples {
        let written = if example.contains("\"mac\"") {
            let down =
                Down::decode(example.as_bytes(), &keys, &me).unwrap_or_else(|error| panic!("{example}\n{error}"));
            down.encode(&key).unwrap()
        } else {
            Up::decode(example.as_bytes()).unwrap_or_else(|error| panic!("{example}\n{error}")).encode().unwrap()
        };
        let same = |text: &[u8]| -> serde_json::Value {
            let mut value: serde_json::Value = serde_json::from_slice(text).unwrap();
            drop_nulls(&mut value);
            value
        };
        assert_eq!(same(&written), same(example.as_bytes()));
    }
}

/// Absent and null are the same.
fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

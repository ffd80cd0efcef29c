use serde_json::{Map, json};

use super::*;

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pkcs8(algorithm, &SigningKey::draw(algorithm).unwrap()).unwrap()
}

fn set(keys: &[&SigningKey]) -> JwkSet {
    let keys = keys.iter().map(|key| key.public().to_json()).collect::<Vec<_>>();
    JwkSet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn sign(key: &SigningKey) -> String {
    key.sign("JWT", Map::new(), &json!({"sub": "d", "exp": 1_795_161_600})).unwrap()
}

#[test]
fn what_each_algorithm_signs_its_published_key_verifies() {
    for algorithm in Algorithm::ALL {
        let key = key(*algorithm);
        let token = sign(&key);
        let verified = verify(&token, &set(&[&key]), &[*algorithm]).unwrap();
        assert_eq!(verified.claims.text("sub"), Some("d"));
        assert_eq!((verified.kid.as_str(), verified.kind.as_deref()), (key.kid(), Some("JWT")));
        let others: Vec<_> = Algorithm::ALL.iter().copied().filter(|other| other != algorithm).collect();
        assert_eq!(verify(&token, &set(&[&key]), &others).unwrap_err(), JoseError::Algorithm);
    }
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let key = key(Algorithm::Es256);
    let (token, keys) = (sign(&key), set(&[&key]));
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify(&changed, &keys, Algorithm::ALL).is_err(), "byte {at}");
    }
}

#[test]
fn no_algorithm_but_the_listed_ones_exists() {
    let key = key(Algorithm::Rs256);
    let keys = set(&[&key]);
    let claims = encode(br#"{"sub":"d"}"#);
    for alg in ["none", "None", "nOnE", "HS256", "HS384", "PS256", "", "ES256K", "EdDSA"] {
        let header = encode(format!(r#"{{"alg":"{alg}"}}"#).as_bytes());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{claims}.{signature}");
            assert_eq!(verify(&token, &keys, Algorithm::ALL).unwrap_err(), JoseError::Algorithm, "{alg}");
        }
    }
    // The public key as the key of a MAC, as confused libraries take it.
    let header = encode(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, key.kid()).as_bytes());
    let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.public().to_json().to_string().as_bytes());
    let tag = ring::hmac::sign(&mac, format!("{header}.{claims}").as_bytes());
    let token = format!("{header}.{claims}.{}", encode(tag.as_ref()));
    assert_eq!(verify(&token, &keys, Algorithm::ALL).unwrap_err(), JoseError::Algorithm);
}

#[test]
fn a_key_is_used_for_its_own_kind_and_id_only() {
    let (ec, rsa) = (key(Algorithm::Es256), key(Algorithm::Rs256));
    let token = sign(&ec);
    assert_eq!(verify(&token, &set(&[&rsa]), Algorithm::ALL).unwrap_err(), JoseError::NoKey);
    // The same id on a key of another kind.
    let renamed = JwkSet(vec![rsa.public().clone().known_as(ec.kid())]);
    assert_eq!(verify(&token, &renamed, Algorithm::ALL).unwrap_err(), JoseError::NoKey);
    // A key declared for RS256 does not verify RS384 by the same key.
    let der = SigningKey::draw(Algorithm::Rs384).unwrap();
    let other = SigningKey::from_pkcs8(Algorithm::Rs384, &der).unwrap();
    let same = SigningKey::from_pkcs8(Algorithm::Rs256, &der).unwrap();
    assert_eq!(other.kid(), same.kid(), "a thumbprint is of the key, not of its use");
    assert_eq!(verify(&sign(&other), &set(&[&same]), Algorithm::ALL).unwrap_err(), JoseError::NoKey);
    // A stranger's key of the same kind.
    let stranger = key(Algorithm::Es256);
    let renamed = JwkSet(vec![stranger.public().clone().known_as(ec.kid())]);
    assert_eq!(verify(&token, &renamed, Algorithm::ALL).unwrap_err(), JoseError::Signature);
}

#[test]
fn demands_and_sizes_beyond_ours_are_refused() {
    let key = key(Algorithm::Es256);
    let keys = set(&[&key]);
    let header = Map::from_iter([("crit".to_owned(), json!(["x"])), ("x".to_owned(), json!(1))]);
    let token = key.sign("JWT", header, &json!({})).unwrap();
    assert_eq!(verify(&token, &keys, Algorithm::ALL).unwrap_err(), JoseError::Critical);
    let long = "A".repeat(TOKEN_MAX_BYTES + 1);
    assert_eq!(verify(&long, &keys, Algorithm::ALL).unwrap_err(), JoseError::TooLong);
    for bad in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "eyJhbGciOiJFUzI1NiJ9.e30", "\u{1F600}.e30.e30"] {
        assert!(verify(bad, &keys, Algorithm::ALL).is_err(), "{bad:?}");
    }
    assert_eq!(key.sign("JWT", Map::new(), &json!([1])).unwrap_err(), JoseError::Malformed);
}

#[test]
fn a_header_cannot_be_talked_into_another_algorithm_by_the_caller() {
    let key = key(Algorithm::Es256);
    let header = Map::from_iter([("alg".to_owned(), json!("none")), ("kid".to_owned(), json!("x"))]);
    let token = key.sign("JWT", header, &json!({})).unwrap();
    assert_eq!(verify(&token, &set(&[&key]), Algorithm::ALL).unwrap().kid, key.kid());
}

#[test]
fn sets_leave_out_what_is_of_no_use_and_are_bounded() {
    let good = key(Algorithm::Es256).public().to_json();
    let mut encrypting = good.clone();
    encrypting["use"] = "enc".into();
    let mut lying = good.clone();
    lying["alg"] = "RS256".into();
    let small = json!({"kty": "RSA", "n": encode(&[1; 128]), "e": "AQAB"});
    let secret = json!({"kty": "oct", "k": "AAAA"});
    let text = json!({"keys": [encrypting, lying, small, secret, {"kty": 7}, good]}).to_string();
    assert_eq!(JwkSet::parse(text.as_bytes()).unwrap().0.len(), 1);
    let many = json!({"keys": vec![json!({}); KEYS_MAX + 1]}).to_string();
    assert_eq!(JwkSet::parse(many.as_bytes()).unwrap_err(), JoseError::TooLong);
    assert_eq!(JwkSet::parse(&vec![b' '; SET_MAX_BYTES + 1]).unwrap_err(), JoseError::TooLong);
    assert_eq!(JwkSet::parse(b"[]").unwrap_err(), JoseError::Malformed);
}

/// The example of RFC 7638, section 3.1.
#[test]
fn the_thumbprint_is_that_of_the_standard() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = Jwk::from_json(&json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256"})).unwrap();
    assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// The example of RFC 7515, appendix A.3.
#[test]
fn the_example_of_the_standard_verifies() {
    let key = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let keys = JwkSet(vec![Jwk::from_json(&key).unwrap()]);
    let claims = verify(token, &keys, &[Algorithm::Es256]).unwrap().claims;
    assert_eq!(claims.text("iss"), Some("joe"));
    let now = domain::UtcMillis(1_300_819_000_000);
    assert!(claims.is_current(now, 600_000, 0));
    assert!(!claims.is_current(now, 60_000, 0), "further ahead than is allowed");
    assert!(!claims.is_current(now.plus_ms(600_000), 600_000, 0), "over");
    assert!(!format!("{claims:?}").contains("joe"));
}

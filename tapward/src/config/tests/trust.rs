//! Sign-in, vault, audit log and mail in the configuration.

use super::*;
use crate::config::trust::{PhotoPlace, SecondFactor, VaultKey, VaultMode};
use mis_bridge::mail::Security;

fn secrets() -> tempfile::TempDir {
    folder_with_keys(&[("turnstile-1-in", KEY, 0o600), ("s3", "a-secret-of-s3", 0o600), ("mail", "a-secret", 0o600)])
}

fn parsed(extra: &str) -> Result<Config, Vec<Fault>> {
    parse(&sample(|text| text + extra), secrets().path(), today())
}

#[test]
fn without_a_word_the_vault_has_a_key_of_its_own_and_photos_in_the_data_folder() {
    let config = parsed("").unwrap();
    assert_eq!((config.vault.mode, config.vault.key), (VaultMode::Server, VaultKey::Own));
    let PhotoPlace::Folder(photos) = &config.vault.photos else { panic!("a folder") };
    assert!(photos.ends_with("data/photos"));
    assert_eq!(config.accounts.second_factor, SecondFactor::Optional);
    assert_eq!(config.accounts.idle_ms, 15 * 60_000);
    assert!(config.audit.heads.is_empty() && config.mail.is_none() && config.dashboard.trusted_proxies.is_empty());
}

#[test]
fn trust_is_configured_in_words_and_secrets_are_never_shown() {
    let config = parsed(
        "[accounts]\nsecond_factor = \"all\"\nidle_min = 5\nabsolute_h = 8\n\
         [vault]\nmode = \"workstation\"\nkey = \"file:/media/key/vault.key\"\nphotos = \"s3://clinic/photos\"\n\
         s3_endpoint = \"https://s3.example\"\ns3_key_id = \"tapward\"\ns3_secret_file = \"keys/s3\"\n\
         [audit]\nheads = [\"/mnt/a\", \"heads\"]\nevery_min = 1\n\
         [mail]\nserver = \"mail.example\"\nsecurity = \"tls\"\nfrom = \"a@b.example\"\nuser = \"t\"\n\
         password_file = \"keys/mail\"\naddress = \"https://t.example/\"\n\
         [dashboard]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n",
    )
    .unwrap();
    assert_eq!(config.accounts.absolute_ms, 8 * 3_600_000);
    assert_eq!(config.vault.key, VaultKey::File("/media/key/vault.key".into()));
    let PhotoPlace::S3(bucket) = &config.vault.photos else { panic!("a bucket") };
    assert_eq!((bucket.bucket.as_str(), bucket.prefix.as_str()), ("clinic", "photos"));
    assert_eq!(config.audit.heads[0], Path::new("/mnt/a"));
    let mail = config.mail.as_ref().unwrap();
    assert_eq!(
        (mail.server.port, mail.server.security, mail.address.as_deref()),
        (465, Security::Tls, Some("https://t.example"))
    );
    assert!(config.dashboard.trusted_proxies[0].contains("10.1.2.3".parse().unwrap()));
    assert!(!format!("{config:?}").contains("a-secret"), "secrets are never shown");
}

#[test]
fn what_would_weaken_trust_is_refused_with_its_key() {
    for (extra, key) in [
        ("[vault]\nkey = \"keys/vault\"\n", "vault.key"),
        ("[vault]\npassphrase_file = \"keys/mail\"\n", "vault.passphrase_file"),
        ("[vault]\nphotos = \"s3://clinic\"\n", "vault.photos"),
        ("[vault]\nphotos = \"s3://clinic/../x\"\ns3_endpoint = \"https://a\"\n", "vault.photos"),
        (
            "[vault]\nphotos = \"s3://clinic\"\ns3_endpoint = \"http://s3.example\"\ns3_key_id = \"t\"\n\
             s3_secret_file = \"keys/s3\"\n",
            "vault.s3_endpoint",
        ),
        ("[vault]\ns3_region = \"x\"\n", "vault.s3_endpoint"),
        ("[mail]\nserver = \"mail.example\"\nfrom = \"a@b\"\nsecurity = \"plain\"\n", "mail.security"),
        ("[mail]\nserver = \"mail.example\"\nfrom = \"a@b\\r\\nBcc: c@d\"\n", "mail.from"),
        ("[mail]\nserver = \"mail.example\"\nfrom = \"a@b\"\nuser = \"t\"\n", "mail.user"),
        ("[mail]\nserver = \"mail.example\"\nfrom = \"a@b\"\naddress = \"http://t\"\n", "mail.address"),
        ("[accounts]\nsecond_factor = \"yes\"\n", "accounts.second_factor"),
        ("[accounts]\nidle_min = 0\n", "accounts.idle_min"),
        ("[audit]\nevery_min = 0\n", "audit.every_min"),
        ("[dashboard]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", "dashboard.trusted_proxies"),
        ("[dashboard]\ntrusted_proxies = [\"proxy\"]\n", "dashboard.trusted_proxies"),
    ] {
        let faults = parsed(extra).expect_err(extra);
        assert!(faults.iter().any(|fault| fault.key == key), "{extra}: {faults:?}");
    }
}

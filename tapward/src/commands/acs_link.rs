//! `tapward acs-link certificates`: the site's authority for acs-link and certificates of nodes; and `validate`: whether
//! a message is one that the gateway takes.
//!
//! Both ends of acs-link prove who they are by a certificate of this authority whose SAN holds the URI
//! `urn:acs-link:node:NAME`. Nothing is ever overwritten: a private key that is gone cannot be made again.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use domain::{Clock, UtcMillis};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use time::{Duration, OffsetDateTime};
use wire::acs_link::frame::FRAME_MAX;
use wire::acs_link::{Code, Refusal, Token};
use zeroize::Zeroizing;

use crate::cli::{AcsLinkCommand, CertificatesArgs, exit};
use crate::keys;

/// What a node's name in a certificate begins with (acs-link, clause 3).
const NODE_URN: &str = "urn:acs-link:node:";
/// How long the authority is valid, in days: a controller's life. Making it new means visiting every controller.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// Certificates count from this much before they were made, in days: clocks of controllers that were just unpacked.
const BACKDATED_DAYS: i64 = 2;
/// The subject of every authority that this command makes; it is told from others by its key.
const AUTHORITY_NAME: &str = "Tapward acs-link authority";
const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";

/// Carries it out.
pub fn acs_link(command: AcsLinkCommand, clock: &Clock) -> anyhow::Result<u8> {
    match command {
        AcsLinkCommand::Certificates(arguments) => certificates(&arguments, clock.now()),
        AcsLinkCommand::Validate { files } => validate(&files),
    }
}

/// One certificate to be made.
struct Wanted<'a> {
    node: &'a str,
    certificate: PathBuf,
    key: PathBuf,
}

/// What was made.
pub struct Made<'a> {
    wanted: Vec<Wanted<'a>>,
    ca: PathBuf,
    ca_key: PathBuf,
    is_new: bool,
    until: OffsetDateTime,
}

/// Makes the files, silently. Nothing is overwritten.
///
/// # Errors
/// What is there already, or cannot be made; then nothing was.
pub fn make(arguments: &CertificatesArgs, now: UtcMillis) -> anyhow::Result<Made<'_>> {
    let folder = &arguments.folder;
    let now = OffsetDateTime::from_unix_timestamp(now.0.div_euclid(1000)).context("the clock is out of range")?;
    let wanted = arguments
        .gateway
        .iter()
        .chain(&arguments.node)
        .map(|node| wanted(folder, node))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Everything is looked at before anything is made.
    for (n, one) in wanted.iter().enumerate() {
        if wanted.iter().take(n).any(|other| other.key == one.key) {
            bail!("two of the names become the same file {}; make them into different folders", one.key.display());
        }
        if let Some(there) = [&one.certificate, &one.key].into_iter().find(|path| path.exists()) {
            bail!(
                "{} exists already and is not overwritten; to renew the certificate of {}, move the old pair away",
                there.display(),
                one.node
            );
        }
    }
    keys::private_folder(folder)?;
    let (ca_path, ca_key_path) = (folder.join(CA), folder.join(CA_KEY));
    let (authority, authority_pem, is_new) = match (ca_path.exists(), ca_key_path.exists()) {
        (false, false) => {
            let (authority, pem) = make_authority(&ca_path, &ca_key_path, now)?;
            (authority, pem, true)
        }
        (true, true) => {
            let (authority, pem) = read_authority(&ca_path, &ca_key_path)?;
            (authority, pem, false)
        }
        (true, false) => bail!(
            "{} is there but {CA_KEY} is not: bring it back from where it is kept, or begin with an empty folder",
            ca_path.display()
        ),
        (false, true) => {
            bail!("{} is there but {CA} is not: copy it from any node, or begin anew", ca_key_path.display())
        }
    };
    let until = now.saturating_add(Duration::days(arguments.days));
    for one in &wanted {
        let pair = KeyPair::generate().context("no key can be made")?;
        let certificate = node_certificate(one.node, &arguments.name, &pair, &authority, now, until)
            .with_context(|| format!("no certificate can be made for {}", one.node))?;
        proves(&certificate, &authority_pem, now)
            .with_context(|| format!("{CA} and {CA_KEY} in {} do not belong together", folder.display()))?;
        keys::write_secret(&one.key, Zeroizing::new(pair.serialize_pem()).trim_end())?;
        write_public(&one.certificate, &certificate)?;
    }
    Ok(Made { wanted, ca: ca_path, ca_key: ca_key_path, is_new, until })
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn certificates(arguments: &CertificatesArgs, now: UtcMillis) -> anyhow::Result<u8> {
    let Made { wanted, ca, ca_key, is_new, until } = make(arguments, now)?;
    let state = if is_new { "made" } else { "used" };
    println!("authority  {} ({state}): goes to every node and to the gateway", ca.display());
    println!("           {}: whoever has it can make nodes; keep it offline, in a safe", ca_key.display());
    for (n, one) in wanted.iter().enumerate() {
        let is_ours = n == 0 && arguments.gateway.is_some();
        println!("{}  {}, valid until {}", if is_ours { "gateway  " } else { "node     " }, one.node, until.date());
        println!("           {}", one.certificate.display());
        println!("           {} (0600): only on the machine of {}", one.key.display(), one.node);
    }
    if let (Some(node), Some(one)) = (&arguments.gateway, wanted.first()) {
        println!("\nFor this gateway's configuration:\n[acs_link]\nnode = \"{node}\"");
        let files = [("ca", &ca), ("cert", &one.certificate), ("key", &one.key)];
        for (key, path) in files {
            println!("{key} = \"{}\"", path.display());
        }
    }
    if !arguments.node.is_empty() {
        println!("\nCopy {CA} and the two files of a node to its controller, then delete its private key here.");
    }
    Ok(0)
}

/// Reads each file as one frame.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn validate(files: &[PathBuf]) -> anyhow::Result<u8> {
    let mut code = 0;
    for path in files {
        let file = fs::File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
        let mut bytes = Vec::new();
        file.take(u64::from(FRAME_MAX) + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        // Editors end a file with a line; on the link nothing stands behind the document but white space either.
        let read = if bytes.len() > FRAME_MAX as usize {
            Err(Refusal::new(Code::FrameTooLarge, format!("a frame has at most {FRAME_MAX} bytes")))
        } else {
            wire::acs_link::read(&bytes)
        };
        match read {
            Ok(message) => println!("{}: good, {}, {} bytes", path.display(), message.body.kind(), bytes.len()),
            Err(refusal) => {
                println!("{}: {refusal}", path.display());
                code = exit::FOUND;
            }
        }
    }
    Ok(code)
}

fn wanted<'a>(folder: &Path, node: &'a str) -> anyhow::Result<Wanted<'a>> {
    if Token::new(node).is_err() {
        bail!("{node:?} is not a node's name: 1 to 64 letters, digits and . _ : / -");
    }
    // A name may hold characters that mean something in a path.
    let stem: String = node.chars().map(|c| if matches!(c, '/' | ':') { '_' } else { c }).collect();
    Ok(Wanted {
        node,
        certificate: folder.join(format!("node-{stem}.pem")),
        key: folder.join(format!("node-{stem}-key.pem")),
    })
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, AUTHORITY_NAME);
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn make_authority(
    certificate: &Path,
    key: &Path,
    now: OffsetDateTime,
) -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let mut params = authority_params();
    params.not_before = now.saturating_sub(Duration::days(BACKDATED_DAYS));
    params.not_after = now.saturating_add(Duration::days(AUTHORITY_DAYS));
    let pair = KeyPair::generate().context("no key can be made")?;
    let signed = params.self_signed(&pair).context("the authority cannot be made")?;
    let pem = signed.pem();
    // The key first: a certificate without its key is useless, the other way round it can be made again.
    keys::write_secret(key, Zeroizing::new(pair.serialize_pem()).trim_end())?;
    write_public(certificate, &pem)?;
    Ok((Issuer::new(params, pair), pem))
}

/// An authority that this command made before.
fn read_authority(certificate: &Path, key: &Path) -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let secret = crate::config::read_secret(key).map_err(anyhow::Error::msg)?;
    let pair = KeyPair::from_pem(&secret).with_context(|| format!("{} is no private key", key.display()))?;
    let pem = fs::read_to_string(certificate).with_context(|| format!("{} cannot be read", certificate.display()))?;
    Ok((Issuer::new(authority_params(), pair), pem))
}

fn node_certificate(
    node: &str,
    names: &[String],
    pair: &KeyPair,
    authority: &Issuer<'_, KeyPair>,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> anyhow::Result<String> {
    let mut params = CertificateParams::new(names.to_vec()).context("--name takes a host name or an address")?;
    params.subject_alt_names.push(SanType::URI(format!("{NODE_URN}{node}").try_into()?));
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, node);
    params.distinguished_name = subject;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Either end may be the one that connects.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now.saturating_sub(Duration::days(BACKDATED_DAYS));
    params.not_after = until;
    Ok(params.signed_by(pair, authority)?.pem())
}

/// Whether the certificate leads to the authority, by the code that will check it.
fn proves(certificate: &str, authority: &str, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).context("the authority is no certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    verifier.verify_client_cert(&certificate, &[], now)?;
    Ok(())
}

/// A new file that everybody may read; never overwrites.
fn write_public(path: &Path, text: &str) -> anyhow::Result<()> {
    keys::write_secret(path, text.trim_end())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
        .with_context(|| format!("the mode of {} cannot be set", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_795_000_000_000);

    fn arguments(folder: &Path, gateway: Option<&str>, nodes: &[&str]) -> CertificatesArgs {
        CertificatesArgs {
            folder: folder.to_owned(),
            gateway: gateway.map(str::to_owned),
            node: nodes.iter().map(|node| (*node).to_owned()).collect(),
            name: vec!["gate.example".to_owned(), "192.0.2.40".to_owned()],
            days: 825,
        }
    }

    fn listed(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                (path.file_name().unwrap().to_str().unwrap().to_owned(), mode, fs::read(&path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn an_authority_is_made_once_and_signs_for_everybody_after_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("acs");
        certificates(&arguments(&folder, Some("clinic-1-gw"), &["hall/turnstile:3"]), NOW).unwrap();
        let first = listed(&folder);
        let names: Vec<_> = first.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
        assert_eq!(
            names,
            [
                ("ca-key.pem", 0o600),
                ("ca.pem", 0o644),
                ("node-clinic-1-gw-key.pem", 0o600),
                ("node-clinic-1-gw.pem", 0o644),
                ("node-hall_turnstile_3-key.pem", 0o600),
                ("node-hall_turnstile_3.pem", 0o644),
            ]
        );
        certificates(&arguments(&folder, None, &["lobby"]), NOW).unwrap();
        let second = listed(&folder);
        assert!(first.iter().all(|file| second.contains(file)), "what was there stays byte for byte");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let at = OffsetDateTime::from_unix_timestamp(NOW.0 / 1000).unwrap();
        for node in ["node-clinic-1-gw.pem", "node-hall_turnstile_3.pem", "node-lobby.pem"] {
            proves(&read(node), &read("ca.pem"), at).unwrap();
            proves(&read(node), &read("ca.pem"), at + Duration::days(826)).unwrap_err();
        }
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_half_made() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        certificates(&arguments(folder, None, &["a"]), NOW).unwrap();
        let before = listed(folder);
        let problem = certificates(&arguments(folder, None, &["new", "a"]), NOW).unwrap_err().to_string();
        assert!(problem.contains("node-a.pem") && problem.contains("move the old pair away"), "{problem}");
        let problem = certificates(&arguments(folder, None, &["b/1", "b:1"]), NOW).unwrap_err().to_string();
        assert!(problem.contains("same file"), "{problem}");
        let problem = certificates(&arguments(folder, None, &["..", "no good"]), NOW).unwrap_err().to_string();
        assert!(problem.contains("\"no good\""), "{problem}");
        assert_eq!(listed(folder), before);
    }

    #[test]
    fn half_an_authority_or_a_foreign_key_signs_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let (folder, other) = (temporary.path().join("a"), temporary.path().join("b"));
        certificates(&arguments(&folder, None, &["a"]), NOW).unwrap();
        certificates(&arguments(&other, None, &["a"]), NOW).unwrap();
        fs::copy(other.join(CA_KEY), folder.join(CA_KEY)).unwrap();
        let problem = certificates(&arguments(&folder, None, &["b"]), NOW).unwrap_err().to_string();
        assert!(problem.contains("do not belong together"), "{problem}");
        assert!(!folder.join("node-b.pem").exists() && !folder.join("node-b-key.pem").exists());
        fs::set_permissions(folder.join(CA_KEY), fs::Permissions::from_mode(0o644)).unwrap();
        let problem = certificates(&arguments(&folder, None, &["b"]), NOW).unwrap_err().to_string();
        assert!(problem.contains("0600") || problem.contains("600"), "{problem}");
        fs::remove_file(folder.join(CA_KEY)).unwrap();
        let problem = certificates(&arguments(&folder, None, &["b"]), NOW).unwrap_err().to_string();
        assert!(problem.contains("bring it back"), "{problem}");
    }
}

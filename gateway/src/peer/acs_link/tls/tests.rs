use std::fs;
use std::os::unix::fs::PermissionsExt;

use domain::UtcMillis;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Certificates of a made-up site.
struct Site {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self::named("this site")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    fn files(&self, name: &str, uris: &[&str], years: (i32, i32)) -> TlsFiles {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.authority).unwrap();
        let path = |what: &str| self.folder.path().join(format!("{name}-{what}.pem"));
        fs::write(path("cert"), signed.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600)).unwrap();
        TlsFiles { ca: self.folder.path().join("ca.pem"), cert: path("cert"), key: path("key") }
    }

    fn node(&self, node: &str) -> Tls {
        Tls::load(&self.files(node, &[&format!("{NODE_URI}{node}")], (2026, 2036)), &clock()).unwrap()
    }
}

fn clock() -> Clock {
    Clock::new(|| UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap())
}

/// A handshake of both over a pipe, and one byte each way: only then has the client heard what the server thinks.
async fn meet(server: &Tls, client: &Tls, wanted: &str) -> (Result<(), String>, Result<(), String>, [Witness; 2]) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (acceptor, seen_by_server) = server.acceptor().unwrap();
    let (connector, seen_by_client) = client.connector(wanted).unwrap();
    let name = ServerName::try_from("controller.invalid").unwrap();
    let serving = async {
        let mut stream = acceptor.accept(near).await.map_err(|error| explain_io(&error))?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ALPN));
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map_err(|error| explain_io(&error))?;
        stream.write_all(&byte).await.map_err(|error| explain_io(&error))?;
        stream.flush().await.map_err(|error| explain_io(&error))
    };
    let calling = async {
        let mut stream = connector.connect(name, far).await.map_err(|error| explain_io(&error))?;
        stream.write_all(b"x").await.map_err(|error| explain_io(&error))?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map(drop).map_err(|error| explain_io(&error))
    };
    let (served, called) = tokio::join!(serving, calling);
    (served, called, [seen_by_server, seen_by_client])
}

fn claimed(witness: &Witness) -> Result<String, String> {
    witness.claim().unwrap().node.clone()
}

#[tokio::test]
async fn two_nodes_of_one_site_meet_and_know_each_other() {
    let site = Site::new();
    let (gateway, controller) = (site.node("gw-1"), site.node("acs-1"));
    assert_eq!(gateway.own_node().unwrap(), "gw-1");
    assert_eq!(gateway.complaint(), None);
    let (served, called, [client, server]) = meet(&gateway, &controller, "gw-1").await;
    assert_eq!((served, called), (Ok(()), Ok(())));
    assert_eq!((claimed(&client).unwrap().as_str(), claimed(&server).unwrap().as_str()), ("acs-1", "gw-1"));
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_both_sides_know_why() {
    let site = Site::new();
    let old = site.files("old", &["urn:acs-link:node:acs-1"], (2020, 2021));
    let old = Tls::load(&old, &clock()).unwrap();
    assert_eq!(old.complaint().unwrap(), "our own certificate has expired");
    let (served, called, [witness, _]) = meet(&site.node("gw-1"), &old, "gw-1").await;
    assert_eq!(served.unwrap_err(), "certificate has expired");
    assert!(called.unwrap_err().contains("CertificateExpired"));
    let claim = witness.claim().unwrap();
    assert_eq!(claim.node.as_deref(), Ok("acs-1"));
    assert_eq!(claim.refused.as_deref(), Some("certificate has expired"));
}

#[tokio::test]
async fn a_certificate_of_another_site_is_refused_on_either_side() {
    let (ours, theirs) = (Site::new(), Site::named("another site"));
    let (gateway, stranger) = (ours.node("gw-1"), theirs.node("acs-1"));
    let (served, called, _) = meet(&gateway, &stranger, "gw-1").await;
    // The client looks first: it does not believe our certificate either.
    assert_eq!(called.unwrap_err(), "certificate is not signed by this site's authority");
    assert!(served.unwrap_err().contains("refused our certificate"));
    // A client that would believe anybody is refused by us.
    let mut credulous = stranger.clone();
    credulous.roots = Arc::clone(&gateway.roots);
    let (served, called, _) = meet(&gateway, &credulous, "gw-1").await;
    assert_eq!(served.unwrap_err(), "certificate is not signed by this site's authority");
    assert!(called.unwrap_err().contains("UnknownCA"));
}

#[tokio::test]
async fn a_server_that_is_another_node_is_not_spoken_to() {
    let site = Site::new();
    let (_, called, _) = meet(&site.node("acs-2"), &site.node("gw-1"), "acs-1").await;
    assert_eq!(called.unwrap_err(), "certificate is another node's");
}

#[test]
fn a_certificate_names_exactly_one_node() {
    let site = Site::new();
    let node = |name: &str, uris: &[&str]| {
        Tls::load(&site.files(name, uris, (2026, 2036)), &clock()).unwrap().own_node().unwrap_err()
    };
    assert!(node("none", &["urn:other:node:a"]).contains("names no node"));
    assert!(node("two", &["urn:acs-link:node:a", "urn:acs-link:node:b"]).contains("more than one"));
    assert!(node("odd", &["urn:acs-link:node:a%20b"]).contains("no name"));
    let long = format!("{NODE_URI}{}", "n".repeat(65));
    assert!(node("long", &[&long]).contains("no name"));
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let site = Site::new();
    let good = site.files("a", &["urn:acs-link:node:a"], (2026, 2036));
    let other = site.files("b", &["urn:acs-link:node:b"], (2026, 2036));
    let wrong = |files: &TlsFiles| Tls::load(files, &clock()).map(drop).unwrap_err().to_string();
    let missing = TlsFiles { cert: "/nowhere/cert.pem".into(), ..good.clone() };
    assert!(wrong(&missing).contains("/nowhere/cert.pem"));
    let mixed = TlsFiles { key: other.key.clone(), ..good.clone() };
    assert!(wrong(&mixed).contains("belong together"), "{}", wrong(&mixed));
    let empty = TlsFiles { ca: good.key.clone(), ..good.clone() };
    assert!(wrong(&empty).contains("no certificate"), "{}", wrong(&empty));
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(wrong(&good).contains("604"), "{}", wrong(&good));
}

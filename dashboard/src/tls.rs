//! The TLS certificate: given as files, or made at the first start and kept. Owns the key file's mode.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use crate::{DashboardError, TlsSource};

const KEY_MODE: u32 = 0o600;
/// Long enough that nobody's doors page stops over a self-made certificate; browsers ask about it anyway.
const LAST_YEAR: i32 = 2100;

/// The configuration of our side: TLS 1.2 and 1.3, HTTP/1.1.
pub fn configuration(source: &TlsSource) -> Result<Arc<ServerConfig>, DashboardError> {
    let (certificate, key) = match source {
        TlsSource::Files { certificate, key } => (certificate.clone(), key.clone()),
        TlsSource::Own { folder, names } => {
            let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
            if !certificate.exists() || !key.exists() {
                make(folder, &certificate, &key, names)?;
            }
            (certificate, key)
        }
    };
    check_mode(&key)?;
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&certificate).map_err(|error| fault(&certificate, error))?.collect();
    let chain = chain.map_err(|error| fault(&certificate, error))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| fault(&key, error))?;
    let mut configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| fault(&certificate, error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| {
            fault(&certificate, format!("{error}; the certificate and {} must belong together", key.display()))
        })?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}

fn make(folder: &Path, certificate: &Path, key: &Path, names: &[String]) -> Result<(), DashboardError> {
    fs::create_dir_all(folder).map_err(|error| fault(folder, error))?;
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(own_name());
    all.extend(names.iter().cloned());
    all.sort();
    all.dedup();
    let mut params = CertificateParams::new(all).map_err(|error| fault(certificate, error))?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Tapward");
    params.distinguished_name = subject;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(LAST_YEAR, 1, 1);
    let pair = KeyPair::generate().map_err(|error| fault(key, error))?;
    let signed = params.self_signed(&pair).map_err(|error| fault(certificate, error))?;
    write(key, pair.serialize_pem().as_bytes(), KEY_MODE)?;
    write(certificate, signed.pem().as_bytes(), 0o644)?;
    tracing::info!(file = %certificate.display(), "dashboard.certificate.made");
    Ok(())
}

/// Whole or not at all: written beside and renamed, with its mode from the first byte.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DashboardError> {
    let beside = path.with_extension("new");
    // Left by an interrupted start; it may have another mode.
    let _ = fs::remove_file(&beside);
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).map_err(|error| fault(path, error))
}

fn check_mode(key: &Path) -> Result<(), DashboardError> {
    let mode = fs::metadata(key).map_err(|error| fault(key, error))?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(fault(key, format!("mode {mode:o} lets everybody on this computer use it; set 600 or 640")));
    }
    Ok(())
}

fn own_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    (plain && !name.is_empty() && name.parse::<IpAddr>().is_err()).then_some(name)
}

fn fault(path: &Path, problem: impl std::fmt::Display) -> DashboardError {
    DashboardError::Tls { file: path.display().to_string(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_certificate_and_the_next_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let source = TlsSource::Own { folder: folder.path().join("tls"), names: vec!["clinic.example".to_owned()] };
        configuration(&source).unwrap();
        let key = folder.path().join("tls/key.pem");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&key).unwrap();
        configuration(&source).unwrap();
        assert_eq!(fs::read(&key).unwrap(), before);
    }

    #[test]
    fn a_key_that_everybody_may_read_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let source = TlsSource::Own { folder: folder.path().to_owned(), names: vec![] };
        configuration(&source).unwrap();
        let key = folder.path().join("key.pem");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let error = configuration(&source).unwrap_err().to_string();
        assert!(error.contains("key.pem") && error.contains("600"), "{error}");
    }

    #[test]
    fn missing_and_broken_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("b.pem"));
        let source = TlsSource::Files { certificate: certificate.clone(), key: key.clone() };
        assert!(configuration(&source).unwrap_err().to_string().contains("b.pem"));
        write(&key, b"rubbish", 0o600).unwrap();
        write(&certificate, b"rubbish", 0o644).unwrap();
        assert!(configuration(&source).unwrap_err().to_string().contains("pem"));
    }
}

//! Which mail server, and how it is trusted.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use domain::codes;
use lettre::message::Mailbox;
use thiserror::Error;
use zeroize::Zeroizing;

codes! {
    /// How the connection to the mail server is protected.
    Security {
        /// TLS from the first byte (usually port 465).
        Tls = "tls",
        /// Begins in the clear and must become TLS before anything is said (usually port 587).
        StartTls = "starttls",
        /// In the clear. Only to a server on this computer.
        Plain = "plain",
    }
}

/// The password for the mail server.
#[derive(Clone)]
pub struct MailPassword(Zeroizing<String>);

impl MailPassword {
    /// Takes it over; a newline at its end, as editors leave one in a file, is not part of it.
    pub fn new(password: &str) -> Self {
        Self(Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned()))
    }

    pub(super) fn reveal(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for MailPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailPassword(redacted)")
    }
}

/// Which mail server takes the notices.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host name or address; the certificate must be for it.
    pub server: String,
    /// Port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Who we are to the server, if it asks.
    pub login: Option<(String, MailPassword)>,
    /// The address that notices come from, for example `Tapward <tapward@clinic.example>`.
    pub from: String,
    /// The authority that signed the server's certificate, PEM, beside the public ones.
    pub authority: Option<PathBuf>,
}

/// What is wrong with the settings.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// Mail in the clear would leave this computer.
    #[error(
        "mail to {0} must be protected: security \"tls\" or \"starttls\"; \"plain\" is for a server on this computer"
    )]
    Clear(String),
    /// The password would be sent in the clear.
    #[error("a user and password need security \"tls\" or \"starttls\"")]
    ClearPassword,
    /// No address to send from.
    #[error("{0:?} is not an address to send from; write for example \"Tapward <tapward@clinic.example>\"")]
    From(String),
    /// The authority's certificate cannot be used.
    #[error("the certificate of the mail server's authority, {}, cannot be used: {why}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No server.
    #[error("the mail server's name is empty or has characters that no name has")]
    Server,
}

impl Settings {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check(&self) -> Result<(), SettingsError> {
        let plain_name = |c: char| c.is_ascii_alphanumeric() || ".-:_[]".contains(c);
        if self.server.is_empty() || !self.server.chars().all(plain_name) {
            return Err(SettingsError::Server);
        }
        if self.security == Security::Plain {
            if !self.is_here() {
                return Err(SettingsError::Clear(self.server.clone()));
            }
            if self.login.is_some() {
                return Err(SettingsError::ClearPassword);
            }
        }
        let bad = || SettingsError::From(self.from.clone());
        if self.from.chars().any(char::is_control) {
            return Err(bad());
        }
        self.from.parse::<Mailbox>().map(|_| ()).map_err(|_| bad())
    }

    pub(super) fn is_here(&self) -> bool {
        self.server == "localhost" || self.server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(server: &str, security: Security) -> Settings {
        let from = "Tapward <tapward@clinic.example>".to_owned();
        Settings { server: server.to_owned(), port: 587, security, login: None, from, authority: None }
    }

    #[test]
    fn mail_in_the_clear_stays_on_this_computer() {
        assert_eq!(settings("localhost", Security::Plain).check(), Ok(()));
        assert_eq!(settings("::1", Security::Plain).check(), Ok(()));
        assert_eq!(
            settings("mail.clinic.example", Security::Plain).check(),
            Err(SettingsError::Clear("mail.clinic.example".to_owned()))
        );
        assert_eq!(settings("mail.clinic.example", Security::StartTls).check(), Ok(()));
        let login = Some(("tapward".to_owned(), MailPassword::new("secret\n")));
        let with_password = Settings { login, ..settings("localhost", Security::Plain) };
        assert_eq!(with_password.check(), Err(SettingsError::ClearPassword));
        assert!(!format!("{with_password:?}").contains("secret"));
    }

    #[test]
    fn names_and_addresses_of_one_line_only() {
        assert_eq!(settings("", Security::Tls).check(), Err(SettingsError::Server));
        assert_eq!(settings("a b", Security::Tls).check(), Err(SettingsError::Server));
        for from in ["", "nobody", "a@b\r\nBcc: c@d", "a@b, c@d"] {
            let settings = Settings { from: from.to_owned(), ..settings("localhost", Security::Tls) };
            assert!(settings.check().is_err(), "{from:?}");
        }
    }
}

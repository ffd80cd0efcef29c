//! What is known of staff and is nobody's to read in a database file: shown names, e-mail addresses, the secrets of
//! second factors. Sealed under one key of the site, each with the place where it stands, so that a value copied to
//! another row does not open.

use std::fmt;
use std::sync::Arc;

use domain::vault::{BoxKey, Nonce, Place, Sealed};
use zeroize::Zeroizing;

use super::{AccountError, secret};

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cabinet(Arc<BoxKey>);

impl fmt::Debug for Cabinet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cabinet(redacted)")
    }
}

impl Cabinet {
    pub fn new(key: BoxKey) -> Self {
        Self(Arc::new(key))
    }

    /// Seals bytes for one column of one row.
    pub fn seal(
        &self,
        table: &'static str,
        column: &'static str,
        row: &str,
        clear: &[u8],
    ) -> Result<Vec<u8>, AccountError> {
        let mut random = [0; domain::vault::NONCE_BYTES];
        secret::fill(&mut random)?;
        Ok(self.0.seal(Place { table, column, row }, Nonce::new(random), clear).into_bytes())
    }

    /// Opens what [`Cabinet::seal`] sealed for the same place.
    pub fn open(
        &self,
        table: &'static str,
        column: &'static str,
        row: &str,
        sealed: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, AccountError> {
        let bad = |_| AccountError::Sealed { table, column };
        let sealed = Sealed::from_bytes(sealed).map_err(bad)?;
        self.0.open(Place { table, column, row }, &sealed).map_err(bad)
    }

    /// As [`Cabinet::open`], for text.
    pub fn open_text(
        &self,
        table: &'static str,
        column: &'static str,
        row: &str,
        sealed: Vec<u8>,
    ) -> Result<String, AccountError> {
        let clear = self.open(table, column, row, sealed)?;
        String::from_utf8(clear.to_vec()).map_err(|_| AccountError::Sealed { table, column })
    }
}

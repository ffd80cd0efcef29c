//! Reading searches page by page, for feeds. A page's link leads nowhere but to the same server.

use domain::Clock;
use serde_json::Value;
use thiserror::Error;

use super::server::{Server, Told};
use super::{Settings, SetupError};
use crate::delivery::{Delivered, FaultCode};
use crate::http;

/// Most pages of one search: a server whose pages lead in a circle ends there.
const PAGES_MAX: usize = 20_000;

/// Why a search brought nothing, in codes only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The page is not kept there any more: the search begins anew.
    #[error("the server does not keep the next page any more")]
    Expired,
    /// A link leads to another server.
    #[error("the server's link to the next page leads to another server; it is not followed")]
    Foreign,
    /// Too many pages.
    #[error("the server's pages do not end")]
    Endless,
    /// The server.
    #[error("the server: {0}")]
    Fault(String),
}

/// Reads from a FHIR server.
pub(crate) struct Reader {
    server: Server,
}

/// Where a search is.
pub(crate) enum At {
    /// At its beginning.
    Start,
    /// Before the page of this link.
    Next(String),
    /// At its end.
    End,
}

impl Reader {
    /// Checks the settings; asks nothing yet.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, SetupError> {
        let client = http::Client::new(settings.http.clone())?;
        let server = Server::new(client, &settings.base, settings.auth.clone(), clock, settings.http.plain)?;
        Ok(Self { server })
    }

    /// The next page of a search and where the search is then. `pages` counts.
    pub async fn page(
        &self,
        kind: &str,
        query: &[(&str, &str)],
        at: At,
        pages: &mut usize,
    ) -> Result<(Value, At), ReadError> {
        *pages += 1;
        if *pages > PAGES_MAX {
            return Err(ReadError::Endless);
        }
        let told = match &at {
            At::Start => self.server.get(&[kind], query).await,
            At::Next(link) => match self.server.follow(link).await {
                Some(told) => told,
                None => return Err(ReadError::Foreign),
            },
            At::End => return Ok((Value::Null, At::End)),
        };
        let is_next = matches!(at, At::Next(_));
        let page = of_told(told, is_next)?;
        if page["resourceType"] != "Bundle" {
            return Err(ReadError::Fault("bad_answer resourceType".to_owned()));
        }
        let links = page["link"].as_array().into_iter().flatten();
        let next = links.filter(|link| link["relation"] == "next").find_map(|link| link["url"].as_str());
        let next = next.map_or(At::End, |link| At::Next(link.to_owned()));
        Ok((page, next))
    }

    /// A resource by its id; `None` if it is not there.
    pub async fn read(&self, kind: &str, id: &str) -> Result<Option<Value>, ReadError> {
        match self.server.read(kind, id).await {
            Ok(found) => Ok(found.map(|found| found.body)),
            Err(Delivered::Dead(fault)) if fault.code == FaultCode::Gone => Ok(None),
            Err(other) => Err(words(&other)),
        }
    }
}

fn of_told(told: Told<Option<Value>>, is_next: bool) -> Result<Value, ReadError> {
    match told {
        Ok(Some(page)) => Ok(page),
        Ok(None) if is_next => Err(ReadError::Expired),
        Ok(None) => Err(ReadError::Fault("not_found".to_owned())),
        Err(Delivered::Dead(fault)) if fault.code == FaultCode::Gone && is_next => Err(ReadError::Expired),
        Err(other) => Err(words(&other)),
    }
}

fn words(told: &Delivered) -> ReadError {
    match told {
        Delivered::Retry(fault, _) | Delivered::Away(fault, _) | Delivered::Dead(fault) => {
            ReadError::Fault(format!("{} {}", fault.code, fault.detail).trim().to_owned())
        }
        Delivered::Done => ReadError::Fault("done".to_owned()),
    }
}

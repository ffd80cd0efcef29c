//! Doors and readers: what the equipment says about itself, how old that is, and orders to a door. Owns the page and
//! its export; what stands in it comes from `facts`, `peers` and `door`.

mod door;
mod facts;
mod peers;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

pub use door::give;
pub use facts::door_link;

use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use door::DoorPanel;
use facts::{DoorTile, Facts, GatewayCard, ReaderLine};
use peers::PeerLine;

/// Lines of each table on one page: nobody reads more, and a phone must be able to hold it.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "devices.html")]
struct Page {
    frame: Frame,
    gateways: Vec<GatewayCard>,
    doors: Vec<DoorTile>,
    panel: Option<DoorPanel>,
    peers: Vec<PeerLine>,
    readers: Vec<ReaderLine>,
    search: String,
    only_trouble: bool,
    shown: usize,
    all: usize,
    all_peers: usize,
    shown_peers: usize,
    troubled: usize,
    export: String,
}

/// `GET /devices`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let panel = door::panel(&visit, &query).await?;
    page(&visit, &query, StatusCode::OK, panel).await
}

/// The page with a door's panel beside its doors.
async fn page(visit: &Visit, query: &Query, status: StatusCode, panel: Option<DoorPanel>) -> Result<Response, Fault> {
    let facts = Facts::read(visit).await?;
    let search = query.one("q").unwrap_or_default().chars().take(64).collect::<String>();
    let only_trouble = query.one("only") == Some("trouble");
    let (mut peers, mut readers) = (facts.peer_lines(), facts.reader_lines());
    let (all, all_peers) = (readers.len(), peers.len());
    let troubled = readers.iter().map(|line| line.is_trouble).chain(peers.iter().map(|line| line.is_trouble));
    let troubled = troubled.filter(|is_trouble| *is_trouble).count();
    let wanted = search.to_lowercase();
    peers.retain(|line| line.hay.contains(&wanted) && (!only_trouble || line.is_trouble));
    readers.retain(|line| line.hay.contains(&wanted) && (!only_trouble || line.is_trouble));
    // What needs a look comes first; the filter finds the rest, the export has all of it.
    peers.truncate(ROWS_MAX);
    readers.truncate(ROWS_MAX);
    let (shown, shown_peers) = (readers.len(), peers.len());
    let export = format!("/devices.csv{}", Query::read(&filter_of(query)).with("", None));
    let chosen = panel.as_ref().map(|panel| (panel.gateway.as_str(), panel.point.as_str()));
    let (gateways, doors) = (facts.gateway_cards(), facts.door_tiles(chosen));
    let frame = Frame::new(visit, "devices");
    let page = Page {
        frame,
        gateways,
        doors,
        panel,
        peers,
        readers,
        search,
        only_trouble,
        shown,
        all,
        all_peers,
        shown_peers,
        troubled,
        export,
    };
    render(status, &page)
}

/// The filter's own part of the query.
fn filter_of(query: &Query) -> String {
    let mut kept = query.clone();
    for key in ["door", "gateway", "order", "given"] {
        kept = Query::read(kept.with(key, None).trim_start_matches('?'));
    }
    kept.with("", None).trim_start_matches('?').to_owned()
}

/// `GET /devices.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let facts = Facts::read(&visit).await?;
    let wanted = query.one("q").unwrap_or_default().to_lowercase();
    let mut csv = Csv::new(&[
        "gateway",
        "line",
        "reader",
        "point",
        "direction",
        "address",
        "at",
        "state",
        "secure",
        "insecure_accepted",
        "poll_period_us",
        "reply_us",
        "polls",
        "retries",
        "timeouts",
        "crc_errors",
        "alarms",
        "tamper",
        "model",
        "serial",
        "firmware",
        "seen",
    ]);
    for seen in &facts.readers {
        let reader = &seen.device;
        let line = facts.reader_line(seen);
        if !line.hay.contains(&wanted) || (query.one("only") == Some("trouble") && !line.is_trouble) {
            continue;
        }
        csv.row(&[
            seen.gateway.to_string(),
            reader.line.to_string(),
            reader.id.to_string(),
            reader.point.as_ref().map(ToString::to_string).unwrap_or_default(),
            reader.direction.map(|way| way.to_string()).unwrap_or_default(),
            reader.address.to_string(),
            reader.at.clone().unwrap_or_default(),
            reader.state.as_str().to_owned(),
            reader.secure.to_string(),
            reader.insecure_accepted.clone().unwrap_or_default(),
            reader.poll_period_us.to_string(),
            reader.reply_us.to_string(),
            reader.polls.to_string(),
            reader.retries.to_string(),
            reader.timeouts.to_string(),
            reader.crc_errors.to_string(),
            reader.alarms.to_string(),
            reader.tamper.to_string(),
            reader.model.clone().unwrap_or_default(),
            reader.serial.clone().unwrap_or_default(),
            reader.firmware.clone().unwrap_or_default(),
            seen.seen.to_rfc3339(),
        ]);
    }
    Ok(csv.into_response("readers.csv"))
}

/// `1234567` as `1 234 567`, with spaces that do not break.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(12), "12");
    }

    #[test]
    fn an_export_keeps_the_filter_and_drops_the_open_door() {
        let query = Query::read("q=hid&only=trouble&door=turnstile-1&gateway=g&order=open&given=00");
        assert_eq!(filter_of(&query), "q=hid&only=trouble");
    }
}

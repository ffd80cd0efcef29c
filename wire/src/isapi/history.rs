//! The search in the device's own journal: how events are fetched that were never received.
//!
//! The search id is a cursor at the device: a fresh one for each search, the same one for its pages. Devices give at most
//! 30 events a page, whatever is asked for, and say `MORE`, `OK` or `NO MATCH` (capitals differ).

use super::event::Access;
use super::form::{Form, FormError};
use super::time::DeviceTime;

/// Most events of one page that every known device gives.
pub const PAGE_MAX: u32 = 30;

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The cursor.
    pub id: String,
    /// From which match on.
    pub position: u32,
    /// At most so many.
    pub results: u32,
    /// First and last time, as the device writes times with an offset.
    pub between: (String, String),
    /// First serial number; older firmware does not know it and ignores it.
    pub begin_serial: Option<u64>,
    /// Last serial number.
    pub end_serial: Option<u64>,
}

impl Search {
    /// Writes the question.
    pub fn write(&self) -> String {
        let mut form = Form::new("AcsEventCond")
            .text("searchID", &self.id)
            .number("searchResultPosition", self.position)
            .number("maxResults", self.results)
            // 0 is everything.
            .number("major", 0)
            .number("minor", 0)
            .text("startTime", &self.between.0)
            .text("endTime", &self.between.1);
        for (name, serial) in [("beginSerialNo", self.begin_serial), ("endSerialNo", self.end_serial)] {
            if let Some(serial) = serial.and_then(|serial| i64::try_from(serial).ok()) {
                form = form.number(name, serial);
            }
        }
        form.to_json()
    }

    /// Reads the question.
    ///
    /// # Errors
    /// When it is no form, or lacks a field.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.get("AcsEventCond").ok_or(FormError::Missing("AcsEventCond"))?;
        Ok(Self {
            id: form.str("searchID").ok_or(FormError::Missing("searchID"))?.to_owned(),
            position: form.int("searchResultPosition").ok_or(FormError::Missing("searchResultPosition"))?,
            results: form.int("maxResults").ok_or(FormError::Missing("maxResults"))?,
            between: (
                form.str("startTime").unwrap_or_default().to_owned(),
                form.str("endTime").unwrap_or_default().to_owned(),
            ),
            begin_serial: form.int("beginSerialNo"),
            end_serial: form.int("endSerialNo"),
        })
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// More matches are to be had at the next position.
    pub more: bool,
    /// How many there are in all.
    pub total: u32,
    /// Events with their time, in the device's order.
    pub events: Vec<(Access, Option<DeviceTime>)>,
    /// Rows that cannot be read: the search must still go on behind them.
    pub unreadable: u32,
}

impl Page {
    /// Reads an answer; rows beyond what was asked for are not looked at.
    ///
    /// # Errors
    /// When it is no form, or no answer.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.get("AcsEvent").ok_or(FormError::Missing("AcsEvent"))?;
        let status = form.str("responseStatusStrg").ok_or(FormError::Missing("responseStatusStrg"))?;
        let mut page = Self {
            more: status.eq_ignore_ascii_case("MORE"),
            total: form.int("totalMatches").unwrap_or(0),
            events: Vec::new(),
            unreadable: 0,
        };
        for row in form.all("InfoList") {
            let (Some(major), Some(minor)) = (row.int("major"), row.int("minor")) else {
                page.unreadable += 1;
                continue;
            };
            let mut event = Access::of(row, major, minor);
            // What is in the journal was not sent just now, and nobody waits for it.
            event.current = false;
            event.remote_check = false;
            page.events.push((event, row.str("time").and_then(DeviceTime::read)));
        }
        Ok(page)
    }

    /// Writes an answer: events with their time as text.
    pub fn write(search: &Search, total: u32, more: bool, events: &[(Access, String)]) -> String {
        let status = match (more, events.is_empty()) {
            (true, _) => "MORE",
            (false, true) => "NO MATCH",
            (false, false) => "OK",
        };
        let mut form = Form::new("AcsEvent")
            .text("searchID", &search.id)
            .text("responseStatusStrg", status)
            .number("numOfMatches", u32::try_from(events.len()).unwrap_or(u32::MAX))
            .number("totalMatches", total);
        for (event, stamp) in events {
            let row =
                Form::new("InfoList").number("major", event.major).number("minor", event.minor).text("time", stamp);
            form = form.item(event.fields(row));
        }
        form.to_json()
    }
}

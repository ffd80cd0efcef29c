//! A clinic day: who comes when, by which way, and what goes wrong. Written as TOML; `scenarios/clinic-day.toml` is
//! the documented sample. Durations in minutes and times of day are those of the simulated day and shrink with
//! `speed`; durations in milliseconds are real.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::{CategoryId, Direction, LineId, PointId, ReaderId};
use serde::Deserialize;
use thiserror::Error;

use crate::fault::Fault;
use crate::plant::{Plant, PlantError, from_text};

/// Most people in one scenario.
pub const PEOPLE_MAX: u32 = 100_000;
/// Most steps of one route.
pub const STEPS_MAX: usize = 64;

/// Kinds of holders.
const KINDS: [&str; 6] = ["patient", "patient_temporary", "staff", "visitor", "contractor", "vehicle"];

/// A whole scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Everything random is drawn from this number: the same seed gives the same people, arrivals and mishaps.
    #[serde(default = "one")]
    pub seed: u64,
    /// How many simulated seconds pass in one real second.
    #[serde(default = "real_time")]
    pub speed: f64,
    /// Time of day at which the simulation begins.
    #[serde(deserialize_with = "from_text")]
    pub start: TimeOfDay,
    /// No arrivals after this time of day; the simulation ends when the last person has left.
    #[serde(deserialize_with = "from_text")]
    pub end: TimeOfDay,
    /// At the end, begin the next day at once, for ever.
    #[serde(default)]
    pub repeat: bool,
    /// How people behave at a gate.
    #[serde(default)]
    pub manners: Manners,
    /// What people do wrong.
    #[serde(default)]
    pub mishaps: Mishaps,
    /// Kinds of people.
    #[serde(rename = "category", default)]
    pub categories: Vec<Category>,
    /// Ways through the building.
    #[serde(rename = "route", default)]
    pub routes: Vec<Route>,
    /// Faults at set times.
    #[serde(rename = "fault", default)]
    pub faults: Vec<TimedFault>,
    /// Points and lines, if this file has them too.
    #[serde(flatten)]
    pub plant: Plant,
}

/// How people behave at a gate. Real milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manners {
    /// From the release to the first step: shortest and longest.
    pub step_ms: [u64; 2],
    /// How long a person waits for an answer before leaving.
    pub patience_ms: u64,
}

impl Default for Manners {
    fn default() -> Self {
        Self { step_ms: [400, 1400], patience_ms: 4000 }
    }
}

/// What people do wrong. Shares are of visits or passages, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mishaps {
    /// Comes without the card, and goes home.
    pub forgotten_card: f64,
    /// Comes with a card that nobody registered.
    pub unknown_card: f64,
    /// Holds a pass that has expired (a share of people, in their file).
    pub expired_pass: f64,
    /// Is followed through the gate by somebody.
    pub tailgating: f64,
    /// Turns back after the gate was released.
    pub walks_away: f64,
    /// Holds the door for another half minute.
    pub holds_door: f64,
    /// Gates forced open, each hour of the simulated day, over the whole building.
    pub forced_per_hour: f64,
}

/// One kind of people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its name: the `category` column.
    pub name: String,
    /// patient, patient_temporary, staff, visitor, contractor or vehicle: the `kind` column.
    pub kind: String,
    /// How many of them there are.
    pub people: u32,
    /// wiegand26, wiegand34, wiegand37, uid_hex, uid_hex_reversed or facility_number: the `card_format` column.
    pub card_format: String,
    /// The routes they take, one drawn for each visit.
    pub routes: Vec<String>,
    /// When they come.
    #[serde(default)]
    pub arrivals: Vec<Arrivals>,
}

/// Evenly spread arrivals between two times of day.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// From this time of day.
    #[serde(deserialize_with = "from_text")]
    pub from: TimeOfDay,
    /// Until this one.
    #[serde(deserialize_with = "from_text")]
    pub to: TimeOfDay,
    /// So many an hour.
    pub per_hour: f64,
}

/// A way through the building.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// One passage, or one tap at a desk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The points that serve; one is drawn. `["last"]` is the point of the step before.
    pub at: Vec<String>,
    /// in, out, or button (leaves by the request-to-exit button).
    pub go: Go,
    /// Minutes until the next step: shortest and longest.
    #[serde(default)]
    pub stay_minutes: [f64; 2],
}

/// How a step is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Go {
    /// Card at the reader of this direction.
    In,
    /// Card at the reader of this direction.
    Out,
    /// The request-to-exit button.
    Button,
}

impl Go {
    /// The reader's direction; the button is on the way out.
    pub fn direction(self) -> Direction {
        match self {
            Self::In => Direction::In,
            Self::Out | Self::Button => Direction::Out,
        }
    }
}

/// A fault at a time of day.
#[derive(Debug, Clone, Deserialize)]
pub struct TimedFault {
    /// When it begins.
    #[serde(deserialize_with = "from_text")]
    pub at: TimeOfDay,
    /// How long it lasts, in simulated minutes; nothing: for good.
    #[serde(default)]
    pub minutes: Option<f64>,
    /// The line it strikes (faults of lines), or
    #[serde(default)]
    pub line: Option<String>,
    /// the reader it strikes (faults of readers).
    #[serde(default)]
    pub reader: Option<String>,
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A time of day, in milliseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub u32);

impl TimeOfDay {
    /// Since midnight.
    pub fn since_midnight(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

impl FromStr for TimeOfDay {
    type Err = ScenarioError;

    /// `HH:MM` or `HH:MM:SS`, up to `24:00`.
    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let bad = || ScenarioError::TimeOfDay(text.into());
        let mut parts = text.split(':').map(|part| {
            let good = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if good { part.parse::<u32>().map_err(|_| bad()) } else { Err(bad()) }
        });
        let hours = parts.next().ok_or_else(bad)??;
        let minutes = parts.next().ok_or_else(bad)??;
        let seconds = parts.next().unwrap_or(Ok(0))?;
        let all = (hours * 60 + minutes) * 60 + seconds;
        if parts.next().is_some() || minutes > 59 || seconds > 59 || all > 24 * 60 * 60 {
            return Err(bad());
        }
        Ok(Self(all * 1000))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// Why a scenario cannot run. Says what to change.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ScenarioError {
    /// Not TOML, or not of this shape.
    #[error("the scenario cannot be read: {0}")]
    Toml(String),
    /// Not a time of day.
    #[error("`{0}` is not a time of day: write HH:MM or HH:MM:SS, 00:00 to 24:00")]
    TimeOfDay(String),
    /// A number out of its range.
    #[error("{what} is {value}: it must be {wanted}")]
    Range {
        /// Which.
        what: String,
        /// As written.
        value: f64,
        /// The range.
        wanted: &'static str,
    },
    /// A name that is not defined.
    #[error("{who} names {what} `{name}`, which is not in the scenario")]
    Unknown {
        /// Where.
        who: String,
        /// route, point, reader or line.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// An unknown card format.
    #[error(
        "category `{0}` has an unknown card_format; use wiegand26, wiegand34, wiegand37, uid_hex, uid_hex_reversed or facility_number"
    )]
    CardFormat(String),
    /// A list that must not be empty, or is too long.
    #[error("{0}")]
    List(String),
    /// The points and lines are wrong.
    #[error(transparent)]
    Plant(#[from] PlantError),
}

impl Scenario {
    /// Reads a scenario; it is not checked yet, for its plant may come from elsewhere.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        toml::from_str(text).map_err(|error| ScenarioError::Toml(error.to_string()))
    }

    /// The documented sample day, `scenarios/clinic-day.toml`: fourteen points, 342 people. Its readers have no keys yet
    /// ([`Plant::draw_keys`]) and its ports are names in a folder of the caller's choice ([`Plant::place_ports`]).
    pub fn demo() -> Self {
        #[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
        Self::from_toml(include_str!("../scenarios/clinic-day.toml")).expect("the sample scenario is good")
    }

    /// Checks everything against everything, the plant included.
    pub fn check(&self) -> Result<(), ScenarioError> {
        self.plant.check()?;
        range("speed", self.speed, 0.01, 10_000.0, "0.01 to 10000")?;
        if self.end <= self.start {
            return Err(ScenarioError::List(format!("the day ends at {} but starts at {}", self.end, self.start)));
        }
        let mishaps = &self.mishaps;
        for (what, value) in [
            ("mishaps.forgotten_card", mishaps.forgotten_card),
            ("mishaps.unknown_card", mishaps.unknown_card),
            ("mishaps.expired_pass", mishaps.expired_pass),
            ("mishaps.tailgating", mishaps.tailgating),
            ("mishaps.walks_away", mishaps.walks_away),
            ("mishaps.holds_door", mishaps.holds_door),
        ] {
            range(what, value, 0.0, 1.0, "0 to 1")?;
        }
        range("mishaps.forced_per_hour", mishaps.forced_per_hour, 0.0, 1000.0, "0 to 1000")?;
        let [shortest, longest] = self.manners.step_ms;
        if shortest > longest || longest > 60_000 {
            return Err(ScenarioError::List("manners.step_ms is [shortest, longest], at most 60000".into()));
        }
        let people: u64 = self.categories.iter().map(|category| u64::from(category.people)).sum();
        if people > PEOPLE_MAX.into() {
            return Err(ScenarioError::List(format!("{people} people are too many: at most {PEOPLE_MAX}")));
        }
        for category in &self.categories {
            self.check_category(category)?;
        }
        for route in &self.routes {
            self.check_route(route)?;
        }
        for fault in &self.faults {
            self.check_fault(fault)?;
        }
        Ok(())
    }

    /// The route of that name.
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// The reader of a point in a direction; a point with one reader has only that.
    pub fn reader_at(&self, point: &PointId, direction: Direction) -> Option<&ReaderId> {
        self.plant.readers().find(|(_, at, faces)| *at == point && *faces == direction).map(|(id, ..)| id)
    }

    fn check_category(&self, category: &Category) -> Result<(), ScenarioError> {
        let who = || format!("category `{}`", category.name);
        if CategoryId::new(&category.name).is_err() {
            return Err(ScenarioError::List(format!("{} has a name that is not one: a-z, 0-9 and - are", who())));
        }
        if !KINDS.contains(&category.kind.as_str()) {
            return Err(ScenarioError::List(format!(
                "{} has kind `{}`: use {}",
                who(),
                category.kind,
                KINDS.join(", ")
            )));
        }
        if domain::card::CardFormat::parse(&category.card_format).is_none() {
            return Err(ScenarioError::CardFormat(category.name.clone()));
        }
        if category.routes.is_empty() {
            return Err(ScenarioError::List(format!("{} has no route: give it at least one", who())));
        }
        for name in &category.routes {
            if self.route(name).is_none() {
                return Err(ScenarioError::Unknown { who: who(), what: "route", name: name.clone() });
            }
        }
        for arrivals in &category.arrivals {
            range(&format!("{}: per_hour", who()), arrivals.per_hour, 0.0, 100_000.0, "0 to 100000")?;
            if arrivals.to <= arrivals.from {
                let (from, to) = (arrivals.from, arrivals.to);
                return Err(ScenarioError::List(format!("{} arrives from {from} to {to}", who())));
            }
        }
        Ok(())
    }

    fn check_route(&self, route: &Route) -> Result<(), ScenarioError> {
        let who = || format!("route `{}`", route.name);
        if route.steps.is_empty() || route.steps.len() > STEPS_MAX {
            return Err(ScenarioError::List(format!("{} needs 1 to {STEPS_MAX} steps", who())));
        }
        for (place, step) in route.steps.iter().enumerate() {
            let [shortest, longest] = step.stay_minutes;
            range(&format!("{}: stay_minutes", who()), longest, shortest.max(0.0), 1440.0, "[shortest, longest]")?;
            if step.at.is_empty() || (place == 0 && step.at.iter().any(|name| name == "last")) {
                return Err(ScenarioError::List(format!("{}: step {} has no point", who(), place + 1)));
            }
            for name in step.at.iter().filter(|name| *name != "last") {
                let unknown = |what| ScenarioError::Unknown { who: who(), what, name: name.clone() };
                let point = PointId::new(name).map_err(|_| unknown("point"))?;
                if !self.plant.points.iter().any(|known| known.id == point) {
                    return Err(unknown("point"));
                }
                if step.go != Go::Button && self.reader_at(&point, step.go.direction()).is_none() {
                    return Err(unknown("a reader of that direction at point"));
                }
            }
        }
        Ok(())
    }

    fn check_fault(&self, fault: &TimedFault) -> Result<(), ScenarioError> {
        let who = || format!("the fault at {}", fault.at);
        let of_peer = self.plant.peers.iter().any(|peer| Some(peer.id.as_str()) == fault.line.as_deref());
        if fault.fault.is_of_line() && fault.fault != Fault::Unplug && of_peer != fault.fault.is_of_peer() {
            let wanted = if of_peer { "a serial line" } else { "a peer" };
            return Err(ScenarioError::List(format!("{} is a fault of {wanted}", who())));
        }
        match (&fault.line, &fault.reader, fault.fault.is_of_line()) {
            (Some(name), None, true) if self.line_named(name).is_some() => Ok(()),
            (None, Some(name), false) if self.reader_named(name).is_some() => Ok(()),
            (Some(name), None, true) => Err(ScenarioError::Unknown { who: who(), what: "line", name: name.clone() }),
            (None, Some(name), false) => Err(ScenarioError::Unknown { who: who(), what: "reader", name: name.clone() }),
            (_, _, true) => Err(ScenarioError::List(format!("{} strikes a line: give `line`, not `reader`", who()))),
            (_, _, false) => Err(ScenarioError::List(format!("{} strikes a reader: give `reader`, not `line`", who()))),
        }
    }

    pub(crate) fn line_named(&self, name: &str) -> Option<&LineId> {
        let lines = self.plant.lines.iter().map(|line| &line.id);
        lines.chain(self.plant.peers.iter().map(|peer| &peer.id)).find(|id| id.as_str() == name)
    }

    pub(crate) fn reader_named(&self, name: &str) -> Option<&ReaderId> {
        self.plant.readers().map(|(id, ..)| id).find(|id| id.as_str() == name)
    }
}

fn range(what: &str, value: f64, least: f64, most: f64, wanted: &'static str) -> Result<(), ScenarioError> {
    if value >= least && value <= most {
        Ok(())
    } else {
        Err(ScenarioError::Range { what: what.into(), value, wanted })
    }
}

fn one() -> u64 {
    1
}

fn real_time() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Hostile;

    fn with(change: impl FnOnce(&mut Scenario)) -> Result<(), ScenarioError> {
        let mut scenario = Scenario::demo();
        change(&mut scenario);
        scenario.check()
    }

    #[test]
    fn the_sample_is_good() {
        let scenario = Scenario::demo();
        scenario.check().unwrap();
        assert_eq!(scenario.categories.iter().map(|category| category.people).sum::<u32>(), 342);
        assert_eq!((scenario.plant.points.len(), scenario.plant.peers.len()), (14, 3));
    }

    #[test]
    fn times_of_day() {
        assert_eq!("08:30".parse(), Ok(TimeOfDay(30_600_000)));
        assert_eq!("08:30:15".parse::<TimeOfDay>().unwrap().to_string(), "08:30:15");
        assert!("24:00".parse::<TimeOfDay>().is_ok());
        for bad in ["", "8:30", "24:00:01", "12:60", "12", "12:00:00:00", "+1:00", "ab:cd"] {
            assert!(bad.parse::<TimeOfDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mistake_in_the_file_is_named() {
        let text = include_str!("../scenarios/clinic-day.toml");
        for (from, to, wanted) in [
            ("walks_away = 0.01", "walk_away = 0.01", "walk_away"),
            ("repeat = true", "repeats = true", "repeats"),
            ("kind = \"barrier\"", "kind = \"barier\"", "barier"),
            ("go = \"button\"", "go = \"buton\"", "buton"),
            ("start = \"08:00\"", "start = \"8 o'clock\"", "8 o'clock"),
        ] {
            assert!(text.contains(from), "{from}");
            let error = Scenario::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let unknown_route = with(|scenario| scenario.categories[0].routes.push("roof".into()));
        assert!(unknown_route.unwrap_err().to_string().contains("`roof`"));
        let unknown_point = with(|scenario| scenario.routes[0].steps[0].at.push("roof".into()));
        assert!(unknown_point.unwrap_err().to_string().contains("`roof`"));
        let no_out_reader = with(|scenario| scenario.routes[0].steps[2].go = Go::Out);
        assert!(no_out_reader.unwrap_err().to_string().contains("room-101"));
        assert!(with(|scenario| scenario.speed = f64::NAN).is_err());
        assert!(with(|scenario| scenario.mishaps.tailgating = 1.5).is_err());
        assert!(with(|scenario| scenario.end = scenario.start).is_err());
        assert!(with(|scenario| scenario.categories[0].people = PEOPLE_MAX + 1).is_err());
        assert!(with(|scenario| scenario.plant.lines[0].readers[0].point = "roof".parse().unwrap()).is_err());
    }

    #[test]
    fn faults_are_read_and_checked() {
        let mut text = String::from(include_str!("../scenarios/clinic-day.toml"));
        text.push_str(
            "[[fault]]\nat = \"10:30\"\nminutes = 2\nline = \"floor-1\"\nkind = \"noise\"\nrate = 0.001\n\
             [[fault]]\nat = \"11:00\"\nreader = \"turnstile-2-in\"\nkind = \"hostile\"\nmode = \"wrong_mac\"\n",
        );
        let scenario = Scenario::from_toml(&text).unwrap();
        scenario.check().unwrap();
        assert_eq!(scenario.faults[0].fault, Fault::Noise { rate: 0.001 });
        assert_eq!(scenario.faults[1].fault, Fault::Hostile { mode: Hostile::WrongMac });
        text.push_str("[[fault]]\nat = \"11:00\"\nminutes = 1\nline = \"entrance-4\"\nkind = \"freeze\"\n");
        let scenario = Scenario::from_toml(&text).unwrap();
        scenario.check().unwrap();
        assert_eq!(scenario.faults[2].fault, Fault::Freeze);
        let on_a_line = text.replace("line = \"entrance-4\"", "line = \"floor-1\"");
        assert!(Scenario::from_toml(&on_a_line).unwrap().check().unwrap_err().to_string().contains("a peer"));
        let wrong = text.replace("line = \"floor-1\"", "reader = \"turnstile-2-in\"");
        assert!(Scenario::from_toml(&wrong).unwrap().check().is_err());
    }

    #[test]
    fn the_people_file_holds_everybody_once_and_is_the_same_each_time() {
        let scenario = Scenario::demo();
        let csv = crate::people_csv(&scenario);
        assert_eq!(csv.lines().count(), 343);
        assert_eq!(csv, crate::people_csv(&scenario));
        let cards: std::collections::HashSet<_> = csv.lines().skip(1).map(|line| line.split(',').nth(4)).collect();
        assert_eq!(cards.len(), 342);
        assert!(csv.contains("2020-12-31"), "some passes have run out");
    }
}

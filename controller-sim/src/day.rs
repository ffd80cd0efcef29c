//! Runs a scenario on a plant: arrivals, visits, mishaps and faults at their times.
//!
//! One task keeps the timetable and knows who is at home; each visit is a task of its own. What is drawn for a visit
//! (route, stays, mishaps) depends on the seed and the number of the visit only, not on how fast the gateway answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::PointId;
use domain::card::CardNumber;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::Walk;
use crate::passage::Outcome;
use crate::people::{Person, people, strange_card};
use crate::plant::PointKind;
use crate::record::Report;
use crate::scenario::{Go, Route, Scenario, Step};
use crate::simulator::{Handle, Options, SimError, Simulator};

/// How often a person tries again who got no answer.
const TRIES: u32 = 3;
/// How long who holds a door holds it.
const HELD_FOR: Duration = Duration::from_secs(30);
/// Between two tries, real time.
const BEFORE_NEXT_TRY: Duration = Duration::from_secs(2);

/// Runs a whole scenario until its end, or until `shutdown`.
pub async fn run(scenario: Scenario, options: &Options, shutdown: &CancellationToken) -> Result<Report, SimError> {
    scenario.check()?;
    let simulator = Simulator::start(&scenario.plant, options, shutdown).await?;
    let handle = simulator.handle();
    run_on(&handle, scenario, shutdown).await;
    let report = handle.report();
    simulator.stop().await;
    Ok(report)
}

/// Runs the people and faults of a checked scenario on a plant that runs already.
pub async fn run_on(handle: &Handle, scenario: Scenario, shutdown: &CancellationToken) {
    let scenario = Arc::new(scenario);
    let visits = TaskTracker::new();
    let (home, mut back_home) = mpsc::channel::<Person>(64);
    let mut waiting: Vec<VecDeque<Person>> = vec![VecDeque::new(); scenario.categories.len()];
    for person in people(&scenario) {
        if let Some(category) = waiting.get_mut(person.category) {
            category.push_back(person);
        }
    }
    let started = Instant::now();
    let day_length = scenario.end.since_midnight().saturating_sub(scenario.start.since_midnight());
    let mut number = 0_u64;
    for day in 0_u32.. {
        for (at, happening) in timetable(&scenario, day) {
            let due = started + (at + day_length * day).div_f64(scenario.speed);
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    Some(person) = back_home.recv() => {
                        if let Some(category) = waiting.get_mut(person.category) {
                            category.push_back(person);
                        }
                    }
                    () = tokio::time::sleep_until(due) => break,
                }
            }
            match happening {
                Happening::Arrival(category) => {
                    let Some(person) = waiting.get_mut(category).and_then(VecDeque::pop_front) else { continue };
                    number += 1;
                    let visit = Visit::new(handle.clone(), scenario.clone(), person, number, shutdown.clone());
                    let home = home.clone();
                    visits.spawn(async move {
                        let person = visit.make().await;
                        // Nobody listens any more at the end of the day.
                        let _ = home.send(person).await;
                    });
                }
                Happening::Forced(point) => warn_if_failed(handle.force(&point, Duration::ZERO).await),
                Happening::FaultOn(index) => switch_fault(handle, &scenario, index, true).await,
                Happening::FaultOff(index) => switch_fault(handle, &scenario, index, false).await,
            }
        }
        if !scenario.repeat {
            break;
        }
    }
    drop(back_home);
    visits.close();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = visits.wait() => {}
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Happening {
    Arrival(usize),
    Forced(PointId),
    FaultOn(usize),
    FaultOff(usize),
}

/// Everything of one day, in order, as times since its start.
fn timetable(scenario: &Scenario, day: u32) -> Vec<(Duration, Happening)> {
    let mut rng = fastrand::Rng::with_seed(scenario.seed.wrapping_add(u64::from(day).wrapping_mul(0x9E37_79B9)));
    let mut table = Vec::new();
    let (start, end) = (scenario.start.since_midnight(), scenario.end.since_midnight());
    let spread = |from: Duration, to: Duration, per_hour: f64, rng: &mut fastrand::Rng| {
        let (from, to) = (from.max(start), to.min(end));
        let length = to.saturating_sub(from);
        let expected = length.as_secs_f64() / 3600.0 * per_hour;
        let mut times = Vec::new();
        // The fraction is one more, sometimes.
        let mut left = expected;
        while left > 0.0 && rng.f64() < left {
            times.push(from.saturating_sub(start) + length.mul_f64(rng.f64()));
            left -= 1.0;
        }
        times
    };
    for (index, category) in scenario.categories.iter().enumerate() {
        for arrivals in &category.arrivals {
            let (from, to) = (arrivals.from.since_midnight(), arrivals.to.since_midnight());
            let times = spread(from, to, arrivals.per_hour, &mut rng);
            table.extend(times.into_iter().map(|at| (at, Happening::Arrival(index))));
        }
    }
    let gates: Vec<&PointId> = scenario
        .plant
        .points
        .iter()
        .filter(|point| matches!(point.kind, PointKind::Turnstile | PointKind::Door | PointKind::Barrier))
        .map(|point| &point.id)
        .collect();
    for at in spread(start, end, scenario.mishaps.forced_per_hour, &mut rng) {
        if let Some(point) = rng.choice(&gates) {
            table.push((at, Happening::Forced((*point).clone())));
        }
    }
    for (index, fault) in scenario.faults.iter().enumerate() {
        let Some(at) = fault.at.since_midnight().checked_sub(start) else { continue };
        table.push((at, Happening::FaultOn(index)));
        if let Some(minutes) = fault.minutes {
            table.push((at + minutes_long(minutes), Happening::FaultOff(index)));
        }
    }
    table.sort_by_key(|(at, _)| *at);
    table
}

async fn switch_fault(handle: &Handle, scenario: &Scenario, index: usize, on: bool) {
    let Some(timed) = scenario.faults.get(index) else { return };
    let line = timed.line.as_deref().and_then(|name| scenario.line_named(name));
    let reader = timed.reader.as_deref().and_then(|name| scenario.reader_named(name));
    warn_if_failed(match (line, reader, on) {
        (Some(line), _, true) => handle.inject_line(line, timed.fault).await,
        (Some(line), _, false) => handle.heal_line(line).await,
        (None, Some(reader), true) => handle.inject_reader(reader, timed.fault).await,
        (None, Some(reader), false) => handle.heal_reader(reader).await,
        (None, None, _) => Ok(()),
    });
}

/// One visit of one person.
struct Visit {
    handle: Handle,
    scenario: Arc<Scenario>,
    person: Person,
    rng: fastrand::Rng,
    shutdown: CancellationToken,
}

impl Visit {
    fn new(handle: Handle, scenario: Arc<Scenario>, person: Person, number: u64, shutdown: CancellationToken) -> Self {
        let rng = fastrand::Rng::with_seed(scenario.seed.rotate_left(17) ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self { handle, scenario, person, rng, shutdown }
    }

    /// Makes the visit; gives the person back.
    async fn make(mut self) -> Person {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.walk() => {}
        }
        self.person
    }

    async fn walk(&mut self) {
        let scenario = self.scenario.clone();
        let mishaps = scenario.mishaps;
        let routes = scenario.categories.get(self.person.category).map(|c| c.routes.as_slice()).unwrap_or_default();
        let Some(route) = self.rng.choice(routes).and_then(|name| scenario.route(name)) else { return };
        self.handle.record().visits.fetch_add(1, Ordering::Relaxed);
        if self.rng.f64() < mishaps.forgotten_card {
            self.handle.record().forgotten.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let strange = self.rng.f64() < mishaps.unknown_card;
        let card = strange.then(|| strange_card(&mut self.rng)).flatten().unwrap_or_else(|| self.person.card.clone());
        self.follow(route, &card).await;
    }

    async fn follow(&mut self, route: &Route, card: &CardNumber) {
        let mut last: Option<PointId> = None;
        for (place, step) in route.steps.iter().enumerate() {
            let Some(point) = self.choose(step, last.as_ref()) else { continue };
            let through = self.pass(&point, step.go, card).await;
            if !through && place == 0 {
                return;
            }
            last = Some(point);
            let [shortest, longest] = step.stay_minutes;
            let stay = shortest + (longest - shortest) * self.rng.f64();
            tokio::time::sleep(minutes_long(stay).div_f64(self.scenario.speed)).await;
        }
    }

    fn choose(&mut self, step: &Step, last: Option<&PointId>) -> Option<PointId> {
        let name = self.rng.choice(&step.at)?;
        if name == "last" { last.cloned() } else { PointId::new(name).ok() }
    }

    /// Whether the person got through, or was seen at a desk.
    async fn pass(&mut self, point: &PointId, go: Go, card: &CardNumber) -> bool {
        let [shortest, longest] = self.scenario.manners.step_ms;
        let after = Duration::from_millis(self.rng.u64(shortest..=longest));
        if go == Go::Button {
            warn_if_failed(self.handle.press_exit(point, after).await);
            return true;
        }
        let mut walk = self.draw_walk(after);
        let patience = Duration::from_millis(self.scenario.manners.patience_ms);
        let scenario = self.scenario.clone();
        let Some(reader) = scenario.reader_at(point, go.direction()) else { return false };
        for _ in 0..TRIES {
            match self.handle.tap(reader, card, walk, patience).await {
                Ok(Outcome::Passed | Outcome::Answered | Outcome::Printed) => return true,
                Ok(Outcome::Refused | Outcome::QueueFull) => return false,
                // Who turned back comes again and goes through.
                Ok(Outcome::NotTaken) => walk = Walk::Through { after, followers: 0, hold: Duration::ZERO },
                Ok(Outcome::Unanswered) => {}
                Err(error) => {
                    tracing::debug!(error = %error, "a simulated person gave up");
                    return false;
                }
            }
            tokio::time::sleep(BEFORE_NEXT_TRY).await;
        }
        false
    }

    fn draw_walk(&mut self, after: Duration) -> Walk {
        let mishaps = self.scenario.mishaps;
        if self.rng.f64() < mishaps.walks_away {
            return Walk::Away;
        }
        let followers = u8::from(self.rng.f64() < mishaps.tailgating);
        let hold = if self.rng.f64() < mishaps.holds_door { HELD_FOR } else { Duration::ZERO };
        Walk::Through { after, followers, hold }
    }
}

fn minutes_long(minutes: f64) -> Duration {
    Duration::try_from_secs_f64(minutes * 60.0).unwrap_or_default()
}

fn warn_if_failed(result: Result<(), SimError>) {
    if let Err(error) = result {
        tracing::warn!(error = %error, "the scenario could not do what it should");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timetable_is_the_same_for_the_same_seed_and_day() {
        let scenario = Scenario::demo();
        let first = timetable(&scenario, 0);
        assert_eq!(first, timetable(&scenario, 0));
        assert_ne!(first, timetable(&scenario, 1));
        assert!(first.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn as_many_arrive_as_the_scenario_says() {
        let scenario = Scenario::demo();
        let hours = (scenario.end.0 - scenario.start.0) / 3_600_000;
        let arrivals = timetable(&scenario, 0).iter().filter(|(_, what)| matches!(what, Happening::Arrival(_))).count();
        let expected: f64 = scenario
            .categories
            .iter()
            .flat_map(|category| &category.arrivals)
            .map(|a| f64::from(a.to.0 - a.from.0) / 3_600_000.0 * a.per_hour)
            .sum();
        assert!(hours > 0);
        assert!((arrivals as f64 - expected).abs() < 20.0, "{arrivals} {expected}");
    }
}

//! Random histories against a slow reference that was written apart: the same visits, with the same times and reasons.

use std::collections::BTreeSet;

use domain::visit::Rules;

use crate::clinic_of::{Clinic, both, doctor, short};
use crate::scene::{NOW, SECOND, manager, point};

/// A history is repeatable by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from((self.0 >> 33) % u64::from(sides)).unwrap()
    }
}

#[derive(Debug, Clone)]
struct Seen {
    patient: u8,
    staff: u8,
    desk: u8,
    binding: usize,
    from: i64,
    end: Option<(i64, &'static str)>,
}

#[derive(Debug, Clone, Copy)]
struct Binding {
    staff: u8,
    number: usize,
    is_locked: bool,
}

#[derive(Debug, Default)]
struct Reference {
    desks: [Option<Binding>; 5],
    bindings: usize,
    visits: Vec<Seen>,
}

impl Reference {
    fn open_at(&mut self, desk: u8) -> Option<&mut Seen> {
        self.visits.iter_mut().find(|visit| visit.desk == desk && visit.end.is_none())
    }

    fn end_at(&mut self, desk: u8, at: i64, why: &'static str) {
        if let Some(visit) = self.open_at(desk) {
            visit.end = Some((at, why));
        }
    }

    fn doctor(&mut self, desk: u8, staff: u8, at: i64) {
        match &mut self.desks[usize::from(desk)] {
            Some(bound) if bound.staff == staff => bound.is_locked = false,
            place => {
                self.bindings += 1;
                let was_bound = place.is_some();
                *place = Some(Binding { staff, number: self.bindings, is_locked: false });
                if was_bound {
                    self.end_at(desk, at, "session_ended");
                }
            }
        }
        for (other, place) in self.desks.iter_mut().enumerate() {
            if let Some(bound) = place.as_mut().filter(|bound| bound.staff == staff && other != usize::from(desk)) {
                bound.is_locked = true;
            }
        }
    }

    fn patient(&mut self, desk: u8, patient: u8, at: i64) {
        let Some(bound) = self.desks[usize::from(desk)].filter(|bound| !bound.is_locked) else { return };
        let mine = |visit: &&Seen| visit.patient == patient && visit.binding == bound.number;
        // Running, it is confirmed; over, it is asked: nothing starts either way.
        if self.visits.iter().any(|visit| mine(&visit)) {
            return;
        }
        self.end_at(desk, at, "next_patient");
        if let Some(other) = self.visits.iter_mut().find(|visit| visit.patient == patient && visit.end.is_none()) {
            other.end = Some((at, "elsewhere"));
        }
        self.visits.push(Seen { patient, staff: bound.staff, desk, binding: bound.number, from: at, end: None });
    }

    fn shown(&self) -> Vec<String> {
        let line = |visit: &Seen| {
            let end = match visit.end {
                Some((at, why)) => format!("until {at} {why}"),
                None => "runs".to_owned(),
            };
            format!("{} with {} at desk-{} from {} {end}", visit.patient, visit.staff, visit.desk, visit.from)
        };
        self.visits.iter().map(line).collect()
    }
}

async fn run(clinic: &Clinic, seed: u64, steps: usize) {
    let (mut dice, mut reference, mut history) = (Dice(seed), Reference::default(), Vec::new());
    for _ in 0..steps {
        clinic.scene.go_on(4 * SECOND + i64::from(dice.roll(30)) * SECOND);
        let at = clinic.scene.now().since_ms(NOW) / 1000;
        let desk = 1 + dice.roll(4);
        match dice.roll(20) {
            0..=3 => {
                let staff = 1 + dice.roll(3);
                history.push(format!("{at}: doctor {staff} at {desk}"));
                clinic.scene.page_tap(desk, staff).await;
                reference.doctor(desk, staff, at);
            }
            4..=15 => {
                let patient = 10 + dice.roll(6);
                history.push(format!("{at}: patient {patient} at {desk}"));
                clinic.scene.page_tap(desk, patient).await;
                reference.patient(desk, patient, at);
            }
            16 | 17 => {
                let Some(visit) = clinic.running(desk).await else { continue };
                history.push(format!("{at}: ended by hand at {desk}"));
                clinic.visits.end(&doctor(visit.staff.0[0]), &visit.id).await.unwrap();
                reference.end_at(desk, at, "by_hand");
            }
            _ => {
                let Some(session) = clinic.scene.at(desk).await else { continue };
                history.push(format!("{at}: work ended at {desk}"));
                clinic.scene.desk.end(&manager(), &session).await.unwrap();
                reference.end_at(desk, at, "session_ended");
                reference.desks[usize::from(desk)] = None;
            }
        }
    }
    let shown = clinic.shown().await;
    assert_eq!(shown, reference.shown(), "seed {seed}, {history:#?}");
    let all = clinic.all().await;
    for visit in &all {
        let overlaps = |other: &&clinic::visits::Visit| {
            let end = visit.ended.map_or(clinic.scene.now(), |(at, _)| at);
            other.id != visit.id
                && (other.patient == visit.patient || other.workstation == visit.workstation)
                && other.started >= visit.started
                && other.started < end
        };
        assert!(all.iter().find(overlaps).is_none(), "{} overlaps", short(visit));
    }
    let starts: BTreeSet<_> = all.iter().map(|visit| (visit.patient, visit.session.clone())).collect();
    assert_eq!(starts.len(), all.len(), "one start for a patient and a binding");
    assert!(all.len() > steps / 20, "{} visits of {steps} steps", all.len());
    // The feed tells the same story.
    let told = clinic.scene.changes().await;
    let kind = |kind| told.iter().filter(|change| change.kind == kind).count();
    assert_eq!(kind(clinic::changes::ChangeKind::VisitStarted), all.len());
    let ended = all.iter().filter(|visit| visit.ended.is_some()).count();
    assert_eq!(kind(clinic::changes::ChangeKind::VisitEnded), ended);
    for desk in 1..=4 {
        assert_eq!(clinic.running(desk).await.is_some(), reference.open_at(desk).is_some(), "{}", point(desk));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_of_taps_leave_the_visits_that_a_slow_reference_expects() {
    let folder = tempfile::tempdir().unwrap();
    for seed in [1, 77, 2026] {
        for clinic in both(folder.path(), Rules::default()).await {
            run(&clinic, seed, 120).await;
        }
    }
}

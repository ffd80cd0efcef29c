//! Our charges beside theirs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};

use super::DifferenceKind;

/// A charge of ours that was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its id.
    pub charge: String,
    /// The currency.
    pub currency: Currency,
    /// What is to be paid for it.
    pub amount: Amount,
    /// Whether it counts: it was not taken back.
    pub counts: bool,
}

/// A charge of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// Our id of it, as they keep it. Empty: they wrote it by hand.
    pub charge: String,
    /// Their id of it, for whoever looks there; no record number of a person.
    pub external: String,
    /// What it costs there; `None` where they do not say.
    pub money: Option<(Currency, Amount)>,
    /// Whether it counts there.
    pub counts: bool,
    /// How far it has come there: their code.
    pub state: String,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// How it differs.
    pub kind: DifferenceKind,
    /// Our id of the charge; empty for what they wrote by hand.
    pub charge: String,
    /// Their id of it.
    pub external: Option<String>,
    /// Our currency and amount, or theirs where we have none.
    pub currency: Option<Currency>,
    /// What it costs here, if it counts here.
    pub ours: Option<Amount>,
    /// What it costs there, if it is there.
    pub theirs: Option<Amount>,
    /// How far it has come there, or why it is not there: a code.
    pub state: String,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Charges of ours that count.
    pub ours: u64,
    /// Charges of theirs that count, of those that concern the days compared.
    pub theirs: u64,
    /// Charges of ours, whether they count or were taken back, that are there as they are here.
    pub alike: u64,
    /// What differs, in the order of our charges, then theirs.
    pub differences: Vec<Difference>,
}

/// Compares. `theirs` may hold charges of other days too; `elsewhere` are those of our charges that are not of these days.
/// `why` says, for a charge that is missing there, how far telling it has come.
pub fn compare(
    ours: &[Ours],
    theirs: Vec<Theirs>,
    elsewhere: &BTreeSet<String>,
    why: impl Fn(&str) -> String,
) -> Compared {
    let mut there: BTreeMap<String, Vec<Theirs>> = BTreeMap::new();
    for one in theirs {
        there.entry(one.charge.clone()).or_default().push(one);
    }
    let mut found = Compared::default();
    for own in ours {
        found.ours += u64::from(own.counts);
        let copies = there.remove(&own.charge).unwrap_or_default();
        let counting: Vec<&Theirs> = copies.iter().filter(|one| one.counts).collect();
        found.theirs += u64::try_from(counting.len()).unwrap_or(u64::MAX);
        let kind = match (own.counts, counting.as_slice()) {
            (false, []) => None,
            (_, [_, _, ..]) => Some(DifferenceKind::Twice),
            (false, [_]) => Some(DifferenceKind::State),
            (true, []) if copies.is_empty() => Some(DifferenceKind::MissingThere),
            (true, []) => Some(DifferenceKind::State),
            (true, [one]) => match one.money {
                Some(money) if money != (own.currency, own.amount) => Some(DifferenceKind::Amount),
                _ => None,
            },
        };
        let Some(kind) = kind else {
            found.alike += 1;
            continue;
        };
        let one = counting.first().copied().or(copies.first());
        found.differences.push(Difference {
            kind,
            charge: own.charge.clone(),
            external: one.map(|one| one.external.clone()),
            currency: Some(own.currency),
            ours: own.counts.then_some(own.amount),
            theirs: one.and_then(|one| one.money).filter(|(currency, _)| *currency == own.currency).map(|it| it.1),
            state: one.map_or_else(|| why(&own.charge), |one| one.state.clone()),
        });
    }
    for (charge, copies) in there {
        let counting = copies.into_iter().filter(|one| one.counts && !elsewhere.contains(&charge));
        for one in counting {
            found.theirs += 1;
            found.differences.push(Difference {
                kind: if charge.is_empty() { DifferenceKind::OnlyThere } else { DifferenceKind::MissingHere },
                charge: one.charge,
                external: Some(one.external),
                currency: one.money.map(|(currency, _)| currency),
                ours: None,
                theirs: one.money.map(|(_, amount)| amount),
                state: one.state,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn own(charge: &str, minor: i64, counts: bool) -> Ours {
        let amount = Amount::new(minor).unwrap();
        Ours { charge: charge.to_owned(), currency: Currency::default(), amount, counts }
    }

    fn there(charge: &str, minor: i64, counts: bool) -> Theirs {
        let money = Some((Currency::default(), Amount::new(minor).unwrap()));
        let (external, state) = (format!("x-{charge}"), if counts { "billable" } else { "gone" }.to_owned());
        Theirs { charge: charge.to_owned(), external, money, counts, state }
    }

    fn kinds(found: &Compared) -> Vec<(DifferenceKind, &str)> {
        found.differences.iter().map(|one| (one.kind, one.charge.as_str())).collect()
    }

    #[test]
    fn each_way_of_differing_is_found_and_nothing_else_is() {
        let ours = [
            own("alike", 100, true),
            own("back", 100, false),
            own("back-there-too", 100, false),
            own("dearer", 100, true),
            own("gone", 100, true),
            own("lost", 100, true),
            own("still", 100, false),
            own("twice", 100, true),
        ];
        let theirs = vec![
            there("alike", 100, true),
            there("back-there-too", 100, false),
            there("dearer", 101, true),
            there("gone", 100, false),
            there("still", 100, true),
            there("twice", 100, true),
            there("twice", 100, true),
            there("strange", 100, true),
            there("strange-and-gone", 100, false),
            there("", 70, true),
            there("", 80, false),
            there("of-yesterday", 100, true),
        ];
        let found = compare(&ours, theirs, &["of-yesterday".to_owned()].into(), |_| "waiting".to_owned());
        use DifferenceKind as D;
        assert_eq!(
            kinds(&found),
            [
                (D::Amount, "dearer"),
                (D::State, "gone"),
                (D::MissingThere, "lost"),
                (D::State, "still"),
                (D::Twice, "twice"),
                (D::OnlyThere, ""),
                (D::MissingHere, "strange"),
            ]
        );
        assert_eq!((found.ours, found.theirs, found.alike), (5, 7, 3));
        let lost = &found.differences[2];
        assert_eq!((lost.state.as_str(), lost.external.as_deref()), ("waiting", None));
        let dearer = &found.differences[0];
        assert_eq!((dearer.ours.unwrap().minor(), dearer.theirs.unwrap().minor()), (100, 101));
    }

    #[test]
    fn another_currency_is_another_amount_and_who_says_no_amount_is_believed() {
        let mut other = there("a", 100, true);
        other.money = Some((Currency::parse("UAH").unwrap(), Amount::new(100).unwrap()));
        let found = compare(&[own("a", 100, true)], vec![other.clone()], &BTreeSet::new(), |_| String::new());
        assert_eq!(kinds(&found), [(DifferenceKind::Amount, "a")]);
        assert_eq!(found.differences[0].theirs, None, "nothing is converted");
        other.money = None;
        let found = compare(&[own("a", 100, true)], vec![other], &BTreeSet::new(), |_| String::new());
        assert_eq!((found.alike, found.differences.len()), (1, 0));
    }
}

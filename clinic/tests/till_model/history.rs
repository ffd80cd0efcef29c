//! Random histories: what is asked of the till, one act after the other. An act is plain numbers that mean something in any
//! state (a charge is chosen by its number modulo how many there are), so that acts can be left out of a history that failed.

use fastrand::Rng;

use crate::reference::{For, Pays, Rounds, Scheme};

pub(crate) const PATIENTS: usize = 4;
pub(crate) const SERVICES: usize = 5;
pub(crate) const PAYERS: usize = 2;
pub(crate) const SCHEMES: usize = 2;

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// What is shown: 0 nothing, 1 the right sum, 2 a wrong one.
    Register {
        who: usize,
        service: usize,
        quantity: i64,
        shown: u8,
    },
    Render {
        charge: usize,
    },
    Cancel {
        charge: usize,
    },
    /// Of charges, a share of what is open in hundredths, with something for the deposit.
    Pay {
        who: usize,
        charges: Vec<usize>,
        share: i64,
        rest: i64,
        how: How,
    },
    /// Of the charges that a payer stands for.
    PayFor {
        payer: usize,
        charges: Vec<usize>,
        share: i64,
        how: How,
    },
    /// As a payment, at a card terminal: it waits until the terminal has answered.
    Swipe {
        who: usize,
        charges: Vec<usize>,
        share: i64,
        rest: i64,
    },
    /// Back to the card of a payment at a terminal, a share of the deposit in hundredths.
    SendBack {
        payment: usize,
        share: i64,
    },
    /// A terminal answers at last: what became of one of those that wait.
    Settle {
        number: usize,
        is_done: bool,
    },
    /// A payment did not hold.
    TakeBack {
        payment: usize,
    },
    /// Of the deposit, a share in hundredths.
    GiveBack {
        who: usize,
        share: i64,
        is_cash: bool,
    },
    WriteOff {
        charge: usize,
        share: i64,
        is_allowed: bool,
    },
    Price {
        service: usize,
        minor: Option<i64>,
        is_tomorrow: bool,
    },
    Terms {
        whom: For,
        pays: Pays,
        limit: Option<i64>,
        pot: Option<usize>,
        scheme: Option<usize>,
        priority: u32,
        days: Option<i64>,
    },
    ChangeTerms {
        terms: usize,
        limit: i64,
    },
    Withdraw {
        terms: usize,
    },
    Pot {
        payer: usize,
        limit: i64,
    },
    Member {
        payer: usize,
        who: usize,
        days: Option<i64>,
    },
    Scheme {
        number: usize,
        scheme: Scheme,
    },
    More {
        whom: Result<usize, usize>,
        minor: i64,
        minutes: i64,
    },
    EndMore {
        number: usize,
    },
    Merge {
        gone: usize,
        into: usize,
    },
    Open {
        float: i64,
    },
    Close {
        difference: i64,
    },
    CloseDays {
        is_today_too: bool,
    },
    /// Time goes on, or a clock is set back.
    Time {
        ms: i64,
    },
    /// An act with a key again: as it was, or another one.
    Again {
        act: usize,
        is_other: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Transfer,
    Cash,
    Deposit,
    Card,
}

const MINUTE: i64 = 60_000;

fn money(draw: &mut Rng, most: i64) -> i64 {
    match draw.u8(..6) {
        0 => draw.i64(1..=9),
        1 => draw.i64(1..=most / 100) * 100,
        _ => draw.i64(1..=most),
    }
}

fn share(draw: &mut Rng) -> i64 {
    [100, 100, 100, 50, 33, 1, 101][draw.usize(..7)]
}

fn some_days(draw: &mut Rng) -> Option<i64> {
    draw.bool().then(|| draw.i64(0..4))
}

fn terms(draw: &mut Rng) -> Act {
    let whom = match draw.u8(..5) {
        0 => For::All,
        1 => For::Group(0),
        2 => For::Contract(1),
        _ => For::One(draw.usize(..PATIENTS)),
    };
    let pays = [Pays::After, Pays::After, Pays::FromDeposit, Pays::Before][draw.usize(..4)];
    let (mut limit, mut pot) = (None, None);
    if pays == Pays::After {
        if draw.u8(..3) == 0 {
            pot = Some(draw.usize(..PAYERS));
        }
        if pot.is_none() || draw.bool() {
            limit = Some(money(draw, 60_000));
        }
    }
    let scheme = draw.bool().then(|| draw.usize(..SCHEMES));
    Act::Terms { whom, pays, limit, pot, scheme, priority: draw.u32(..3), days: some_days(draw) }
}

fn scheme(draw: &mut Rng) -> Act {
    let mut from = draw.i64(0..=5_000);
    let mut steps = Vec::new();
    for _ in 0..draw.usize(1..=4) {
        let most = if draw.u8(..8) == 0 { 10_000 } else { 2_500 };
        steps.push((from, draw.i64(0..=most)));
        from += draw.i64(1..=20_000);
    }
    let rounds = [Rounds::HalfUp, Rounds::HalfEven, Rounds::Down][draw.usize(..3)];
    let unit = [1, 1, 1, 5, 100][draw.usize(..5)];
    Act::Scheme { number: draw.usize(..SCHEMES), scheme: Scheme { steps, rounds, unit } }
}

fn act(draw: &mut Rng) -> Act {
    let who = draw.usize(..PATIENTS);
    // Far more numbers than charges there will be: it is taken modulo; the newest are asked for more often.
    let charge = draw.usize(..10_000);
    match draw.u8(..120) {
        0..=34 => {
            let quantity = [1, 1, 1, 2, 3, 10, 0, 10_001][draw.usize(..8)];
            let shown = [0, 0, 0, 1, 1, 1, 2][draw.usize(..7)];
            Act::Register { who, service: draw.usize(..SERVICES), quantity, shown }
        }
        35..=40 => Act::Render { charge },
        41..=46 => Act::Cancel { charge },
        47..=62 => {
            let count = draw.usize(..4);
            let charges = (0..count).map(|_| draw.usize(..10_000)).collect();
            let rest = if draw.u8(..3) == 0 { money(draw, 50_000) } else { 0 };
            let how = [How::Transfer, How::Transfer, How::Cash, How::Deposit][draw.usize(..4)];
            Act::Pay { who, charges, share: share(draw), rest, how }
        }
        63..=65 => Act::GiveBack { who, share: share(draw), is_cash: draw.bool() },
        66..=69 => Act::WriteOff { charge, share: share(draw), is_allowed: draw.u8(..4) > 0 },
        70..=72 => Act::Price {
            service: draw.usize(..SERVICES),
            minor: (draw.u8(..6) > 0).then(|| money(draw, 30_000)),
            is_tomorrow: draw.u8(..3) == 0,
        },
        73..=75 => terms(draw),
        76 => Act::ChangeTerms { terms: charge, limit: money(draw, 90_000) },
        77 => Act::Withdraw { terms: charge },
        78..=79 => Act::Pot { payer: draw.usize(..PAYERS), limit: money(draw, 120_000) },
        80..=81 => Act::Member { payer: draw.usize(..PAYERS), who, days: some_days(draw) },
        82..=83 => scheme(draw),
        84..=86 => Act::More {
            whom: if draw.bool() { Ok(who) } else { Err(draw.usize(..PAYERS)) },
            minor: money(draw, 40_000),
            minutes: draw.i64(1..=600),
        },
        87 => Act::EndMore { number: charge },
        88 => Act::Merge { gone: draw.usize(..PATIENTS), into: draw.usize(..PATIENTS) },
        89 => Act::Open { float: draw.i64(0..20_000) },
        90 => Act::Close { difference: [0, 0, 0, -5, 7][draw.usize(..5)] },
        91 => Act::CloseDays { is_today_too: draw.u8(..4) == 0 },
        92..=95 => {
            let ms = match draw.u8(..8) {
                0 => 14 * 60 * MINUTE,
                1 => -10 * 60 * MINUTE,
                _ => draw.i64(1..=90) * MINUTE,
            };
            Act::Time { ms }
        }
        96..=99 => Act::Again { act: draw.usize(..10_000), is_other: draw.u8(..3) == 0 },
        100..=102 => Act::PayFor {
            payer: draw.usize(..PAYERS),
            charges: (0..draw.usize(1..4)).map(|_| draw.usize(..10_000)).collect(),
            share: share(draw),
            how: if draw.u8(..3) == 0 { How::Cash } else { How::Transfer },
        },
        103..=106 => Act::TakeBack { payment: charge },
        107..=110 => Act::Swipe {
            who,
            charges: (0..draw.usize(..3)).map(|_| draw.usize(..10_000)).collect(),
            share: share(draw),
            rest: if draw.bool() { money(draw, 30_000) } else { 0 },
        },
        111..=113 => Act::SendBack { payment: charge, share: share(draw) },
        _ => Act::Settle { number: charge, is_done: draw.u8(..3) > 0 },
    }
}

/// A history of so many acts; the same for the same seed. It begins with something that makes the rest worth while.
pub(crate) fn draw(seed: u64, count: usize) -> Vec<Act> {
    let mut draw = Rng::with_seed(seed);
    let mut acts = vec![
        scheme(&mut draw),
        Act::Pot { payer: 0, limit: 100_000 },
        Act::Pot { payer: 1, limit: 150_000 },
        Act::Member { payer: 0, who: 0, days: None },
        Act::Member { payer: 0, who: 1, days: None },
        Act::Member { payer: 1, who: 2, days: None },
        Act::Terms {
            whom: For::All,
            pays: Pays::After,
            limit: Some(80_000),
            pot: None,
            scheme: None,
            priority: 0,
            days: None,
        },
        Act::Terms {
            whom: For::Group(0),
            pays: Pays::After,
            limit: None,
            pot: Some(0),
            scheme: None,
            priority: 0,
            days: None,
        },
        Act::Open { float: 10_000 },
    ];
    while acts.len() < count {
        acts.push(act(&mut draw));
    }
    acts
}

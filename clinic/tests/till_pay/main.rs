//! Money at the till, told as stories on both engines: payments, money back, drawers, days, requests, card terminals and
//! notices of payment services. After each story the till is compared with itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests and what they share"
)]

#[path = "../till_model/stage.rs"]
#[allow(dead_code, reason = "shared with the other tests of the till")]
mod stage;

mod back;
mod drawers;
mod notices;
mod payments;
mod planted;
mod refunds;
mod terminals;
mod told;

use clinic::acting::{Acting, Actor};
use clinic::till::payments::NewPayment;
use clinic::till::shifts::{Closing, NewShift, Shift};
use clinic::till::{Charge, Till};
use domain::money::Amount;
use domain::till::{Account, Method, Mode};
use stage::{Stage, amount, patient, uah};

/// A clinic where one piece costs 1000, and everybody is postpaid up to 10000.
async fn clinic(database: clinic::Database) -> Stage {
    let stage = Stage::new(database, 5).await;
    stage.till.put_terms(&stage.chief, stage.terms(Mode::Postpaid, Some(10_000))).await.unwrap();
    stage.service("visit", 1_000, false).await;
    stage.service("home", 700, true).await;
    stage
}

/// So many pieces for a patient.
async fn charge(stage: &Stage, who: usize, service: &str, quantity: u32) -> Charge {
    let new = stage.charge(stage.key(), who, service, quantity);
    stage.till.register(&stage.doctor, new).await.unwrap()
}

async fn again(stage: &Stage, charge: &Charge) -> Charge {
    stage.till.charge(&stage.chief, &charge.id).await.unwrap()
}

/// What a patient's account holds.
async fn account(stage: &Stage, who: usize) -> Account {
    let person = patient(who).to_string();
    let row: Option<(i64, i64, i64, i64)> = store::read!(stage.database, "test.account", |conn| {
        Ok(sqlx::query_as(
            "SELECT owed_minor, deposit_minor, held_minor, rendered_minor FROM till_balance WHERE person = $1",
        )
        .bind(&person)
        .fetch_optional(&mut *conn)
        .await?)
    })
    .unwrap();
    let (owed, deposit, held, rendered) = row.unwrap_or_default();
    Account { owed: amount(owed), deposit: amount(deposit), held: amount(held), rendered: amount(rendered) }
}

fn part(charge: &Charge, minor: i64) -> (String, Amount) {
    (charge.id.clone(), amount(minor))
}

fn by(method: Method, new: NewPayment) -> NewPayment {
    NewPayment { method, ..new }
}

/// Another account with the rights of somebody.
async fn somebody(stage: &Stage, letter: &str, like: &Acting) -> Acting {
    let id = letter.repeat(32);
    let row = id.clone();
    store::transact!(stage.database, "test.account", |conn| {
        sqlx::query(
            "INSERT INTO account (id, login, shown_name, locale, theme, created_at) VALUES ($1, $2, $2, 'en', 'auto', 0)",
        )
        .bind(&row)
        .bind(&row)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    Acting { actor: Actor::Account(id), ..like.clone() }
}

async fn open_drawer(till: &Till, acting: &Acting, key: &str, drawer: &str, float: i64) -> Shift {
    let new = NewShift { key: key.to_owned(), drawer: drawer.to_owned(), currency: Some(uah()), float: amount(float) };
    till.open_shift(acting, new).await.unwrap()
}

fn closing(key: &str, shift: &Shift, counted: i64, card: i64) -> Closing {
    Closing {
        key: key.to_owned(),
        shift: shift.id.clone(),
        counted: amount(counted),
        card: amount(card),
        reason: None,
        words: String::new(),
    }
}

/// The same story on SQLite and on PostgreSQL; at the end the till must be sound.
macro_rules! story {
    ($name:ident, |$stage:ident| $body:block) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let folder = tempfile::tempdir().unwrap();
            for database in store::testing::both(folder.path()).await {
                let $stage = crate::clinic(database).await;
                $body
                $stage.is_sound().await;
                $stage.close_database().await;
            }
        }
    };
}
use story;

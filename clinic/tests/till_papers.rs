//! Accounts, statements and figures of the till, told on both engines from rows whose sums can be done by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use clinic::accounts::{Accounts, Login, Password, SessionRules, Visitor};
use clinic::acting::{Acting, Actor};
use clinic::audit::Purpose;
use clinic::till::figures::{Days, RevenueBy};
use clinic::till::statement::{LINES_MAX, Statement, StatementFilter, StatementOf};
use clinic::till::{Rules, Till, TillError};
use clinic::{audit, people};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Owner};
use domain::vault::BoxKey;
use domain::{Clock, Permission, PersonId, Rights, Shipped, UtcMillis, Zones};
use store::{Database, sqlx};

/// 2026-11-20 10:00 in Kyiv.
const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
const DAY_MS: i64 = 86_400_000;
const TODAY: i32 = 20_777;

fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

fn money(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

struct Scene {
    database: Database,
    till: Till,
    anna: PersonId,
    boris: PersonId,
    /// Boris' record before it became part of his other one.
    earlier: PersonId,
    cashier: String,
}

fn accountant() -> Acting {
    Acting { rights: Rights::of(Shipped::Accountant), actor: Actor::Account("e".repeat(32)), ..Acting::system() }
}

/// One row of the ledger: entry, kind, days ago, debit, credit, amount, and whose.
struct Posted<'a>(i64, &'a str, i64, &'a str, &'a str, i64, Of<'a>);

/// Patient, charge, payment, shift.
type Of<'a> = (Option<PersonId>, Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl Scene {
    async fn run(&self, statements: &[&str]) {
        for statement in statements {
            let text = (*statement).to_owned();
            store::transact!(self.database, "test.run", |conn| {
                sqlx::query(sqlx::AssertSqlSafe(text.clone())).execute(&mut *conn).await?;
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    async fn post(&self, rows: &[Posted<'_>]) {
        let mut no = 0;
        for Posted(entry, kind, ago, debit, credit, minor, (patient, charge, payment, shift)) in rows {
            no += 1;
            let text = |value: Option<String>| value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
            let (at, day) = (NOW.0 - ago * DAY_MS, i64::from(TODAY) - ago);
            let (patient, charge) = (text(patient.map(|it| it.to_string())), text(charge.map(str::to_owned)));
            let (payment, shift) = (text(payment.map(str::to_owned)), text(shift.map(str::to_owned)));
            self.run(&[&format!(
                "INSERT INTO ledger (no, entry, kind, at_ms, day, debit, credit, currency, minor, patient, charge, payment, \
                 shift, audit) VALUES ({no}, {entry}, '{kind}', {at}, {day}, '{debit}', '{credit}', 'UAH', {minor}, \
                 {patient}, {charge}, {payment}, {shift}, 1)"
            )])
            .await;
        }
        self.run(&[&format!("UPDATE counter SET value = {no} WHERE name = 'ledger'")]).await;
    }

    /// A charge: id, number, of whom, service, days ago, net, discount, paid, mode, state.
    #[allow(clippy::too_many_arguments, reason = "a row")]
    async fn charge(
        &self,
        id: &str,
        no: i64,
        who: PersonId,
        service: &str,
        ago: i64,
        net: i64,
        discount: i64,
        paid: i64,
        state: &str,
    ) {
        let (at, day, gross) = (NOW.0 - ago * DAY_MS, i64::from(TODAY) - ago, net + discount);
        let rate = if discount > 0 { 500 } else { 0 };
        let scheme = if discount > 0 { "'loyal', 1" } else { "NULL, NULL" };
        let (rendered, cancelled) = match state {
            "rendered" => (at.to_string(), "NULL".to_owned()),
            "cancelled" => (at.to_string(), at.to_string()),
            _ => ("NULL".to_owned(), "NULL".to_owned()),
        };
        self.run(&[&format!(
            "INSERT INTO charge (id, no, key, asked, patient, zone, service, price_version, quantity, currency, gross_minor, \
             discount_minor, net_minor, rate, scheme, scheme_version, before_minor, terms, terms_version, mode, pot, state, \
             paid_minor, written_off_minor, actor_kind, registered_ms, day, rendered_ms, cancelled_ms, entry) VALUES ('{id}', \
             {no}, 'key-{id}', 'x', '{who}', 'room-1', '{service}', 1, 1, 'UAH', {gross}, {discount}, {net}, {rate}, {scheme}, \
             0, 'works', 1, 'postpaid', 'steel', '{state}', {paid}, 0, 'system', {at}, {day}, {rendered}, {cancelled}, 1)"
        )])
        .await;
    }

    fn filter(&self, of: StatementOf, from_ago: i32, until_ago: i32) -> StatementFilter {
        StatementFilter { of, from: LocalDate(TODAY - from_ago), until: LocalDate(TODAY - until_ago), currency: None }
    }

    async fn statement(&self, of: StatementOf, from_ago: i32, until_ago: i32) -> Statement {
        self.till.statement(&accountant(), &self.filter(of, from_ago, until_ago)).await.unwrap()
    }

    /// How many looks at accounts of somebody are in the audit log.
    async fn looks(&self, person: Option<PersonId>) -> i64 {
        let person = person.map(|it| it.to_string());
        store::read!(self.database, "test.looks", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT COUNT(*) FROM audit_entry WHERE action = 'account_seen' AND COALESCE(subject, '') = COALESCE($1, '')",
            )
            .bind(&person)
            .fetch_one(&mut *conn)
            .await?)
        })
        .unwrap()
    }
}

/// Anna owes 950 of 1,000 (with a discount of 50) since 40 days, and paid 200 of 300 yesterday. Boris, two records of whom
/// became one, has paid in 500 and received for 120 of them; what was ordered for 80 is paid.
async fn scene(database: Database) -> Scene {
    let clock = Clock::new(|| NOW);
    let key = BoxKey::new([8; 32]);
    let accounts = Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", key);
    let visitor = Visitor::new("10.0.0.1".parse().unwrap(), "Firefox/150");
    let link = accounts.create_first_run_link().await.unwrap().unwrap();
    let password = Password::new("a quiet morning in Kyiv");
    let login = Login::new("olena").unwrap();
    let token = accounts.redeem_first_run(&link, &login, "Olena", "en", password, &visitor).await.unwrap();
    let cashier = accounts.resume(&token, true).await.unwrap().unwrap().account.id.as_str().to_owned();
    let console = Acting::console();
    let mut persons = Vec::new();
    for _ in 0..3 {
        persons.push(people::register(&database, &console, None, NOW).await.unwrap());
    }
    let till = Till::new(database.clone(), clock, chrono_tz::Europe::Kyiv, Rules::of(uah()));
    let (anna, boris, earlier) = (persons[0], persons[1], persons[2]);
    let scene = Scene { database, till, anna, boris, earlier, cashier };
    let (now, today) = (NOW.0, TODAY);
    let cashier = scene.cashier.clone();
    scene
        .run(&[
            "INSERT INTO service (code, names, category, at_home, changed_ms) VALUES ('exam', '{\"en\": \"Examination\", \"ru\": \"Осмотр\"}', 'x', 0, 1), ('blood', '{\"ru\": \"Анализ\"}', 'x', 0, 1)",
            "INSERT INTO payer (id, kind, name, changed_ms) VALUES ('steel', 'contract', 'Steel works', 1)",
            "INSERT INTO pot (payer, currency, limit_minor, used_minor, changed_ms) VALUES ('steel', 'UAH', 120000, 105000, 1)",
            &format!("INSERT INTO payer_member (payer, person, from_day) VALUES ('steel', '{anna}', {})", today - 100),
            &format!("INSERT INTO terms (id, version, is_current, withdrawn, scope, owner, mode, currency, limit_minor, pot, priority, from_day, made_ms, actor_kind, entry) VALUES ('works', 1, 1, 0, 'contract', 'steel', 'postpaid', 'UAH', 110000, 'steel', 0, {}, 1, 'system', 1)", today - 100),
            "INSERT INTO discount_scheme (id, version, name, currency, steps, rounding, unit_minor, made_ms, actor_kind, entry) VALUES ('loyal', 1, 'Loyal patients', 'UAH', '[[0, 0], [50000, 500]]', 'down', 1, 1, 'system', 1)",
            &format!("INSERT INTO limit_override (id, no, target, owner, currency, extra_minor, reason, from_ms, until_ms, actor_kind, entry) VALUES ('o1', 1, 'patient', '{anna}', 'UAH', 2000, 'treatment', {}, {}, 'system', 1), ('o2', 2, 'pot', 'steel', 'UAH', 30000, 'surety', {}, {}, 'system', 1)", now - 1000, now + 1000, now - 9000, now - 8000),
            &format!("INSERT INTO person_merge (person, into_person, at_ms) VALUES ('{earlier}', '{boris}', 1)"),
            &format!("UPDATE person SET language = 'ru' WHERE id = '{boris}'"),
            &format!("INSERT INTO till_balance (person, currency, owed_minor, deposit_minor, held_minor, rendered_minor) VALUES ('{anna}', 'UAH', 105000, 0, 0, 125000), ('{boris}', 'UAH', 0, 30000, 8000, 12000)"),
            &format!("INSERT INTO till_shift (id, no, key, asked, drawer, account, currency, opened_ms, float_minor, entry) VALUES ('s1', 1, 'key-s1-123', 'x', 'main', '{cashier}', 'UAH', {}, 10000, 1)", now - DAY_MS),
        ])
        .await;
    scene.charge("c1", 1, anna, "exam", 40, 95_000, 5_000, 0, "rendered").await;
    scene.charge("c2", 2, anna, "blood", 1, 30_000, 0, 20_000, "rendered").await;
    scene.charge("c3", 3, earlier, "exam", 3, 12_000, 0, 12_000, "rendered").await;
    scene.charge("c4", 4, boris, "blood", 0, 8_000, 0, 8_000, "ordered").await;
    scene.charge("c5", 5, boris, "blood", 0, 7_000, 0, 0, "cancelled").await;
    let at = |ago: i64| now - ago * DAY_MS;
    scene
        .run(&[&format!(
            "INSERT INTO payment (id, no, key, asked, kind, method, state, patient, currency, minor, shift, actor_kind, \
             begun_ms, done_ms, day) VALUES \
             ('p1', 1, 'k1-12345', 'x', 'paid', 'cash', 'done', '{anna}', 'UAH', 20000, 's1', 'account', {y}, {y}, {yd}), \
             ('p2', 2, 'k2-12345', 'x', 'paid', 'card', 'done', '{earlier}', 'UAH', 50000, 's1', 'account', {o}, {o}, {od}), \
             ('p3', 3, 'k3-12345', 'x', 'paid', 'deposit', 'done', '{boris}', 'UAH', 8000, 's1', 'account', {n}, {n}, {nd})",
            y = at(1), yd = today - 1, o = at(3), od = today - 3, n = at(0), nd = today,
        )])
        .await;
    scene
        .run(&["INSERT INTO payment_part (payment, charge, minor) VALUES ('p1', 'c2', 20000), ('p3', 'c4', 8000)"])
        .await;
    let (a, b, e) = (Some(anna), Some(boris), Some(earlier));
    scene
        .post(&[
            Posted(1, "rendered", 40, "owed", "revenue", 95_000, (a, Some("c1"), None, None)),
            Posted(1, "rendered", 40, "discount", "revenue", 5_000, (a, Some("c1"), None, None)),
            Posted(2, "paid_in", 3, "card", "deposit", 50_000, (e, None, Some("p2"), None)),
            Posted(3, "rendered", 3, "deposit", "revenue", 12_000, (e, Some("c3"), None, None)),
            Posted(4, "merged", 2, "deposit", "merged", 38_000, (e, None, None, None)),
            Posted(5, "merged", 2, "merged", "deposit", 38_000, (b, None, None, None)),
            Posted(6, "float", 1, "drawer", "safe", 10_000, (None, None, None, Some("s1"))),
            Posted(7, "rendered", 1, "owed", "revenue", 30_000, (a, Some("c2"), None, None)),
            Posted(8, "paid", 1, "drawer", "owed", 20_000, (a, Some("c2"), Some("p1"), Some("s1"))),
            Posted(9, "paid", 0, "deposit", "held", 8_000, (b, Some("c4"), Some("p3"), None)),
        ])
        .await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_says_what_is_open_on_which_terms_and_that_somebody_looked() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = scene(database).await;
        let account = scene.till.account(&accountant(), scene.anna, Purpose::Payment).await.unwrap();
        let open: Vec<_> = account.open.iter().map(|it| (it.no, it.open().minor(), it.name("ru"))).collect();
        assert_eq!(open, [(1, 95_000, "Осмотр"), (2, 10_000, "Анализ")]);
        assert_eq!(account.to_pay(uah()), (money(105_000), Amount::ZERO));
        assert_eq!(account.balance(uah()).account.owed, money(105_000));
        assert_eq!(account.payments.iter().map(|it| it.no).collect::<Vec<_>>(), [Some(1)]);
        let terms = &account.terms[0];
        let own = terms.limit.unwrap();
        assert_eq!((own.limit.minor(), own.extra.minor(), own.left.minor()), (112_000, 2_000, 7_000));
        let pot = terms.pot.as_ref().unwrap();
        let left = (pot.left.limit.minor(), pot.left.extra.minor(), pot.left.left.minor());
        assert_eq!((pot.name.as_str(), left), ("Steel works", (120_000, 0, 15_000)), "the override of the pot is over");
        assert_eq!(scene.looks(Some(scene.anna)).await, 1);
        // By the record that became part of another, the other is found, with what was on both.
        let account = scene.till.account(&accountant(), scene.earlier, Purpose::Payment).await.unwrap();
        assert_eq!((account.patient, account.language.as_deref()), (scene.boris, Some("ru")));
        assert_eq!(account.open.iter().map(|it| (it.no, it.state)).collect::<Vec<_>>(), [(4, ChargeState::Ordered)]);
        assert_eq!(account.lately.iter().map(|it| it.no).collect::<Vec<_>>(), [5, 3]);
        assert_eq!((account.balance(uah()).account.deposit, account.to_pay(uah()).1), (money(30_000), Amount::ZERO));
        assert_eq!((scene.looks(Some(scene.boris)).await, scene.looks(Some(scene.earlier)).await), (1, 0));
        let nobody: PersonId = "f".repeat(32).parse().unwrap();
        assert!(matches!(scene.till.account(&accountant(), nobody, Purpose::Payment).await, Err(TillError::NotFound)));
        let receipt = scene.till.receipt(&accountant(), "p1").await.unwrap();
        assert_eq!((receipt.parts[0].0.no, receipt.parts[0].1, receipt.rest), (2, money(20_000), Amount::ZERO));
        assert_eq!(scene.till.receipt(&accountant(), "p2").await.unwrap().rest, money(50_000));
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_begins_where_the_one_before_it_ended_and_agrees_with_the_balance() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = scene(database).await;
        let (anna, boris) = (StatementOf::Patient(scene.anna), StatementOf::Patient(scene.boris));
        let early = scene.statement(anna.clone(), 60, 2).await;
        let late = scene.statement(anna.clone(), 1, 0).await;
        assert_eq!((early.opening, early.closing), (Amount::ZERO, money(95_000)));
        assert_eq!(early.lines[0].discount, money(5_000));
        assert_eq!((late.opening, late.plus, late.minus), (money(95_000), money(30_000), money(20_000)));
        assert_eq!(late.closing, money(105_000), "what the balance says");
        let lines: Vec<_> = late.lines.iter().map(|it| (it.entry, it.kind.as_str(), it.balance.minor())).collect();
        assert_eq!(lines, [(7, "rendered", 125_000), (8, "paid", 105_000)]);
        let paid = &late.lines[1];
        assert_eq!(paid.payment.as_ref().unwrap().no, Some(1));
        assert_eq!(late.service(&paid.charge.as_ref().unwrap().service, "en"), "Анализ");
        // Both records of one patient; that they became one moves nothing.
        let both = scene.statement(boris, 60, 0).await;
        let lines: Vec<_> = both
            .lines
            .iter()
            .map(|it| (it.entry, it.plus.minor(), it.minus.minor(), it.beside.minor(), it.balance.minor()))
            .collect();
        assert_eq!(lines, [(2, 0, 50_000, 0, -50_000), (3, 12_000, 0, 0, -38_000), (9, 0, 0, 8_000, -38_000)]);
        let earlier = scene.statement(StatementOf::Patient(scene.earlier), 60, 0).await;
        assert_eq!(earlier.of, StatementOf::Patient(scene.boris));
        assert_eq!(earlier.lines, both.lines);
        let everybody = scene.statement(StatementOf::Everybody, 60, 0).await;
        assert_eq!(everybody.closing, money(105_000 - 38_000));
        let payer = scene.statement(StatementOf::Payer("steel".to_owned()), 60, 0).await;
        assert_eq!(payer.lines.iter().map(|it| it.entry).collect::<Vec<_>>(), [1, 3, 7, 8, 9]);
        for of in [StatementOf::Cashier(scene.cashier.clone()), StatementOf::Shift("s1".to_owned())] {
            let cash = scene.statement(of, 60, 0).await;
            let lines: Vec<_> = cash
                .lines
                .iter()
                .map(|it| (it.entry, it.plus.minor(), it.beside.minor(), it.balance.minor()))
                .collect();
            assert_eq!(lines, [(2, 0, 50_000, 0), (6, 10_000, 0, 10_000), (8, 20_000, 0, 30_000)]);
        }
        assert_eq!(scene.looks(Some(scene.anna)).await, 2);
        assert!(scene.looks(None).await >= 3);
        for (filter, is_missing) in [
            (scene.filter(StatementOf::Payer("nobody".to_owned()), 1, 0), true),
            (scene.filter(StatementOf::Shift("nothing".to_owned()), 1, 0), true),
            (scene.filter(StatementOf::Everybody, 0, 1), false),
        ] {
            match scene.till.statement(&accountant(), &filter).await {
                Err(TillError::NotFound) => assert!(is_missing, "{filter:?}"),
                Err(TillError::Invalid { field, .. }) => assert!(!is_missing && field == "until", "{filter:?}"),
                other => panic!("{filter:?}: {other:?}"),
            }
        }
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_ten_thousand_lines_is_whole_and_one_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = scene(database).await;
        let fill = |from: i64, count: i64| {
            format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
                 INSERT INTO ledger (no, entry, kind, at_ms, day, debit, credit, currency, minor, patient, charge, audit) \
                 SELECT {from} + i, {from} + i, 'rendered', {}, {}, 'owed', 'revenue', 'UAH', 100, '{}', 'c1', 1 FROM n",
                NOW.0, TODAY, scene.anna
            )
        };
        scene.run(&[&fill(100, 10_000), "UPDATE counter SET value = 10100 WHERE name = 'ledger'"]).await;
        let statement = scene.statement(StatementOf::Patient(scene.anna), 0, 0).await;
        assert_eq!((statement.lines.len(), statement.closing), (10_000, money(105_000 + 1_000_000)));
        let more = i64::try_from(LINES_MAX).unwrap() - 10_000 + 1;
        scene.run(&[&fill(20_000, more), "UPDATE counter SET value = 40000 WHERE name = 'ledger'"]).await;
        let filter = scene.filter(StatementOf::Everybody, 0, 0);
        let refused = scene.till.statement(&accountant(), &filter).await.unwrap_err().to_string();
        assert!(refused.contains("more than 20000 lines; choose fewer days"), "{refused}");
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_the_sums_of_the_ledger_by_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = scene(database).await;
        let acting = accountant();
        let days = Days { from: LocalDate(TODAY - 60), until: LocalDate(TODAY), currency: None };
        let by = async |by| {
            let revenue = scene.till.revenue(&acting, &days, by).await.unwrap();
            let total = (revenue.total.gross.minor(), revenue.total.discount.minor(), revenue.total.net.minor());
            assert_eq!((total, revenue.total.rendered), ((142_000, 5_000, 137_000), 3), "{by:?}");
            revenue.lines.iter().map(|it| (it.key.clone(), it.net.minor(), it.rendered)).collect::<Vec<_>>()
        };
        let of = |key: &str, net, rendered| (key.to_owned(), net, rendered);
        assert_eq!(by(RevenueBy::Service).await, [of("exam", 107_000, 2), of("blood", 30_000, 1)]);
        assert_eq!(by(RevenueBy::Room).await, [of("room-1", 137_000, 3)]);
        assert_eq!(by(RevenueBy::Staff).await, [of("", 137_000, 3)]);
        // Forty days ago the clinic's clocks were an hour ahead of now.
        assert_eq!(by(RevenueBy::Hour).await, [of("10", 42_000, 2), of("11", 95_000, 1)]);
        let day = |ago: i32| (TODAY - ago).to_string();
        let expected = [of(&day(40), 95_000, 1), of(&day(3), 12_000, 1), of(&day(1), 30_000, 1)];
        assert_eq!(by(RevenueBy::Day).await, expected);
        let given = scene.till.discounts_given(&acting, &days).await.unwrap();
        assert_eq!(given.total, (money(100_000), money(5_000)));
        let step = &given.lines[0];
        assert_eq!(
            (step.name.as_str(), step.version, step.rate, step.from),
            ("Loyal patients", 1, 500, Some(money(50_000)))
        );
        let ageing = scene.till.ageing(&acting, None).await.unwrap();
        let ages = |ages: &[Amount; 4]| ages.map(Amount::minor);
        assert_eq!(ageing.lines.len(), 1);
        assert_eq!(ageing.lines[0].owner, Owner::Payer("steel".to_owned()));
        assert_eq!(ages(&ageing.lines[0].ages), [10_000, 0, 95_000, 0]);
        let debtor = &ageing.debtors[0];
        assert_eq!((debtor.patient, debtor.charges, debtor.oldest), (scene.anna, 2, LocalDate(TODAY - 40)));
        assert_eq!((ages(&debtor.ages), debtor.total), ([10_000, 0, 95_000, 0], money(105_000)));
        let exposure = scene.till.exposure(&acting).await.unwrap();
        let group = &exposure.groups[0];
        assert_eq!((group.used, group.owed, group.patients, group.members), (money(105_000), money(105_000), 1, 1));
        assert_eq!((group.limit, group.extra, group.share()), (Some(money(120_000)), Amount::ZERO, Some(87)));
        let patient = &exposure.patients[0];
        assert_eq!((patient.patient, patient.limit, patient.share()), (scene.anna, Some(money(110_000)), Some(93)));
        let given = scene.till.overrides_given(&acting, &days).await.unwrap();
        assert_eq!(given.iter().map(|it| (it.no, it.extra.minor())).collect::<Vec<_>>(), [(1, 2_000), (2, 30_000)]);
        let wrong = Days { from: days.until, until: days.from, currency: None };
        assert!(matches!(
            scene.till.revenue(&acting, &wrong, RevenueBy::Day).await,
            Err(TillError::Invalid { field: "until", .. })
        ));
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cashier_reads_their_own_cash_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = scene(database).await;
        let mut rights = Rights::default();
        rights.add(&[Permission::PaymentTake], &[], &Zones::All);
        let own = Acting { rights: rights.clone(), actor: Actor::Account(scene.cashier.clone()), ..Acting::system() };
        let filter = scene.filter(StatementOf::Cashier(scene.cashier.clone()), 60, 0);
        assert_eq!(scene.till.statement(&own, &filter).await.unwrap().closing, money(30_000));
        let other = Acting { actor: Actor::Account("d".repeat(32)), ..own };
        assert!(matches!(scene.till.statement(&other, &filter).await, Err(TillError::Denied(_))));
        let entries = audit::size(&scene.database).await.unwrap();
        assert!(matches!(
            scene.till.statement(&other, &scene.filter(StatementOf::Patient(scene.anna), 60, 0)).await,
            Err(TillError::Denied(_))
        ));
        assert_eq!(audit::size(&scene.database).await.unwrap(), entries, "what was refused showed nothing");
        scene.database.close().await;
    }
}

//! Accounts: the same stories on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::accounts::{
    AccountError, AccountId, Accounts, DEVICES_PER_ACCOUNT, DeviceToken, Email, FREE_CODES, FREE_TRIES_PER_ACCOUNT,
    FREE_TRIES_PER_ADDRESS, FREE_TRIES_PER_DEVICE, LINK_LIFE_MS, LONGEST_WAIT_MS, LinkPurpose, LinkToken, Login,
    NewAccount, Password, PasswordRefused, RECOVERY_CODES, SESSIONS_PER_ACCOUNT, STEP_LIFE_MS, SecondFactor, Session,
    SessionRules, SessionToken, Step, Theme, Visitor, code_at,
};
use clinic::acting::Acting;
use clinic::notices::{Ending, NoticeKind, Notices};
use clinic::roles::{self, Grant, RoleError};
use domain::vault::BoxKey;
use domain::{Clock, Rights, Shipped as Role, UtcMillis};
use store::Database;

const PASSWORD: &str = "a quiet morning in Kyiv";

struct Scene {
    now: Arc<AtomicI64>,
    database: Database,
    accounts: Accounts,
}

impl Scene {
    fn new(database: Database) -> Self {
        let now = Arc::new(AtomicI64::new(1_795_000_000_000));
        let accounts = accounts(&database, &now);
        Self { now, database, accounts }
    }

    fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    async fn administrator(&self) -> Session {
        let link = self.accounts.create_first_run_link().await.unwrap().unwrap();
        let name = login("olena");
        let token = self.accounts.redeem_first_run(&link, &name, "Olena", "ru", password(), from(1));
        self.session(&token.await.unwrap()).await.unwrap()
    }

    async fn session(&self, token: &SessionToken) -> Option<Session> {
        self.accounts.resume(token, true).await.unwrap()
    }

    async fn invite(&self, actor: &Session, name: &str, role: Role) -> LinkToken {
        let new = NewAccount {
            login: login(name),
            shown_name: String::new(),
            roles: vec![Grant::site(role)],
            locale: "en".to_owned(),
        };
        self.accounts.create(&acting(actor), new).await.unwrap()
    }

    async fn give(&self, actor: &Session, id: &AccountId, role: Role) -> Result<(), RoleError> {
        let now = UtcMillis(self.now.load(Ordering::Relaxed));
        roles::give(&self.database, &acting(actor), now, id, &[Grant::site(role)]).await
    }

    async fn sign_in(&self, name: &str, typed: &str, host: u8) -> Result<SessionToken, AccountError> {
        self.accounts.sign_in(name, Password::new(typed), from(host)).await
    }
}

fn accounts(database: &Database, now: &Arc<AtomicI64>) -> Accounts {
    let now = Arc::clone(now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    Accounts::new(database.clone(), clock, SessionRules::default(), "clinic-3", BoxKey::new([8; 32]))
}

fn acting(session: &Session) -> Acting {
    session.acting(from(1))
}

fn login(name: &str) -> Login {
    Login::new(name).unwrap()
}

fn password() -> Password {
    Password::new(PASSWORD)
}

fn from(host: u8) -> &'static Visitor {
    Box::leak(Box::new(Visitor::new(IpAddr::from([10, 0, 0, host]), "Firefox/150")))
}

/// Runs a story on both engines.
macro_rules! story {
    ($name:ident, |$scene:ident| $body:block) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let folder = tempfile::tempdir().unwrap();
            for database in store::testing::both(folder.path()).await {
                let $scene = Scene::new(database);
                $body
                $scene.database.close().await;
            }
        }
    };
}

story!(a_first_run_link_works_once_and_only_until_there_is_an_administrator, |scene| {
    assert!(scene.accounts.sign_in("admin", Password::new("admin"), from(1)).await.is_err(), "no account of ours");
    let old = scene.accounts.create_first_run_link().await.unwrap().unwrap();
    let link = scene.accounts.create_first_run_link().await.unwrap().unwrap();
    assert!(matches!(scene.accounts.inspect_link(&old).await, Err(AccountError::LinkSpent)), "replaced by the newer");
    scene.pass(LINK_LIFE_MS - 1);
    assert_eq!(scene.accounts.inspect_link(&link).await.unwrap().purpose, LinkPurpose::FirstRun);
    scene.pass(1);
    assert!(matches!(scene.accounts.inspect_link(&link).await, Err(AccountError::LinkSpent)), "a day is over");

    let link = scene.accounts.create_first_run_link().await.unwrap().unwrap();
    let (name, weak) = (login("olena"), Password::new("olena-2026!!"));
    let weak = scene.accounts.redeem_first_run(&link, &name, "", "en", weak, from(1));
    assert!(matches!(weak.await, Err(AccountError::BadPassword(PasswordRefused::AboutYou))));
    // Fifty browsers at once: one administrator.
    let tries = (0..50).map(|n| {
        let (accounts, link) = (scene.accounts.clone(), link.clone());
        tokio::spawn(async move {
            accounts.redeem_first_run(&link, &login(&format!("olena{n}")), "", "en", password(), from(1)).await.is_ok()
        })
    });
    let mut made = 0;
    for one in tries.collect::<Vec<_>>() {
        made += usize::from(one.await.unwrap());
    }
    assert_eq!(made, 1);
    assert!(scene.accounts.create_first_run_link().await.unwrap().is_none());
});

story!(an_invited_person_sets_the_password_and_nobody_else_learns_it, |scene| {
    let administrator = scene.administrator().await;
    assert_eq!(administrator.account.locale, "ru");
    let link = scene.invite(&administrator, "guard.07", Role::Guard).await;
    assert!(matches!(scene.sign_in("guard.07", "", 2).await, Err(AccountError::WrongPassword)), "no password yet");
    let guard = scene.accounts.redeem_password(&link, password(), from(2)).await.unwrap();
    let guard = scene.session(&guard).await.unwrap();
    assert_eq!(
        (guard.roles[0].grant.clone(), guard.account.shown_name.as_str()),
        (Grant::site(Role::Guard), "guard.07")
    );
    assert!(matches!(scene.accounts.redeem_password(&link, password(), from(3)).await, Err(AccountError::LinkSpent)));
    let again = NewAccount {
        login: login("guard.07"),
        shown_name: String::new(),
        roles: vec![Grant::site(Role::Guard)],
        locale: String::new(),
    };
    assert!(matches!(scene.accounts.create(&acting(&administrator), again).await, Err(AccountError::LoginTaken)));
    // The rules hold without the pages too.
    let new = NewAccount {
        login: login("x"),
        shown_name: String::new(),
        roles: vec![Grant::site(Role::Administrator)],
        locale: String::new(),
    };
    assert!(matches!(scene.accounts.create(&acting(&guard), new).await, Err(AccountError::Denied(_))));
    let id = administrator.account.id.clone();
    assert!(matches!(scene.accounts.list(&acting(&guard)).await, Err(AccountError::Denied(_))));
    assert!(matches!(scene.give(&guard, &id, Role::Guard).await, Err(RoleError::Denied(_))));
    assert!(matches!(scene.accounts.create_password_link(&acting(&guard), &id).await, Err(AccountError::Denied(_))));
    assert!(matches!(scene.accounts.end_sessions_of(&acting(&guard), &id).await, Err(AccountError::Denied(_))));
    scene.accounts.end_session(&acting(&guard), &administrator.id).await.unwrap();
    assert!(scene.session(&administrator.token).await.is_some(), "somebody else's session is not a guard's to end");
    let dump: Vec<String> = store::read!(scene.database, "test", |conn| {
        Ok(store::sqlx::query_scalar("SELECT COALESCE(password_hash, '') FROM account UNION ALL SELECT token_hash FROM account_session UNION ALL SELECT token_hash FROM account_link").fetch_all(&mut *conn).await?)
    }).unwrap();
    let dump = dump.join(" ");
    for secret in [PASSWORD.to_owned(), guard.token.reveal(), link.reveal()] {
        assert!(!dump.contains(&secret));
    }
});

story!(guessing_slows_down_across_a_restart_and_locks_nobody_out_at_home, |scene| {
    let administrator = scene.administrator().await;
    for n in 0..FREE_TRIES_PER_ACCOUNT {
        let result = scene.sign_in("olena", &format!("wrong password {n}"), 66).await;
        assert!(matches!(result, Err(AccountError::WrongPassword)), "{n}: {result:?}");
    }
    let result = scene.sign_in("olena", PASSWORD, 66).await;
    let Err(AccountError::Wait { wait_ms }) = result else { panic!("{result:?}") };
    // Another address that the account was never used from waits as well, also after a restart.
    let restarted = accounts(&scene.database, &scene.now);
    let stranger = restarted.sign_in("olena", password(), from(67)).await;
    assert!(matches!(stranger, Err(AccountError::Wait { .. })), "{stranger:?}");
    // From where she usually works, she gets in.
    assert!(scene.sign_in("olena", PASSWORD, 1).await.is_ok());
    scene.pass(wait_ms);
    assert!(scene.sign_in("olena", PASSWORD, 66).await.is_ok(), "after the wait the right password is right");

    // Many names from one address.
    for n in 0..FREE_TRIES_PER_ADDRESS {
        let _ = scene.sign_in(&format!("name{n}"), "wrong password", 99).await;
    }
    let result = scene.sign_in("another", "wrong password", 99).await;
    assert!(matches!(result, Err(AccountError::Wait { wait_ms }) if wait_ms <= LONGEST_WAIT_MS), "{result:?}");
    let failed = scene.accounts.log(&acting(&administrator), 500).await.unwrap();
    assert!(failed.iter().filter(|line| line.action == "sign_in_failed").count() >= 25);
    assert!(failed.iter().all(|line| line.target.as_deref().is_none_or(|name| !name.starts_with("name"))));
});

story!(fifty_guesses_at_once_are_no_better_than_one_by_one, |scene| {
    scene.administrator().await;
    let tries = (0..50).map(|n| {
        let accounts = scene.accounts.clone();
        tokio::spawn(async move {
            let result = accounts.sign_in("olena", Password::new(format!("guess {n}")), from(66)).await;
            matches!(result, Err(AccountError::WrongPassword))
        })
    });
    let mut looked_at = 0;
    for one in tries.collect::<Vec<_>>() {
        looked_at += i64::from(one.await.unwrap());
    }
    assert!(looked_at <= FREE_TRIES_PER_ACCOUNT, "{looked_at}");
});

story!(a_new_password_ends_the_other_sessions_and_needs_the_old_one, |scene| {
    let here = scene.administrator().await;
    let there = scene.sign_in("olena", PASSWORD, 1).await.unwrap();
    let new = || Password::new("another quiet morning");
    let change =
        |current: &'static str| scene.accounts.change_own_password(&here, Password::new(current), new(), from(1));
    assert!(matches!(change("not the password").await, Err(AccountError::WrongPassword)));
    assert!(scene.session(&there).await.is_some());
    let renewed = change(PASSWORD).await.unwrap();
    assert!(scene.session(&there).await.is_none());
    assert!(scene.session(&here.token).await.is_none(), "the old token of this session is dead");
    assert_eq!(scene.session(&renewed).await.unwrap().id, here.id);
    assert!(scene.sign_in("olena", PASSWORD, 1).await.is_err());
    assert!(scene.sign_in("OLENA ", "another quiet morning", 1).await.is_ok());
});

story!(the_last_administrator_stays_and_a_closed_account_is_out_at_once, |scene| {
    let olena = scene.administrator().await;
    let id = olena.account.id.clone();
    assert!(matches!(
        scene.accounts.set_disabled(&acting(&olena), &id, true).await,
        Err(AccountError::Role(RoleError::LastKeeper))
    ));
    assert!(matches!(scene.give(&olena, &id, Role::Guard).await, Err(RoleError::OwnAccount)));
    let link = scene.invite(&olena, "ihor", Role::Administrator).await;
    assert!(
        matches!(
            scene.accounts.set_disabled(&acting(&olena), &id, true).await,
            Err(AccountError::Role(RoleError::LastKeeper))
        ),
        "an invited one cannot sign in yet"
    );
    let ihor = scene.accounts.redeem_password(&link, password(), from(2)).await.unwrap();
    let ihor = scene.session(&ihor).await.unwrap();
    scene.accounts.set_disabled(&acting(&ihor), &id, true).await.unwrap();
    assert!(scene.session(&olena.token).await.is_none());
    assert!(matches!(scene.sign_in("olena", PASSWORD, 1).await, Err(AccountError::WrongPassword)));
    scene.accounts.set_disabled(&acting(&ihor), &id, false).await.unwrap();
    assert!(scene.sign_in("olena", PASSWORD, 1).await.is_ok());
    assert!(scene.session(&olena.token).await.is_none(), "the ended session stays ended");
});

story!(one_account_has_a_bounded_number_of_sessions_the_oldest_ends, |scene| {
    let first = scene.administrator().await;
    let mut tokens = Vec::new();
    for _ in 0..SESSIONS_PER_ACCOUNT {
        scene.pass(1000);
        tokens.push(scene.sign_in("olena", PASSWORD, 1).await.unwrap());
    }
    assert!(scene.session(&first.token).await.is_none());
    for token in &tokens {
        assert!(scene.session(token).await.is_some());
    }
    let session = scene.session(&tokens[3]).await.unwrap();
    assert_eq!(scene.accounts.list_sessions(&session.account.id).await.unwrap().len(), tokens.len());
    scene.accounts.change_preferences(&session, "en", Theme::Dark).await.unwrap();
    let account = scene.session(&tokens[3]).await.unwrap().account;
    assert_eq!((account.locale.as_str(), account.theme), ("en", Theme::Dark));
    scene.accounts.end_sessions_of(&acting(&session), &session.account.id).await.unwrap();
    assert_eq!(scene.accounts.list_sessions(&session.account.id).await.unwrap().len(), 1);
});

/// A browser with this number, at this host.
fn browser(device: &DeviceToken, host: u8) -> Visitor {
    Visitor { device: Some(device.clone()), ..from(host).clone() }
}

async fn count(database: &Database, sql: &'static str) -> i64 {
    store::read!(database, "test.count", |conn| { Ok(store::sqlx::query_scalar(sql).fetch_one(&mut *conn).await?) })
        .unwrap()
}

story!(somebody_in_the_same_network_cannot_lock_a_doctor_out, |scene| {
    scene.administrator().await;
    let device = DeviceToken::draw().unwrap();
    // She has signed in from her browser once, at the clinic's common address.
    scene.accounts.sign_in("olena", password(), &browser(&device, 1)).await.unwrap();
    // Somebody at the same address guesses until nothing goes any more, from browsers of their own.
    for n in 0..40 {
        let theirs = DeviceToken::draw().unwrap();
        let _ = scene.accounts.sign_in("olena", Password::new(format!("guess {n}")), &browser(&theirs, 1)).await;
        let _ = scene.accounts.sign_in(&format!("name{n}"), Password::new("guess"), from(1)).await;
    }
    assert!(matches!(scene.sign_in("olena", PASSWORD, 1).await, Err(AccountError::Wait { .. })), "a strange browser");
    let stolen = scene.accounts.sign_in("ihor", password(), &browser(&device, 1)).await;
    assert!(matches!(stolen, Err(AccountError::Wait { .. })), "her browser is known to her account only: {stolen:?}");
    let hers = scene.accounts.sign_in("olena", password(), &browser(&device, 1)).await;
    assert!(hers.is_ok(), "her own browser: {hers:?}");
    // From another network, too; and her own mistakes slow her down in the end.
    assert!(scene.accounts.sign_in("olena", password(), &browser(&device, 77)).await.is_ok());
    for _ in 0..FREE_TRIES_PER_DEVICE {
        let _ = scene.accounts.sign_in("olena", Password::new("a mistake"), &browser(&device, 1)).await;
    }
    let result = scene.accounts.sign_in("olena", password(), &browser(&device, 1)).await;
    assert!(matches!(result, Err(AccountError::Wait { .. })), "{result:?}");
});

story!(a_new_browser_is_told_and_browsers_are_bounded_and_forgotten_with_the_password, |scene| {
    let olena = scene.administrator().await;
    let told = "SELECT COUNT(*) FROM notice WHERE kind = 'new_device'";
    assert_eq!(count(&scene.database, told).await, 0, "the first sign-in of all is no news");
    let first = DeviceToken::draw().unwrap();
    scene.accounts.sign_in("olena", password(), &browser(&first, 1)).await.unwrap();
    assert_eq!(count(&scene.database, told).await, 1);
    scene.accounts.sign_in("olena", password(), &browser(&first, 9)).await.unwrap();
    assert_eq!(count(&scene.database, told).await, 1, "the same browser elsewhere");
    for _ in 0..DEVICES_PER_ACCOUNT + 3 {
        scene.pass(1000);
        scene.accounts.sign_in("olena", password(), &browser(&DeviceToken::draw().unwrap(), 1)).await.unwrap();
    }
    assert_eq!(count(&scene.database, "SELECT COUNT(*) FROM account_device").await, DEVICES_PER_ACCOUNT);
    let link = scene.accounts.create_password_link(&Acting::console(), &olena.account.id).await.unwrap();
    let new = Password::new("another quiet morning");
    scene.accounts.redeem_password(&link, new, &browser(&first, 1)).await.unwrap();
    assert_eq!(count(&scene.database, "SELECT COUNT(*) FROM account_device").await, 1);
});

story!(a_code_of_the_second_factor_works_once_also_under_fifty_tries, |scene| {
    let olena = scene.administrator().await;
    let wrong = scene.accounts.begin_factor(&olena, Password::new("not it"), from(1)).await;
    assert!(matches!(wrong, Err(AccountError::WrongPassword)));
    let enrolment = scene.accounts.begin_factor(&olena, password(), from(1)).await.unwrap();
    assert_eq!(scene.accounts.enrolment(&olena).await.unwrap().key(), enrolment.key());
    let code = |scene: &Scene| code_at(&enrolment, UtcMillis(scene.now.load(Ordering::Relaxed))).unwrap();
    let bad = scene.accounts.confirm_factor(&olena, "000000", from(1)).await;
    assert!(matches!(bad, Err(AccountError::WrongCode)), "{bad:?}");
    let other = scene.sign_in("olena", PASSWORD, 1).await.unwrap();
    let confirming = code(&scene);
    let (token, codes) = scene.accounts.confirm_factor(&olena, &confirming, from(1)).await.unwrap();
    assert_eq!(codes.len(), RECOVERY_CODES);
    assert!(scene.session(&olena.token).await.is_none(), "a new token at a rise of privilege");
    assert!(scene.session(&other).await.is_none(), "sessions without the factor end");
    assert!(scene.session(&token).await.is_some());

    let half = |scene: &Scene| {
        let accounts = scene.accounts.clone();
        async move {
            match accounts.sign_in("olena", password(), from(1)).await {
                Err(AccountError::SecondStep(half)) => half,
                other => panic!("{other:?}"),
            }
        }
    };
    let waiting = half(&scene).await;
    assert_eq!(scene.accounts.step_of(&waiting).await.unwrap(), Step::Code);
    let session = SessionToken::parse(&waiting.reveal()).unwrap();
    assert!(scene.session(&session).await.is_none(), "a half-open sign-in is no session");
    let replay = scene.accounts.finish_sign_in(&waiting, &confirming, from(1)).await;
    assert!(matches!(replay, Err(AccountError::WrongCode)), "the code that confirmed it is used up: {replay:?}");
    assert!(matches!(scene.accounts.step_of(&waiting).await, Err(AccountError::StepSpent)));

    scene.pass(30_000);
    let now = code(&scene);
    let mut halves = Vec::new();
    for _ in 0..50 {
        halves.push(half(&scene).await);
    }
    let tries = halves.into_iter().map(|half| {
        let (accounts, now) = (scene.accounts.clone(), now.clone());
        tokio::spawn(async move { accounts.finish_sign_in(&half, &now, from(1)).await.is_ok() })
    });
    let mut opened = 0;
    for one in tries.collect::<Vec<_>>() {
        opened += usize::from(one.await.unwrap());
    }
    assert_eq!(opened, 1, "exactly one of fifty");

    // Recovery codes: each once, however it is typed.
    scene.pass(LONGEST_WAIT_MS);
    let recovery = codes[0].reveal().to_uppercase();
    let waiting = half(&scene).await;
    assert!(scene.accounts.finish_sign_in(&waiting, &recovery, from(1)).await.is_ok());
    let waiting = half(&scene).await;
    assert!(matches!(scene.accounts.finish_sign_in(&waiting, &recovery, from(1)).await, Err(AccountError::WrongCode)));
    scene.pass(LONGEST_WAIT_MS);
    let waiting = half(&scene).await;
    let token = scene.accounts.finish_sign_in(&waiting, &code(&scene), from(1)).await.unwrap();
    let olena = scene.session(&token).await.unwrap();
    let state = scene.accounts.factor_state(&olena).await.unwrap();
    assert_eq!(state.recovery_left, 9);

    // A secret in the database opens nothing without the key of the site.
    let stored: Vec<u8> = store::read!(scene.database, "test", |conn| {
        Ok(store::sqlx::query_scalar("SELECT secret FROM account_factor").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    assert!(stored.len() > 40);
    let now = Arc::clone(&scene.now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    let strange =
        Accounts::new(scene.database.clone(), clock, SessionRules::default(), "clinic-3", BoxKey::new([1; 32]));
    let sealed = strange.sign_in("olena", password(), from(1)).await;
    assert!(matches!(sealed, Err(AccountError::Sealed { table: "account_factor", .. })), "{sealed:?}");

    // Somebody else takes it away, and is recorded; then the password alone opens a session again.
    scene.accounts.reset_factor(&Acting::console(), &olena.account.id).await.unwrap();
    assert!(scene.session(&token).await.is_none());
    assert!(scene.sign_in("olena", PASSWORD, 1).await.is_ok());
    let resets = "SELECT COUNT(*) FROM audit_entry WHERE action = 'factor_changed' AND detail = 'reset' AND actor_kind = 'console'";
    assert_eq!(count(&scene.database, resets).await, 1);
});

story!(wrong_codes_slow_down_and_their_owner_is_told, |scene| {
    let olena = scene.administrator().await;
    let enrolment = scene.accounts.begin_factor(&olena, password(), from(1)).await.unwrap();
    let now = || UtcMillis(scene.now.load(Ordering::Relaxed));
    let code = code_at(&enrolment, now()).unwrap();
    scene.accounts.confirm_factor(&olena, &code, from(1)).await.unwrap();
    scene.pass(60_000);
    let mut refused = 0;
    for _ in 0..FREE_CODES + 2 {
        let Err(AccountError::SecondStep(half)) = scene.sign_in("olena", PASSWORD, 66).await else { panic!() };
        match scene.accounts.finish_sign_in(&half, "000000", from(66)).await {
            Err(AccountError::WrongCode) => {}
            Err(AccountError::Wait { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0);
    assert_eq!(count(&scene.database, "SELECT COUNT(*) FROM notice WHERE kind = 'factor_guessed'").await, 1);
    scene.pass(LONGEST_WAIT_MS);
    let Err(AccountError::SecondStep(half)) = scene.sign_in("olena", PASSWORD, 66).await else { panic!() };
    scene.pass(STEP_LIFE_MS - 1);
    assert!(scene.accounts.step_of(&half).await.is_ok());
    scene.pass(1);
    assert!(matches!(scene.accounts.step_of(&half).await, Err(AccountError::StepSpent)), "ten minutes, not more");
});

story!(where_everybody_needs_a_second_factor_nobody_gets_in_without_setting_one_up, |scene| {
    let olena = scene.administrator().await;
    let now = Arc::clone(&scene.now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    let rules = SessionRules { second_factor: SecondFactor::Roles, ..SessionRules::default() };
    let strict = Accounts::new(scene.database.clone(), clock, rules, "clinic-3", BoxKey::new([8; 32]));
    let link = scene.invite(&olena, "guard.07", Role::Guard).await;
    assert!(strict.redeem_password(&link, password(), from(2)).await.is_ok(), "a guard needs none");
    let link = scene.invite(&olena, "ihor", Role::PrivacyOfficer).await;
    let Err(AccountError::SecondStep(half)) = strict.redeem_password(&link, password(), from(3)).await else {
        panic!()
    };
    assert_eq!(strict.step_of(&half).await.unwrap(), Step::Enrol);
    assert!(matches!(strict.finish_sign_in(&half, "000000", from(3)).await, Err(AccountError::StepSpent)));
    let enrolment = strict.enrol_half(&half).await.unwrap();
    assert_eq!(strict.enrol_half(&half).await.unwrap().uri(), enrolment.uri(), "shown again when the page is");
    let Err(AccountError::SecondStep(stranger)) = strict.sign_in("ihor", password(), from(9)).await else { panic!() };
    assert_ne!(strict.enrol_half(&stranger).await.unwrap().uri(), enrolment.uri(), "nobody else sees this secret");
    let code = code_at(&enrolment, UtcMillis(scene.now.load(Ordering::Relaxed))).unwrap();
    let (token, codes) = strict.finish_enrolment(&half, &code, from(3)).await.unwrap();
    assert_eq!(codes.len(), RECOVERY_CODES);
    let ihor = strict.resume(&token, true).await.unwrap().unwrap();
    assert!(matches!(strict.finish_enrolment(&half, &code, from(3)).await, Err(AccountError::StepSpent)));
    let removed = strict.remove_factor(&ihor, password(), from(3)).await;
    assert!(matches!(removed, Err(AccountError::FactorNeeded)), "{removed:?}");
    let codes = strict.new_recovery_codes(&ihor, password(), from(3)).await.unwrap();
    assert_eq!(codes.len(), RECOVERY_CODES);
    assert_eq!(count(&scene.database, "SELECT COUNT(*) FROM account_recovery").await, 10, "the old ones are gone");
});

story!(a_flood_is_turned_away_before_anything_is_looked_at, |scene| {
    scene.administrator().await;
    let device = DeviceToken::draw().unwrap();
    scene.accounts.sign_in("olena", password(), &browser(&device, 1)).await.unwrap();
    let flood = (0..200_u8).map(|n| {
        let accounts = scene.accounts.clone();
        tokio::spawn(async move {
            let visitor = Visitor::new(IpAddr::from([172, 16, 0, n]), "flood");
            accounts.sign_in(&format!("name{n}"), Password::new("a guess"), &visitor).await
        })
    });
    let flood: Vec<_> = flood.collect();
    let hers = scene.accounts.sign_in("olena", password(), &browser(&device, 1)).await;
    assert!(hers.is_ok(), "in the middle of it: {hers:?}");
    let (mut busy, mut looked_at) = (0, 0);
    for one in flood {
        match one.await.unwrap() {
            Err(AccountError::Busy { retry_ms }) if retry_ms > 0 => busy += 1,
            Err(AccountError::WrongPassword) => looked_at += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(busy > 0 && looked_at > 0, "{busy} turned away, {looked_at} looked at");
});

story!(users_of_an_earlier_system_sign_in_with_their_passwords_and_get_better_hashes, |scene| {
    let olena = scene.administrator().await;
    let bcrypt = bcrypt::hash_with_salt("their old password", 5, [7; 16]).unwrap().to_string();
    let sheet = format!(
        "login,shown_name,email,role,hash\n\
         doctor.1,Ірина Коваль,iryna@clinic.example,doctor,{}\n\
         guard.1,,,guard;pass_office,\n\
         olena,Somebody else,,administrator,\n",
        bcrypt.replacen("$2b$", "$2y$", 1)
    );
    let nobody = scene
        .accounts
        .import(&Acting { rights: Rights::default(), ..Acting::console() }, sheet.as_bytes(), false)
        .await;
    assert!(matches!(nobody, Err(AccountError::Denied(_))));
    let dry = scene.accounts.import(&Acting::console(), sheet.as_bytes(), true).await.unwrap();
    assert_eq!((dry.made, dry.problems.len()), (3, 0));
    assert!(scene.accounts.find(&login("doctor.1")).await.unwrap().is_none(), "a dry run changes nothing");
    let report = scene.accounts.import(&Acting::console(), sheet.as_bytes(), false).await.unwrap();
    assert_eq!((report.made, report.known, report.without_password), (2, 1, 1), "{report:?}");
    assert_eq!(scene.session(&olena.token).await.unwrap().account.shown_name, "Olena", "who was there is unchanged");
    let wrong = scene.sign_in("doctor.1", "a wrong password", 5).await;
    assert!(matches!(wrong, Err(AccountError::WrongPassword)));
    let token = scene.sign_in("doctor.1", "their old password", 5).await.unwrap();
    assert_eq!(scene.session(&token).await.unwrap().account.shown_name, "Ірина Коваль");
    let left = "SELECT COUNT(*) FROM account WHERE password_hash LIKE '$2%'";
    assert_eq!(count(&scene.database, left).await, 0, "replaced at sign-in");
    assert!(scene.sign_in("doctor.1", "their old password", 5).await.is_ok());
    // Nothing is imported when a line is wrong, and the report does not repeat what stands there.
    let bad = "login,role,hash\nguard.2,guard,\nx y,guard,\nguard.3,gard,\nguard.4,guard,$1$secret-hash\n";
    let report = scene.accounts.import(&Acting::console(), bad.as_bytes(), false).await.unwrap();
    let lines: Vec<u64> = report.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 4, 5]);
    assert!(!format!("{report:?}").contains("secret-hash"));
    assert!(scene.accounts.find(&login("guard.2")).await.unwrap().is_none());
});

story!(names_and_addresses_of_staff_stand_nowhere_in_the_clear, |scene| {
    let olena = scene.administrator().await;
    let new = NewAccount {
        login: login("doctor.1"),
        shown_name: "Ярославна Незабутня".to_owned(),
        roles: vec![Grant::site(Role::Doctor)],
        locale: "en".to_owned(),
    };
    let address = Email::new("unforgettable@clinic.example").unwrap();
    scene.accounts.invite(&acting(&olena), new, Some(&address)).await.unwrap();
    let new = Email::new("olena.bondar@clinic.example").unwrap();
    scene.accounts.ask_email(&olena, password(), &new, from(1)).await.unwrap();
    let listed = scene.accounts.list(&acting(&olena)).await.unwrap();
    assert!(listed.iter().any(|line| line.account.shown_name == "Ярославна Незабутня"));
    // An earlier version stored them in the clear; they are sealed at the next start.
    let old = "UPDATE account SET shown_name = 'Застаріле Ім''я', name_box = NULL WHERE login = 'olena'";
    store::transact!(scene.database, "test", |conn| {
        store::sqlx::query(old).execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    assert_eq!(scene.session(&olena.token).await.unwrap().account.shown_name, "Застаріле Ім'я");
    assert_eq!(scene.accounts.seal_names().await.unwrap(), 1);
    assert_eq!(scene.session(&olena.token).await.unwrap().account.shown_name, "Застаріле Ім'я");
    let rows: Vec<String> = store::read!(scene.database, "test", |conn| {
        Ok(store::sqlx::query_scalar(
            "SELECT id || login || shown_name || locale FROM account UNION ALL SELECT id || args FROM notice \
             UNION ALL SELECT COALESCE(object, '') || COALESCE(detail, '') FROM audit_entry",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    let sealed: Vec<Vec<u8>> = store::read!(scene.database, "test", |conn| {
        Ok(store::sqlx::query_scalar(
            "SELECT name_box FROM account WHERE name_box IS NOT NULL UNION ALL \
             SELECT email_box FROM account WHERE email_box IS NOT NULL UNION ALL SELECT email_box FROM account_email \
             UNION ALL SELECT address FROM notice WHERE address IS NOT NULL \
             UNION ALL SELECT link FROM notice WHERE link IS NOT NULL",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    assert!(sealed.len() >= 6, "{}", sealed.len());
    let dump = rows.join("\n") + &sealed.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect::<String>();
    for canary in ["Ярославна", "Незабутня", "Застаріле", "unforgettable", "olena.bondar", "/welcome/", "/me/email/"]
    {
        assert!(!dump.contains(canary), "{canary}");
    }
});

story!(an_address_counts_when_its_holder_has_followed_the_link_sent_to_it, |scene| {
    let olena = scene.administrator().await;
    let now = Arc::clone(&scene.now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    let notices = Notices::new(scene.database.clone(), clock, BoxKey::new([8; 32]));
    let first = Email::new("olena@clinic.example").unwrap();
    let wrong = scene.accounts.ask_email(&olena, Password::new("not it"), &first, from(1)).await;
    assert!(matches!(wrong, Err(AccountError::WrongPassword)));
    scene.accounts.ask_email(&olena, password(), &first, from(1)).await.unwrap();
    let state = scene.accounts.email_state(&olena).await.unwrap();
    assert_eq!((state.address, state.waiting), (None, Some(first.clone())));
    let due = notices.take_due().await.unwrap().unwrap();
    assert_eq!((due.kind, due.recipient.reveal()), (NoticeKind::EmailConfirm, first.reveal()));
    let link = LinkToken::parse(due.link.as_deref().unwrap().strip_prefix("/me/email/").unwrap()).unwrap();
    notices.settle(&due, Ending::Sent).await.unwrap();
    let other = LinkToken::draw().unwrap();
    assert!(matches!(scene.accounts.confirm_email(&olena, &other, from(1)).await, Err(AccountError::LinkSpent)));
    scene.accounts.confirm_email(&olena, &link, from(1)).await.unwrap();
    assert!(matches!(scene.accounts.confirm_email(&olena, &link, from(1)).await, Err(AccountError::LinkSpent)));
    assert_eq!(scene.accounts.email_state(&olena).await.unwrap().address, Some(first.clone()));
    // Another one: the old address hears of it.
    let second = Email::new("o.bondar@clinic.example").unwrap();
    scene.accounts.ask_email(&olena, password(), &second, from(1)).await.unwrap();
    let due = notices.take_due().await.unwrap().unwrap();
    let link = LinkToken::parse(due.link.as_deref().unwrap().strip_prefix("/me/email/").unwrap()).unwrap();
    notices.settle(&due, Ending::Sent).await.unwrap();
    scene.pass(LINK_LIFE_MS);
    assert!(
        matches!(scene.accounts.confirm_email(&olena, &link, from(1)).await, Err(AccountError::LinkSpent)),
        "a day"
    );
    scene.accounts.remove_email(&olena, password(), from(1)).await.unwrap();
    let due = notices.take_due().await.unwrap().unwrap();
    assert_eq!((due.kind, due.recipient.reveal()), (NoticeKind::EmailChanged, first.reveal()));
});

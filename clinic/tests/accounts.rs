//! Accounts: the same stories on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::accounts::{
    AccountError, AccountId, Accounts, FREE_TRIES_PER_ACCOUNT, FREE_TRIES_PER_ADDRESS, LINK_LIFE_MS, LONGEST_WAIT_MS,
    LinkPurpose, LinkToken, Login, NewAccount, Password, PasswordRefused, SESSIONS_PER_ACCOUNT, Session, SessionRules,
    SessionToken, Theme, Visitor,
};
use clinic::acting::Acting;
use clinic::roles::{self, Grant, RoleError};
use domain::{Clock, Shipped as Role, UtcMillis};
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
    Accounts::new(database.clone(), clock, SessionRules::default(), "clinic-3")
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
    // Twenty browsers at once: one administrator.
    let tries = (0..20).map(|n| {
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
    let change = |current: &'static str| {
        scene.accounts.change_own_password(&here, Password::new(current), new(), from(1).address)
    };
    assert!(matches!(change("not the password").await, Err(AccountError::WrongPassword)));
    assert!(scene.session(&there).await.is_some());
    change(PASSWORD).await.unwrap();
    assert!(scene.session(&there).await.is_none());
    assert!(scene.session(&here.token).await.is_some());
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

//! A clinic with a vault, on one engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use clinic::acting::{Acting, Actor};
use clinic::vault::{Blobs, KeySource, Vault, VaultState};
use domain::vault::{BirthDate, Contact, ContactKind, Document, DocumentKind, Names, Passport, PassportChange};
use domain::{Clock, PersonId, Rights, Shipped, UtcMillis};
use store::{Database, read, sqlx, transact};
use tempfile::TempDir;

pub const NOW: i64 = 1_795_000_000_000;

static NEXT: AtomicU8 = AtomicU8::new(0);

pub struct Scene {
    pub database: Database,
    pub vault: Vault,
    pub folder: PathBuf,
    pub now: Arc<AtomicI64>,
    _temporary: Option<Arc<TempDir>>,
}

/// The same scene on each engine, with an open vault.
pub async fn both() -> Vec<Scene> {
    let temporary = Arc::new(tempfile::tempdir().unwrap());
    let mut scenes = Vec::new();
    for (index, database) in store::testing::both(temporary.path()).await.into_iter().enumerate() {
        let folder = temporary.path().join(index.to_string());
        std::fs::create_dir(&folder).unwrap();
        let mut scene = Scene::locked(database, folder, |folder| KeySource::Own(folder.join("vault.key")));
        scene._temporary = Some(Arc::clone(&temporary));
        let state = scene.vault.start().await.unwrap();
        assert!(matches!(state, VaultState::Open { .. }), "{state:?}");
        scenes.push(scene);
    }
    scenes
}

impl Scene {
    pub fn locked(database: Database, folder: PathBuf, source: impl FnOnce(&Path) -> KeySource) -> Self {
        let now = Arc::new(AtomicI64::new(NOW));
        let vault = vault(&database, &folder, &now, source(&folder));
        Self { database, vault, folder, now, _temporary: None }
    }

    /// Another program of the same installation, or this one after a restart.
    pub async fn again(&self) -> Vault {
        let again = vault(&self.database, &self.folder, &self.now, self.vault.source().clone());
        again.start().await.unwrap();
        again
    }

    pub fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    /// A new pseudonym.
    pub async fn person(&self) -> PersonId {
        let mut id = [0; 16];
        getrandom::fill(&mut id).unwrap();
        let (person, text) = (PersonId(id), PersonId(id).to_string());
        transact!(self.database, "test.person", |conn| {
            sqlx::query("INSERT INTO person (id, external_ref, created_ms) VALUES ($1, $2, 0)")
                .bind(&text)
                .bind(format!("ref-{text}"))
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        person
    }

    /// A person with a passport.
    pub async fn registered(&self, family: &str, given: &str) -> PersonId {
        let person = self.person().await;
        let passport = passport(family, given);
        let purpose = clinic::audit::Purpose::PassIssue;
        self.vault.put(&office(), person, passport.into(), purpose).await.unwrap();
        person
    }

    /// What somebody with the database's password might do.
    pub async fn execute(&self, statement: &'static str) {
        transact!(self.database, "test.execute", |conn| {
            sqlx::query(statement).execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }

    /// A number that a statement gives.
    pub async fn count(&self, select: &'static str) -> i64 {
        read!(self.database, "test.count", |conn| { Ok(sqlx::query_scalar(select).fetch_one(&mut *conn).await?) })
            .unwrap()
    }

    /// One sealed value of a person.
    pub async fn bytes(&self, select: &'static str, person: PersonId) -> Vec<u8> {
        let person = person.to_string();
        read!(self.database, "test.bytes", |conn| {
            Ok(sqlx::query_scalar(select).bind(&person).fetch_one(&mut *conn).await?)
        })
        .unwrap()
    }

    /// Every file of the installation, the SQLite database with its write-ahead log among them.
    pub fn all_files(&self) -> Vec<PathBuf> {
        let top = self._temporary.as_ref().unwrap().path();
        let mut folders = vec![self.folder.clone()];
        let mut files = Vec::new();
        if self.database.engine() == store::Engine::Sqlite {
            let all = std::fs::read_dir(top).unwrap().map(|entry| entry.unwrap().path());
            files.extend(all.filter(|path| path.is_file()));
            assert!(!files.is_empty());
        }
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// How many entries of the audit log say this.
    pub async fn entries(&self, action: &str) -> i64 {
        read!(self.database, "test.entries", |conn| {
            Ok(sqlx::query_scalar("SELECT COUNT(*) FROM audit_entry WHERE action = $1")
                .bind(action)
                .fetch_one(&mut *conn)
                .await?)
        })
        .unwrap()
    }
}

fn vault(database: &Database, folder: &Path, now: &Arc<AtomicI64>, source: KeySource) -> Vault {
    let now = Arc::clone(now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    Vault::new(database.clone(), clock, Blobs::folder(&folder.join("photos")), source)
        .remembering(vec![folder.join("shredded.log"), folder.join("copy/shredded.log")])
}

/// Somebody with a shipped role, in a session of their own.
pub fn somebody(role: Shipped) -> Acting {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Acting {
        actor: Actor::Account(format!("account-{number}")),
        rights: Rights::of(role),
        session: Some(format!("session-{number}")),
        address: None,
        glass: None,
    }
}

pub fn office() -> Acting {
    somebody(Shipped::PassOffice)
}

pub fn passport(family: &str, given: &str) -> Passport {
    Passport {
        names: Names::new(family, given, "Петрівна"),
        birth_date: BirthDate::parse("1987-04-21"),
        documents: vec![Document { kind: DocumentKind::Passport, number: "СН 123477".into(), issued: "".into() }],
        contacts: vec![Contact { kind: ContactKind::Phone, value: "+380 67 555 01 99".into() }],
    }
}

pub fn renamed(family: &str) -> PassportChange {
    PassportChange { names: Some(Names::new(family, "Олена", "")), ..Default::default() }
}

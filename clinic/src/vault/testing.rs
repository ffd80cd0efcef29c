//! A large clinic made quickly, for benches and tests of speed: passports without entries in the audit log, hashes in
//! the order of their table. Never part of a program.

use domain::PersonId;
use domain::vault::{Dek, KEY_BYTES, Passport};
use store::{sqlx, transact};

use super::rows::{self, Part};
use super::{Vault, VaultError, keys};

/// Rows of one transaction.
const CHUNK: usize = 2000;

/// Registers `passports` one after another, as persons number 1, 2, 3 and so on; their ids are given back.
///
/// # Errors
/// As [`Vault::put`].
pub async fn fill(vault: &Vault, passports: impl Iterator<Item = Passport>) -> Result<Vec<PersonId>, VaultError> {
    let ring = vault.ring()?;
    let (kek, index_key) = (ring.current.id().to_string(), ring.index_key()?.id().to_string());
    let mut persons = Vec::new();
    let mut tokens: Vec<(i64, i64)> = Vec::new();
    let mut passports = passports.peekable();
    while passports.peek().is_some() {
        let mut sealed = Vec::with_capacity(CHUNK);
        for passport in passports.by_ref().take(CHUNK) {
            let person = PersonId(keys::random()?);
            let dek = Dek::new(keys::random::<KEY_BYTES>()?);
            let no = persons.len() as i64 + 1;
            let own = ring.index_key()?.tokens_of(&passport);
            let parts = [Part::Names, Part::Birth].map(|part| rows::seal_part(person, &dek, part, &passport));
            let [names, birth] = parts;
            let wrapped = ring.current.wrap(person, keys::nonce()?, &dek).into_bytes();
            sealed.push((no, person.to_string(), wrapped, names?, birth?, rows::tokens_to_bytes(&own)));
            tokens.extend(own.into_iter().map(|token| (token, no)));
            persons.push(person);
        }
        let (kek, index_key) = (kek.clone(), index_key.clone());
        transact!(vault.inner.database, "bench.fill", |conn| {
            for some in sealed.chunks(200) {
                let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
                insert.push_values(some, |mut row, (_, person, ..)| {
                    row.push_bind(person).push("0");
                });
                insert.build().execute(&mut *conn).await?;
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO passport (no, person, mode, kek, wrapped_key, names, birth, tokens, index_key,
                         created_ms, changed_ms) ",
                );
                insert.push_values(some, |mut row, (no, person, wrapped, names, birth, tokens)| {
                    row.push_bind(*no).push_bind(person).push("'server'").push_bind(&kek).push_bind(wrapped);
                    row.push_bind(names).push_bind(birth).push_bind(tokens).push_bind(&index_key).push("0").push("0");
                });
                insert.build().execute(&mut *conn).await?;
            }
            Ok(())
        })?;
    }
    tokens.sort_unstable();
    for some in tokens.chunks(100_000) {
        let some = some.to_vec();
        transact!(vault.inner.database, "bench.fill", |conn| {
            rows::insert_tokens!(conn, Db, some.clone());
            Ok(())
        })?;
    }
    let count = persons.len() as i64;
    transact!(vault.inner.database, "bench.fill", |conn| {
        sqlx::query("UPDATE counter SET value = $1 WHERE name = 'passport'").bind(count).execute(&mut *conn).await?;
        sqlx::query("ANALYZE").execute(&mut *conn).await?;
        Ok(())
    })?;
    Ok(persons)
}

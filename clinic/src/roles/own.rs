//! The roles that a clinic makes for itself: as many as it likes.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Field, Permission, Rights, Shipped, UtcMillis, Zones};
use store::Database;

use super::give::must_be_lasting;
use super::{OwnId, ROLE_NAME_MAX_CHARS, ROLE_TEXT_MAX_CHARS, RoleError, RoleId, Tables, keepers, tables};
use crate::accounts::random_id;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::rows;

/// What a role is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleText {
    /// Its name; no other own role has it.
    pub name: String,
    /// Who it is for, in a sentence; may be empty.
    pub description: String,
    /// What it grants. [`Permission::OwnAccount`] is always among it.
    pub permissions: BTreeSet<Permission>,
    /// Which fields of a person it shows.
    pub fields: BTreeSet<Field>,
}

impl RoleText {
    /// Trimmed and completed.
    fn checked(&self) -> Result<Self, RoleError> {
        let is_line = |text: &str, most: usize| text.chars().count() <= most && !text.chars().any(char::is_control);
        let (name, description) = (self.name.trim().to_owned(), self.description.trim().to_owned());
        if name.is_empty() || !is_line(&name, ROLE_NAME_MAX_CHARS) {
            return Err(RoleError::BadName);
        }
        if !is_line(&description, ROLE_TEXT_MAX_CHARS) {
            return Err(RoleError::BadText);
        }
        let mut permissions = self.permissions.clone();
        permissions.insert(Permission::OwnAccount);
        Ok(Self { name, description, permissions, fields: self.fields.clone() })
    }

    /// The rights that it gives on the whole site.
    fn rights(&self) -> Rights {
        let mut rights = Rights::default();
        let (permissions, fields): (Vec<_>, Vec<_>) =
            (self.permissions.iter().copied().collect(), self.fields.iter().copied().collect());
        rights.add(&permissions, &fields, &Zones::All);
        rights
    }
}

/// One line of the list of roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleLine {
    /// Which.
    pub role: RoleId,
    /// What it is; name and description of a shipped role are empty: they are translations.
    pub text: RoleText,
    /// When an own role was last changed.
    pub changed_at: Option<UtcMillis>,
    /// How many accounts have it.
    pub accounts: i64,
}

/// Id, name, description, when it was last changed.
type OwnRow = (String, String, String, i64);

/// All roles: the shipped ones, then the clinic's own by name.
///
/// # Errors
/// [`RoleError::Denied`], or the database.
pub async fn list(database: &Database, acting: &Acting) -> Result<Vec<RoleLine>, RoleError> {
    acting.must(Permission::AccountSee)?;
    let held: Vec<(String, i64)> = store::read!(database, "roles.list", |conn| {
        Ok(store::sqlx::query_as("SELECT role, COUNT(DISTINCT account) FROM account_role GROUP BY role")
            .fetch_all(&mut *conn)
            .await?)
    })?;
    let held: BTreeMap<String, i64> = held.into_iter().collect();
    let accounts = |role: &RoleId| held.get(role.as_str()).copied().unwrap_or(0);
    let (own, permissions, fields): (Vec<OwnRow>, Vec<_>, Vec<_>) = store::read!(database, "roles.list", |conn| {
        let own = store::sqlx::query_as("SELECT id, name, description, changed_at FROM role ORDER BY name, id")
            .fetch_all(&mut *conn)
            .await?;
        let permissions: Vec<(String, String)> =
            store::sqlx::query_as("SELECT role, permission FROM role_permission").fetch_all(&mut *conn).await?;
        let fields: Vec<(String, String)> =
            store::sqlx::query_as("SELECT role, field FROM role_field").fetch_all(&mut *conn).await?;
        Ok((own, permissions, fields))
    })?;
    let tables = Tables::new(&permissions, &fields, &[])?;
    let line = |role: RoleId, name: String, description: String, changed_at: Option<UtcMillis>| {
        let (permissions, fields) = tables.of(&role);
        let (permissions, fields) = (permissions.iter().copied().collect(), fields.iter().copied().collect());
        let text = RoleText { name, description, permissions, fields };
        RoleLine { accounts: accounts(&role), role, text, changed_at }
    };
    let mut lines: Vec<RoleLine> =
        Shipped::ALL.iter().map(|role| line((*role).into(), String::new(), String::new(), None)).collect();
    for (id, name, description, changed_at) in own {
        let id = rows::code("role", "id", &id, OwnId::parse)?;
        lines.push(line(RoleId::Own(id), name, description, Some(UtcMillis(changed_at))));
    }
    Ok(lines)
}

/// Inside a transaction: writes what a role grants and shows.
macro_rules! put_content {
    ($conn:expr, $id:expr, $text:expr) => {{
        store::sqlx::query("DELETE FROM role_permission WHERE role = $1").bind($id).execute(&mut *$conn).await?;
        store::sqlx::query("DELETE FROM role_field WHERE role = $1").bind($id).execute(&mut *$conn).await?;
        for permission in &$text.permissions {
            store::sqlx::query("INSERT INTO role_permission (role, permission) VALUES ($1, $2)")
                .bind($id)
                .bind(permission.as_str())
                .execute(&mut *$conn)
                .await?;
        }
        for field in &$text.fields {
            store::sqlx::query("INSERT INTO role_field (role, field) VALUES ($1, $2)")
                .bind($id)
                .bind(field.as_str())
                .execute(&mut *$conn)
                .await?;
        }
    }};
}

/// Inside a transaction: whether another role than `$id` has this name.
macro_rules! is_taken {
    ($conn:expr, $name:expr, $id:expr) => {{
        let others: i64 = store::sqlx::query_scalar("SELECT COUNT(*) FROM role WHERE name = $1 AND id <> $2")
            .bind($name)
            .bind($id)
            .fetch_one(&mut *$conn)
            .await?;
        others > 0
    }};
}

/// Makes a role.
///
/// # Errors
/// [`RoleError`]: not allowed, beyond one's own rights, a bad or taken name, a bad description.
pub async fn create(database: &Database, acting: &Acting, now: UtcMillis, text: &RoleText) -> Result<OwnId, RoleError> {
    acting.must(Permission::RoleEdit)?;
    must_be_lasting(acting)?;
    let text = text.checked()?;
    if !acting.rights.covers(&text.rights()) {
        return Err(RoleError::Beyond);
    }
    let made = OwnId(random_id());
    let id = made.as_str().to_owned();
    let draft = edit(acting, now, &id, "made");
    store::transact!(database, "roles.create", |conn| {
        if is_taken!(conn, &text.name, &id) {
            return Ok(Err(RoleError::NameTaken));
        }
        store::sqlx::query("INSERT INTO role (id, name, description, changed_at) VALUES ($1, $2, $3, $4)")
            .bind(&id)
            .bind(&text.name)
            .bind(&text.description)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
        put_content!(conn, &id, text);
        audit::record!(conn, &draft);
        Ok(Ok(()))
    })??;
    Ok(made)
}

/// Changes a role. Takes effect at the next request of everybody who has it.
///
/// # Errors
/// As [`create`]; also [`RoleError::NoRole`] and [`RoleError::LastKeeper`].
pub async fn change(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    role: &OwnId,
    text: &RoleText,
) -> Result<(), RoleError> {
    acting.must(Permission::RoleEdit)?;
    must_be_lasting(acting)?;
    let text = text.checked()?;
    let (id, rights) = (role.as_str().to_owned(), acting.rights.clone());
    let role = RoleId::Own(role.clone());
    let draft = edit(acting, now, &id, "changed");
    store::transact!(database, "roles.change", |conn| {
        let tables = tables!(conn);
        if !tables.has_role(&role) {
            return Ok(Err(RoleError::NoRole));
        }
        if is_taken!(conn, &text.name, &id) {
            return Ok(Err(RoleError::NameTaken));
        }
        let (before, after) = (tables.rights([&super::Grant::site(role.clone())]), text.rights());
        if !rights.covers(&before) || !rights.covers(&after) {
            return Ok(Err(RoleError::Beyond));
        }
        let keeps = |permission| after.allows(permission);
        let loses = |permission| before.allows(permission) && !keeps(permission);
        let (edits, makes) = (Permission::AccountEdit, Permission::RoleEdit);
        if (loses(edits) || loses(makes)) && keepers!(conn, "", &id, keeps(edits), keeps(makes)) == 0 {
            return Ok(Err(RoleError::LastKeeper));
        }
        store::sqlx::query("UPDATE role SET name = $1, description = $2, changed_at = $3 WHERE id = $4")
            .bind(&text.name)
            .bind(&text.description)
            .bind(now.0)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        put_content!(conn, &id, text);
        audit::record!(conn, &draft);
        Ok(Ok(()))
    })?
}

/// Removes a role that nobody has.
///
/// # Errors
/// [`RoleError`]: not allowed, beyond one's own rights, unknown, still in use.
pub async fn remove(database: &Database, acting: &Acting, now: UtcMillis, role: &OwnId) -> Result<(), RoleError> {
    acting.must(Permission::RoleEdit)?;
    must_be_lasting(acting)?;
    let (id, rights) = (role.as_str().to_owned(), acting.rights.clone());
    let role = RoleId::Own(role.clone());
    let draft = edit(acting, now, &id, "removed");
    store::transact!(database, "roles.remove", |conn| {
        let tables = tables!(conn);
        if !tables.has_role(&role) {
            return Ok(Err(RoleError::NoRole));
        }
        if !rights.covers(&tables.rights([&super::Grant::site(role.clone())])) {
            return Ok(Err(RoleError::Beyond));
        }
        let users: i64 = store::sqlx::query_scalar("SELECT COUNT(DISTINCT account) FROM account_role WHERE role = $1")
            .bind(&id)
            .fetch_one(&mut *conn)
            .await?;
        if users > 0 {
            return Ok(Err(RoleError::InUse(users)));
        }
        store::sqlx::query("DELETE FROM role_permission WHERE role = $1").bind(&id).execute(&mut *conn).await?;
        store::sqlx::query("DELETE FROM role_field WHERE role = $1").bind(&id).execute(&mut *conn).await?;
        store::sqlx::query("DELETE FROM role WHERE id = $1").bind(&id).execute(&mut *conn).await?;
        audit::record!(conn, &draft);
        Ok(Ok(()))
    })?
}

fn edit(acting: &Acting, now: UtcMillis, id: &str, detail: &str) -> Draft {
    let (object, detail) = (Some(id.to_owned()), Some(detail.to_owned()));
    Draft { object, detail, ..acting.draft(now, Action::RoleEdited) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_the_own_account_and_a_name_on_one_line() {
        let text = RoleText { name: "  Night guard ".to_owned(), ..RoleText::default() };
        let checked = text.checked().unwrap();
        assert_eq!(checked.name, "Night guard");
        assert!(checked.permissions.contains(&Permission::OwnAccount));
        for bad in ["", "  ", "a\nb", &"я".repeat(61)] {
            let text = RoleText { name: bad.to_owned(), ..RoleText::default() };
            assert!(matches!(text.checked(), Err(RoleError::BadName)), "{bad:?}");
        }
    }
}

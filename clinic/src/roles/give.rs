//! Giving roles to accounts. Owns the rule of who may give what to whom.

use domain::{Permission, Rights, UtcMillis};
use store::Database;

use super::{Grant, HeldRow, ROLES_PER_ACCOUNT, RoleError, Tables, held_from, tables};
use crate::accounts::AccountId;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// Inside a transaction: how many open accounts with a password, but for `$but`, can manage accounts and roles, if the
/// own role `$role` lets somebody edit accounts (`$edits`, 0 or 1) and roles (`$makes`). Of the shipped roles only the
/// administrator's does.
macro_rules! keepers {
    ($conn:expr, $but:expr, $role:expr, $edits:expr, $makes:expr) => {{
        let keepers: i64 = store::sqlx::query_scalar(
            "SELECT COUNT(*) FROM account WHERE disabled_at IS NULL AND password_hash IS NOT NULL AND id <> $1 \
             AND EXISTS (SELECT 1 FROM account_role r WHERE r.account = account.id AND (r.role = 'administrator' \
              OR (r.role = $2 AND $3 = 1) OR (r.role <> $2 AND EXISTS (SELECT 1 FROM role_permission p \
               WHERE p.role = r.role AND p.permission = 'account_edit')))) \
             AND EXISTS (SELECT 1 FROM account_role r WHERE r.account = account.id AND (r.role = 'administrator' \
              OR (r.role = $2 AND $4 = 1) OR (r.role <> $2 AND EXISTS (SELECT 1 FROM role_permission p \
               WHERE p.role = r.role AND p.permission = 'role_edit'))))",
        )
        .bind($but)
        .bind($role)
        .bind(i64::from($edits))
        .bind(i64::from($makes))
        .fetch_one(&mut *$conn)
        .await?;
        keepers
    }};
    ($conn:expr, $but:expr) => {
        $crate::roles::keepers!($conn, $but, "", false, false)
    };
}
pub(crate) use keepers;

/// Inside a transaction: whether `$rights` hold all rights of the account. Who may not do what somebody else may, must
/// not get hold of that account either: no link to it, no closing of it.
macro_rules! covers_account {
    ($conn:expr, $rights:expr, $account:expr, $now:expr) => {{
        let standing = $crate::roles::standing!($conn, $account, $now);
        $rights.covers(&standing.rights)
    }};
}
pub(crate) use covers_account;

/// Inside a transaction: replaces the roles of an account. What may be given has been checked.
macro_rules! put_roles {
    ($conn:expr, $account:expr, $grants:expr) => {{
        store::sqlx::query("DELETE FROM account_role WHERE account = $1").bind($account).execute(&mut *$conn).await?;
        for grant in $grants {
            store::sqlx::query(
                "INSERT INTO account_role (account, role, zone) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind($account)
            .bind(grant.role.as_str())
            .bind(grant.zone.as_ref().map_or("", |zone| zone.as_str()))
            .execute(&mut *$conn)
            .await?;
        }
    }};
}
pub(crate) use put_roles;

/// Whether these roles exist, make sense together, and lie within `rights`.
pub(crate) fn check(tables: &Tables, rights: &Rights, grants: &[Grant]) -> Result<(), RoleError> {
    if grants.is_empty() {
        return Err(RoleError::NoneGiven);
    }
    if grants.len() > ROLES_PER_ACCOUNT {
        return Err(RoleError::TooMany);
    }
    for grant in grants {
        if !tables.has_role(&grant.role) {
            return Err(RoleError::NoRole);
        }
        if let Some(zone) = &grant.zone {
            if !tables.has_zone(zone) {
                return Err(RoleError::NoZone);
            }
            if !tables.of(&grant.role).0.iter().any(|permission| permission.is_local()) {
                return Err(RoleError::NotLocal);
            }
        }
    }
    if rights.covers(&tables.rights(grants)) { Ok(()) } else { Err(RoleError::Beyond) }
}

/// The new roles against the old ones: what is added must be in order, and neither that nor what is taken away may
/// reach beyond `rights`. What stays is nobody's concern now.
fn check_change(tables: &Tables, rights: &Rights, before: &[Grant], after: &[Grant]) -> Result<(), RoleError> {
    let added: Vec<Grant> = after.iter().filter(|grant| !before.contains(grant)).cloned().collect();
    let taken = before.iter().filter(|grant| !after.contains(grant));
    if after.is_empty() {
        return Err(RoleError::NoneGiven);
    }
    if after.len() > ROLES_PER_ACCOUNT {
        return Err(RoleError::TooMany);
    }
    if !added.is_empty() {
        check(tables, rights, &added)?;
    }
    if rights.covers(&tables.rights(taken)) { Ok(()) } else { Err(RoleError::Beyond) }
}

/// What a breaking of glass adds is there for an emergency, never to be handed on: while it is open, no role changes.
pub(super) fn must_be_lasting(acting: &Acting) -> Result<(), RoleError> {
    if acting.glass.is_none() { Ok(()) } else { Err(RoleError::Beyond) }
}

/// Whether these rights let somebody manage accounts and roles.
pub(super) fn keeps(rights: &Rights) -> bool {
    rights.allows(Permission::AccountEdit) && rights.allows(Permission::RoleEdit)
}

/// Gives an account these roles in place of the ones it has. Takes effect at its next request, and within a second on
/// its open streams.
///
/// # Errors
/// [`RoleError`]: not allowed, one's own account, beyond one's own rights, the last account that can manage others,
/// unknown account, role or zone, none or too many.
pub async fn give(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    account: &AccountId,
    grants: &[Grant],
) -> Result<(), RoleError> {
    acting.must(Permission::AccountEdit)?;
    if acting.account() == Some(account.as_str()) {
        return Err(RoleError::OwnAccount);
    }
    must_be_lasting(acting)?;
    let (id, mut grants, rights) = (account.as_str().to_owned(), grants.to_vec(), acting.rights.clone());
    grants.sort();
    grants.dedup();
    let detail = Some(format!("{} roles: {}", grants.len(), words(&grants)));
    let draft = Draft { object: Some(id.clone()), detail, ..acting.draft(now, Action::RolesChanged) };
    store::transact!(database, "roles.give", |conn| {
        let found: i64 = store::sqlx::query_scalar("SELECT COUNT(*) FROM account WHERE id = $1")
            .bind(&id)
            .fetch_one(&mut *conn)
            .await?;
        if found == 0 {
            return Ok(Err(RoleError::NoAccount));
        }
        let held: Vec<HeldRow> = store::sqlx::query_as(
            "SELECT account_role.role, account_role.zone, role.name FROM account_role \
             LEFT JOIN role ON role.id = account_role.role WHERE account_role.account = $1",
        )
        .bind(&id)
        .fetch_all(&mut *conn)
        .await?;
        let before = held.into_iter().map(|row| Ok(held_from(row)?.grant)).collect::<Result<Vec<_>, store::Error>>()?;
        let tables = tables!(conn);
        if let Err(refused) = check_change(&tables, &rights, &before, &grants) {
            return Ok(Err(refused));
        }
        if keeps(&tables.rights(&before)) && !keeps(&tables.rights(&grants)) && keepers!(conn, &id) == 0 {
            return Ok(Err(RoleError::LastKeeper));
        }
        put_roles!(conn, &id, &grants);
        audit::record!(conn, &draft);
        Ok(Ok(()))
    })?
}

/// Roles as the audit log tells them: codes and ids, with the zone.
pub(crate) fn words(grants: &[Grant]) -> String {
    let words = grants.iter().map(|grant| match &grant.zone {
        Some(zone) => format!("{} in {zone}", grant.role),
        None => grant.role.to_string(),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use domain::Shipped;

    use super::*;

    /// The count of keepers in SQL knows one shipped role by name.
    #[test]
    fn of_the_shipped_roles_only_the_administrator_manages_accounts_or_roles() {
        for role in Shipped::ALL {
            let rights = Rights::of(*role);
            let some = rights.allows(Permission::AccountEdit) || rights.allows(Permission::RoleEdit);
            assert_eq!(some, *role == Shipped::Administrator, "{role}");
            assert_eq!(keeps(&rights), some, "{role}");
        }
    }

    #[test]
    fn nothing_is_given_or_taken_that_one_does_not_have() {
        let tables = Tables::default();
        let rights = Rights::of(Shipped::Guard);
        let (guard, manager) = (Grant::site(Shipped::Guard), Grant::site(Shipped::Manager));
        let change = |before: &[Grant], after: &[Grant]| check_change(&tables, &rights, before, after);
        assert!(change(&[], std::slice::from_ref(&guard)).is_ok());
        assert!(matches!(change(&[], std::slice::from_ref(&manager)), Err(RoleError::Beyond)));
        assert!(matches!(
            change(&[guard.clone(), manager.clone()], std::slice::from_ref(&guard)),
            Err(RoleError::Beyond)
        ));
        // What was there before is not this one's doing.
        assert!(change(std::slice::from_ref(&manager), &[guard, manager.clone()]).is_ok());
        assert!(matches!(change(&[manager], &[]), Err(RoleError::NoneGiven)));
    }
}

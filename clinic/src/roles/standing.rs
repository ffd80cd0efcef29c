//! From rows to rights: what an account may do now.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Field, Permission, Rights, UtcMillis, ZoneId, Zones};
use store::{Database, Error};

use super::{Grant, Held, OwnId, RoleId};
use crate::accounts::AccountId;
use crate::break_glass::{self, Glass};
use crate::rows;

/// Where an account stands: its roles, and the rights that come of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its roles.
    pub roles: Vec<Held>,
    /// What it may do.
    pub rights: Rights,
    /// The open breaking of glass that adds to its rights.
    pub glass: Option<Glass>,
}

/// Role, zone (empty: the whole site), name of an own role.
pub(crate) type HeldRow = (String, String, Option<String>);

/// Inside a read or a transaction: where the account with this id stands. None of the queries returns a row for an
/// account that has no roles, and then nothing is granted.
macro_rules! standing {
    ($conn:expr, $account:expr, $now:expr) => {{
        let _: domain::UtcMillis = $now;
        let held: Vec<$crate::roles::HeldRow> = store::sqlx::query_as(
            "SELECT account_role.role, account_role.zone, role.name FROM account_role \
             LEFT JOIN role ON role.id = account_role.role WHERE account_role.account = $1 \
             ORDER BY account_role.role, account_role.zone",
        )
        .bind($account)
        .fetch_all(&mut *$conn)
        .await?;
        let mut permissions: Vec<(String, String)> = Vec::new();
        let mut fields: Vec<(String, String)> = Vec::new();
        if held.iter().any(|(_, _, name)| name.is_some()) {
            permissions = store::sqlx::query_as(
                "SELECT role, permission FROM role_permission \
                 WHERE role IN (SELECT role FROM account_role WHERE account = $1)",
            )
            .bind($account)
            .fetch_all(&mut *$conn)
            .await?;
            fields = store::sqlx::query_as(
                "SELECT role, field FROM role_field WHERE role IN (SELECT role FROM account_role WHERE account = $1)",
            )
            .bind($account)
            .fetch_all(&mut *$conn)
            .await?;
        }
        let mut tree: Vec<(String, Option<String>)> = Vec::new();
        if held.iter().any(|(_, zone, _)| !zone.is_empty()) {
            tree = store::sqlx::query_as("SELECT id, inside FROM zone").fetch_all(&mut *$conn).await?;
        }
        $crate::roles::Tables::new(&permissions, &fields, &tree)?.standing(held)?
    }};
}
pub(crate) use standing;

/// Inside a transaction: all of the [`Tables`]; own roles are few.
macro_rules! tables {
    ($conn:expr) => {{
        let permissions: Vec<(String, String)> =
            store::sqlx::query_as("SELECT role, permission FROM role_permission").fetch_all(&mut *$conn).await?;
        let fields: Vec<(String, String)> =
            store::sqlx::query_as("SELECT role, field FROM role_field").fetch_all(&mut *$conn).await?;
        let tree: Vec<(String, Option<String>)> =
            store::sqlx::query_as("SELECT id, inside FROM zone").fetch_all(&mut *$conn).await?;
        $crate::roles::Tables::new(&permissions, &fields, &tree)?
    }};
}
pub(crate) use tables;

/// What own roles grant, and which zone lies in which: what rights are worked out from.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    permissions: BTreeMap<String, Vec<Permission>>,
    fields: BTreeMap<String, Vec<Field>>,
    /// Each zone with the one around it.
    zones: BTreeMap<ZoneId, Option<ZoneId>>,
}

impl Tables {
    /// From rows of `role_permission`, `role_field` and `zone`.
    pub(crate) fn new(
        permissions: &[(String, String)],
        fields: &[(String, String)],
        tree: &[(String, Option<String>)],
    ) -> Result<Self, Error> {
        let mut tables = Self::default();
        for (role, code) in permissions {
            let permission = rows::code("role_permission", "permission", code, Permission::parse)?;
            tables.permissions.entry(role.clone()).or_default().push(permission);
        }
        for (role, code) in fields {
            let field = rows::code("role_field", "field", code, Field::parse)?;
            tables.fields.entry(role.clone()).or_default().push(field);
        }
        for (zone, around) in tree {
            let around = rows::optional("zone", "inside", around.as_deref(), ZoneId::new)?;
            tables.zones.insert(rows::column("zone", "id", zone, ZoneId::new)?, around);
        }
        Ok(tables)
    }

    /// What a role grants.
    pub(crate) fn of(&self, role: &RoleId) -> (&[Permission], &[Field]) {
        match role {
            RoleId::Shipped(role) => (role.permissions(), role.fields()),
            RoleId::Own(id) => (
                self.permissions.get(id.as_str()).map_or(&[], Vec::as_slice),
                self.fields.get(id.as_str()).map_or(&[], Vec::as_slice),
            ),
        }
    }

    /// Whether there is such a role. An own one always has the permission that every role has.
    pub(crate) fn has_role(&self, role: &RoleId) -> bool {
        match role {
            RoleId::Shipped(_) => true,
            RoleId::Own(id) => self.permissions.contains_key(id.as_str()),
        }
    }

    /// Whether the layout has this zone.
    pub(crate) fn has_zone(&self, zone: &ZoneId) -> bool {
        self.zones.contains_key(zone)
    }

    /// A zone and all that lie in it. The layout's tree has no circle; should it have one, this ends all the same.
    pub(crate) fn zones(&self, zone: &ZoneId) -> Zones {
        let mut all = BTreeSet::from([zone.clone()]);
        loop {
            let more: Vec<_> = self
                .zones
                .iter()
                .filter(|(inner, around)| !all.contains(*inner) && around.as_ref().is_some_and(|it| all.contains(it)))
                .map(|(inner, _)| inner.clone())
                .collect();
            if more.is_empty() {
                return Zones::Only(all);
            }
            all.extend(more);
        }
    }

    /// The rights that these roles give together.
    pub(crate) fn rights<'a>(&self, grants: impl IntoIterator<Item = &'a Grant>) -> Rights {
        let mut rights = Rights::default();
        for grant in grants {
            let (permissions, fields) = self.of(&grant.role);
            let zones = grant.zone.as_ref().map_or(Zones::All, |zone| self.zones(zone));
            rights.add(permissions, fields, &zones);
        }
        rights
    }

    /// Where an account with these rows stands.
    pub(crate) fn standing(&self, held: Vec<HeldRow>) -> Result<Standing, Error> {
        let roles = held.into_iter().map(held_from).collect::<Result<Vec<_>, _>>()?;
        let rights = self.rights(roles.iter().map(|held| &held.grant));
        Ok(Standing { roles, rights, glass: None })
    }
}

/// A row of `account_role` with the name of its own role.
pub(crate) fn held_from((role, zone, name): HeldRow) -> Result<Held, Error> {
    let role = rows::code("account_role", "role", &role, |text| match name {
        Some(_) => OwnId::parse(text).map(RoleId::Own),
        None => RoleId::parse(text),
    })?;
    let zone = (!zone.is_empty()).then_some(zone.as_str());
    let zone = rows::optional("account_role", "zone", zone, ZoneId::new)?;
    Ok(Held { grant: Grant { role, zone }, name })
}

/// Where an account stands now; nothing is granted to one that does not exist. Whether it may sign in at all is the
/// matter of [`crate::accounts`].
///
/// # Errors
/// The database.
pub async fn standing_of(database: &Database, account: &AccountId, now: UtcMillis) -> Result<Standing, Error> {
    let id = account.as_str();
    let mut standing = store::read!(database, "roles.standing", |conn| { Ok(standing!(conn, id, now)) })?;
    // Who may not break glass any more holds none either.
    if standing.rights.allows(Permission::BreakGlassUse) {
        standing.glass = break_glass::open_for(database, account, now).await?;
    }
    if let Some(glass) = &standing.glass {
        glass.widen(&mut standing.rights);
    }
    Ok(standing)
}

/// What an account may do now.
///
/// # Errors
/// The database.
pub async fn rights_of(database: &Database, account: &AccountId, now: UtcMillis) -> Result<Rights, Error> {
    Ok(standing_of(database, account, now).await?.rights)
}

#[cfg(test)]
mod tests {
    use domain::Shipped;

    use super::*;

    fn zone(name: &str) -> ZoneId {
        ZoneId::new(name).unwrap()
    }

    fn tables() -> Tables {
        let tree = [("clinic", None), ("hall", Some("clinic")), ("ward", Some("hall")), ("yard", None)];
        let tree = tree.map(|(id, inside): (&str, Option<&str>)| (id.to_owned(), inside.map(str::to_owned)));
        let id = "a".repeat(32);
        Tables::new(&[(id.clone(), "audit_see".to_owned())], &[(id, "name".to_owned())], &tree).unwrap()
    }

    #[test]
    fn a_role_in_a_zone_counts_in_what_lies_in_it() {
        let tables = tables();
        let grant = Grant { role: Shipped::Guard.into(), zone: Some(zone("hall")) };
        let rights = tables.rights([&grant]);
        let zones = rights.zones(Permission::DoorOpen).unwrap();
        assert!(zones.contains(&zone("hall")) && zones.contains(&zone("ward")));
        assert!(!zones.contains(&zone("clinic")) && !zones.contains(&zone("yard")));
        assert_eq!(rights.zones(Permission::OwnAccount), Some(&Zones::All));
    }

    #[test]
    fn a_circle_of_zones_ends() {
        let circle = [("a".to_owned(), Some("b".to_owned())), ("b".to_owned(), Some("a".to_owned()))];
        let tables = Tables::new(&[], &[], &circle).unwrap();
        assert_eq!(tables.zones(&zone("a")), Zones::Only(BTreeSet::from([zone("a"), zone("b")])));
    }

    #[test]
    fn an_own_role_grants_its_rows_and_an_unknown_one_nothing() {
        let tables = tables();
        let own = |digit: &str| Grant::site(RoleId::parse(&digit.repeat(32)).unwrap());
        let rights = tables.rights([&own("a")]);
        assert!(rights.allows(Permission::AuditSee) && rights.shows(Field::Name));
        assert_eq!(tables.rights([&own("b")]), Rights::default());
    }

    #[test]
    fn a_permission_of_a_newer_version_is_an_error_that_names_its_place() {
        let error = Tables::new(&[("x".to_owned(), "fly".to_owned())], &[], &[]).unwrap_err().to_string();
        assert!(error.contains("role_permission") && error.contains("permission"), "{error}");
    }
}

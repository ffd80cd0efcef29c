//! Who may do what, as data: permissions, the fields of a person that a role shows, the zones in which it counts, and
//! the roles that are shipped. A clinic adds as many roles of its own as it likes; those are rows of the database and
//! become [`Rights`] the same way. Everything that is not granted is refused.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::codes;
use crate::ids::ZoneId;

codes! {
    /// One thing that somebody may do. Each route and each command of the clinic asks for exactly one.
    Permission {
        /// Watch people pass, live.
        LiveWatch = "live_watch",
        /// Open a door once; emergency release.
        DoorOpen = "door_open",
        /// Lock a door, set it free, put it back to normal.
        DoorCommand = "door_command",
        /// See readers, controllers and their state.
        DevicesSee = "devices_see",
        /// Read the journal of events.
        JournalSee = "journal_see",
        /// Take the journal away as a file.
        JournalExport = "journal_export",
        /// See who is inside.
        PresenceSee = "presence_see",
        /// Look for a person by name, document, contact or number.
        PersonFind = "person_find",
        /// Open a person's page, masked.
        PersonSee = "person_see",
        /// Unmask a person's fields, with a purpose.
        PersonReveal = "person_reveal",
        /// Register people and correct what is known of them.
        PersonEdit = "person_edit",
        /// Give, block and withdraw passes.
        PassEdit = "pass_edit",
        /// Erase a person.
        PersonErase = "person_erase",
        /// See accounts.
        AccountSee = "account_see",
        /// Make accounts, give roles, close accounts, end sessions of others.
        AccountEdit = "account_edit",
        /// Make and change roles.
        RoleEdit = "role_edit",
        /// Make and end keys of the HTTP API.
        ApiKeyEdit = "api_key_edit",
        /// See e-mail notices and whether they arrived.
        NoticeSee = "notice_see",
        /// Unlock the vault, watch and start the change of its key.
        VaultManage = "vault_manage",
        /// Read the audit log and check it.
        AuditSee = "audit_see",
        /// Take the audit log away as a file.
        AuditExport = "audit_export",
        /// Read the register of disclosures.
        DisclosureSee = "disclosure_see",
        /// Requests of persons about their data, restriction, the data map.
        PrivacyManage = "privacy_manage",
        /// Break glass: see what one's role does not show, for a while, with a reason.
        BreakGlassUse = "break_glass_use",
        /// Review who broke glass.
        BreakGlassReview = "break_glass_review",
        /// Read the feed of changes by the HTTP API.
        FeedRead = "feed_read",
        /// Work at a workstation: visits, work without the card.
        DeskUse = "desk_use",
        /// Set up workstations and end what is open there.
        DeskManage = "desk_manage",
        /// Ask where a patient or a colleague is.
        PersonLocate = "person_locate",
        /// See visits, rooms and routes, by pseudonym.
        VisitSee = "visit_see",
        /// Review what was done without a card.
        IrregularReview = "irregular_review",
        /// See how other systems are connected, what they were told and what they told us.
        ExchangeSee = "exchange_see",
        /// Connect other systems; repeat, pause and give up deliveries.
        ExchangeManage = "exchange_manage",
        /// Tell staff, patients, appointments and messages by the HTTP API.
        FeedWrite = "feed_write",
        /// Register services for a patient and take them back.
        ServiceRegister = "service_register",
        /// See what a patient was charged, owes and has paid.
        ChargeSee = "charge_see",
        /// Take payments, give receipts, open and close one's own drawer.
        PaymentTake = "payment_take",
        /// Allow write-offs and money given back that somebody else asks for.
        TillApprove = "till_approve",
        /// Allow more than a limit, for a while, with a reason.
        LimitOverride = "limit_override",
        /// Settle and close days, close drawers of others.
        TillClose = "till_close",
        /// Set services and prices.
        PriceEdit = "price_edit",
        /// Set terms of payment, groups, contracts, limits and discounts.
        TermsEdit = "terms_edit",
        /// See the till's figures: exposure, revenue, discounts, ageing, by pseudonym.
        TillReport = "till_report",
        /// One's own account: language, password, sessions, second factor. Every role has it.
        OwnAccount = "own_account",
    }
}

impl Permission {
    /// Whether it is about places, so that a role given in some zones grants it there only. The others have no place:
    /// they count however the role was given.
    pub const fn is_local(self) -> bool {
        matches!(
            self,
            Self::LiveWatch
                | Self::DoorOpen
                | Self::DoorCommand
                | Self::DevicesSee
                | Self::JournalSee
                | Self::JournalExport
                | Self::PresenceSee
        )
    }
}

codes! {
    /// One kind of knowledge about a person that pages and answers may hold.
    Field {
        /// First, last and middle names.
        Name = "name",
        /// The photograph.
        Photo = "photo",
        /// Kind and state of passes and until when they are valid.
        Validity = "validity",
        /// The category that rules go by.
        Category = "category",
        /// Date of birth.
        BirthDate = "birth_date",
        /// Identity documents.
        Document = "document",
        /// Telephone, e-mail, address.
        Contact = "contact",
        /// What other systems call the person: a personnel or record number.
        Reference = "reference",
        /// What a visit is for: health data.
        VisitPurpose = "visit_purpose",
    }
}

/// Where something is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zones {
    /// On the whole site.
    All,
    /// In these zones; never empty. What lies in them is listed too: who makes the set knows the tree.
    Only(BTreeSet<ZoneId>),
}

impl Zones {
    /// Whether this zone is among them.
    pub fn contains(&self, zone: &ZoneId) -> bool {
        match self {
            Self::All => true,
            Self::Only(own) => own.contains(zone),
        }
    }

    /// Whether everything of `other` is among them.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(own), Self::Only(asked)) => asked.is_subset(own),
        }
    }

    /// Both together.
    fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::Only(own), Self::Only(more)) => own.extend(more.iter().cloned()),
        }
    }

    /// What both name; `None` if that is nothing.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::All, zones) | (zones, Self::All) => Some(zones.clone()),
            (Self::Only(own), Self::Only(theirs)) => {
                let both: BTreeSet<_> = own.intersection(theirs).cloned().collect();
                (!both.is_empty()).then_some(Self::Only(both))
            }
        }
    }
}

/// What somebody may do, as of now. Empty: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    granted: BTreeMap<Permission, Zones>,
    fields: BTreeSet<Field>,
}

/// Somebody may not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this needs the permission {0}")]
pub struct Denied(pub Permission);

impl Rights {
    /// Adds what a role grants within `zones`; what is not about places is granted without regard to them.
    pub fn add(&mut self, permissions: &[Permission], fields: &[Field], zones: &Zones) {
        for permission in permissions {
            let zones = if permission.is_local() { zones } else { &Zones::All };
            self.granted.entry(*permission).and_modify(|own| own.join(zones)).or_insert_with(|| zones.clone());
        }
        self.fields.extend(fields);
    }

    /// What a shipped role grants on the whole site.
    pub fn of(role: Shipped) -> Self {
        let mut rights = Self::default();
        rights.add(role.permissions(), role.fields(), &Zones::All);
        rights
    }

    /// What of these rights is left within narrower limits: only these permissions and fields, only in these zones.
    /// Never more than before.
    pub fn within(&self, permissions: &[Permission], fields: &[Field], zones: &Zones) -> Self {
        let granted = permissions.iter().filter_map(|permission| {
            let left = self.granted.get(permission)?.meet(zones)?;
            Some((*permission, left))
        });
        Self {
            granted: granted.collect(),
            fields: fields.iter().copied().filter(|field| self.fields.contains(field)).collect(),
        }
    }

    /// Whether it is granted somewhere.
    pub fn allows(&self, permission: Permission) -> bool {
        self.granted.contains_key(&permission)
    }

    /// As [`Rights::allows`], for the `?` operator.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn must(&self, permission: Permission) -> Result<(), Denied> {
        if self.allows(permission) { Ok(()) } else { Err(Denied(permission)) }
    }

    /// Where it is granted; `None` if nowhere.
    pub fn zones(&self, permission: Permission) -> Option<&Zones> {
        self.granted.get(&permission)
    }

    /// Whether these hold all of `other`, everywhere it counts: only then may it be given or taken away.
    pub fn covers(&self, other: &Self) -> bool {
        other.granted.iter().all(|(permission, zones)| self.zones(*permission).is_some_and(|own| own.covers(zones)))
            && other.fields.is_subset(&self.fields)
    }

    /// Whether this field of a person may be shown.
    pub fn shows(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }

    /// The fields that may be shown.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.fields.iter().copied()
    }

    /// The permissions granted somewhere.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.granted.keys().copied()
    }
}

codes! {
    /// A role that is shipped. Its rights come with the program and cannot be changed; a clinic that wants others copies
    /// it into a role of its own.
    Shipped {
        /// Watches a post.
        Guard = "guard",
        /// Issues passes against a document.
        PassOffice = "pass_office",
        /// Answers the telephone and applies for passes.
        ContactCentre = "contact_centre",
        /// Treats.
        Doctor = "doctor",
        /// Nurses.
        Nurse = "nurse",
        /// Takes payments.
        Cashier = "cashier",
        /// Answers for the till: prices, terms, approvals, closing.
        Accountant = "accountant",
        /// Looks at flows and loads, by pseudonym.
        Manager = "manager",
        /// Checks what was done.
        Auditor = "auditor",
        /// Answers for personal data.
        PrivacyOfficer = "privacy_officer",
        /// Joins other systems.
        Integrator = "integrator",
        /// Everything.
        Administrator = "administrator",
    }
}

impl Shipped {
    /// What it grants.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission as P;
        match self {
            Self::Guard => &[
                P::OwnAccount,
                P::LiveWatch,
                P::DoorOpen,
                P::DevicesSee,
                P::JournalSee,
                P::PresenceSee,
                P::BreakGlassUse,
            ],
            Self::PassOffice => &[
                P::OwnAccount,
                P::LiveWatch,
                P::PersonFind,
                P::PersonSee,
                P::PersonReveal,
                P::PersonEdit,
                P::PassEdit,
                P::BreakGlassUse,
            ],
            Self::ContactCentre => &[P::OwnAccount, P::PersonFind, P::PersonSee, P::PersonReveal],
            Self::Doctor | Self::Nurse => &[
                P::OwnAccount,
                P::PresenceSee,
                P::PersonFind,
                P::PersonSee,
                P::PersonReveal,
                P::BreakGlassUse,
                P::DeskUse,
                P::PersonLocate,
                P::ServiceRegister,
                P::ChargeSee,
            ],
            Self::Cashier => &[P::OwnAccount, P::PersonFind, P::PersonSee, P::ChargeSee, P::PaymentTake],
            Self::Accountant => &[
                P::OwnAccount,
                P::PersonFind,
                P::PersonSee,
                P::ChargeSee,
                P::PaymentTake,
                P::TillApprove,
                P::LimitOverride,
                P::TillClose,
                P::PriceEdit,
                P::TermsEdit,
                P::TillReport,
                P::ExchangeSee,
            ],
            Self::Manager => &[
                P::OwnAccount,
                P::LiveWatch,
                P::DoorOpen,
                P::DoorCommand,
                P::DevicesSee,
                P::JournalSee,
                P::JournalExport,
                P::PresenceSee,
                P::VisitSee,
                P::IrregularReview,
                P::TillReport,
                P::LimitOverride,
            ],
            Self::Auditor => {
                &[P::OwnAccount, P::AuditSee, P::AuditExport, P::DisclosureSee, P::AccountSee, P::IrregularReview]
            }
            Self::PrivacyOfficer => &[
                P::OwnAccount,
                P::AuditSee,
                P::AuditExport,
                P::DisclosureSee,
                P::PrivacyManage,
                P::PersonFind,
                P::PersonSee,
                P::PersonReveal,
                P::PersonErase,
                P::BreakGlassReview,
                P::NoticeSee,
            ],
            Self::Integrator => &[
                P::OwnAccount,
                P::DevicesSee,
                P::ApiKeyEdit,
                P::FeedRead,
                P::DeskManage,
                P::ExchangeSee,
                P::ExchangeManage,
                P::FeedWrite,
            ],
            Self::Administrator => Permission::ALL,
        }
    }

    /// Which fields of a person it shows.
    pub const fn fields(self) -> &'static [Field] {
        use Field as F;
        match self {
            Self::Guard => &[F::Name, F::Photo, F::Validity, F::Category],
            Self::PassOffice => {
                &[F::Name, F::Photo, F::Validity, F::Category, F::BirthDate, F::Document, F::Contact, F::Reference]
            }
            Self::ContactCentre => &[F::Name, F::Validity, F::BirthDate, F::Contact, F::Reference],
            Self::Doctor | Self::Nurse => {
                &[F::Name, F::Photo, F::Validity, F::Category, F::BirthDate, F::Reference, F::VisitPurpose]
            }
            Self::Cashier | Self::Accountant => &[F::Name, F::Validity, F::Reference],
            Self::Manager => &[F::Category, F::Validity],
            Self::Auditor | Self::Integrator => &[],
            Self::PrivacyOfficer => {
                &[F::Name, F::Photo, F::Validity, F::Category, F::BirthDate, F::Document, F::Contact, F::Reference]
            }
            Self::Administrator => Field::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_that_was_not_given() {
        let none = Rights::default();
        for permission in Permission::ALL {
            assert_eq!(none.must(*permission), Err(Denied(*permission)));
        }
        assert!(Field::ALL.iter().all(|field| !none.shows(*field)));
    }

    #[test]
    fn rights_of_several_roles_add_up_zone_by_zone() {
        let zone = |name: &str| ZoneId::new(name).unwrap();
        let only = |name: &str| Zones::Only(BTreeSet::from([zone(name)]));
        let mut rights = Rights::default();
        rights.add(&[Permission::LiveWatch], &[Field::Name], &only("hall"));
        rights.add(&[Permission::LiveWatch], &[], &only("yard"));
        let both = Zones::Only(BTreeSet::from([zone("hall"), zone("yard")]));
        assert_eq!(rights.zones(Permission::LiveWatch), Some(&both));
        rights.add(&[Permission::LiveWatch], &[], &Zones::All);
        rights.add(&[Permission::LiveWatch], &[], &only("hall"));
        assert_eq!(rights.zones(Permission::LiveWatch), Some(&Zones::All));
        assert!(!rights.allows(Permission::DoorOpen));
    }

    #[test]
    fn rights_within_limits_are_never_more_than_the_rights() {
        let zone = |name: &str| ZoneId::new(name).unwrap();
        let only = |names: &[&str]| Zones::Only(names.iter().map(|name| zone(name)).collect());
        let mut rights = Rights::default();
        rights.add(&[Permission::LiveWatch], &[Field::Name], &only(&["hall", "yard"]));
        rights.add(&[Permission::DevicesSee], &[], &Zones::All);
        let (all, fields) = (Permission::ALL, Field::ALL);
        assert_eq!(rights.within(all, fields, &Zones::All), rights);
        let left = rights.within(all, &[Field::Photo], &only(&["hall", "roof"]));
        assert_eq!(left.zones(Permission::LiveWatch), Some(&only(&["hall"])));
        assert_eq!(left.zones(Permission::DevicesSee), Some(&only(&["hall", "roof"])));
        assert!(left.fields().next().is_none(), "a field that the rights do not show");
        assert!(!rights.within(all, fields, &only(&["roof"])).allows(Permission::LiveWatch), "nowhere is nothing");
        assert!(!rights.within(&[Permission::DoorOpen], fields, &Zones::All).allows(Permission::DoorOpen));
    }

    #[test]
    fn what_is_not_about_places_counts_without_regard_to_them() {
        let hall = Zones::Only(BTreeSet::from([ZoneId::new("hall").unwrap()]));
        let mut guard = Rights::default();
        guard.add(Shipped::Guard.permissions(), Shipped::Guard.fields(), &hall);
        assert_eq!(guard.zones(Permission::DoorOpen), Some(&hall));
        assert_eq!(guard.zones(Permission::OwnAccount), Some(&Zones::All));
        assert!(Rights::of(Shipped::Guard).covers(&guard));
        assert!(!guard.covers(&Rights::of(Shipped::Guard)), "one hall is not the site");
        assert!(!Rights::of(Shipped::Manager).covers(&guard), "a manager shows no names");
        assert!(Rights::of(Shipped::Administrator).covers(&Rights::of(Shipped::PrivacyOfficer)));
        assert!(guard.covers(&guard) && guard.covers(&Rights::default()));
    }

    #[test]
    fn shipped_roles_show_no_more_than_their_work_needs() {
        assert!(!Rights::of(Shipped::Guard).shows(Field::VisitPurpose));
        assert!(!Rights::of(Shipped::Guard).shows(Field::Document));
        assert!(!Rights::of(Shipped::Manager).shows(Field::Name));
        assert!(!Rights::of(Shipped::Auditor).allows(Permission::PersonReveal));
        let all = Shipped::ALL.iter().all(|role| Rights::of(*role).allows(Permission::OwnAccount));
        assert!(all, "everybody may change their own password");
    }
}

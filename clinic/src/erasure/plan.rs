//! What there is about a person, and what an erasure would do to it: the dry run.

use domain::{Permission, PersonId, UtcMillis, codes};
use store::{Database, Error, read};

use super::ErasureError;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::requests::{self, Hold};
use crate::till::books::{self, OpenAccount};

codes! {
    /// Something kept about a person.
    What {
        /// The sealed passport and its key.
        Passport = "passport",
        /// Earlier states of the passport.
        Corrections = "corrections",
        /// Photographs.
        Photos = "photos",
        /// What other systems call the person.
        Reference = "reference",
        /// Passes and their history.
        Passes = "passes",
        /// Card numbers, sealed for devices.
        Numbers = "numbers",
        /// Where the person is now.
        Presence = "presence",
        /// Orders to doors that name the person.
        Orders = "orders",
        /// Cards in events, by keyed hash.
        Cards = "cards",
        /// What people typed as reasons in the audit log.
        Notes = "notes",
        /// Reasons and comments of glass broken to look at the person.
        GlassWords = "glass_words",
        /// Groups and contracts that the person belongs to, and the language they are spoken to in.
        Memberships = "memberships",
        /// Restriction or an expired hold.
        Marks = "marks",
        /// Who passed where and when.
        Events = "events",
        /// What the person was charged and paid: the clinic's books.
        Books = "books",
        /// Who looked and what was done, in the audit log.
        Entries = "entries",
        /// To whom data were given.
        Disclosures = "disclosures",
        /// What the person asked.
        Requests = "requests",
    }
}

codes! {
    /// What an erasure does to it.
    Fate {
        /// Its key is destroyed, or the row removed.
        Destroyed = "destroyed",
        /// The value is emptied; the row stays for the sake of others.
        Emptied = "emptied",
        /// It stays: it leads to nobody without the rest, and statistics need it.
        KeptPseudonymous = "kept_pseudonymous",
        /// It stays: the law wants proof of what was done.
        KeptByLaw = "kept_by_law",
    }
}

impl What {
    /// What becomes of it.
    pub const fn fate(self) -> Fate {
        match self {
            Self::Passport
            | Self::Corrections
            | Self::Photos
            | Self::Passes
            | Self::Numbers
            | Self::Presence
            | Self::Memberships
            | Self::Marks => Fate::Destroyed,
            Self::Reference | Self::Orders | Self::Cards | Self::Notes | Self::GlassWords => Fate::Emptied,
            Self::Events => Fate::KeptPseudonymous,
            Self::Books | Self::Entries | Self::Disclosures | Self::Requests => Fate::KeptByLaw,
        }
    }
}

/// So much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub what: What,
    /// How many.
    pub count: u64,
}

/// What an erasure would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Whom.
    pub person: PersonId,
    /// Whether the pseudonym is known here.
    pub is_known: bool,
    /// What there is, in the order of [`What::ALL`].
    pub items: Vec<Item>,
    /// Why it may not be done now.
    pub hold: Option<Hold>,
    /// What is still to be paid, given back or decided: while there is something, nobody is erased.
    pub account: OpenAccount,
}

impl Plan {
    /// How many there are of something.
    pub fn count(&self, what: What) -> u64 {
        self.items.iter().find(|item| item.what == what).map_or(0, |item| item.count)
    }

    /// Whether something is left that an erasure would remove.
    pub fn leads_to_somebody(&self) -> bool {
        self.items.iter().any(|item| item.count > 0 && matches!(item.what.fate(), Fate::Destroyed | Fate::Emptied))
    }
}

/// What an erasure would do. The look is recorded.
///
/// # Errors
/// [`domain::Denied`] without `person_erase`; [`ErasureError::Unknown`]; engine errors.
pub async fn plan(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    now: UtcMillis,
) -> Result<Plan, ErasureError> {
    acting.must(Permission::PersonErase)?;
    let plan = read(database, person, now).await?;
    if !plan.is_known {
        return Err(ErasureError::Unknown);
    }
    let draft = Draft {
        subject: Some(person),
        purpose: Some(Purpose::PersonRequest),
        detail: Some("erasure, dry run".to_owned()),
        ..acting.draft(now, Action::PersonSeen)
    };
    audit::write(database, draft).await?;
    Ok(plan)
}

pub(super) async fn read(database: &Database, person: PersonId, now: UtcMillis) -> Result<Plan, Error> {
    let id = person.to_string();
    let counts: Vec<(String, i64)> = read!(database, "erasure.plan", |conn| {
        Ok(sqlx::query_as(
            "SELECT 'person', COUNT(*) FROM person WHERE id = $1
             UNION ALL SELECT 'passport', COUNT(*) FROM passport WHERE person = $1 AND shredded_ms IS NULL
             UNION ALL SELECT 'corrections', COUNT(*) FROM passport_past WHERE person = $1
             UNION ALL SELECT 'photos', COUNT(*) FROM photo WHERE person = $1
             UNION ALL SELECT 'reference', COUNT(external_ref) FROM person WHERE id = $1
             UNION ALL SELECT 'passes', COUNT(*) FROM credential WHERE person = $1
             UNION ALL SELECT 'numbers', COUNT(number) FROM credential WHERE person = $1
             UNION ALL SELECT 'presence', COUNT(*) FROM presence WHERE person = $1
             UNION ALL SELECT 'orders', COUNT(*) FROM command WHERE person = $1
             UNION ALL SELECT 'cards', COUNT(card) FROM event WHERE person = $1
             UNION ALL SELECT 'notes', COUNT(note) FROM audit_entry WHERE subject = $1
             UNION ALL SELECT 'glass_words', COUNT(*) FROM glass WHERE reviewed_ms IS NOT NULL AND reason <> ''
                       AND id IN (SELECT glass FROM audit_entry WHERE subject = $1 AND glass IS NOT NULL)
             UNION ALL SELECT 'marks', (SELECT COUNT(*) FROM restriction WHERE person = $1)
                       + (SELECT COUNT(*) FROM legal_hold WHERE person = $1)
             UNION ALL SELECT 'memberships', (SELECT COUNT(*) FROM payer_member WHERE person = $1)
                       + (SELECT COUNT(COALESCE(language, language_told)) FROM person WHERE id = $1)
             UNION ALL SELECT 'books', (SELECT COUNT(*) FROM charge WHERE patient = $1)
                       + (SELECT COUNT(*) FROM payment WHERE patient = $1)
             UNION ALL SELECT 'events', COUNT(*) FROM event WHERE person = $1
             UNION ALL SELECT 'entries', COUNT(*) FROM audit_entry WHERE subject = $1
             UNION ALL SELECT 'disclosures', COUNT(*) FROM disclosure_person WHERE person = $1
             UNION ALL SELECT 'requests', COUNT(*) FROM privacy_request WHERE person = $1",
        )
        .bind(&id)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let of = |name: &str| counts.iter().find(|(of, _)| of == name).map_or(0, |(_, count)| count.cast_unsigned());
    Ok(Plan {
        person,
        is_known: of("person") > 0,
        items: What::ALL.iter().map(|what| Item { what: *what, count: of(what.as_str()) }).collect(),
        hold: requests::hold_of(database, person, now).await?,
        account: books::open_account(database, person).await?,
    })
}

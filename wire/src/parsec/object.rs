//! The service's objects, written with their fields in its order. Where an object has derived types, the type is told
//! (`xsi:type`), because the service otherwise takes the base type and drops the rest.

use domain::UtcMillis;

use super::code::Code;
use super::guid::Guid;
use super::tree::Element;
use super::writer::Writer;

/// An opened session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Named by every call.
    pub id: Guid,
    /// The root of the organisation.
    pub root_org_unit: Guid,
    /// The root of the territories; it differs from one installation to the next.
    pub root_territory: Guid,
}

impl Session {
    pub(super) fn read(from: &Element) -> Option<Self> {
        Some(Self {
            id: from.guid_of("SessionID")?,
            root_org_unit: from.guid_of("RootOrgUnitID").unwrap_or_default(),
            root_territory: from.guid_of("RootTerritoryID").unwrap_or_default(),
        })
    }

    pub(super) fn write(&self, xml: &mut Writer) {
        xml.guid("SessionID", self.id);
        xml.guid("RootOrgUnitID", self.root_org_unit);
        xml.guid("RootTerritoryID", self.root_territory);
    }
}

/// A person as the service knows one. Ours have a neutral name only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// Its id.
    pub id: Guid,
    /// `FIRST_NAME`.
    pub first_name: String,
    /// `LAST_NAME`.
    pub last_name: String,
    /// `MIDDLE_NAME`.
    pub middle_name: String,
    /// `TAB_NUM`, the number in the personnel list.
    pub number: String,
    /// `ORG_ID`, its organisational unit.
    pub org_unit: Guid,
}

impl Person {
    pub(super) fn read(from: &Element) -> Option<Self> {
        Some(Self {
            id: from.guid_of("ID")?,
            first_name: from.text_of("FIRST_NAME"),
            last_name: from.text_of("LAST_NAME"),
            middle_name: from.text_of("MIDDLE_NAME"),
            number: from.text_of("TAB_NUM"),
            org_unit: from.guid_of("ORG_ID").unwrap_or_default(),
        })
    }

    pub(super) fn write(&self, xml: &mut Writer) {
        xml.guid("ID", self.id);
        xml.text("FIRST_NAME", &self.first_name);
        xml.text("LAST_NAME", &self.last_name);
        xml.text("MIDDLE_NAME", &self.middle_name);
        xml.text("TAB_NUM", &self.number);
        xml.guid("ORG_ID", self.org_unit);
    }
}

/// A card of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// The card.
    pub code: Code,
    /// Whose.
    pub person: Guid,
    /// The first one of its person.
    pub primary: bool,
    /// Its access group; nil: none, so it opens nothing.
    pub group: Guid,
    /// `PRIVILEGE_MASK`; the meaning of its bits is not public, 0 is none.
    pub privileges: i64,
    /// Words for the operator.
    pub name: String,
    /// From and to, if it is a temporary one (`IdentifierTemp`).
    pub valid: Option<(UtcMillis, UtcMillis)>,
}

impl Identifier {
    /// The type's name.
    fn kind(&self) -> &'static str {
        if self.valid.is_some() { "IdentifierTemp" } else { "Identifier" }
    }

    pub(super) fn read(from: &Element) -> Option<Self> {
        Some(Self {
            code: Code::parse(from.child("CODE")?.value()?)?,
            person: from.guid_of("PERSON_ID").unwrap_or_default(),
            primary: from.flag_of("IS_PRIMARY").unwrap_or_default(),
            group: from.guid_of("ACCGROUP_ID").unwrap_or_default(),
            privileges: from.int_of("PRIVILEGE_MASK").unwrap_or_default(),
            name: from.text_of("NAME"),
            valid: from.instant_of("VALID_FROM").zip(from.instant_of("VALID_TO")),
        })
    }

    /// As `name`, with its type.
    pub(super) fn write(&self, xml: &mut Writer, name: &str) {
        xml.typed(name, self.kind(), |xml| {
            xml.text("CODE", &self.code.text());
            xml.guid("PERSON_ID", self.person);
            xml.flag("IS_PRIMARY", self.primary);
            xml.guid("ACCGROUP_ID", self.group);
            xml.int("PRIVILEGE_MASK", self.privileges);
            // 0: an access card of the system.
            xml.int("IDENTIFTYPE", 0);
            xml.text("NAME", &self.name);
            if let Some((from, to)) = self.valid {
                xml.instant("VALID_FROM", from);
                xml.instant("VALID_TO", to);
            }
        });
    }
}

/// A visitor's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitorRequest {
    /// Its id; nil in a new one.
    pub id: Guid,
    /// Its number, given by the service.
    pub number: i64,
    /// When it was made.
    pub made: UtcMillis,
    /// The unit that expects the visitor.
    pub org_unit: Guid,
    /// The visitor.
    pub person: Guid,
    /// Words about the visitor.
    pub person_info: String,
    /// Why.
    pub purpose: String,
    /// Its state; the numbers are not public.
    pub status: i64,
    /// When the visitor may come.
    pub admit: (UtcMillis, UtcMillis),
}

impl VisitorRequest {
    pub(super) fn read(from: &Element) -> Option<Self> {
        Some(Self {
            id: from.guid_of("ID")?,
            number: from.int_of("NUMBER").unwrap_or_default(),
            made: from.instant_of("DATE").unwrap_or_default(),
            org_unit: from.guid_of("ORGUNIT_ID").unwrap_or_default(),
            person: from.guid_of("PERSON_ID").unwrap_or_default(),
            person_info: from.text_of("PERSON_INFO"),
            purpose: from.text_of("PURPOSE"),
            status: from.int_of("STATUS").unwrap_or_default(),
            admit: (
                from.instant_of("ADMIT_START").unwrap_or_default(),
                from.instant_of("ADMIT_END").unwrap_or_default(),
            ),
        })
    }

    pub(super) fn write(&self, xml: &mut Writer) {
        xml.guid("ID", self.id);
        xml.int("NUMBER", self.number);
        xml.instant("DATE", self.made);
        xml.guid("ORGUNIT_ID", self.org_unit);
        xml.guid("PERSON_ID", self.person);
        xml.text("PERSON_INFO", &self.person_info);
        xml.text("PURPOSE", &self.purpose);
        xml.int("STATUS", self.status);
        xml.instant("ADMIT_START", self.admit.0);
        xml.instant("ADMIT_END", self.admit.1);
    }
}

/// A territory: a folder, a door, a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Territory {
    /// Its id.
    pub id: Guid,
    /// 0 folder, 1 door, 2 component, 3 other.
    pub kind: u8,
    /// Its name, not necessarily its own alone.
    pub name: String,
    /// Words.
    pub about: String,
    /// What it lies in.
    pub parent: Guid,
}

/// `TYPE` of a door.
pub const TERRITORY_DOOR: u8 = 1;

impl Territory {
    pub(super) fn read(from: &Element) -> Option<Self> {
        Some(Self {
            id: from.guid_of("ID")?,
            kind: from.int_of("TYPE").and_then(|kind| kind.try_into().ok()).unwrap_or(3),
            name: from.text_of("NAME"),
            about: from.text_of("DESC"),
            parent: from.guid_of("PARENT_ID").unwrap_or_default(),
        })
    }

    pub(super) fn write(&self, xml: &mut Writer) {
        xml.within("Territory", "", |xml| {
            xml.guid("ID", self.id);
            xml.int("TYPE", self.kind);
            xml.text("NAME", &self.name);
            xml.text("DESC", &self.about);
            xml.guid("PARENT_ID", self.parent);
        });
    }
}

/// An entry of the dictionary of transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionType {
    /// The code that events carry.
    pub id: u32,
    /// Classes that it belongs to.
    pub classes: i64,
    /// Its name in the server's language.
    pub name: String,
}

impl TransactionType {
    pub(super) fn read(from: &Element) -> Option<Self> {
        Some(Self {
            id: from.int_of("ID")?.try_into().ok()?,
            classes: from.int_of("CLASS_MASK").unwrap_or_default(),
            name: from.text_of("NAME"),
        })
    }

    pub(super) fn write(&self, xml: &mut Writer) {
        xml.within("TransactionType", "", |xml| {
            xml.int("ID", self.id);
            xml.int("CLASS_MASK", self.classes);
            xml.text("NAME", &self.name);
        });
    }
}

/// The state of a territory's hardware: a mask whose bits are not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardwareState {
    /// Which.
    pub territory: Guid,
    /// The mask.
    pub state: u64,
}

impl HardwareState {
    pub(super) fn read(from: &Element) -> Option<Self> {
        let state = from.child("State")?.value()?.parse().ok()?;
        Some(Self { territory: from.guid_of("TerritoryID")?, state })
    }

    pub(super) fn write(&self, xml: &mut Writer) {
        xml.within("HardwareState", "", |xml| {
            xml.guid("TerritoryID", self.territory);
            xml.int("State", self.state);
        });
    }
}

/// What a report over events is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryQuery {
    /// Not before.
    pub from: Option<UtcMillis>,
    /// Not after.
    pub to: Option<UtcMillis>,
    /// Of these territories; empty: of all.
    pub territories: Vec<Guid>,
    /// Of these codes; empty: of all.
    pub codes: Vec<u32>,
    /// Most events of the report; without it the service stops at 5,000 and does not say so.
    pub most: Option<i32>,
}

impl HistoryQuery {
    pub(super) fn read(from: &Element) -> Self {
        let guids = |name| from.child(name).map(read_guids).unwrap_or_default();
        let codes = from
            .child("TransactionTypes")
            .map(|list| list.all("unsignedInt").filter_map(|code| code.value()?.parse().ok()).collect());
        Self {
            from: from.instant_of("StartDate"),
            to: from.instant_of("EndDate"),
            territories: guids("Territories"),
            codes: codes.unwrap_or_default(),
            most: from.int_of("MaxResultSize").and_then(|most| most.try_into().ok()),
        }
    }

    /// All fields in their order; those that are not asked for are nil, as the service wants them.
    pub(super) fn write(&self, xml: &mut Writer) {
        let instant = |xml: &mut Writer, name: &str, at: Option<UtcMillis>| match at {
            Some(at) => xml.instant(name, at),
            None => xml.nil(name),
        };
        xml.nil("ParentEventID");
        instant(xml, "StartDate", self.from);
        instant(xml, "EndDate", self.to);
        ["StartTime0", "EndTime0", "StartTime1", "EndTime1"].into_iter().for_each(|name| xml.nil(name));
        if !self.territories.is_empty() {
            xml.guids("Territories", &self.territories);
        }
        if !self.codes.is_empty() {
            write_codes(xml, &self.codes);
        }
        xml.nil("EventsWithoutUser");
        match self.most {
            Some(most) => xml.int("MaxResultSize", most),
            None => xml.nil("MaxResultSize"),
        }
        // Times are UTC then. Servers of before this field pass over it, and speak UTC anyway.
        xml.flag("UseLocalTime", false);
    }
}

pub(super) fn write_codes(xml: &mut Writer, codes: &[u32]) {
    xml.within("TransactionTypes", "", |xml| codes.iter().for_each(|code| xml.int("unsignedInt", *code)));
}

pub(super) fn read_guids(list: &Element) -> Vec<Guid> {
    list.all("guid").filter_map(|guid| guid.value()?.parse().ok()).collect()
}

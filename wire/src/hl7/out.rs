//! The messages that we send: ADT about visits, DFT about charges, acknowledgements. Version 2.5.1, delimiters `|^~\&`.
//! The same facts give the same bytes: a message that is sent again is the same message.

use chrono::TimeZone;
use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::vault::{BirthDate, Names};

use super::charset::Charset;
use super::error::{Code, Hl7Error, Place};
use super::stamp::Stamp;
use super::view::{AckCode, AckWhen, Header, Party};
use super::write::{Line, message};

/// The version that we write.
pub const VERSION: &str = "2.5.1";
/// Longest control id that we make, in characters (MSH-10 of 2.5.1 is ST of 20).
pub const CONTROL_MAX_CHARS: usize = 20;

/// Who sends to whom, and how it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// MSH-3.
    pub application: Party,
    /// MSH-4.
    pub facility: Party,
    /// MSH-5.
    pub to_application: Party,
    /// MSH-6.
    pub to_facility: Party,
    /// MSH-7: when the message was made.
    pub at: UtcMillis,
    /// MSH-10: at most [`CONTROL_MAX_CHARS`].
    pub control: String,
    /// MSH-11: `P` production, `T` training, `D` debugging.
    pub processing: char,
    /// MSH-15; with MSH-16 empty too, the original mode.
    pub accept: Option<AckWhen>,
    /// MSH-16.
    pub result: Option<AckWhen>,
    /// MSH-18.
    pub charset: Charset,
}

impl Envelope {
    fn line<Z: TimeZone>(&self, kind: [&str; 3], zone: &Z) -> Line {
        let when = |when: Option<AckWhen>| when.map_or("", AckWhen::as_str);
        Line::new("MSH")
            .components(3, &self.application.components())
            .components(4, &self.facility.components())
            .components(5, &self.to_application.components())
            .components(6, &self.to_facility.components())
            .put(7, &Stamp::write(self.at, zone))
            .components(9, &kind)
            .put(10, &self.control)
            .put(11, &self.processing.to_string())
            .put(12, VERSION)
            .put(15, when(self.accept))
            .put(16, when(self.result))
            .put(18, self.charset.name())
    }
}

/// What happened to a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitEvent {
    /// A04: it started.
    Started,
    /// A08: something about it changed.
    Changed,
    /// A03: it ended.
    Ended,
    /// A11: it never was.
    Cancelled,
}

impl VisitEvent {
    /// The event's code and the structure of its message.
    pub const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Started => ("A04", "ADT_A01"),
            Self::Changed => ("A08", "ADT_A01"),
            Self::Ended => ("A03", "ADT_A03"),
            Self::Cancelled => ("A11", "ADT_A09"),
        }
    }
}

/// The patient as a message says them. Never printed: it may hold names.
#[derive(Clone)]
pub struct PatientOut {
    /// Ids with who gave them and their kind, the first one the receiver's own.
    pub ids: Vec<(String, String, &'static str)>,
    /// What stands for the name where names are not told (HL7 table 0200, `S`: a pseudonym).
    pub pseudonym: String,
    /// The names, where they are told.
    pub names: Option<Names>,
    /// The date of birth, where it is told.
    pub birth: Option<BirthDate>,
}

/// A doctor as a message says them.
#[derive(Clone)]
pub struct DoctorOut {
    /// The id in the receiver's system, or else ours.
    pub id: String,
    /// Who gave it.
    pub authority: String,
    /// The names, where they are told.
    pub names: Option<Names>,
}

/// A visit as a message says it.
#[derive(Clone)]
pub struct VisitOut {
    /// Who is seen.
    pub patient: PatientOut,
    /// By whom.
    pub doctor: DoctorOut,
    /// Where: PV1-3.1, as the receiver calls it.
    pub room: String,
    /// PV1-3.4.
    pub facility: String,
    /// PV1-19: the visit's number.
    pub number: String,
    /// PV1-50: its id, by which other ways of telling call it too.
    pub id: String,
    /// Who gives numbers of visits.
    pub authority: String,
    /// PV1-44: the tap that began it.
    pub started: UtcMillis,
    /// PV1-45: the tap that ended it.
    pub ended: Option<UtcMillis>,
    /// When what is told happened: EVN-6.
    pub occurred: UtcMillis,
}

/// A message about a visit.
///
/// # Errors
/// [`Hl7Error::CannotWrite`].
pub fn adt<Z: TimeZone>(
    event: VisitEvent,
    envelope: &Envelope,
    visit: &VisitOut,
    zone: &Z,
) -> Result<Vec<u8>, Hl7Error> {
    let (code, structure) = event.codes();
    let lines = [
        envelope.line(["ADT", code, structure], zone),
        event_line(code, envelope, Some(&visit.doctor), visit.occurred, zone),
        patient_line(&visit.patient),
        visit_line(visit, zone),
    ];
    message(&lines, envelope.charset)
}

fn event_line<Z: TimeZone>(
    code: &str,
    envelope: &Envelope,
    doctor: Option<&DoctorOut>,
    occurred: UtcMillis,
    zone: &Z,
) -> Line {
    let line = Line::new("EVN").put(1, code).put(2, &Stamp::write(envelope.at, zone));
    let line = match doctor {
        Some(doctor) => line.components(5, &doctor_components(doctor)),
        None => line,
    };
    line.put(6, &Stamp::write(occurred, zone))
}

fn doctor_components(doctor: &DoctorOut) -> [&str; 9] {
    let (family, given, middle) = match &doctor.names {
        Some(names) => (names.family.reveal(), names.given.reveal(), names.middle.reveal()),
        None => ("", "", ""),
    };
    [&doctor.id, family, given, middle, "", "", "", "", &doctor.authority]
}

fn patient_line(patient: &PatientOut) -> Line {
    let mut line = Line::new("PID").put(1, "1");
    for (value, authority, kind) in &patient.ids {
        line = line.repeat(3, &[value, "", "", authority, kind]);
    }
    line = match &patient.names {
        Some(names) => {
            line.components(5, &[names.family.reveal(), names.given.reveal(), names.middle.reveal(), "", "", "", "L"])
        }
        None => line.components(5, &[&patient.pseudonym, "", "", "", "", "", "S"]),
    };
    match patient.birth {
        Some(birth) => {
            let (year, month, day) = birth.reveal();
            line.put(7, &format!("{year:04}{month:02}{day:02}"))
        }
        None => line,
    }
}

fn visit_line<Z: TimeZone>(visit: &VisitOut, zone: &Z) -> Line {
    let line = Line::new("PV1")
        .put(1, "1")
        .put(2, "O")
        .components(3, &[&visit.room, "", "", &visit.facility])
        .components(7, &doctor_components(&visit.doctor))
        .components(19, &[&visit.number, "", "", &visit.authority, "VN"])
        .put(44, &Stamp::write(visit.started, zone))
        .components(50, &[&visit.id, "", "", &visit.authority, "VN"]);
    match visit.ended {
        Some(ended) => line.put(45, &Stamp::write(ended, zone)),
        None => line,
    }
}

/// What a charge does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeKind {
    /// `CG`: a service is charged.
    Charge,
    /// `CD`: a charge is taken back.
    Credit,
    /// `PY`: something was paid.
    Payment,
}

impl ChargeKind {
    /// As HL7 table 0017 has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "CG",
            Self::Credit => "CD",
            Self::Payment => "PY",
        }
    }
}

/// A charge or payment as a message says it.
#[derive(Clone)]
pub struct ChargeOut {
    /// FT1-2: the same for the same charge for ever, also when it is taken back.
    pub id: String,
    /// FT1-6. It says the direction: amounts are positive, but for a payment that went back.
    pub kind: ChargeKind,
    /// FT1-4: when the service was given, or the money.
    pub at: UtcMillis,
    /// FT1-7: the service's code and name in the price list; of a payment, how it came.
    pub service: (String, String),
    /// The code system of the service.
    pub system: String,
    /// FT1-10.
    pub quantity: u32,
    /// FT1-11: the whole amount.
    pub amount: Amount,
    /// FT1-12: the amount of one, where the whole is so many times that.
    pub price: Option<Amount>,
    /// The currency of both.
    pub currency: Currency,
}

/// Whose account it is, and what it belongs to.
#[derive(Clone)]
pub struct AccountOut {
    /// Whose.
    pub patient: PatientOut,
    /// FT1-20: who rendered it.
    pub doctor: Option<DoctorOut>,
    /// In which visit; without one there is no PV1.
    pub visit: Option<VisitOut>,
    /// When what is told happened: EVN-6.
    pub occurred: UtcMillis,
}

/// A message about charges and payments of a patient.
///
/// # Errors
/// [`Hl7Error::CannotWrite`].
pub fn dft<Z: TimeZone>(
    envelope: &Envelope,
    account: &AccountOut,
    charges: &[ChargeOut],
    zone: &Z,
) -> Result<Vec<u8>, Hl7Error> {
    let doctor = account.doctor.as_ref();
    let mut lines = vec![
        envelope.line(["DFT", "P03", "DFT_P03"], zone),
        event_line("P03", envelope, doctor, account.occurred, zone),
        patient_line(&account.patient),
    ];
    lines.extend(account.visit.as_ref().map(|visit| visit_line(visit, zone)));
    for (at, charge) in charges.iter().enumerate() {
        let money = |amount| (charge.currency.decimal(amount), charge.currency.as_str());
        let (amount, currency) = money(charge.amount);
        let mut line = Line::new("FT1")
            .put(1, &(at + 1).to_string())
            .put(2, &charge.id)
            .put(4, &Stamp::write(charge.at, zone))
            .put(6, charge.kind.as_str())
            .components(7, &[&charge.service.0, &charge.service.1, &charge.system])
            .put(10, &charge.quantity.to_string())
            .parts(11, &[&[&amount, currency], &["TP"]]);
        if let Some((price, currency)) = charge.price.map(money) {
            line = line.parts(12, &[&[&price, currency], &["UP"]]);
        }
        if let Some(doctor) = doctor {
            line = line.components(20, &doctor_components(doctor));
        }
        lines.push(line);
    }
    message(&lines, envelope.charset)
}

/// What an acknowledgement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckOut {
    /// MSA-1.
    pub code: AckCode,
    /// ERR: what is wrong, and where.
    pub error: Option<(Code, Option<Place>)>,
    /// ERR-8: what to do about it, in words of ours.
    pub advice: &'static str,
}

/// An acknowledgement of the message with this header (`None`: not even that could be read), under our own number and
/// time. Written in ASCII but for what the header itself held; letters that ASCII does not have become `?`.
pub fn ack<Z: TimeZone>(of: Option<&Header>, ack: AckOut, control: &str, at: UtcMillis, zone: &Z) -> Vec<u8> {
    let nobody = Party::default();
    let party = |pick: fn(&Header) -> &Party| of.map_or(&nobody, pick).components().map(ascii);
    let processing = of.map(|header| header.processing.as_str()).filter(|id| matches!(*id, "P" | "T" | "D"));
    let event = of.map(|header| ascii(&header.event)).filter(|event| event.len() == 3).unwrap_or_default();
    let structure = if event.is_empty() { "" } else { "ACK" };
    let header = Line::new("MSH")
        .components(3, &strs(&party(|header| &header.to_application)))
        .components(4, &strs(&party(|header| &header.to_facility)))
        .components(5, &strs(&party(|header| &header.application)))
        .components(6, &strs(&party(|header| &header.facility)))
        .put(7, &Stamp::write(at, zone))
        .components(9, &["ACK", &event, structure])
        .put(10, control)
        .put(11, processing.unwrap_or("P"))
        .put(12, VERSION)
        .put(18, Charset::Ascii.name());
    let answered = ascii(of.map_or("", |header| &header.control));
    let mut lines = vec![header, Line::new("MSA").put(1, ack.code.as_str()).put(2, &answered)];
    if let Some((code, place)) = ack.error {
        let (number, text) = code.text();
        let mut line = Line::new("ERR").components(3, &[number, text, "HL70357"]).put(4, "E");
        if let Some(place) = place {
            let field = if place.field == 0 { String::new() } else { place.field.to_string() };
            line = line.components(2, &[place.segment, &place.sequence.max(1).to_string(), &field]);
        }
        line = line.put(8, &ascii(ack.advice));
        lines.push(line);
    }
    // Nothing but ASCII was put in.
    message(&lines, Charset::Ascii).unwrap_or_default()
}

fn strs(parts: &[String; 3]) -> [&str; 3] {
    [&parts[0], &parts[1], &parts[2]]
}

fn ascii(text: &str) -> String {
    text.chars().take(227).map(|letter| if letter.is_ascii() { letter } else { '?' }).collect()
}

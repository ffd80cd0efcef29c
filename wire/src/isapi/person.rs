//! People and cards as a device keeps them. A person is its pseudonym: the name that a device asks for is a neutral
//! word, and nothing else about the person is told.

use super::form::{Form, FormError};
use zeroize::Zeroizing;

/// Cards that a device keeps for one person.
pub const CARDS_MAX: usize = 5;
/// Longest employee number: the 32 digits of a pseudonym fit exactly.
pub const EMPLOYEE_MAX_BYTES: usize = 32;

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The pseudonym.
    pub employee: String,
    /// First and last moment of validity, local time without an offset; `None`: always.
    pub valid: Option<(String, String)>,
    /// Doors that it may pass.
    pub doors: Vec<u32>,
}

impl User {
    /// Writes the person.
    pub fn write(&self) -> String {
        let valid = match &self.valid {
            Some((begin, end)) => Form::new("Valid")
                .flag("enable", true)
                .text("beginTime", begin)
                .text("endTime", end)
                .text("timeType", "local"),
            None => Form::new("Valid").flag("enable", false),
        };
        let doors: Vec<String> = self.doors.iter().map(u32::to_string).collect();
        let mut form = Form::new("UserInfo")
            .text("employeeNo", &self.employee)
            .text("name", "-")
            .text("userType", "normal")
            .child(valid)
            .text("doorRight", &doors.join(","));
        for door in &self.doors {
            // Plan 1 is "always" on a device that nobody has changed.
            form = form.item(Form::new("RightPlan").number("doorNo", *door).text("planTemplateNo", "1"));
        }
        form.to_json()
    }

    /// Reads a person.
    ///
    /// # Errors
    /// When it is no form or no person.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.get("UserInfo").ok_or(FormError::Missing("UserInfo"))?;
        let employee = form.str("employeeNo").filter(|number| number.len() <= EMPLOYEE_MAX_BYTES);
        let valid = form
            .get("Valid")
            .filter(|valid| valid.bool("enable") == Some(true))
            .and_then(|valid| Some((valid.str("beginTime")?.to_owned(), valid.str("endTime")?.to_owned())));
        let doors = form.str("doorRight").unwrap_or_default();
        Ok(Self {
            employee: employee.ok_or(FormError::Missing("employeeNo"))?.to_owned(),
            valid,
            doors: doors.split(',').filter_map(|door| door.trim().parse().ok()).collect(),
        })
    }
}

/// One card of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    /// Whose.
    pub employee: String,
    /// The number as the device writes it.
    pub number: Zeroizing<String>,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Card({}, redacted)", self.employee)
    }
}

impl Card {
    /// Writes the card.
    pub fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(
            Form::new("CardInfo")
                .text("employeeNo", &self.employee)
                .text("cardNo", &self.number)
                .text("cardType", "normalCard")
                .to_json(),
        )
    }

    /// Reads a card.
    ///
    /// # Errors
    /// When it is no form or no card.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.get("CardInfo").ok_or(FormError::Missing("CardInfo"))?;
        Ok(Self {
            employee: form.str("employeeNo").ok_or(FormError::Missing("employeeNo"))?.to_owned(),
            number: Zeroizing::new(form.str("cardNo").ok_or(FormError::Missing("cardNo"))?.to_owned()),
        })
    }
}

/// Writes the order to forget people: the person with all cards. It is begun at once and done later, see
/// [`DeleteProcess`].
pub fn delete_users(employees: &[&str]) -> String {
    let mut form = Form::new("UserInfoDetail").text("mode", "byEmployeeNo");
    for employee in employees {
        form = form.item(Form::new("EmployeeNoList").text("employeeNo", employee));
    }
    form.to_json()
}

/// Reads the order to forget people.
///
/// # Errors
/// When it is no form or another order.
pub fn read_delete_users(bytes: &[u8]) -> Result<Vec<String>, FormError> {
    let form = Form::read(bytes)?;
    let form = form.get("UserInfoDetail").ok_or(FormError::Missing("UserInfoDetail"))?;
    if form.str("mode") != Some("byEmployeeNo") {
        return Err(FormError::Missing("mode"));
    }
    Ok(form.all("EmployeeNoList").filter_map(|row| row.str("employeeNo").map(str::to_owned)).collect())
}

/// Writes the order to forget one card.
pub fn delete_card(number: &str) -> Zeroizing<String> {
    let form = Form::new("CardInfoDelCond").item(Form::new("CardNoList").text("cardNo", number));
    Zeroizing::new(form.to_json())
}

/// Writes the order to forget all cards of a person.
pub fn delete_cards_of(employee: &str) -> String {
    Form::new("CardInfoDelCond").item(Form::new("EmployeeNoList").text("employeeNo", employee)).to_json()
}

/// Which cards are to be forgotten: by number, and all of people.
///
/// # Errors
/// When it is no form or another order.
pub fn read_delete_cards(bytes: &[u8]) -> Result<(Vec<Zeroizing<String>>, Vec<String>), FormError> {
    let form = Form::read(bytes)?;
    let form = form.get("CardInfoDelCond").ok_or(FormError::Missing("CardInfoDelCond"))?;
    let numbers =
        form.all("CardNoList").filter_map(|row| row.str("cardNo").map(|text| Zeroizing::new(text.to_owned())));
    let people = form.all("EmployeeNoList").filter_map(|row| row.str("employeeNo").map(str::to_owned));
    Ok((numbers.collect(), people.collect()))
}

/// How far forgetting has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteProcess {
    /// Still at it.
    Processing,
    /// Done.
    Success,
    /// Not possible.
    Failed,
}

impl DeleteProcess {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it is no form or another answer.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.find("UserInfoDetailDeleteProcess").unwrap_or(&form);
        match form.find("status").map(|status| status.text.as_str()) {
            Some("processing") => Ok(Self::Processing),
            Some("success") => Ok(Self::Success),
            Some("failed") => Ok(Self::Failed),
            _ => Err(FormError::Missing("status")),
        }
    }

    /// Writes the answer.
    pub fn write(self) -> String {
        let word = match self {
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failed => "failed",
        };
        Form::new("UserInfoDetailDeleteProcess").text("status", word).to_json()
    }
}

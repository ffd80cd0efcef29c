//! What can go wrong for a visitor, and the page that says so. No page shows a path, a statement or a panic's text:
//! those are for the log.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use clinic::accounts::AccountError;
use clinic::appointments::AppointmentError;
use clinic::audit::AuditError;
use clinic::desk::DeskError;
use clinic::disclosures::DisclosureError;
use clinic::irregular::IrregularError;
use clinic::people::{PassError, PersonError};
use clinic::roles::RoleError;
use clinic::staff::StaffError;
use clinic::till::TillError;
use clinic::vault::VaultError;
use clinic::visits::VisitError;
use clinic::watch::WatchError;
use clinic::whereabouts::WhereError;
use clinic::workstations::WorkstationError;
use domain::Denied;

use crate::api;
use crate::app::App;
use crate::headers;
use crate::pages;
use crate::visit::Visit;

/// Why a page is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody is signed in, or the session has ended.
    SignIn,
    /// The role does not open this page.
    Forbidden,
    /// The browser is not that of a workstation.
    NotAtDesk,
    /// Nobody is bound to the workstation, or it is locked or waits for a second factor.
    DeskClosed,
    /// The form did not come from our page in this browser.
    Form,
    /// No such page or thing.
    NotFound,
    /// Something typed cannot be understood.
    Invalid,
    /// The identity vault is locked: names cannot be shown or written now.
    Locked,
    /// The database or another part does not answer now.
    Unavailable,
}

impl Fault {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::Form | Self::NotAtDesk => StatusCode::FORBIDDEN,
            Self::DeskClosed => StatusCode::CONFLICT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Locked | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = %error, "page.database.failed");
        Self::Unavailable
    }
}

impl From<clinic::outbox::OutboxError> for Fault {
    fn from(error: clinic::outbox::OutboxError) -> Self {
        use clinic::outbox::OutboxError;
        match error {
            OutboxError::Denied(denied) => Self::from(denied),
            OutboxError::BadName | OutboxError::NoReason => Self::Invalid,
            OutboxError::Unknown => Self::NotFound,
            OutboxError::Store(error) => Self::from(error),
        }
    }
}

impl From<AccountError> for Fault {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Denied(denied) => Self::from(denied),
            AccountError::Role(error) => Self::from(error),
            AccountError::NoAccount | AccountError::LinkSpent => Self::NotFound,
            AccountError::Store(error) => Self::from(error),
            AccountError::Busy { .. } => Self::Unavailable,
            AccountError::BadRow { .. } | AccountError::Sealed { .. } | AccountError::System(_) => {
                tracing::error!(error = %error, "page.accounts.failed");
                Self::Unavailable
            }
            AccountError::BadLogin
            | AccountError::LoginTaken
            | AccountError::BadShownName
            | AccountError::BadPassword(_)
            | AccountError::WrongPassword
            | AccountError::SecondStep(_)
            | AccountError::WrongCode
            | AccountError::StepSpent
            | AccountError::FactorNeeded
            | AccountError::NoFactor
            | AccountError::BadEmail
            | AccountError::Wait { .. } => Self::Invalid,
        }
    }
}

impl From<Denied> for Fault {
    fn from(_: Denied) -> Self {
        Self::Forbidden
    }
}

impl From<DeskError> for Fault {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Denied(denied) => Self::from(denied),
            DeskError::NoSession | DeskError::NotOpen => Self::DeskClosed,
            DeskError::NoWorkstation | DeskError::NotStaff => Self::NotFound,
            DeskError::BadPin | DeskError::WeakPin => Self::Invalid,
            DeskError::Store(error) => Self::from(error),
            DeskError::Busy { .. } | DeskError::System(_) => {
                tracing::error!(error = %error, "page.desk.failed");
                Self::Unavailable
            }
        }
    }
}

impl From<TillError> for Fault {
    fn from(error: TillError) -> Self {
        match error {
            TillError::Denied(denied) => denied.into(),
            TillError::NotFound | TillError::NotTheirs => Self::NotFound,
            TillError::Refused(_)
            | TillError::KeyReused
            | TillError::Changed
            | TillError::Invalid { .. }
            | TillError::ReasonWanted
            | TillError::OwnRequest
            | TillError::NoShift => Self::Invalid,
            TillError::Busy => Self::Unavailable,
            TillError::Store(error) => error.into(),
        }
    }
}

impl From<VisitError> for Fault {
    fn from(error: VisitError) -> Self {
        match error {
            VisitError::Denied(denied) => Self::from(denied),
            VisitError::NotFound => Self::NotFound,
            VisitError::NotYours => Self::Forbidden,
            VisitError::NotBound => Self::DeskClosed,
            VisitError::ReasonWanted
            | VisitError::CardWanted
            | VisitError::BadAppointment
            | VisitError::Overtaken
            | VisitError::HasServices => Self::Invalid,
            VisitError::Store(error) => Self::from(error),
        }
    }
}

impl From<IrregularError> for Fault {
    fn from(error: IrregularError) -> Self {
        match error {
            IrregularError::Denied(denied) => Self::from(denied),
            IrregularError::NotFound => Self::NotFound,
            IrregularError::NotYours | IrregularError::Own => Self::Forbidden,
            IrregularError::NotBound => Self::DeskClosed,
            IrregularError::NotFresh
            | IrregularError::BadReason
            | IrregularError::BadAppointment
            | IrregularError::Reviewed
            | IrregularError::BadName(_) => Self::Invalid,
            IrregularError::Store(error) => Self::from(error),
        }
    }
}

impl From<WhereError> for Fault {
    fn from(error: WhereError) -> Self {
        match error {
            WhereError::Denied(denied) => Self::from(denied),
            WhereError::BadSpan => Self::Invalid,
            WhereError::Unknown => Self::NotFound,
            WhereError::Store(error) => Self::from(error),
        }
    }
}

impl From<AppointmentError> for Fault {
    fn from(error: AppointmentError) -> Self {
        match error {
            AppointmentError::Denied(denied) => Self::from(denied),
            AppointmentError::Store(error) => Self::from(error),
        }
    }
}

impl From<StaffError> for Fault {
    fn from(error: StaffError) -> Self {
        match error {
            StaffError::Denied(denied) => Self::from(denied),
            StaffError::UnknownPerson => Self::NotFound,
            StaffError::BadText(_) | StaffError::Taken(_) | StaffError::UnknownAccount => Self::Invalid,
            StaffError::Store(error) => Self::from(error),
        }
    }
}

impl From<WorkstationError> for Fault {
    fn from(error: WorkstationError) -> Self {
        match error {
            WorkstationError::Denied(denied) => Self::from(denied),
            WorkstationError::Unknown => Self::NotFound,
            WorkstationError::CodeSpent | WorkstationError::BadName => Self::Invalid,
            WorkstationError::Store(error) => Self::from(error),
        }
    }
}

impl From<DisclosureError> for Fault {
    fn from(error: DisclosureError) -> Self {
        match error {
            DisclosureError::Denied(denied) => Self::from(denied),
            DisclosureError::TooMany | DisclosureError::BadRecipient => Self::Invalid,
            DisclosureError::Store(error) => Self::from(error),
        }
    }
}

impl From<AuditError> for Fault {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Denied(denied) => Self::from(denied),
            AuditError::Disclosure(error) => Self::from(error),
            AuditError::Store(error) => Self::from(error),
        }
    }
}

impl From<WatchError> for Fault {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Denied(denied) => Self::from(denied),
            WatchError::NotThere => Self::NotFound,
            WatchError::Store(error) => Self::from(error),
        }
    }
}

impl From<RoleError> for Fault {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::Denied(denied) => Self::from(denied),
            RoleError::Beyond | RoleError::OwnAccount => Self::Forbidden,
            RoleError::NoAccount | RoleError::NoRole => Self::NotFound,
            RoleError::Store(error) => Self::from(error),
            RoleError::LastKeeper
            | RoleError::NoneGiven
            | RoleError::TooMany
            | RoleError::NoZone
            | RoleError::NotLocal
            | RoleError::BadName
            | RoleError::BadText
            | RoleError::NameTaken
            | RoleError::InUse(_) => Self::Invalid,
        }
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Denied(denied) => Self::from(denied),
            VaultError::NothingToShow => Self::Forbidden,
            VaultError::Unknown | VaultError::Erased(_) => Self::NotFound,
            VaultError::Locked(_) => Self::Locked,
            VaultError::Store(error) => Self::from(error),
            VaultError::Refused(_)
            | VaultError::Picture(_)
            | VaultError::NoConsent
            | VaultError::Query(_)
            | VaultError::TooMany => Self::Invalid,
            other => {
                tracing::error!(error = %other, "page.vault.failed");
                Self::Unavailable
            }
        }
    }
}

impl From<PersonError> for Fault {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Denied(denied) => Self::from(denied),
            PersonError::Unknown => Self::NotFound,
            PersonError::ReferenceTaken => Self::Invalid,
            PersonError::Store(error) => Self::from(error),
        }
    }
}

impl From<PassError> for Fault {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Denied(denied) => Self::from(denied),
            PassError::ChangedSince(_) | PassError::Withdrawn => Self::Invalid,
            PassError::Store(error) => Self::from(error),
        }
    }
}

impl From<askama::Error> for Fault {
    fn from(error: askama::Error) -> Self {
        tracing::error!(error = %error, "page.template.failed");
        Self::Unavailable
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Marks an answer whose body is already what the visitor should see.
#[derive(Clone, Copy)]
pub struct Dressed;

/// The outermost layer: gives every answer its headers and every bare error its page.
pub async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let wants_page = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_page = wants_page.is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    if api::is_call(parts.uri.path()) {
        let mut response = match api::take_in(parts.uri.path(), body).await {
            Ok(body) => api::dress(next.run(Request::from_parts(parts, body)).await),
            Err(problem) => problem.into_response(),
        };
        headers::put(response.headers_mut());
        return response;
    }
    let asked = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    let is_bare = response.extensions().get::<Dressed>().is_none();
    if is_bare && (status.is_client_error() || status.is_server_error()) {
        let fault = response.extensions().get::<Fault>().copied();
        let visit = match response.extensions_mut().remove::<Visit>() {
            Some(visit) => Some(visit),
            // No route was reached, so nobody has looked who asks; without a database it is nobody.
            None => match Visit::read(&app, &asked, None, false).await {
                Ok(visit) => Some(visit),
                Err(_) => Visit::anonymous(&app, &asked).ok(),
            },
        };
        if let (true, Some(visit)) = (wants_page, visit) {
            let kept = [header::ALLOW, header::RETRY_AFTER];
            let kept = kept.map(|name| response.headers().get(&name).cloned().map(|value| (name, value)));
            let dressed = if fault == Some(Fault::SignIn) {
                pages::sign_in::page(&visit, status, None)
            } else if fault == Some(Fault::NotAtDesk) {
                pages::desk::not_here(&visit, status, None)
            } else {
                pages::error::page(&visit, status, fault)
            };
            if let Ok(dressed) = dressed {
                response = dressed;
                response.headers_mut().extend(kept.into_iter().flatten());
            }
        }
    }
    headers::put(response.headers_mut());
    response
}

//! What a server's refusal means for a delivery. Of an OperationOutcome only codes and places are kept, never words: they
//! may hold names.

use domain::UtcMillis;
use serde_json::Value;

use crate::delivery::{Delivered, FaultCode};
use crate::http::{Answer, HttpError};
use clinic::outbox::Fault;

/// Issues of an OperationOutcome that are looked at.
const ISSUES_MAX: usize = 3;

/// No answer.
pub(super) fn of_http(error: HttpError) -> Delivered {
    match error {
        HttpError::Unreachable => Delivered::away(FaultCode::Unreachable, ""),
        HttpError::Tls => Delivered::away(FaultCode::Tls, ""),
        HttpError::BadRequest => Delivered::dead(FaultCode::Unspeakable, "address"),
        HttpError::Plain => Delivered::away(FaultCode::Unspeakable, "plain"),
        HttpError::RequestTooLong => Delivered::dead(FaultCode::TooLong, "ours"),
        HttpError::AnswerTooLong => Delivered::retry(FaultCode::TooLong, "answer"),
        HttpError::Late => Delivered::retry(FaultCode::Late, ""),
        HttpError::Broken => Delivered::retry(FaultCode::Broken, ""),
    }
}

/// An answer that is no success.
pub(super) fn of_answer(answer: &Answer, now: UtcMillis) -> Delivered {
    let after = answer.retry_after(now);
    let detail = detail(answer);
    let fault = |code| Fault::new(code, &detail);
    match answer.status {
        401 => Delivered::Away(fault(FaultCode::Unauthorised), None),
        403 => Delivered::Retry(fault(FaultCode::Forbidden), None),
        404 => Delivered::Retry(fault(FaultCode::NotFound), None),
        408 => Delivered::Retry(fault(FaultCode::Late), after),
        409 | 412 | 423 => Delivered::Retry(fault(FaultCode::Conflict), after),
        410 => Delivered::Dead(fault(FaultCode::Gone)),
        413 => Delivered::Dead(fault(FaultCode::TooLong)),
        405 | 406 | 415 => Delivered::Dead(fault(FaultCode::Unspeakable)),
        429 | 503 => Delivered::Away(fault(FaultCode::Overloaded), after),
        502 | 504 => Delivered::Away(fault(FaultCode::Unreachable), after),
        400..500 => Delivered::Dead(fault(FaultCode::Refused)),
        500.. => Delivered::Retry(fault(FaultCode::ServerFault), after),
        // Redirects, half-done work, and what is no status at all.
        _ => Delivered::Retry(fault(FaultCode::BadAnswer), None),
    }
}

/// Status, and what codes an OperationOutcome gives: `422 required Encounter.subject`.
pub(super) fn detail(answer: &Answer) -> String {
    let mut detail = answer.status.to_string();
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let outcome = body.filter(|body| body["resourceType"] == "OperationOutcome");
    let issues = outcome.as_ref().and_then(|outcome| outcome["issue"].as_array());
    for issue in issues.into_iter().flatten().take(ISSUES_MAX) {
        for code in [&issue["code"], &issue["details"]["coding"][0]["code"], &issue["expression"][0]] {
            // A code or a path of FHIR; anything longer is a sentence.
            if let Some(code) = code.as_str().filter(|code| code.len() <= 60 && !code.contains(char::is_whitespace)) {
                detail.push(' ');
                detail.push_str(code);
            }
        }
    }
    detail
}

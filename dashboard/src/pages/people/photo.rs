//! A person's photograph: taken with the camera or chosen as a file, with the person's consent; and the pictures
//! themselves, which are served as nothing but pictures.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use clinic::audit::Purpose;
use clinic::vault::{Consent, PhotoId, PictureRefused, Size, VaultError};
use domain::{Field, PersonId};
use serde::Deserialize;

use super::person::{Done, after};
use super::purpose::Purposes;
use super::title_of;
use crate::faces::{Face, Faces};
use crate::fault::{Dressed, Fault};
use crate::multipart;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Largest body with a photograph, in bytes: 5 MiB of picture, and the form around it.
pub const BODY_MAX: usize = (5 << 20) + 16 * 1024;
/// What a served picture may do: be seen.
const PICTURE_POLICY: &str = "default-src 'none'; sandbox";
/// This one page may ask for the camera.
const CAMERA_POLICY: &str = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()";

#[derive(Template)]
#[template(path = "photo.html")]
struct Page {
    frame: Frame,
    person: String,
    back: String,
    purpose: &'static str,
    title: String,
    face: Option<Face>,
    consent: String,
    has_photo: bool,
    is_refused: bool,
    problem: Option<String>,
    script: String,
}

/// `GET /people/{person}/photo`
pub async fn take(visit: Visit, Path(person): Path<String>, query: Query) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    page(&visit, StatusCode::OK, person, query.one("for").unwrap_or_default(), None).await
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    person: PersonId,
    purpose: &str,
    problem: Option<String>,
) -> Result<Response, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    clinic::people::person(&visit.app.database, &acting, person).await?.ok_or(Fault::NotFound)?;
    let consent = match visit.app.vault.photo_of(&acting, person).await {
        Ok(consent) => consent,
        Err(VaultError::Unknown) => Consent::NotAsked,
        Err(error) => return Err(error.into()),
    };
    let purpose = Purposes::of(&acting).read(purpose).unwrap_or(Purpose::PassIssue);
    let faces = Faces::look(&visit.app, &acting, vec![person], purpose).await?;
    let face = faces.get(Some(person)).cloned();
    let words = match consent {
        Consent::Given(photo) => texts.a("photo-consent-given", &times.full(photo.consent_at)),
        Consent::Refused(at) => texts.a("photo-consent-refused", &times.full(at)),
        Consent::NotAsked => texts.t("photo-consent-not-asked"),
    };
    let title = face.as_ref().map_or_else(|| short_id(&person.to_string()), |face| title_of(face, person, &texts));
    let page = Page {
        frame: Frame::new(visit, "people"),
        back: format!("/people/{person}?for={purpose}"),
        person: person.to_string(),
        purpose: purpose.as_str(),
        title,
        face,
        consent: words,
        has_photo: matches!(consent, Consent::Given(_)),
        is_refused: matches!(consent, Consent::Refused(_)),
        problem,
        script: crate::pages::assets::path("people.js"),
    };
    let mut response = render(status, &page)?;
    response.headers_mut().insert("permissions-policy", HeaderValue::from_static(CAMERA_POLICY));
    Ok(response)
}

/// `POST /people/{person}/photo`
pub async fn store(
    visit: Visit,
    Path(person): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).ok_or(Fault::Invalid)?;
    let parts = multipart::parts(kind, &body).ok_or(Fault::Invalid)?;
    let part = |name: &str| parts.iter().find(|part| part.name == name).map(|part| part.bytes);
    let purpose = part("purpose").and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let (texts, acting) = (visit.texts(), visit.acting()?);
    let picture = part("photo").unwrap_or_default();
    if picture.is_empty() {
        let problem = Some(texts.t("photo-none-chosen"));
        return page(&visit, StatusCode::UNPROCESSABLE_ENTITY, person, purpose, problem).await;
    }
    let consent = part("consent").map(|_| visit.app.now());
    let key = match visit.app.vault.put_photo(&acting, person, picture.to_vec(), consent).await {
        Ok(_) => return Ok(after(person, purpose, Done::Photo)),
        Err(VaultError::NoConsent) => "photo-no-consent",
        Err(VaultError::Picture(PictureRefused::TooLarge)) => "picture-too-large",
        Err(VaultError::Picture(PictureRefused::TooWide)) => "picture-too-wide",
        Err(VaultError::Picture(PictureRefused::TooSmall)) => "picture-too-small",
        Err(VaultError::Picture(PictureRefused::Format)) => "picture-format",
        Err(VaultError::Picture(PictureRefused::Damaged)) => "picture-damaged",
        Err(VaultError::Unknown) => "photo-no-passport",
        Err(error) => return Err(error.into()),
    };
    page(&visit, StatusCode::UNPROCESSABLE_ENTITY, person, purpose, Some(texts.t(key))).await
}

/// What to do with the photograph that is there.
#[derive(Deserialize)]
pub struct Removal {
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    purpose: String,
}

/// `POST /people/{person}/photo/remove`
pub async fn remove(visit: Visit, Path(person): Path<String>, Form(asked): Form<Removal>) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    visit.app.vault.remove_photo(&visit.acting()?, person, asked.refused).await?;
    Ok(after(person, &asked.purpose, Done::PhotoRemoved))
}

/// `GET /photos/{photo}`: the picture, and nothing that a browser could take for anything else.
pub async fn show(visit: Visit, Path(photo): Path<String>, query: Query) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.shows(Field::Photo) {
        // For this one there are no photographs, not even ones that are refused.
        return Err(Fault::NotFound);
    }
    let photo: PhotoId = photo.parse().map_err(|_| Fault::NotFound)?;
    let size = if query.one("size") == Some("small") { Size::Small } else { Size::Full };
    let bytes = match visit.app.vault.photo(&acting, &photo, size).await {
        Ok(bytes) => bytes,
        Err(VaultError::Denied(_) | VaultError::NothingToShow) => return Err(Fault::NotFound),
        Err(error) => return Err(error.into()),
    };
    let mut response = (StatusCode::OK, bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    // The name is ours: nothing of the person, nothing of the file that came.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline; filename=\"photo.jpg\""));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

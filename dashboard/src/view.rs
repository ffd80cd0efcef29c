//! What every page shares: the frame around it. Owns how a template becomes an answer.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::accounts::Theme;
use clinic::roles::Held;
use domain::{Permission, Rights, UtcMillis};

use crate::fault::{Dressed, Fault};
use crate::language::{Language, Texts};
use crate::pages::assets;
use crate::pages::sealed::{self, Sealed};
use crate::routes::{self, Group};
use crate::times::Times;
use crate::visit::Visit;
use crate::words::label;

/// Places in the bar of a phone; the others are behind one more, which opens all of them.
const TABS_MAX: usize = 4;

/// One place in the navigation.
#[derive(Clone, Copy)]
pub struct Place {
    pub key: &'static str,
    pub path: &'static str,
    pub is_here: bool,
}

/// Places of the navigation under one heading.
pub struct PlaceGroup {
    /// Key of its text.
    pub key: &'static str,
    pub places: Vec<Place>,
}

/// Who is signed in, as the frame shows it.
pub struct Who {
    pub name: String,
    pub roles: Vec<Held>,
}

/// The mark on every page of who has broken glass.
pub struct GlassMark {
    /// Until when, in the clinic's zone.
    pub until: String,
    /// How long that is.
    pub left: String,
    /// The same instant for the page's script, in milliseconds since 1970.
    pub until_ms: i64,
}

/// The frame of a page: `{{ frame.x.t("key") }}` gives a text.
pub struct Frame {
    pub x: Texts,
    pub times: Times,
    pub now: UtcMillis,
    pub site: String,
    pub who: Option<Who>,
    /// The navigation: what this one may open, by headings.
    pub groups: Vec<PlaceGroup>,
    rights: Rights,
    /// The glass that this one has broken.
    pub glass: Option<GlassMark>,
    pub theme: Theme,
    /// Hidden field of every form.
    pub form: String,
    pub style: String,
    pub script: String,
    pub icon: String,
    /// Where workstations seal passports: what opens them in the browser.
    pub sealed: Option<Sealed>,
}

impl Frame {
    /// The frame for this visit; `here` is the key of the current place.
    pub fn new(visit: &Visit, here: &str) -> Self {
        let who = visit
            .session
            .as_ref()
            .map(|session| Who { name: session.account.shown_name.clone(), roles: session.roles.clone() });
        let is_sealed = sealed::is_on(&visit.app.vault);
        let groups = visit.rights().map_or_else(Vec::new, |rights| groups(rights, here, is_sealed));
        let glass = visit.session.as_ref().and_then(|session| session.glass.as_ref()).map(|glass| GlassMark {
            until: visit.times().clock(glass.ends),
            left: visit.times().span(glass.remaining_ms(visit.app.now())),
            until_ms: glass.ends.0,
        });
        Self {
            glass,
            x: visit.texts(),
            times: visit.times(),
            now: visit.app.now(),
            site: visit.app.settings.site.to_string(),
            who,
            groups,
            rights: visit.rights().cloned().unwrap_or_default(),
            theme: visit.session.as_ref().map_or(Theme::System, |session| session.account.theme),
            form: visit.form_token(),
            style: assets::path("tapward.css"),
            script: assets::path("live.js"),
            icon: assets::path("icon.svg"),
            sealed: (is_sealed && visit.session.is_some()).then(|| Sealed::new(&visit.texts())),
        }
    }

    /// Whether the one who is signed in has a permission, by its code. For what a page offers; the refusal is the
    /// clinic's.
    pub fn may(&self, permission: &str) -> bool {
        Permission::parse(permission).is_some_and(|permission| self.rights.allows(permission))
    }

    /// The places in the bar of a phone: the first ones, and the one that one is at.
    pub fn tabs(&self) -> Vec<Place> {
        let all: Vec<Place> = self.groups.iter().flat_map(|group| group.places.iter().copied()).collect();
        let mut tabs: Vec<Place> = all.iter().copied().take(TABS_MAX).collect();
        if let (Some(here), Some(last)) = (all.iter().skip(TABS_MAX).find(|place| place.is_here), tabs.last_mut()) {
            *last = *here;
        }
        tabs
    }

    /// Whether there are more places than the bar of a phone holds.
    pub fn has_more(&self) -> bool {
        self.groups.iter().map(|group| group.places.len()).sum::<usize>() > TABS_MAX
    }

    /// The name of a role in the page's language, with its zone.
    pub fn role(&self, held: &Held) -> String {
        let name = held.name.clone().unwrap_or_else(|| self.x.code("role-", held.grant.role.as_str()));
        match &held.grant.zone {
            Some(zone) => format!("{name} · {}", label(zone.as_str())),
            None => name,
        }
    }

    /// The script of pages about people.
    pub fn people_script(&self) -> String {
        assets::path("people.js")
    }

    /// As for somebody who is not signed in: a page without the places of the navigation.
    pub fn alone(&mut self) {
        self.who = None;
        self.groups.clear();
    }

    /// The languages of the menu.
    pub fn languages(&self) -> &'static [Language] {
        Language::ALL
    }

    /// The themes of the menu.
    pub fn themes(&self) -> &'static [Theme] {
        Theme::ALL
    }

    /// Whether this language is the page's.
    pub fn speaks(&self, language: &Language) -> bool {
        self.x.language() == *language
    }
}

/// What somebody may open, by headings in their order; within one, in the order of the table.
/// People stand in one of two places: that of the server's vault, or that of the workstations' own key.
fn groups(rights: &Rights, here: &str, is_sealed: bool) -> Vec<PlaceGroup> {
    let mut groups: BTreeMap<Group, Vec<Place>> = BTreeMap::new();
    let elsewhere: &[&str] = if is_sealed { &["people"] } else { &["sealed", "key"] };
    for (place, path) in routes::places(rights).filter(|(place, _)| !elsewhere.contains(&place.key)) {
        let shown = Place { key: place.key, path, is_here: place.key == here };
        groups.entry(place.group).or_default().push(shown);
    }
    groups.into_iter().map(|(group, places)| PlaceGroup { key: group.as_str(), places }).collect()
}

/// Renders a page.
pub fn page(status: StatusCode, template: &impl Template) -> Result<Response, Fault> {
    let mut response = (status, template.render()?).into_response();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

/// Marks a page that explains a refusal, so that it is recorded as one.
pub fn refused(mut response: Response) -> Response {
    response.extensions_mut().insert(Fault::Forbidden);
    response
}

/// Sends the browser to another page of ours after a change.
pub fn go(path: &str) -> Response {
    // Only ever a path on this site: `//host` would leave it.
    let safe = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']);
    let target = HeaderValue::from_str(if safe { path } else { "/" }).unwrap_or(HeaderValue::from_static("/"));
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, target);
    response
}

//! Lists in a folder and a FHIR server that is read: complete files only, pages to their end and not beyond the server,
//! merges, and a server that lies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clinic::acting::Acting;
use clinic::feeds::{Feeds, Settings, SiteKeys, Source, person_of_alias};
use domain::{CardKey, Clock, SiteId, UtcMillis};
use mis_bridge::feeds::{FolderSettings, PullSettings, read_fhir, read_folder};
use mis_bridge::fhir;
use serde_json::{Value, json};
use store::Database;
use tokio_util::sync::CancellationToken;

const NOW: UtcMillis = UtcMillis(1_795_248_000_000);

async fn database(folder: &Path) -> Database {
    Database::open(&format!("sqlite:{}", folder.join("clinic.db").display())).await.unwrap()
}

fn feeds(database: &Database) -> Feeds {
    let keys = SiteKeys { card: CardKey::new([3; 32]), seal: None };
    Feeds::new(database.clone(), Clock::new(|| NOW), None, keys, Settings::new(chrono_tz::Europe::Kyiv))
}

fn mis() -> Source {
    Source::new("mis").unwrap()
}

/// Waits until something is so, at most half a minute.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_list_is_taken_when_it_is_whole_and_goes_where_its_fate_is_with_a_report_without_names() {
    let temporary = tempfile::tempdir().unwrap();
    let database = database(temporary.path()).await;
    let folder = temporary.path().join("lists");
    std::fs::create_dir(&folder).unwrap();
    let short = Duration::from_millis(60);
    let settings =
        FolderSettings { every: short, settle: short * 3, again: short, ..FolderSettings::new(folder.clone()) };
    let stop = CancellationToken::new();
    let task = tokio::spawn(read_folder(settings, feeds(&database), mis(), Clock::new(|| NOW), stop.clone()));
    std::fs::write(folder.join("notes.txt"), "not ours").unwrap();
    std::fs::write(folder.join("patients.csv"), "id,card_format,card_number\nP-1,uid_hex,04A1B2C3\n").unwrap();
    until("the list is done", async || names(&folder.join("done")).first().cloned()).await;
    assert!(person_of_alias(&database, "mis", "P-1").await.unwrap().is_some());
    // Cut off: refused whole, and nobody of it is known.
    std::fs::write(folder.join("patients-2.csv"), "id,family\nP-2,Canarybird\nP-3,Canar").unwrap();
    let refused = folder.join("refused");
    let report = until("the half list is refused", async || {
        names(&refused).into_iter().find(|name| name.ends_with("patients-2.csv.report.txt"))
    })
    .await;
    let words = std::fs::read_to_string(refused.join(report)).unwrap();
    assert!(words.contains("cut off") && !words.contains("anar"), "{words}");
    assert!(person_of_alias(&database, "mis", "P-2").await.unwrap().is_none());
    // A bad row is named and the others are taken.
    let rows = "id,until,language\nP-4,,pol\nP-5,canary,\nP-6,,canaries\n";
    std::fs::write(folder.join("patients-4.csv"), rows).unwrap();
    let report = until("the list with a bad row is refused", async || {
        names(&refused).into_iter().find(|name| name.ends_with("patients-4.csv.report.txt"))
    })
    .await;
    let words = std::fs::read_to_string(refused.join(report)).unwrap();
    assert!(words.contains("row 2, until: unreadable") && !words.contains("canar"), "{words}");
    assert!(words.contains("row 3, language: unreadable"), "{words}");
    let patient = person_of_alias(&database, "mis", "P-4").await.unwrap().unwrap();
    let spoken = clinic::people::language_of(&database, &Acting::console(), patient).await.unwrap();
    assert_eq!(spoken.unwrap().as_str(), "pl");
    assert_eq!(names(&folder), ["done", "notes.txt", "refused"]);
    stop.cancel();
    task.await.unwrap();
}

/// A server whose answers a test says; what it was asked is kept.
#[derive(Clone, Default)]
struct Peer {
    asked: Arc<Mutex<Vec<String>>>,
    base: Arc<Mutex<String>>,
    /// The next page of patients is gone the first time.
    expired: Arc<Mutex<bool>>,
    lie: Arc<Mutex<Option<&'static str>>>,
}

fn bundle(resources: Vec<Value>, next: Option<String>) -> Value {
    let entry: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    let link: Vec<Value> = next.into_iter().map(|url| json!({"relation": "next", "url": url})).collect();
    json!({"resourceType": "Bundle", "type": "searchset", "entry": entry, "link": link})
}

fn patient(id: &str, link: Option<&str>) -> Value {
    let link: Vec<Value> = link
        .map(|to| json!({"other": {"reference": format!("Patient/{to}")}, "type": "replaced-by"}))
        .into_iter()
        .collect();
    let language = json!({"coding": [{"system": "urn:ietf:bcp:47", "code": "uk-UA"}]});
    json!({"resourceType": "Patient", "id": id, "meta": {"lastUpdated": "2026-11-20T08:00:00Z"}, "link": link,
        "communication": [{"language": {"text": "?"}}, {"language": language, "preferred": true}]})
}

async fn patients(State(peer): State<Peer>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    peer.asked.lock().unwrap().push(format!("Patient?{query}"));
    let base = peer.base.lock().unwrap().clone();
    if let Some(lie) = *peer.lie.lock().unwrap() {
        return match lie {
            "half" => "{\"resourceType\":\"Bundle\",\"entry\":[{".into_response(),
            "foreign" => {
                axum::Json(bundle(vec![], Some("http://127.0.0.2:1/fhir/Patient?page=2".to_owned()))).into_response()
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
    }
    if query.contains("page=2") {
        if std::mem::take(&mut *peer.expired.lock().unwrap()) {
            return StatusCode::GONE.into_response();
        }
        let odd = json!({"resourceType": "OperationOutcome"});
        return axum::Json(bundle(vec![patient("p-2", None), odd], None)).into_response();
    }
    if query.contains("_lastUpdated") {
        // p-1 turned out to be p-9, which no page brought.
        return axum::Json(bundle(vec![patient("p-1", Some("p-9"))], None)).into_response();
    }
    axum::Json(bundle(vec![patient("p-1", None)], Some(format!("{base}/Patient?page=2")))).into_response()
}

async fn serve(peer: Peer) -> SocketAddr {
    let nothing = || async { axum::Json(bundle(vec![], None)) };
    let who = || async {
        axum::Json(bundle(
            vec![json!({"resourceType": "Practitioner", "id": "d-1", "meta": {"lastUpdated": "2026-11-20T08:00:00Z"}})],
            None,
        ))
    };
    let appointment = || async {
        let actor = |reference: &str| json!({"actor": {"reference": reference}, "status": "accepted"});
        axum::Json(bundle(
            vec![
                json!({"resourceType": "Appointment", "id": "a-1", "status": "booked", "start": "2026-11-21T09:00:00Z",
                "minutesDuration": 20, "participant": [actor("Patient/p-2"), actor("Practitioner/d-1")]}),
            ],
            None,
        ))
    };
    let router = Router::new()
        .route("/fhir/Patient", get(patients))
        .route("/fhir/Patient/p-9", get(|| async { axum::Json(patient("p-9", None)) }))
        .route("/fhir/Location", get(nothing))
        .route("/fhir/Practitioner", get(who))
        .route("/fhir/PractitionerRole", get(nothing))
        .route("/fhir/Appointment", get(appointment))
        .with_state(peer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn appointments(database: &Database) -> i64 {
    store::read!(database, "test", |conn| {
        Ok(store::sqlx::query_scalar("SELECT COUNT(*) FROM appointment").fetch_one(&mut *conn).await?)
    })
    .unwrap()
}

#[tokio::test]
async fn a_server_is_read_to_its_last_page_again_after_one_was_lost_and_merges_follow() {
    let temporary = tempfile::tempdir().unwrap();
    let database = database(temporary.path()).await;
    let peer = Peer { expired: Arc::new(Mutex::new(true)), ..Peer::default() };
    let address = serve(peer.clone()).await;
    *peer.base.lock().unwrap() = format!("http://{address}/fhir");
    let server = fhir::Settings::new(format!("http://{address}/fhir").parse().unwrap(), SiteId::new("site").unwrap());
    let settings = PullSettings { server, every: Duration::from_millis(100), zone: chrono_tz::Europe::Kyiv };
    let stop = CancellationToken::new();
    let task = tokio::spawn(read_fhir(settings, feeds(&database), mis(), Clock::new(|| NOW), stop.clone()));
    until("the second page", async || person_of_alias(&database, "mis", "p-2").await.unwrap()).await;
    until("the appointment", async || (appointments(&database).await == 1).then_some(())).await;
    let patient = person_of_alias(&database, "mis", "p-2").await.unwrap().unwrap();
    let known = clinic::people::language_known(&database, &Acting::console(), patient).await.unwrap();
    let told = known.told.unwrap();
    assert_eq!((told.language.as_str(), told.by.as_deref()), ("uk", Some("mis")));
    // A later round reads what changed since, with an overlap, and follows the merge to a record no page brought.
    let both = until("the merge", async || {
        let gone = person_of_alias(&database, "mis", "p-1").await.unwrap();
        let left = person_of_alias(&database, "mis", "p-9").await.unwrap();
        gone.zip(left).filter(|(gone, left)| gone == left)
    })
    .await;
    assert_eq!(both.0, both.1);
    let asked = peer.asked.lock().unwrap().clone();
    assert!(asked.iter().any(|query| query.contains("_lastUpdated=ge2026-11-20T07%3A58%3A00")), "{asked:?}");
    // Lies: nothing is taken, nobody else is asked, and it goes on when the server is well again.
    for lie in ["half", "foreign", "500"] {
        *peer.lie.lock().unwrap() = Some(lie);
        until("the feed is shown as failing", async || state(&database).await.filter(|(state, _)| state == "failing"))
            .await;
        *peer.lie.lock().unwrap() = None;
        until("the feed is well", async || state(&database).await.filter(|(state, _)| state == "good")).await;
    }
    stop.cancel();
    task.await.unwrap().unwrap();
}

async fn state(database: &Database) -> Option<(String, Option<String>)> {
    store::read!(database, "test", |conn| {
        Ok(store::sqlx::query_as("SELECT state, error FROM feed WHERE kind = 'patients'")
            .fetch_optional(&mut *conn)
            .await?)
    })
    .unwrap()
}

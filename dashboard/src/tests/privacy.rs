//! The privacy officer's pages over the whole router: emergency access from the form to the verdict, a request from
//! receipt to answer, what was given by hand.

use super::*;

const REASON: &str = "reason=An+unconscious+man+at+turnstile+2&minutes=60";

#[tokio::test]
async fn emergency_access_opens_at_once_is_marked_on_every_page_and_reviewed_by_another() {
    let stage = Stage::new().await;
    let (guard, officer) = (stage.token(Role::Guard), stage.token(Role::PrivacyOfficer));
    assert!(!stage.session(&guard).await.rights.allows(domain::Permission::PersonReveal));
    let short = stage.post("/glass/break", &guard, "reason=help&minutes=60").await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(short.text.contains("aria-invalid"), "the field is marked: {}", short.text);
    let opened = stage.post("/glass/break", &guard, REASON).await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "{}", opened.text);
    let session = stage.session(&guard).await;
    assert!(session.rights.allows(domain::Permission::PersonReveal), "from the next request on");
    let glass = session.glass.unwrap().id;
    for path in ["/live", "/journal", "/me", "/glass/break"] {
        let page = stage.get(path, Some(&guard)).await;
        assert!(page.text.contains("data-glass-until"), "{path} carries the mark");
    }
    assert_eq!(stage.get("/glass", Some(&guard)).await.status, StatusCode::FORBIDDEN);
    let list = stage.get("/glass?show=open", Some(&officer)).await;
    assert!(list.text.contains("An unconscious man at turnstile 2"), "{}", list.text);
    let page = format!("/glass/{glass}");
    let early = stage.post(&format!("{page}/review"), &officer, "verdict=justified&comment=It+was+needed").await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(stage.post("/glass/end", &guard, "").await.status, StatusCode::SEE_OTHER);
    assert!(!stage.session(&guard).await.rights.allows(domain::Permission::PersonReveal), "ended at once");
    assert!(!stage.get("/live", Some(&guard)).await.text.contains("data-glass-until"));
    let judged = stage.post(&format!("{page}/review"), &officer, "verdict=justified&comment=It+was+needed").await;
    assert_eq!(judged.status, StatusCode::SEE_OTHER, "{}", judged.text);
    assert!(stage.get(&page, Some(&officer)).await.text.contains("Justified"));
    assert!(stage.get("/glass.csv", Some(&officer)).await.text.contains("justified"));
}

#[tokio::test]
async fn a_reason_is_shown_as_text_whatever_it_holds() {
    let stage = Stage::new().await;
    let guard = stage.token(Role::Guard);
    let hostile = "reason=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E+at+the+gate&minutes=15";
    assert_eq!(stage.post("/glass/break", &guard, hostile).await.status, StatusCode::SEE_OTHER);
    let list = stage.get("/glass", Some(&stage.token(Role::PrivacyOfficer))).await;
    assert!(list.text.contains("onerror") && !list.text.contains("<img src=x"), "{}", list.text);
}

#[tokio::test]
async fn a_request_is_taken_in_and_answered_and_what_is_given_by_hand_is_in_the_register() {
    let stage = Stage::new().await;
    let officer = stage.token(Role::PrivacyOfficer);
    let person = "5a".repeat(16);
    let id = person.clone();
    store::transact!(stage.database, "test.person", |conn| {
        store::sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 1)").bind(&id).execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    let fields = format!("person={person}&kind=access&law=gdpr&channel=letter&identity=document&note=");
    let taken = stage.post("/requests/add", &officer, &fields).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.text);
    let page = taken.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(stage.get(&page, Some(&officer)).await.status, StatusCode::OK);
    assert!(stage.get("/requests", Some(&officer)).await.text.contains(&page));
    let refused = stage.post(&page, &officer, "what=refused&note=no").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "a refusal needs a reason");
    assert_eq!(stage.post(&page, &officer, "what=answered").await.status, StatusCode::SEE_OTHER);
    let unknown = stage.post("/requests/add", &officer, &fields.replace("5a", "5b")).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    let given = format!("recipient=District+court&ground=law&class=location_trace&person={person}&object=12%2F2026");
    assert_eq!(stage.post("/disclosures/add", &officer, &given).await.status, StatusCode::SEE_OTHER);
    let register = stage.get("/disclosures", Some(&officer)).await;
    assert!(register.text.contains("District court"), "{}", register.text);
    let subject = stage.get(&format!("/subjects/{person}"), Some(&officer)).await;
    assert!(subject.text.contains("District court"), "{}", subject.text);
    for path in ["/privacy", "/privacy/map", "/incidents", "/erasures", "/disclosures.csv", "/requests.csv"] {
        assert_eq!(stage.get(path, Some(&officer)).await.status, StatusCode::OK, "{path}");
    }
    let plan = stage.get(&format!("/subjects/{person}/erase"), Some(&officer)).await;
    assert_eq!(plan.status, StatusCode::OK);
    let unsure = stage.post(&format!("/subjects/{person}/erase"), &officer, "ground=asked+by+the+person").await;
    assert_eq!(unsure.status, StatusCode::UNPROCESSABLE_ENTITY, "not ticked");
}

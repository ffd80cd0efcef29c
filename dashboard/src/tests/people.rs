//! People over HTTP: what each role is shown, what a form must say, how a photograph is served.

use super::*;
use clinic::acting::Acting;
use clinic::audit::{self, Action, Purpose};
use clinic::people;
use domain::vault::{BirthDate, Contact, ContactKind, Names, Passport};
use domain::{Direction, Kind, PersonId, Reason};

const FAMILY: &str = "Canaryova";
const PHONE: &str = "+380 67 555 0199";

/// Somebody with a passport.
async fn somebody(stage: &Stage) -> PersonId {
    let (acting, now) = (Acting::console(), stage.hands.now());
    let reference = people::Reference::new("E-7711").unwrap();
    let person = people::register(&stage.database, &acting, Some(reference), now).await.unwrap();
    let passport = Passport {
        names: Names::new(FAMILY, "Olena", ""),
        birth_date: BirthDate::new(1987, 4, 21),
        contacts: vec![Contact { kind: ContactKind::Phone, value: PHONE.into() }],
        ..Passport::default()
    };
    stage.vault.put(&acting, person, passport.into(), Purpose::Maintenance).await.unwrap();
    person
}

#[tokio::test]
async fn a_person_is_masked_until_a_purpose_is_given_and_shows_only_the_fields_of_the_role() {
    let stage = Stage::new().await;
    let person = somebody(&stage).await;
    let office = stage.token(Role::PassOffice);
    let found = stage.post("/people", &office, "words=cana&purpose=pass_issue").await;
    assert_eq!(found.status, StatusCode::OK);
    assert!(found.text.contains(FAMILY) && found.text.contains(&format!("/people/{person}?for=pass_issue")));
    assert!(!found.text.contains("0199"));
    let path = format!("/people/{person}");
    let masked = stage.get(&path, Some(&office)).await.text;
    assert!(masked.contains("•••••99") && !masked.contains(PHONE) && !masked.contains("1987"), "masked");
    let reveal = format!("{path}/reveal");
    let refused = stage.post(&reveal, &office, "field=contact&purpose=").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!refused.text.contains(PHONE));
    let shown = stage.post(&reveal, &office, "field=contact&purpose=pass_issue").await.text;
    assert!(shown.contains("+380 67 555 0199") || shown.contains("&#43;380 67 555 0199"), "unmasked");
    assert!(!shown.contains("1987"), "only what was asked for");
    // A cashier may see the person, and is shown neither contacts nor the date of birth, nor may they unmask.
    let cashier = stage.token(Role::Cashier);
    let seen = stage.get(&path, Some(&cashier)).await.text;
    assert!(seen.contains(FAMILY) && !seen.contains("•••••99"));
    assert_eq!(stage.post(&reveal, &cashier, "field=contact&purpose=payment").await.status, StatusCode::FORBIDDEN);
    // A contact centre may unmask, but documents are not among its fields.
    let centre = stage.token(Role::ContactCentre);
    assert_eq!(stage.post(&reveal, &centre, "field=document&purpose=booking").await.status, StatusCode::FORBIDDEN);
    let filter =
        audit::Filter { subject: Some(person), actions: vec![Action::PersonRevealed], ..audit::Filter::default() };
    let now = stage.hands.now();
    let looks = audit::search(&stage.database, &Acting::console(), now, &filter, None, 9).await.unwrap().entries;
    assert_eq!(looks.len(), 1, "one reveal, one entry; refusals showed nothing");
    assert_eq!(looks[0].entry.fields.as_deref(), Some("contact"));
}

#[tokio::test]
async fn what_is_looked_for_is_in_no_address_and_a_search_without_a_purpose_finds_nothing() {
    let stage = Stage::new().await;
    somebody(&stage).await;
    let office = stage.token(Role::PassOffice);
    let refused = stage.post("/people", &office, "words=cana&purpose=").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!refused.text.contains(FAMILY));
    let found = stage.post("/people", &office, "words=canaryova&purpose=pass_issue").await.text;
    for link in
        found.split("href=\"").skip(1).chain(found.split("src=\"").skip(1)).chain(found.split("action=\"").skip(1))
    {
        let link = link.split('"').next().unwrap().to_lowercase();
        assert!(!link.contains("canary") && !link.contains("olena"), "{link}");
    }
    let file = stage.post("/people.csv", &office, "words=cana&purpose=pass_issue").await;
    assert!(file.text.contains(FAMILY));
    let told =
        clinic::disclosures::count_since(&stage.database, &Acting::console(), domain::UtcMillis(0)).await.unwrap();
    assert_eq!(told, 1, "an export is a disclosure");
}

#[tokio::test]
async fn a_person_is_registered_and_corrected_and_mistakes_come_back_as_typed() {
    let stage = Stage::new().await;
    let office = stage.token(Role::PassOffice);
    let fields =
        "purpose=pass_issue&family=Bondar&given=Ihor&birth_date=2031-01-01&contact_kind=email&contact_value=nobody";
    let refused = stage.post("/people/new", &office, fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("This day has not come yet") && refused.text.contains("not an e-mail address"));
    assert!(refused.text.contains("value=\"Bondar\""), "as typed");
    assert_eq!(refused.text.matches(" autofocus").count(), 1, "the first mistake only");
    let before = people::counts(&stage.database).await.unwrap().persons;
    let fields = "purpose=pass_issue&family=Bondar&given=Ihor&birth_date=1990-01-02&reference=E-9";
    let done = stage.post("/people/new", &office, fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(people::counts(&stage.database).await.unwrap().persons, before + 1);
    let again = stage.post("/people/new", &office, fields).await;
    assert!(again.text.contains("Another person has this number already"));
    assert_eq!(people::counts(&stage.database).await.unwrap().persons, before + 1, "nobody twice");
    let person = people::find(&stage.database, &people::Reference::new("E-9").unwrap()).await.unwrap().unwrap();
    let path = format!("/people/{person}/edit");
    let fields = "purpose=maintenance&family=Bondarenko&given=Ihor&birth_date=1990-01-02&reference=E-9";
    assert_eq!(stage.post(&path, &office, fields).await.status, StatusCode::SEE_OTHER);
    let past = stage.post(&format!("/people/{person}/history"), &office, "purpose=maintenance").await.text;
    assert!(past.contains("Bondar Ihor") && past.contains("Bondarenko"));
}

#[tokio::test]
async fn a_language_is_shown_with_where_it_is_known_from_and_saving_the_form_does_not_make_it_ones_own() {
    let stage = Stage::new().await;
    let person = somebody(&stage).await;
    let office = stage.token(Role::PassOffice);
    let (path, form) = (format!("/people/{person}"), format!("/people/{person}/edit"));
    assert!(!stage.get(&path, Some(&office)).await.text.contains("data-language"), "nothing is known");
    let id = person.to_string();
    store::transact!(stage.database, "test.told", |conn| {
        store::sqlx::query("UPDATE person SET language_told = 'uk', language_by = 'gnuhealth' WHERE id = $1")
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
    let told = "Українська, as told by gnuhealth";
    assert!(stage.get(&path, Some(&office)).await.text.contains(told));
    let page = stage.get(&form, Some(&office)).await.text;
    assert!(page.contains(told) && !page.contains(" selected>Українська"), "it is not chosen here");
    let save = async |language: &str| {
        let fields = format!("purpose=maintenance&family={FAMILY}&given=Olena&reference=E-7711&language={language}");
        stage.post(&form, &office, &fields).await.status
    };
    let known = async || people::language_known(&stage.database, &Acting::console(), person).await.unwrap();
    assert_eq!(save("").await, StatusCode::SEE_OTHER);
    assert_eq!(known().await.set, None);
    assert_eq!(save("ru").await, StatusCode::SEE_OTHER);
    assert!(stage.get(&path, Some(&office)).await.text.contains("Русский, set here"));
    assert!(stage.get(&form, Some(&office)).await.text.contains(" selected>Русский"));
    assert_eq!(save("canary").await, StatusCode::BAD_REQUEST, "nobody chose that from the list");
    assert_eq!(known().await.spoken().map(people::Spoken::as_str), Some("ru"));
    assert_eq!(save("").await, StatusCode::SEE_OTHER);
    assert_eq!(known().await.spoken().map(people::Spoken::as_str), Some("uk"), "what is told counts again");
}

#[tokio::test]
async fn a_guard_is_shown_names_and_no_more_and_a_manager_none() {
    let mut stage = Stage::new().await;
    let person = somebody(&stage).await;
    let mut tap =
        scene::fact(stage.hands.now(), Kind::Refused, "turnstile-1", Direction::In, Some(1), Some(Reason::Expired));
    tap.person = Some(person);
    stage.recorder.record(vec![tap]).await;
    for path in ["/live", "/journal"] {
        let guard = stage.get(path, Some(&stage.token(Role::Guard))).await.text;
        assert!(guard.contains(FAMILY), "{path}");
        assert!(!guard.contains("1987") && !guard.contains("0199"), "{path}: no more than the post needs");
        let manager = stage.get(path, Some(&stage.token(Role::Manager))).await.text;
        assert!(!manager.contains(FAMILY), "{path}");
    }
}

#[tokio::test]
async fn a_card_of_somebody_else_and_persons_that_are_not_there_are_not_found() {
    let stage = Stage::new().await;
    let person = somebody(&stage).await;
    scene::furnish(&stage.database, stage.hands.now()).await;
    let office = stage.token(Role::PassOffice);
    let fields = format!("card={}&state=blocked&since=0", scene::card(3));
    let path = format!("/people/{person}/passes");
    assert_eq!(stage.post(&path, &office, &fields).await.status, StatusCode::NOT_FOUND);
    let stranger = "0".repeat(32);
    for path in ["", "/edit", "/photo"] {
        let answer = stage.get(&format!("/people/{stranger}{path}"), Some(&office)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = stage.get(&format!("/photos/{stranger}"), Some(&office)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(stage.get("/people/../../etc", Some(&office)).await.status, StatusCode::NOT_FOUND);
}

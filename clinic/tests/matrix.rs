//! Below the pages: every command that is for people, with all rights but the one it needs and with that one only. What
//! is denied changes nothing. The same on both engines; a command that checks a right and is not in this table fails
//! the last test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

#[path = "matrix/till.rs"]
mod till_scene;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::pin::Pin;

use clinic::accounts::{AccountId, Accounts, Login, NewAccount, Password, SessionRules, Visitor};
use clinic::acting::{Acting, Actor};
use clinic::api_keys::{ApiKeys, KeyId, NewKey as NewApiKey};
use clinic::audit::Purpose;
use clinic::break_glass::{self, Queue, Verdict};
use clinic::commands::Order;
use clinic::desk::{Desk, DeskSession, Factor, PinText, SessionState};
use clinic::feeds::{Alias, FeedKind, Feeds, Mode, Records, SiteKeys, Source, look};
use clinic::irregular::{Irregular, NewOutOfCard, SignIn};
use clinic::notices::{NoticeFilter, Notices};
use clinic::openid::{NewClient, Provider, Rules};
use clinic::roles::{self, Grant, OwnId, RoleText};
use clinic::till::Till;
use clinic::till::figures::{Days, RevenueBy};
use clinic::till::inbound::{NewNotice, NoticeKind};
use clinic::till::payments::{NewPayment, NewRefund, PaymentFilter, RefundReason, ReturnReason};
use clinic::till::requests::{NewWriteOff, WriteOffReason};
use clinic::till::shifts::{Closing, NewShift, ShiftFilter};
use clinic::till::statement::{StatementFilter, StatementOf};
use clinic::till::terminal::Terminals;
use clinic::vault::{Blobs, KeySource, NewKey, Passphrase, Vault};
use clinic::visits::{Answer, Visits};
use clinic::workstations::Workstations;
use clinic::{
    audit, disclosures, erasure, events, incidents, outbox, people, requests, retention, staff, subjects, watch,
    whereabouts,
};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Method;
use domain::vault::BoxKey;
use domain::visit::{IrregularVerdict, OutOfCardCode};
use domain::{
    CardId, Clock, Denied, Field, GatewayId, Permission, PersonId, PointId, Rights, Shipped, UtcMillis, ZoneId, Zones,
};
use store::Database;

use till_scene::*;

const NOW: UtcMillis = UtcMillis(1_795_161_600_000);

struct Scene {
    database: Database,
    accounts: Accounts,
    keys: ApiKeys,
    openid: Provider,
    workstations: Workstations,
    notices: Notices,
    vault: Vault,
    /// Somebody else's account, and a role that nobody has.
    account: AccountId,
    role: OwnId,
    person: PersonId,
}

/// Somebody with these rights, by an account that has no row: only the rights decide.
fn acting(rights: Rights) -> Acting {
    let actor = Actor::Account("e".repeat(32));
    Acting { actor, rights, session: None, address: Some("10.0.0.7".parse().unwrap()), glass: None }
}

fn rights(permissions: &[Permission]) -> Rights {
    let mut rights = Rights::default();
    rights.add(permissions, Field::ALL, &Zones::All);
    rights
}

async fn scene(database: Database, folder: &Path) -> Scene {
    let clock = Clock::new(|| NOW);
    let key = || BoxKey::new([8; 32]);
    let accounts = Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", key());
    let folder = folder.join(format!("{:?}", database.engine()));
    std::fs::create_dir_all(folder.join("keys")).unwrap();
    let source = KeySource::Own(folder.join("keys").join("vault.key"));
    let vault = Vault::new(database.clone(), clock.clone(), Blobs::folder(&folder.join("photos")), source);
    vault.start().await.unwrap();
    let visitor = Visitor::new("10.0.0.1".parse().unwrap(), "Firefox/150");
    let link = accounts.create_first_run_link().await.unwrap().unwrap();
    let login = Login::new("olena").unwrap();
    let password = Password::new("a quiet morning in Kyiv");
    let token = accounts.redeem_first_run(&link, &login, "Olena", "en", password, &visitor).await.unwrap();
    let administrator = accounts.resume(&token, true).await.unwrap().unwrap().acting(&visitor);
    let new = NewAccount {
        login: Login::new("guard").unwrap(),
        shown_name: String::new(),
        roles: vec![Grant::site(Shipped::Guard)],
        locale: "en".to_owned(),
    };
    accounts.create(&administrator, new).await.unwrap();
    let listed = accounts.list(&administrator).await.unwrap();
    let account = listed.iter().find(|line| line.account.login.as_str() == "guard").unwrap().account.id.clone();
    let text = RoleText { name: "Nobody's".to_owned(), ..RoleText::default() };
    let role = roles::create(&database, &administrator, NOW, &text).await.unwrap();
    let person = people::register(&database, &administrator, None, NOW).await.unwrap();
    let openid = Provider::new(database.clone(), clock.clone(), key(), Rules::new("https://tapward.example"));
    let (keys, notices) = (ApiKeys::new(database.clone(), clock.clone()), Notices::new(database.clone(), clock, key()));
    let workstations = Workstations::new(database.clone(), Clock::new(|| NOW));
    Scene { database, accounts, keys, openid, workstations, notices, vault, account, role, person }
}

fn feeds(scene: &Scene) -> Feeds {
    let keys = SiteKeys { card: domain::CardKey::new([3; 32]), seal: None };
    let settings = clinic::feeds::Settings::new(chrono_tz::UTC);
    Feeds::new(scene.database.clone(), Clock::new(|| NOW), None, keys, settings)
}

fn told_by() -> Source {
    Source::new("mis").unwrap()
}

fn nobody() -> Records {
    Records::Staff(Vec::new())
}

fn called(id: &str) -> Alias {
    Alias::own(people::Reference::new(id).unwrap())
}

type Ran<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// One command, called with something that it understands.
struct Row {
    /// The file and the command.
    name: &'static str,
    needs: Permission,
    run: for<'a> fn(&'a Scene, &'a Acting) -> Ran<'a>,
}

fn told<T, E: Display>(outcome: Result<T, E>) -> Result<(), String> {
    outcome.map(|_| ()).map_err(|error| error.to_string())
}

macro_rules! rows {
    ($($name:literal needs $needs:ident: |$scene:ident, $acting:ident| $call:expr;)*) => {
        &[$(Row {
            name: $name,
            needs: Permission::$needs,
            run: |$scene, $acting| Box::pin(async move { told($call.await) }),
        }),*]
    };
}

fn text() -> RoleText {
    RoleText { name: "Another".to_owned(), ..RoleText::default() }
}

fn order(action: &str) -> Order {
    Order {
        id: [7; 16],
        gateway: GatewayId::new("gateway-1").unwrap(),
        action: action.to_owned(),
        point: Some(PointId::new("door-1").unwrap()),
        person: None,
        actor: "e".repeat(32),
        reason: None,
        issued_at: NOW,
        expires_at: NOW.plus_ms(1000),
    }
}

fn key() -> NewApiKey {
    NewApiKey {
        name: "A system".to_owned(),
        permissions: vec![Permission::ApiKeyEdit],
        fields: vec![],
        zones: Zones::All,
        networks: vec![],
        life_days: 1,
    }
}

fn system() -> NewClient {
    let redirect_uris = vec!["https://mis.example/back".to_owned()];
    NewClient { name: "A system".to_owned(), redirect_uris, ..NewClient::default() }
}

fn incident() -> incidents::NewIncident {
    let title = "A screen was seen".to_owned();
    incidents::NewIncident { title, noticed: NOW, span: None, account: None, is_high_risk: false }
}

fn disclosure() -> disclosures::Disclosure {
    disclosures::Disclosure::export(&acting(Rights::default()), "a letter", &[disclosures::Class::Identity])
}

fn desk() -> PointId {
    PointId::new("desk-1").unwrap()
}

fn guards() -> Vec<Grant> {
    vec![Grant::site(Shipped::Guard)]
}

const ID: &str = "abababababababababababababababab";
const WHY: &str = "because the matrix asks for it";

#[rustfmt::skip]
const ROWS: &[Row] = rows! {
    "outbox/list destinations" needs ExchangeSee: |s, a| outbox::destinations(&s.database, a, NOW);
    "outbox/list deliveries" needs ExchangeSee: |s, a| async { outbox::deliveries(&s.database, a, &outbox::Filter::default(), None, 10).await };
    "outbox/feed feed" needs FeedRead: |s, a| outbox::feed(&s.database, a, "", 0, 10);
    "outbox/manage pause" needs ExchangeManage: |s, a| outbox::pause(&s.database, a, "mis", NOW);
    "outbox/manage resume" needs ExchangeManage: |s, a| outbox::resume(&s.database, a, "mis", NOW);
    "outbox/manage retry" needs ExchangeManage: |s, a| outbox::retry(&s.database, a, "mis", Some(1), NOW);
    "outbox/manage give_up" needs ExchangeManage: |s, a| outbox::give_up(&s.database, a, "mis", Some(1), WHY, NOW);
    "accounts/staff list" needs AccountSee: |s, a| s.accounts.list(a);
    "accounts/staff log" needs AccountSee: |s, a| s.accounts.log(a, 10);
    "accounts/staff create" needs AccountEdit: |s, a| s.accounts.create(a, NewAccount { login: Login::new("new").unwrap(), shown_name: String::new(), roles: guards(), locale: String::new() });
    "accounts/staff set_disabled" needs AccountEdit: |s, a| s.accounts.set_disabled(a, &s.account, true);
    "accounts/staff end_sessions_of" needs AccountEdit: |s, a| s.accounts.end_sessions_of(a, &s.account);
    "accounts/welcome create_password_link" needs AccountEdit: |s, a| s.accounts.create_password_link(a, &s.account);
    "accounts/second reset_factor" needs AccountEdit: |s, a| s.accounts.reset_factor(a, &s.account);
    "accounts/import import" needs AccountEdit: |s, a| s.accounts.import(a, &b"login\n"[..], true);
    "roles/own list" needs AccountSee: |s, a| roles::list(&s.database, a);
    "roles/own create" needs RoleEdit: |s, a| async { roles::create(&s.database, a, NOW, &text()).await };
    "roles/own change" needs RoleEdit: |s, a| async { roles::change(&s.database, a, NOW, &s.role, &text()).await };
    "roles/own remove" needs RoleEdit: |s, a| roles::remove(&s.database, a, NOW, &s.role);
    "roles/give give" needs AccountEdit: |s, a| async { roles::give(&s.database, a, NOW, &s.account, &guards()).await };
    "roles/reach zones" needs AccountSee: |s, a| roles::zones(&s.database, a);
    "watch search" needs JournalSee: |s, a| async { watch::search(&s.database, a, &events::Filter::default(), None, 1).await };
    "watch lately" needs LiveWatch: |s, a| async { watch::lately(&s.database, a, &events::Filter::default(), 1).await };
    "watch event" needs JournalSee: |s, a| watch::event(&s.database, a, 1);
    "watch export" needs JournalExport: |s, a| async { watch::export(&s.database, a, NOW, "a file", &events::Filter::default()).await };
    "watch feed" needs FeedRead: |s, a| watch::feed(&s.database, a, 0, 1);
    "watch counts" needs PresenceSee: |s, a| watch::counts(&s.database, a);
    "watch inside" needs PresenceSee: |s, a| async { watch::inside(&s.database, a, &ZoneId::new("hall").unwrap(), 1).await };
    "watch equipment" needs DevicesSee: |s, a| watch::equipment(&s.database, a);
    "watch order, once" needs DoorOpen: |s, a| async { watch::order(&s.database, a, &order("open")).await };
    "watch order, emergency" needs DoorOpen: |s, a| async { watch::order(&s.database, a, &order("emergency")).await };
    "watch order, lasting" needs DoorCommand: |s, a| async { watch::order(&s.database, a, &order("free_passage")).await };
    "watch orders_at" needs DevicesSee: |s, a| async { watch::orders_at(&s.database, a, &order("open").gateway, &PointId::new("door-1").unwrap(), 1, NOW).await };
    "openid/clients make_client" needs ExchangeManage: |s, a| s.openid.make_client(a, None, system());
    "openid/clients change_client" needs ExchangeManage: |s, a| s.openid.change_client(a, "nobody", system(), false);
    "openid/clients end_client" needs ExchangeManage: |s, a| s.openid.end_client(a, "nobody");
    "openid/clients clients" needs ExchangeSee: |s, a| s.openid.clients(a);
    "api_keys make" needs ApiKeyEdit: |s, a| s.keys.make(a, key());
    "api_keys end" needs ApiKeyEdit: |s, a| s.keys.end(a, KeyId::parse(ID).unwrap());
    "api_keys list" needs ApiKeyEdit: |s, a| s.keys.list(a);
    "feeds take_list" needs FeedWrite: |s, a| async { feeds(s).take(a, &told_by(), nobody(), Mode::Changes).await };
    "feeds/orders merge" needs FeedWrite: |s, a| async { feeds(s).merge(a, &told_by(), &called("1"), &called("2"), NOW).await };
    "feeds/look feeds" needs ExchangeSee: |s, a| look::feeds(&s.database, a, NOW);
    "feeds/look problems" needs ExchangeSee: |s, a| look::problems(&s.database, a, None, 10);
    "feeds/look differences" needs ExchangeSee: |s, a| look::differences(&s.database, a);
    "feeds/look holds" needs ExchangeSee: |s, a| look::holds(&s.database, a);
    "feeds/look purposes" needs ExchangeSee: |s, a| look::purposes(&s.database, a);
    "feeds/look workplaces" needs ExchangeSee: |s, a| look::workplaces(&s.database, a);
    "feeds/look decide_hold" needs ExchangeManage: |s, a| async { feeds(s).decide_hold(a, 1, true).await };
    "feeds/look set_purpose" needs ExchangeManage: |s, a| async { feeds(s).set_purpose(a, "x", vec![], None, None).await };
    "feeds/look set_workplace" needs ExchangeManage: |s, a| async { feeds(s).set_workplace(a, "mis", "x", None).await };
    "feeds/look note_pull" needs FeedWrite: |s, a| async { feeds(s).note_pull(a, &told_by(), FeedKind::Staff, Ok(None)).await };
    "workstations list" needs DeskManage: |s, a| s.workstations.list(a);
    "workstations enrol" needs DeskManage: |s, a| async { s.workstations.enrol(a, &desk()).await };
    "workstations make_code" needs DeskManage: |s, a| async { s.workstations.make_code(a, &desk()).await };
    "workstations withdraw" needs DeskManage: |s, a| async { s.workstations.withdraw(a, &desk()).await };
    "workstations rename" needs DeskManage: |s, a| async { s.workstations.rename(a, &desk(), "Room 214").await };
    "notices/list list" needs NoticeSee: |s, a| async { s.notices.list(a, &NoticeFilter::default(), None, 1).await };
    "notices/list send_test" needs NoticeSee: |s, a| s.notices.send_test(a);
    "break_glass start" needs BreakGlassUse: |s, a| break_glass::start(&s.database, a, WHY, 60, NOW);
    "break_glass/review list" needs BreakGlassReview: |s, a| break_glass::list(&s.database, a, Queue::ALL[0], NOW);
    "break_glass/review of" needs BreakGlassReview: |s, a| break_glass::of(&s.database, a, ID);
    "break_glass/review review" needs BreakGlassReview: |s, a| break_glass::review(&s.database, a, ID, Verdict::Justified, WHY, NOW);
    "disclosures register_by_hand" needs PrivacyManage: |s, a| disclosures::register_by_hand(&s.database, a, disclosure(), NOW);
    "disclosures/read list" needs DisclosureSee: |s, a| async { disclosures::list(&s.database, a, &disclosures::Filter::default(), None, 1).await };
    "disclosures/read persons_of" needs DisclosureSee: |s, a| disclosures::persons_of(&s.database, a, ID);
    "requests take_in" needs PrivacyManage: |s, a| requests::take_in(&s.database, a, request(s.person), chrono_tz::Europe::Kyiv, NOW);
    "requests extend" needs PrivacyManage: |s, a| requests::extend(&s.database, a, ID, WHY, chrono_tz::Europe::Kyiv, NOW);
    "requests/read list" needs PrivacyManage: |s, a| async { requests::list(&s.database, a, &requests::Filter::default()).await };
    "requests/read of" needs PrivacyManage: |s, a| requests::of(&s.database, a, ID);
    "requests/read counts" needs PrivacyManage: |s, a| requests::counts(&s.database, a, NOW);
    "requests/hold restrict" needs PrivacyManage: |s, a| requests::restrict(&s.database, a, s.person, true, None, NOW);
    "requests/hold hold" needs PrivacyManage: |s, a| requests::hold(&s.database, a, s.person, WHY, None, NOW);
    "requests/hold release" needs PrivacyManage: |s, a| requests::release(&s.database, a, s.person, NOW);
    "retention dry_run" needs PrivacyManage: |s, a| async { retention::dry_run(&s.database, a, &retention::Terms::default(), NOW).await };
    "retention run" needs PrivacyManage: |s, a| async { retention::run(&s.database, a, &retention::Terms::default(), NOW).await };
    "incidents open" needs PrivacyManage: |s, a| incidents::open(&s.database, a, incident(), NOW);
    "incidents mark" needs PrivacyManage: |s, a| incidents::mark(&s.database, a, ID, incidents::Step::ALL[0], NOW);
    "incidents list" needs PrivacyManage: |s, a| incidents::list(&s.database, a);
    "people/register person" needs PersonSee: |s, a| people::person(&s.database, a, s.person);
    "people/register register" needs PersonEdit: |s, a| people::register(&s.database, a, None, NOW);
    "people/language language_of" needs PersonSee: |s, a| people::language_of(&s.database, a, s.person);
    "people/language language_known" needs PersonSee: |s, a| people::language_known(&s.database, a, s.person);
    "people/language set_language" needs PersonEdit: |s, a| people::set_language(&s.database, a, s.person, None, NOW);
    "people/register set_reference" needs PersonEdit: |s, a| people::set_reference(&s.database, a, s.person, None, NOW);
    "people/register reveal_reference" needs PersonReveal: |s, a| people::reveal_reference(&s.database, a, s.person, Purpose::PassIssue, NOW);
    "people/passes change_state" needs PassEdit: |s, a| people::change_state(&s.database, a, CardId([1; 16]), domain::policy::PassState::Blocked, None, None, NOW);
    "erasure erase" needs PersonErase: |s, a| erasure::erase(&s.database, &s.vault, a, s.person, WHY, None, NOW);
    "erasure/plan plan" needs PersonErase: |s, a| erasure::plan(&s.database, a, s.person, NOW);
    "erasure/act acts" needs PrivacyManage: |s, a| erasure::acts(&s.database, a);
    "erasure/act of" needs PrivacyManage: |s, a| erasure::of(&s.database, a, ID);
    "subjects view" needs PrivacyManage: |s, a| subjects::view(&s.database, a, s.person, NOW);
    "subjects package" needs PersonReveal: |s, a| subjects::package(&s.database, &s.vault, a, s.person, NOW);
    "audit/read search" needs AuditSee: |s, a| async { audit::search(&s.database, a, NOW, &audit::Filter::default(), None, 1).await };
    "audit/read entry" needs AuditSee: |s, a| audit::entry(&s.database, a, NOW, 1);
    "audit/proof proof" needs AuditSee: |s, a| audit::proof(&s.database, a, NOW, 1);
    "audit/proof consistency" needs AuditSee: |s, a| audit::consistency(&s.database, a, NOW, 1, 2);
    "audit/heads heads" needs AuditSee: |s, a| audit::heads(&s.database, a, 1);
    "audit/heads places" needs AuditSee: |s, a| audit::places(&s.database, a);
    "audit/export export" needs AuditExport: |s, a| audit::export(&s.database, a, NOW, audit::Filter::default(), "a file");
    "audit/check ask_check" needs AuditSee: |s, a| audit::ask_check(&s.database, a, NOW);
    "audit/check checks" needs AuditSee: |s, a| audit::checks(&s.database, a, 1);
    "audit/blot blot" needs PrivacyManage: |s, a| audit::blot(&s.database, a, NOW, 1, WHY);
    "vault/find search" needs PersonFind: |s, a| s.vault.search(a, "olena", 1, Purpose::PassIssue);
    "vault/look masked" needs PersonSee: |s, a| s.vault.masked(a, s.person);
    "vault/look reveal" needs PersonReveal: |s, a| s.vault.reveal(a, s.person, &[Field::Name], Purpose::PassIssue, None);
    "vault/history history" needs PersonReveal: |s, a| s.vault.history(a, s.person, Purpose::PassIssue);
    "vault/history restrict" needs PrivacyManage: |s, a| s.vault.restrict(a, s.person, true);
    "vault/change put" needs PersonEdit: |s, a| s.vault.put(a, s.person, domain::vault::PassportChange::default(), Purpose::PassIssue);
    "vault/change load" needs PersonEdit: |s, a| s.vault.load(a, vec![], Purpose::PassIssue);
    "vault/photos put_photo" needs PersonEdit: |s, a| s.vault.put_photo(a, s.person, vec![1, 2, 3], None);
    "vault/photos photo_of" needs PersonSee: |s, a| s.vault.photo_of(a, s.person);
    "vault/photos remove_photo" needs PersonEdit: |s, a| s.vault.remove_photo(a, s.person, false);
    "vault/opening unlock" needs VaultManage: |s, a| s.vault.unlock(a, Passphrase::new("never the right one"));
    "vault/opening set_passphrase" needs VaultManage: |s, a| s.vault.set_passphrase(a, Passphrase::new("never the right one"));
    "vault/opening reopen" needs VaultManage: |s, a| s.vault.reopen(a);
    "vault/rotate rotate" needs VaultManage: |s, a| s.vault.rotate(a, NewKey::Random);
    "vault/rotate rebuild_index" needs VaultManage: |s, a| s.vault.rebuild_index(a);
    "vault/rotate renew_person" needs VaultManage: |s, a| s.vault.renew_person(a, s.person);
    "vault/local local_reveal" needs PersonReveal: |s, a| s.vault.local_reveal(a, s.person, &[Field::Name], Purpose::PassIssue, None);
    "vault/local local_search" needs PersonFind: |s, a| s.vault.local_search(a, &[], 1, Purpose::PassIssue);
    "vault/local/key_change local_to_rewrap" needs VaultManage: |s, a| s.vault.local_to_rewrap(a);
    "vault/local/key_change local_rewrap" needs VaultManage: |s, a| s.vault.local_rewrap(a, vec![]);
    "vault/shred shred" needs PersonErase: |s, a| s.vault.shred(a, s.person);
    "staff put" needs DeskManage: |s, a| staff::put(&s.database, a, &staff::Staff::new(s.person, Shipped::Doctor), NOW);
    "staff list" needs DeskManage: |s, a| staff::list(&s.database, a, None, 10);
    "desk/act lock" needs DeskManage: |s, a| desks(s).lock(a, &session(s.person));
    "desk/act end" needs DeskManage: |s, a| desks(s).end(a, &session(s.person));
    "desk/pin set_pin" needs DeskManage: |s, a| desks(s).set_pin(a, s.person, PinText::new("4071").unwrap());
    "desk/pin pin_state" needs DeskManage: |s, a| desks(s).pin_state(a, s.person);
    "visits/answer answer" needs DeskUse: |s, a| async { visits(s).answer(a, ID, Answer::Without, None).await };
    "visits/answer end" needs DeskUse: |s, a| async { visits(s).end(a, ID).await };
    "visits/answer cancel" needs DeskUse: |s, a| async { visits(s).cancel(a, ID, WHY).await };
    "visits/read current" needs DeskUse: |s, a| async { visits(s).current(a, &PointId::new("desk-1").unwrap()).await };
    "visits/read asked" needs DeskUse: |s, a| async { visits(s).asked(a, &PointId::new("desk-1").unwrap()).await };
    "till/services put_service" needs PriceEdit: |s, a| async { till(s).put_service(a, clinic::till::NewService::new("X-1", "X-ray")).await };
    "till/services services" needs ChargeSee: |s, a| async { till(s).services(a, &clinic::till::ServiceFilter::default()).await };
    "till/services service" needs ChargeSee: |s, a| async { till(s).service(a, "X-1").await };
    "till/services categories" needs ChargeSee: |s, a| async { till(s).categories(a).await };
    "till/prices set_prices" needs PriceEdit: |s, a| async { till(s).set_prices(a, None, vec![]).await };
    "till/prices price_versions" needs ChargeSee: |s, a| async { till(s).price_versions(a).await };
    "till/prices prices_of" needs ChargeSee: |s, a| async { till(s).prices_of(a, 1).await };
    "till/price_import import_prices" needs PriceEdit: |s, a| async { till(s).import_prices(a, b"service\n".to_vec(), None, clinic::till::Take::Look).await };
    "till/member_list person_by_number" needs TermsEdit: |s, a| async { till(s).person_by_number(a, "1").await };
    "till/member_list import_members" needs TermsEdit: |s, a| async { till(s).import_members(a, "x", vec![], till(s).today(), clinic::till::Take::Look).await };
    "till/payers put_payer" needs TermsEdit: |s, a| async { till(s).put_payer(a, clinic::till::NewPayer::new("works", clinic::till::PayerKind::Group, "Works")).await };
    "till/payers payers" needs TermsEdit: |s, a| async { till(s).payers(a, "", true).await };
    "till/payers payer" needs TermsEdit: |s, a| async { till(s).payer(a, "x").await };
    "till/payers put_member" needs TermsEdit: |s, a| async { till(s).put_member(a, "x", clinic::till::Member { person: s.person, from: till(s).today(), until: None }).await };
    "till/payers end_member" needs TermsEdit: |s, a| async { till(s).end_member(a, "x", s.person, till(s).today()).await };
    "till/payers members" needs TermsEdit: |s, a| async { till(s).members(a, "x", None, 1).await };
    "till/payers set_pot" needs TermsEdit: |s, a| async { till(s).set_pot(a, "x", domain::money::Currency::default(), domain::money::Amount::ZERO).await };
    "till/schemes put_scheme" needs TermsEdit: |s, a| async { till(s).put_scheme(a, scale()).await };
    "till/schemes schemes" needs TermsEdit: |s, a| async { till(s).schemes(a).await };
    "till/schemes scheme_history" needs TermsEdit: |s, a| async { till(s).scheme_history(a, "x").await };
    "till/terms put_terms" needs TermsEdit: |s, a| async { till(s).put_terms(a, clinic::till::NewTerms::new(domain::till::Owner::Everybody, domain::money::Currency::default(), till(s).today())).await };
    "till/terms withdraw_terms" needs TermsEdit: |s, a| async { till(s).withdraw_terms(a, "x", 1).await };
    "till/terms terms_of" needs TermsEdit: |s, a| async { till(s).terms_of(a, None).await };
    "till/terms terms_history" needs TermsEdit: |s, a| async { till(s).terms_history(a, "x").await };
    "till/terms terms_for" needs TermsEdit: |s, a| async { till(s).terms_for(a, s.person, till(s).today(), domain::money::Currency::default()).await };
    "till/overrides allow_more" needs LimitOverride: |s, a| async { till(s).allow_more(a, more(s.person)).await };
    "till/member_list patient_to_override" needs LimitOverride: |s, a| async { till(s).patient_to_override(a, "1").await };
    "till/overrides pots_to_override" needs LimitOverride: |s, a| async { till(s).pots_to_override(a).await };
    "till/overrides end_override" needs LimitOverride: |s, a| async { till(s).end_override(a, ID).await };
    "till/overrides overrides" needs LimitOverride: |s, a| async { till(s).overrides(a, &clinic::till::OverrideFilter::default()).await };
    "till/registrar register" needs ServiceRegister: |s, a| async { till(s).register(a, charge(s)).await };
    "till/render render" needs ServiceRegister: |s, a| async { till(s).render(a, "key-of-the-matrix".to_owned(), ID, None).await };
    "till/offer offer" needs ServiceRegister: |s, a| async { till(s).offer(a, s.person, "consultation", 2).await };
    "till/offer pot_used" needs ServiceRegister: |s, a| async { till(s).pot_used(a, "payer").await };
    "till/offer offers" needs ServiceRegister: |s, a| async { till(s).offers(a, s.person, "", 10).await };
    "till/charge charge" needs ChargeSee: |s, a| async { till(s).charge(a, ID).await };
    "till/charge charges_of_visit" needs ChargeSee: |s, a| async { till(s).charges_of_visit(a, ID).await };
    "till/charge orders_of" needs ChargeSee: |s, a| async { till(s).orders_of(a, s.person).await };
    "till/charge open_charges" needs ChargeSee: |s, a| async { till(s).open_charges(a, s.person).await };
    "till/recalculate recalculate" needs ChargeSee: |s, a| async { till(s).recalculate(a, s.person).await };
    "till/reconcile comparable" needs ExchangeSee: |s, a| async { till(s).comparable(a).await };
    "till/reconcile ask_reconciliation" needs ExchangeManage: |s, a| async { till(s).ask_reconciliation(a, "mis", LocalDate(20_000), LocalDate(20_000)).await };
    "till/reconcile reconciliations" needs ExchangeSee: |s, a| async { till(s).reconciliations(a, None, 1).await };
    "till/reconcile reconciliation" needs ExchangeSee: |s, a| async { till(s).reconciliation(a, "none").await };
    "till/reconcile/lines differences" needs ExchangeSee: |s, a| async { till(s).differences(a, "none", None, 0, 1).await };
    "till/reconcile/again tell_again" needs ExchangeManage: |s, a| async { till(s).tell_again(a, "none", None).await };
    "till/check check" needs TillReport: |s, a| async { till(s).check(a).await };
    "till/check trial_balance" needs TillReport: |s, a| async { till(s).trial_balance(a, None).await };
    "visits/list list" needs VisitSee: |s, a| async { visits(s).list(a, &clinic::visits::Filter::default(), None, 1).await };
    "visits/list day_of" needs DeskUse: |s, a| async { visits(s).day_of(a, s.person, NOW, NOW.plus_ms(1)).await };
    "appointments next_for" needs DeskUse: |s, a| clinic::appointments::next_for(&s.database, a, s.person, NOW, 1);
    "irregular/act start" needs DeskUse: |s, a| async { irregular(s).start(a, without_card(s)).await };
    "irregular/act work" needs DeskUse: |s, a| async { irregular(s).work(a, without_card(s)).await };
    "irregular/act finish" needs DeskUse: |s, a| async { irregular(s).finish(a, ID).await };
    "irregular/act end_visit" needs DeskUse: |s, a| async { irregular(s).end_visit(a, ID, OutOfCardCode::Reader, WHY).await };
    "irregular/sign_in report_sign_in" needs FeedWrite: |s, a| async { irregular(s).report_sign_in(a, &sign_in()).await };
    "irregular/review list" needs IrregularReview: |s, a| async { irregular(s).list(a, &clinic::irregular::Filter::default(), None, 1).await };
    "irregular/review own" needs DeskUse: |s, a| async { irregular(s).own(a, s.person).await };
    "irregular/review of" needs IrregularReview: |s, a| async { irregular(s).of(a, ID).await };
    "irregular/review review" needs IrregularReview: |s, a| async { irregular(s).review(a, ID, IrregularVerdict::Regular, WHY).await };
    "irregular/review counts" needs IrregularReview: |s, a| async { irregular(s).counts(a).await };
    "irregular/review rates" needs IrregularReview: |s, a| async { irregular(s).rates(a, NOW, NOW.plus_ms(1)).await };
    "whereabouts/person today" needs PersonLocate: |s, a| whereabouts::today(&s.database, a, s.person, Purpose::Treatment, NOW, NOW.plus_ms(1), NOW);
    "whereabouts/person locate" needs PersonLocate: |s, a| whereabouts::locate(&s.database, a, s.person, Purpose::Treatment, NOW);
    "whereabouts/graph graph" needs VisitSee: |s, a| async { whereabouts::graph(&s.database, a, NOW, NOW.plus_ms(1), &whereabouts::Part::default(), 1, NOW).await };
    "whereabouts/rooms at" needs VisitSee: |s, a| whereabouts::occupied_at(&s.database, a, NOW);
    "whereabouts/rooms day" needs VisitSee: |s, a| whereabouts::rooms(&s.database, a, None, NOW, NOW.plus_ms(1), NOW);
    "till/payments payment" needs ChargeSee: |s, a| async { till(s).payment(a, ID).await };
    "till/payments payments" needs ChargeSee: |s, a| async { till(s).payments(a, &PaymentFilter::default()).await };
    "till/payments/take pay" needs PaymentTake: |s, a| async { till(s).pay(a, money(s)).await };
    "till/payments/back refund" needs PaymentTake: |s, a| async { till(s).refund(a, money_back(s)).await };
    "till/payments/back return_payment" needs TillApprove: |s, a| async { till(s).return_payment(a, KEY, ID, ReturnReason::Mistake, WORDS).await };
    "till/shifts open_shift" needs PaymentTake: |s, a| async { till(s).open_shift(a, drawer()).await };
    "till/shifts close_shift" needs PaymentTake: |s, a| async { till(s).close_shift(a, closing()).await };
    "till/shifts shift_of" needs PaymentTake: |s, a| async { till(s).shift_of(a).await };
    "till/shifts shift_totals" needs PaymentTake: |s, a| async { till(s).shift_totals(a, ID).await };
    "till/shifts shifts" needs PaymentTake: |s, a| async { till(s).shifts(a, &ShiftFilter::default()).await };
    "till/days close_day" needs TillClose: |s, a| async { till(s).close_day(a, till(s).today()).await };
    "till/requests ask_write_off" needs PaymentTake: |s, a| async { till(s).ask_write_off(a, write_off()).await };
    "till/requests decide_request" needs TillApprove: |s, a| async { till(s).decide_request(a, ID, true, WORDS).await };
    "till/terminal pay" needs PaymentTake: |s, a| async { Terminals::new(till(s), Vec::new()).pay(a, money(s)).await };
    "till/terminal refund" needs PaymentTake: |s, a| async { Terminals::new(till(s), Vec::new()).refund(a, money_back(s)).await };
    "till/terminal decide_request" needs TillApprove: |s, a| async { Terminals::new(till(s), Vec::new()).decide_request(a, ID, true, WORDS).await };
    "till/terminal progress" needs PaymentTake: |s, a| async { Terminals::new(till(s), Vec::new()).progress(a, ID).await };
    "till/terminal cancel" needs PaymentTake: |s, a| async { Terminals::new(till(s), Vec::new()).cancel(a, ID).await };
    "till/inbound take_notice" needs PaymentTake: |s, a| async { till(s).take_notice(a, notice()).await };
    "till/inbound payment_notices" needs PaymentTake: |s, a| async { till(s).payment_notices(a, None, 0).await };
    "till/inbound assign_notice" needs PaymentTake: |s, a| async { till(s).assign_notice(a, ID, s.person, Vec::new()).await };
    "till/inbound put_notice_aside" needs TillApprove: |s, a| async { till(s).put_notice_aside(a, ID, WORDS).await };
    "till/counter to_pay" needs ChargeSee: |s, a| async { till(s).to_pay(a, LocalDate(20_000), 1).await };
    "till/counter words_of_request" needs TillApprove: |s, a| async { till(s).words_of_request(a, ID).await };
    "till/counter of_record" needs PersonFind: |s, a| async { till(s).of_record(a, "17").await };
    "till/account account" needs ChargeSee: |s, a| async { till(s).account(a, s.person, Purpose::Payment).await };
    "till/account/receipt language_of" needs ChargeSee: |s, a| async { till(s).language_of(a, s.person).await };
    "till/account/receipt receipt" needs ChargeSee: |s, a| async { till(s).receipt(a, ID).await };
    "till/statement statement, patient" needs ChargeSee: |s, a| async { till(s).statement(a, &statement(StatementOf::Patient(s.person))).await };
    "till/statement statement, own" needs PaymentTake: |s, a| async { till(s).statement(a, &statement(StatementOf::Cashier("e".repeat(32)))).await };
    "till/statement statement, others" needs TillReport: |s, a| async { till(s).statement(a, &statement(StatementOf::Everybody)).await };
    "till/figures/exposure exposure" needs TillReport: |s, a| async { till(s).exposure(a).await };
    "till/figures/exposure overrides_given" needs TillReport: |s, a| async { till(s).overrides_given(a, &DAYS).await };
    "till/figures/revenue revenue" needs TillReport: |s, a| async { till(s).revenue(a, &DAYS, RevenueBy::Room).await };
    "till/figures/revenue discounts_given" needs TillReport: |s, a| async { till(s).discounts_given(a, &DAYS).await };
    "till/figures/ageing ageing" needs TillReport: |s, a| async { till(s).ageing(a, None).await };
    "vault/opening lock" needs VaultManage: |s, a| s.vault.lock(a);
};

fn desks(scene: &Scene) -> Desk {
    Desk::new(scene.database.clone(), Clock::new(|| NOW), clinic::desk::Rules::default())
}

/// Somebody else's binding.
fn session(person: PersonId) -> DeskSession {
    DeskSession {
        id: ID.to_owned(),
        workstation: PointId::new("desk-1").unwrap(),
        zone: ZoneId::new("room-1").unwrap(),
        person,
        card: None,
        state: SessionState::Open,
        factor: Factor::None,
        factor_at: None,
        factor_until: None,
        opened: NOW,
        confirmed: NOW,
        used: NOW,
        ended: None,
    }
}

/// The day of [`NOW`] and those around it.
const DAYS: Days = Days { from: LocalDate(20_770), until: LocalDate(20_790), currency: None };

fn statement(of: StatementOf) -> StatementFilter {
    StatementFilter { of, from: DAYS.from, until: DAYS.until, currency: None }
}

fn visits(scene: &Scene) -> Visits {
    Visits::new(scene.database.clone(), Clock::new(|| NOW), domain::visit::Rules::default())
}

fn irregular(scene: &Scene) -> Irregular {
    Irregular::new(scene.database.clone(), Clock::new(|| NOW), clinic::irregular::Settings::default())
}

fn without_card(scene: &Scene) -> NewOutOfCard {
    NewOutOfCard {
        session: ID.to_owned(),
        patient: scene.person,
        code: OutOfCardCode::Forgotten,
        words: WHY.to_owned(),
        appointment: None,
    }
}

fn sign_in() -> SignIn {
    SignIn { source: "mis".to_owned(), external: "1".to_owned(), staff: None, workstation: None, at: NOW }
}

fn request(person: PersonId) -> requests::NewRequest {
    requests::NewRequest {
        person,
        kind: requests::Kind::ALL[0],
        law: requests::Law::ALL[0],
        channel: requests::Channel::ALL[0],
        identity: requests::Identity::ALL[0],
        received: NOW,
        note: None,
    }
}

/// What a denied command must not touch: rows of every table but the audit log, counted and weighed.
async fn weight(scene: &Scene) -> Vec<(String, i64)> {
    store::read!(scene.database, "test.weight", |conn| {
        let mut weights = Vec::new();
        macro_rules! weigh {
            ($($table:literal $what:literal),* $(,)?) => {$(
                let sum: i64 = store::sqlx::query_scalar(concat!("SELECT CAST(COUNT(*) + COALESCE(SUM(", $what, "), 0) AS BIGINT) FROM ", $table))
                    .fetch_one(&mut *conn)
                    .await?;
                weights.push(($table.to_owned(), sum));
            )*};
        }
        weigh! {
            "account" "CASE WHEN disabled_at IS NULL THEN 0 ELSE 1000 END", "account_role" "LENGTH(role)",
            "account_session" "CASE WHEN ended_at IS NULL THEN 0 ELSE 1000 END", "account_link" "LENGTH(token_hash)",
            "role" "LENGTH(name)", "role_permission" "LENGTH(permission)", "role_field" "LENGTH(field)",
            "command" "LENGTH(action)", "api_key" "LENGTH(id)", "notice" "LENGTH(id)", "glass" "LENGTH(id)",
            "disclosure" "LENGTH(id)", "privacy_request" "LENGTH(id)", "restriction" "LENGTH(person)",
            "service" "LENGTH(code)", "price" "minor", "payer" "LENGTH(id)", "terms" "version", "discount_scheme" "version",
            "limit_override" "no", "person" "LENGTH(id)", "credential" "LENGTH(state)", "visit" "LENGTH(id)", "irregular" "LENGTH(id)",
        }
        Ok(weights)
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_denied_without_its_right_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = scene(database, folder.path()).await;
        let mut wrong = Vec::new();
        for row in ROWS {
            let others: Vec<_> = Permission::ALL.iter().copied().filter(|other| *other != row.needs).collect();
            let before = weight(&scene).await;
            let without = (row.run)(&scene, &acting(rights(&others))).await;
            let with_none = (row.run)(&scene, &acting(Rights::default())).await;
            let after = weight(&scene).await;
            // Without this the others would hold for a command that is always denied.
            let with = (row.run)(&scene, &acting(rights(&[row.needs]))).await;
            let denied = Err(Denied(row.needs).to_string());
            if without != denied || with_none != denied || with == denied || after != before {
                wrong.push(format!(
                    "{}: {without:?}, {with_none:?}, {with:?}, unchanged: {}",
                    row.name,
                    after == before
                ));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        scene.database.close().await;
    }
}

/// Commands whose right depends on what they are asked for; their own tests show it.
const ELSEWHERE: &[(&str, usize)] = &[
    // Ending and reviewing one's own case; a person's own line of the register; both rights of passes.
    ("break_glass/review", 3),
    ("disclosures/read", 2),
    ("people/passes", 1),
    // Taking a charge back: one of two rights; its tests say who may.
    ("till/cancel", 1),
    // Browser-side keys have a file of their own.
    ("vault/local/key_change", 1),
    ("vault/local/put", 1),
    ("vault/local/photo", 1),
    // An address is set together with an invitation.
    ("accounts/staff", 1),
    // Whoever closes days sees them, and whoever sees figures; whoever asks sees requests, and whoever decides.
    ("till/days", 2),
    ("till/requests", 1),
];

#[test]
fn every_check_of_a_right_has_its_row() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.clone()];
    let (mut looked_at, mut missing) = (0, Vec::new());
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let file = path.strip_prefix(&source).unwrap().with_extension("").display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let checks = text.lines().filter(|line| line.contains("acting.must(") && line.contains("Permission::")).count();
        looked_at += checks;
        let rows: BTreeSet<_> =
            ROWS.iter().map(|row| row.name).filter(|name| name.split(' ').next() == Some(&file)).collect();
        let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == file).map_or(0, |(_, count)| *count);
        if rows.len() + elsewhere < checks {
            missing.push(format!("{file}: {checks} checks, {} rows", rows.len()));
        }
    }
    assert!(looked_at > 60, "{looked_at}");
    assert_eq!(missing, Vec::<String>::new(), "add a row to this table");
}

//! Groups and contracts: the list with their pots, one with its members, adding members one by one or from a file.

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::Class;
use clinic::till::{Member, MembersReport, NewPayer, Payer, PayerKind, Take, TillError};
use domain::money::Currency;

use super::import::{FAULTS_MAX, Fault_, Sent, Unsent, kept, sent};
use super::{
    Bar, Choice, Problem, amount, bad, choices, currency_of, day, days, exported, read, said, searched, typed,
};
use crate::csv::Csv;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Members of one page.
const MEMBERS: u32 = 50;

#[derive(Template)]
#[template(path = "till_office/payers.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    search: String,
    with_ended: bool,
    export: String,
    back: String,
    open: Option<Open>,
    form: Option<Form>,
    look: Option<Look>,
    done: Option<String>,
    problem: Problem,
}

struct Line {
    id: String,
    link: String,
    name: String,
    kind: String,
    members: u64,
    pots: Vec<Pot>,
    is_ended: bool,
    is_open: bool,
}

struct Pot {
    words: String,
    left: String,
    bar: Bar,
}

struct Open {
    id: String,
    name: String,
    kind: String,
    pots: Vec<Pot>,
    members: Vec<MemberLine>,
    count: u64,
    more: Option<String>,
    typed: Typed,
}

/// The small forms of a payer, as typed so far.
struct Typed {
    limit: String,
    currency: String,
    number: String,
    from: String,
    until: String,
    file_from: String,
}

impl Typed {
    /// What the forms hold before anything was typed: the shared limit as it is, and today.
    fn new(payer: &Payer, currency: Currency, today: String) -> Self {
        let pot = payer.pots.first();
        Self {
            limit: pot.map(|pot| pot.currency.decimal(pot.limit)).unwrap_or_default(),
            currency: pot.map_or(currency, |pot| pot.currency).to_string(),
            number: String::new(),
            from: today.clone(),
            until: String::new(),
            file_from: today,
        }
    }

    /// Takes over what was typed into the form of this name.
    fn keep(&mut self, name: &str, form: &Query) {
        let text = |key: &str| typed(form, key).to_owned();
        match name {
            "pot" => (self.limit, self.currency) = (text("limit"), text("currency")),
            "member" => (self.number, self.from, self.until) = (text("number"), text("from"), text("until")),
            "file" => self.file_from = text("from"),
            _ => {}
        }
    }
}

struct MemberLine {
    id: String,
    name: String,
    days: String,
}

struct Form {
    id: String,
    is_new: bool,
    kinds: Vec<Choice>,
    name: String,
    external: String,
    ended: bool,
}

/// A list of members that was looked at.
struct Look {
    payer: String,
    name: String,
    changed: u64,
    unchanged: u64,
    faults: Vec<Fault_>,
    more_faults: u64,
    may_take: bool,
    from: String,
    digest: String,
    file: String,
}

fn pots(texts: &Texts, payer: &Payer) -> Vec<Pot> {
    let pot = |state: &clinic::till::PotState| {
        let said = |amount| money::bare(texts, state.currency, amount);
        let left = state.limit.minus(state.used).unwrap_or_default().max(domain::money::Amount::ZERO);
        let values = [("used", said(state.used)), ("limit", money::amount(texts, state.currency, state.limit))];
        Pot {
            words: texts.with("till-office-used-of", &values),
            left: money::amount(texts, state.currency, left),
            bar: Bar::of(state.used, state.limit),
        }
    };
    payer.pots.iter().map(pot).collect()
}

/// `GET /till/payers`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("till-office-done-", done));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let (search, with_ended) = (searched(query), query.one("ended").is_some());
    let payers = till.payers(&acting, &search, with_ended).await?;
    let plain = Query::read(query.with("done", None).trim_start_matches('?'));
    let wanted = query.one("open");
    let line = |payer: &Payer| Line {
        link: format!("/till/payers{}#payer", plain.with("open", Some(&payer.id))),
        name: payer.name.clone(),
        kind: texts.code("till-scope-", payer.kind.as_str()),
        members: payer.members,
        pots: pots(&texts, payer),
        is_ended: payer.ended.is_some(),
        is_open: wanted == Some(payer.id.as_str()),
        id: payer.id.clone(),
    };
    let lines = payers.iter().map(line).collect();
    let (mut open, mut form, mut problem) = (None, None, Problem::default());
    if let Some(id) = wanted {
        match till.payer(&acting, id).await? {
            Some(payer) => {
                form = Some(Form::of(&texts, Some(&payer)));
                open = Some(opened(visit, query, &payer).await?);
            }
            None => problem = Problem::at("", texts.t("till-problem-not_found")),
        }
    } else if query.one("new").is_some() {
        form = Some(Form::of(&texts, None));
    }
    let narrowed = Query::read(plain.with("open", None).trim_start_matches('?'));
    Ok(Page {
        frame: Frame::new(visit, "till-payers"),
        lines,
        search,
        with_ended,
        export: format!("/till/payers.csv{}", narrowed.with("new", None)),
        back: format!("/till/payers{}", narrowed.with("new", None)),
        open,
        form,
        look: None,
        done: None,
        problem,
    })
}

async fn opened(visit: &Visit, query: &Query, payer: &Payer) -> Result<Open, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let after = query.one("after").and_then(|text| {
        let (person, day) = text.split_once(':')?;
        Some((person.parse().ok()?, day.parse().ok()?))
    });
    let mut members = till.members(&acting, &payer.id, after, MEMBERS + 1).await?;
    let has_more = members.len() > MEMBERS as usize;
    members.truncate(MEMBERS as usize);
    let more = members.last().filter(|_| has_more).map(|last| {
        let query = Query::read(Query::default().with("open", Some(&payer.id)).trim_start_matches('?'));
        format!("/till/payers{}#payer", query.with("after", Some(&format!("{}:{}", last.person, last.from))))
    });
    let persons = members.iter().map(|member| member.person).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let line = |member: &Member| MemberLine {
        id: member.person.to_string(),
        name: faces.name(Some(member.person)).map_or_else(|| short_id(&member.person.to_string()), str::to_owned),
        days: days(&texts, member.from, member.until),
    };
    Ok(Open {
        id: payer.id.clone(),
        name: payer.name.clone(),
        kind: texts.code("till-scope-", payer.kind.as_str()),
        pots: pots(&texts, payer),
        members: members.iter().map(line).collect(),
        count: payer.members,
        more,
        typed: Typed::new(payer, till.rules().currency, till.today().to_string()),
    })
}

impl Form {
    fn of(texts: &Texts, payer: Option<&Payer>) -> Self {
        let kind = payer.map_or(PayerKind::Group, |payer| payer.kind);
        let codes: Vec<&str> = PayerKind::ALL.iter().map(|it| it.as_str()).collect();
        Self {
            id: payer.map(|payer| payer.id.clone()).unwrap_or_default(),
            is_new: payer.is_none(),
            kinds: choices(texts, "till-scope-", &codes, kind.as_str()),
            name: payer.map(|payer| payer.name.clone()).unwrap_or_default(),
            external: payer.and_then(|payer| payer.external.clone()).unwrap_or_default(),
            ended: payer.is_some_and(|payer| payer.ended.is_some()),
        }
    }
}

/// Back to a payer after a change.
fn done(payer: &str, done: &str) -> Response {
    let query = Query::default().with("open", Some(payer));
    go(&format!("/till/payers{query}&done={done}#payer"))
}

/// The page of a payer with what is wrong, at the form that asked for it, and what was typed there.
async fn wrong(
    visit: &Visit,
    payer: &str,
    name: &'static str,
    form: &Query,
    error: TillError,
) -> Result<Response, Fault> {
    let problem = said(visit, error)?;
    let query = Query::default().with("open", Some(payer));
    let mut page = page(visit, &Query::read(query.trim_start_matches('?'))).await?;
    let at = match page.open.as_mut() {
        Some(open) => {
            open.typed.keep(name, form);
            name
        }
        None => "",
    };
    page.problem = Problem::at(at, problem);
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `POST /till/payers/put`
pub async fn put(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, till, is_new) = (visit.acting()?, &visit.app.till, form.one("new").is_some());
    let new = NewPayer {
        id: typed(&form, "id").to_owned(),
        kind: PayerKind::parse(typed(&form, "kind")).ok_or(Fault::Invalid)?,
        name: typed(&form, "name").to_owned(),
        external: form.one("external").map(str::to_owned),
        ended: form.one("ended").is_some(),
    };
    let is_taken = is_new && !new.id.is_empty() && till.payer(&acting, &new.id).await?.is_some();
    let outcome = if is_taken { Err(bad("code_taken")) } else { till.put_payer(&acting, new.clone()).await };
    match outcome {
        Ok(payer) => Ok(done(&payer.id, "payer")),
        Err(error) => {
            let problem = said(&visit, error)?;
            let query = if is_new { String::new() } else { Query::default().with("open", Some(&new.id)) };
            let mut page = page(&visit, &Query::read(query.trim_start_matches('?'))).await?;
            let mut form = Form::of(&visit.texts(), None);
            form.kinds.iter_mut().for_each(|kind| kind.is_set = kind.code == new.kind.as_str());
            (form.id, form.name, form.ended, form.is_new) = (new.id, new.name, new.ended, is_new);
            form.external = new.external.unwrap_or_default();
            (page.form, page.problem) = (Some(form), Problem::at("payer", problem));
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `POST /till/payers/pot`
pub async fn pot(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let payer = typed(&form, "id").to_owned();
    let read = |currency: Currency| amount("limit", typed(&form, "limit"), currency).map(|limit| (currency, limit));
    let outcome = match currency_of(&visit, &form).and_then(read) {
        Ok((currency, limit)) => visit.app.till.set_pot(&visit.acting()?, &payer, currency, limit).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => Ok(done(&payer, "pot")),
        Err(error) => wrong(&visit, &payer, "pot", &form, error).await,
    }
}

/// `POST /till/payers/member`: by a record number, which stands in no address.
pub async fn member(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let payer = typed(&form, "id").to_owned();
    let (acting, till) = (visit.acting()?, &visit.app.till);
    let outcome = match (
        till.person_by_number(&acting, typed(&form, "number")).await?,
        day("from", &form),
        day("until", &form),
    ) {
        (None, ..) => Err(bad("number")),
        (_, Err(error), _) | (_, _, Err(error)) => Err(error),
        (Some(person), Ok(from), Ok(until)) => {
            let from = from.unwrap_or_else(|| till.today());
            till.put_member(&acting, &payer, Member { person, from, until }).await
        }
    };
    match outcome {
        Ok(()) => Ok(done(&payer, "member")),
        Err(error) => wrong(&visit, &payer, "member", &form, error).await,
    }
}

/// `POST /till/payers/leave`: somebody belongs to it no more from tomorrow on.
pub async fn leave(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let payer = typed(&form, "id").to_owned();
    let person = typed(&form, "person").parse().map_err(|_| Fault::Invalid)?;
    let till = &visit.app.till;
    match till.end_member(&visit.acting()?, &payer, person, till.today()).await {
        Ok(()) => Ok(done(&payer, "left")),
        Err(error) => wrong(&visit, &payer, "members", &form, error).await,
    }
}

/// `POST /till/payers/look`: a list of members, looked at.
pub async fn look(visit: Visit, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    list(&visit, sent(&headers, &body)?, true).await
}

/// `POST /till/payers/take`: what was shown.
pub async fn take(visit: Visit, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    list(&visit, sent(&headers, &body)?, false).await
}

async fn list(visit: &Visit, sent: Result<Sent, Unsent>, is_look: bool) -> Result<Response, Fault> {
    let day = |from: &str| Query::read(Query::default().with("from", Some(from)).trim_start_matches('?'));
    let sent = match sent {
        Ok(sent) => sent,
        Err(Unsent { error, from, payer }) => return wrong(visit, &payer, "file", &day(&from), error).await,
    };
    let (acting, till) = (visit.acting()?, &visit.app.till);
    let from = sent.from.unwrap_or_else(|| till.today());
    let take = if is_look { Take::Look } else { Take::AsShown(&sent.digest) };
    let again = || till.import_members(&acting, &sent.payer, sent.file.clone(), from, Take::Look);
    let (status, report, problem) = match till.import_members(&acting, &sent.payer, sent.file.clone(), from, take).await
    {
        Ok(report) if report.is_taken => return Ok(done(&sent.payer, "members")),
        Ok(report) => (StatusCode::OK, report, None),
        Err(TillError::Changed) => {
            (StatusCode::CONFLICT, again().await?, Some(visit.texts().t("till-office-list-changed")))
        }
        Err(error) => return wrong(visit, &sent.payer, "file", &day(&sent.from_text), error).await,
    };
    let query = Query::default().with("open", Some(&sent.payer));
    let mut page = page(visit, &Query::read(query.trim_start_matches('?'))).await?;
    page.problem = problem.map_or_else(Problem::default, |words| Problem::at("", words));
    page.look = Some(looked(&visit.texts(), &sent, &report, from.to_string(), page.open.as_ref()));
    render(status, &page)
}

fn looked(texts: &Texts, sent: &Sent, report: &MembersReport, from: String, open: Option<&Open>) -> Look {
    let faults: Vec<Fault_> =
        report.faults.kept.iter().take(FAULTS_MAX).map(|fault| Fault_::of(texts, fault)).collect();
    let hidden = report.faults.kept.len().saturating_sub(FAULTS_MAX);
    Look {
        payer: sent.payer.clone(),
        name: open.map(|open| open.name.clone()).unwrap_or_default(),
        changed: u64::from(report.changed),
        unchanged: u64::from(report.unchanged),
        more_faults: report.faults.more + u64::try_from(hidden).unwrap_or(0),
        may_take: faults.is_empty() && report.changed > 0,
        faults,
        from,
        digest: report.digest.clone(),
        file: kept(&sent.file),
    }
}

/// `GET /till/payers.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let payers = visit.app.till.payers(&visit.acting()?, &searched(&query), query.one("ended").is_some()).await?;
    let mut csv = Csv::new(&["code", "kind", "name", "external", "members", "currency", "limit", "used", "ended"]);
    for payer in &payers {
        let ended = if payer.ended.is_some() { "yes" } else { "no" };
        let row = |pot: Option<&clinic::till::PotState>| {
            let text = |amount: fn(&clinic::till::PotState) -> domain::money::Amount| {
                pot.map(|pot| pot.currency.decimal(amount(pot))).unwrap_or_default()
            };
            [
                payer.id.clone(),
                payer.kind.to_string(),
                payer.name.clone(),
                payer.external.clone().unwrap_or_default(),
                payer.members.to_string(),
                pot.map(|pot| pot.currency.to_string()).unwrap_or_default(),
                text(|pot| pot.limit),
                text(|pot| pot.used),
                ended.to_owned(),
            ]
        };
        if payer.pots.is_empty() {
            csv.row(&row(None));
        }
        payer.pots.iter().for_each(|pot| csv.row(&row(Some(pot))));
    }
    exported(&visit, "/till/payers.csv", Class::Technical, payers.len()).await?;
    Ok(csv.into_response("groups-and-contracts.csv"))
}

/// `GET /till/payers/{id}/members.csv`: by pseudonym.
pub async fn export_members(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let (acting, till) = (visit.acting()?, &visit.app.till);
    till.payer(&acting, &id).await?.ok_or(Fault::NotFound)?;
    let mut csv = Csv::new(&["number", "from", "until"]);
    let (mut after, mut rows) = (None, 0);
    loop {
        let members = till.members(&acting, &id, after, clinic::till::MEMBERS_PAGE_MAX).await?;
        for member in &members {
            let until = member.until.map(|day| day.to_string()).unwrap_or_default();
            csv.row(&[member.person.to_string(), member.from.to_string(), until]);
        }
        rows += members.len();
        after = members.last().map(|member| (member.person, member.from));
        if members.len() < clinic::till::MEMBERS_PAGE_MAX as usize || rows >= crate::csv::ROWS_MAX {
            break;
        }
    }
    exported(&visit, "/till/payers/members.csv", Class::Payment, rows).await?;
    Ok(csv.into_response("members.csv"))
}

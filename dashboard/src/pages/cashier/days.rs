//! Days of the till: what each brought, what hinders its closing, and the closing itself, after which nothing is posted to
//! it any more.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::till::TillError;
use clinic::till::days::{CurrencyTotals, DAYS_MAX, Day, Hindrance};
use clinic::till::shifts::MethodTotals;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Method;

use super::{Hands, day_of, day_words, explain, read};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Days shown when none were asked for.
const DAYS_SHOWN: i32 = 31;

#[derive(Template)]
#[template(path = "cashier/days.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    from: String,
    until: String,
    open: Option<Open>,
    export: String,
    back: String,
    done: Option<String>,
    problem: Option<String>,
}

struct Line {
    link: String,
    day: String,
    is_open: bool,
    taken: Vec<String>,
    revenue: Vec<String>,
    unpaid: Vec<String>,
    tone: &'static str,
    state: String,
}

/// One day, opened.
struct Open {
    day: String,
    title: String,
    currencies: Vec<Sums>,
    hindrances: Vec<Hinders>,
    closed: Option<String>,
    may_close: bool,
    paper: String,
}

struct Sums {
    currency: String,
    facts: Vec<(String, String)>,
    methods: Vec<(String, u64, String, String)>,
}

struct Hinders {
    text: String,
    link: Option<String>,
}

fn range(visit: &Visit, query: &Query) -> Result<(LocalDate, LocalDate), Fault> {
    let today = visit.app.till.today();
    let until = day_of(query.one("until"))?.unwrap_or(today);
    let from = day_of(query.one("from"))?.unwrap_or(LocalDate(until.0.saturating_sub(DAYS_SHOWN - 1)));
    let most = i32::try_from(DAYS_MAX).unwrap_or(i32::MAX);
    // A longer range is cut at its beginning; the page shows what it is.
    Ok((from.max(LocalDate(until.0.saturating_sub(most - 1))), until))
}

/// `GET /till/days`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|code| visit.texts().code_if_any("cashier-done-", code));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, texts, times, till) = (visit.acting()?, visit.texts(), visit.times(), &visit.app.till);
    let (from, until) = range(visit, query)?;
    let mut days = till.days(&acting, from, until).await?;
    let today = till.today();
    if from <= today && today <= until && !days.iter().any(|day| day.day == today) {
        days.insert(0, till.day(&acting, today).await?);
    }
    // Days are closed in their order, so that only the first open one may be ready.
    let first = days.iter_mut().filter(|day| day.closed.is_none()).min_by_key(|day| day.day);
    let mut ready = None;
    if let Some(first) = first {
        *first = till.day(&acting, first.day).await?;
        ready = first.hindrances.is_empty().then_some(first.day);
    }
    let asked = day_of(query.one("open"))?;
    let open = match asked {
        Some(day) => Some(opened(visit, &till.day(&acting, day).await?).await?),
        None => None,
    };
    let bare = Query::read(query.with("done", None).trim_start_matches('?'));
    let line = |day: &Day| {
        let each = |of: fn(&CurrencyTotals) -> Amount| {
            let text = |it: &CurrencyTotals| money::amount(&texts, it.currency, of(it));
            day.totals.currencies.iter().map(text).collect::<Vec<_>>()
        };
        let (tone, state) = match &day.closed {
            Some(_) => ("ok", "cashier-day-closed"),
            None if ready == Some(day.day) => ("info", "cashier-day-ready"),
            None => ("warn", "cashier-day-open"),
        };
        Line {
            link: format!("/till/days{}#day", bare.with("open", Some(&day.day.to_string()))),
            day: day_words(&times, day.day),
            is_open: asked == Some(day.day),
            taken: taken(&texts, &day.totals.methods),
            revenue: each(|it| it.revenue),
            unpaid: each(|it| it.unpaid),
            tone,
            state: texts.code("", state),
        }
    };
    Ok(Page {
        frame: Frame::new(visit, "till-days"),
        lines: days.iter().map(line).collect(),
        from: from.to_string(),
        until: until.to_string(),
        open,
        export: format!("/till/days.csv?from={from}&until={until}"),
        back: format!("/till/days{}", bare.with("open", None)),
        done: None,
        problem: None,
    })
}

/// What came of money less what went back, in each currency; using a deposit is neither.
fn taken(texts: &Texts, methods: &[MethodTotals]) -> Vec<String> {
    let mut sums: Vec<(Currency, Amount)> = Vec::new();
    for one in methods.iter().filter(|one| one.method != Method::Deposit) {
        let net = one.taken.minus(one.given).unwrap_or(Amount::ZERO);
        match sums.iter_mut().find(|(currency, _)| *currency == one.currency) {
            Some((_, sum)) => *sum = sum.plus(net).unwrap_or(*sum),
            None => sums.push((one.currency, net)),
        }
    }
    sums.into_iter().map(|(currency, sum)| money::amount(texts, currency, sum)).collect()
}

async fn opened(visit: &Visit, day: &Day) -> Result<Open, Fault> {
    let (texts, times) = (visit.texts(), visit.times());
    let sums = |of: &CurrencyTotals| {
        let text = |amount| money::amount(&texts, of.currency, amount);
        let methods = day.totals.methods.iter().filter(|one| one.currency == of.currency);
        Sums {
            currency: of.currency.to_string(),
            facts: vec![
                (texts.t("cashier-sum-charges"), of.charges.to_string()),
                (texts.t("cashier-sum-cancelled"), of.cancelled.to_string()),
                (texts.t("cashier-sum-revenue"), text(of.revenue)),
                (texts.t("cashier-sum-discounts"), text(of.discounts)),
                (texts.t("cashier-sum-written-off"), text(of.written_off)),
                (texts.t("cashier-sum-deposit-in"), text(of.deposit_in)),
                (texts.t("cashier-sum-deposit-out"), text(of.deposit_out)),
                (texts.t("cashier-sum-difference"), text(of.difference)),
                (
                    texts.t("cashier-sum-unpaid"),
                    format!("{} · {}", text(of.unpaid), texts.n("cashier-items", of.unpaid_count)),
                ),
            ],
            methods: methods
                .map(|one| {
                    (texts.code("till-method-", one.method.as_str()), one.count, text(one.taken), text(one.given))
                })
                .collect(),
        }
    };
    let hinders = |one: &Hindrance| match one {
        Hindrance::Future => Hinders { text: texts.t("cashier-hinders-future"), link: None },
        Hindrance::Earlier(earlier) => Hinders {
            text: texts.a("cashier-hinders-earlier", &day_words(&times, *earlier)),
            link: Some(format!("/till/days?open={earlier}#day")),
        },
        Hindrance::OpenShift(id, drawer) => {
            Hinders { text: texts.a("cashier-hinders-shift", drawer), link: Some(format!("/till/drawers?open={id}")) }
        }
        Hindrance::Waiting(count) => Hinders {
            text: texts.n("cashier-hinders-waiting", *count),
            link: Some("/till/payments?state=waiting".to_owned()),
        },
    };
    let closed = match &day.closed {
        Some(closed) => {
            let by = Hands::new(visit).name(&closed.actor_kind, closed.actor.as_deref()).await?;
            Some(texts.with("cashier-day-closed-by", &[("at", times.full(closed.at)), ("by", by)]))
        }
        None => None,
    };
    Ok(Open {
        day: day.day.to_string(),
        title: day_words(&times, day.day),
        currencies: day.totals.currencies.iter().map(sums).collect(),
        hindrances: day.hindrances.iter().map(hinders).collect(),
        may_close: day.closed.is_none() && day.hindrances.is_empty(),
        closed,
        paper: format!("/till/days/{}/closing.pdf", day.day),
    })
}

/// `POST /till/days/close`
pub async fn close(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let day = day_of(form.one("day"))?.ok_or(Fault::Invalid)?;
    let problem = match visit.app.till.close_day(&acting, day).await {
        Ok(_) => return Ok(go(&format!("/till/days?done=day_closed&open={day}#day"))),
        Err(TillError::Invalid { field: "day", .. }) => texts.t("cashier-day-hindered"),
        Err(error) => explain(&texts, visit.app.till.rules().currency, error)?,
    };
    let mut page = page(&visit, &Query::read(&format!("open={day}"))).await?;
    page.problem = Some(problem);
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `GET /till/days.csv`: a row for each day and currency.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let acting = visit.acting()?;
    let (from, until) = range(&visit, &query)?;
    let times = visit.times();
    let mut header: Vec<String> =
        ["day", "currency", "charges", "cancelled", "revenue", "discounts", "written_off", "deposit_in", "deposit_out"]
            .map(str::to_owned)
            .to_vec();
    header.extend(["difference", "unpaid_count", "unpaid"].map(str::to_owned));
    for method in Method::ALL {
        header.extend([format!("{method}_taken"), format!("{method}_given")]);
    }
    header.extend(["closed".to_owned(), "entry".to_owned()]);
    let mut csv = Csv::new(&header);
    for day in visit.app.till.days(&acting, from, until).await? {
        for of in &day.totals.currencies {
            let text = |amount| of.currency.decimal(amount);
            let mut row = vec![
                day.day.to_string(),
                of.currency.to_string(),
                of.charges.to_string(),
                of.cancelled.to_string(),
                text(of.revenue),
                text(of.discounts),
                text(of.written_off),
                text(of.deposit_in),
                text(of.deposit_out),
                text(of.difference),
                of.unpaid_count.to_string(),
                text(of.unpaid),
            ];
            for method in Method::ALL {
                let one = |it: &&MethodTotals| it.method == *method && it.currency == of.currency;
                let found = day.totals.methods.iter().find(one);
                row.push(text(found.map_or(Amount::ZERO, |it| it.taken)));
                row.push(text(found.map_or(Amount::ZERO, |it| it.given)));
            }
            row.push(day.closed.as_ref().map(|closed| times.exact(closed.at)).unwrap_or_default());
            row.push(day.closed.as_ref().map(|closed| closed.entry.to_string()).unwrap_or_default());
            csv.row(&row);
        }
    }
    Ok(csv.into_response("days.csv"))
}

//! Drawers: one's own is opened with change, watched, counted and closed; those of others are listed and closed by who
//! settles days. What was counted is typed as a sum, or note by note; both must agree.

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::till::TillError;
use clinic::till::shifts::{
    Closing, DifferenceReason, MethodTotals, NewShift, SHIFTS_MAX, Shift, ShiftFilter, ShiftTotals,
};
use domain::money::{Amount, Currency};

use super::{Choice, Hands, choices, day_of, explain, minor, new_key, read, sum, typed, words_of};
use crate::csv::{Csv, ROWS_MAX};
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::assets;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Shifts of one page.
const PAGE: u32 = 50;
/// Pieces of one kind of note that are read: more do not fit into a drawer.
const PIECES_MAX: i64 = 100_000;

#[derive(Template)]
#[template(path = "cashier/drawer.html")]
struct Page {
    frame: Frame,
    script: String,
    now: Option<Now>,
    key: String,
    currency: String,
    /// What was typed for a drawer to open.
    drawer: String,
    float: String,
    earlier: Vec<Line>,
    /// Somebody else's drawer: where its forms go.
    action: String,
    is_other: bool,
    problem: Option<String>,
    done: Option<(String, Option<String>)>,
}

/// An open drawer.
struct Now {
    no: u64,
    drawer: String,
    cashier: String,
    opened: String,
    float: String,
    cash: String,
    cash_minor: i64,
    card: String,
    digits: u8,
    waiting: u64,
    methods: Vec<MethodLine>,
    pieces: Vec<Piece>,
    counted: String,
    slips: String,
    reasons: Vec<Choice>,
    words: String,
    /// What differs, once it was counted.
    difference: Option<(String, &'static str)>,
}

struct MethodLine {
    method: String,
    count: u64,
    taken: String,
    given: String,
}

/// A note or coin.
struct Piece {
    minor: i64,
    name: String,
    count: String,
}

/// A shift in a list.
struct Line {
    id: String,
    no: u64,
    drawer: String,
    cashier: String,
    opened: String,
    closed: Option<String>,
    float: String,
    expected: String,
    counted: String,
    difference: Option<(String, &'static str)>,
    reason: Option<String>,
}

/// The notes and coins of a currency in major units and hundredths of them; for others the steps 1, 2 and 5.
fn pieces(currency: Currency) -> Vec<i64> {
    let of: &[i64] = match currency.as_str() {
        "UAH" => &[100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 10],
        "EUR" => &[50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1],
        "RUB" => &[500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5_000, 1_000, 500, 200, 100, 50, 10],
        "PLN" => &[50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1],
        "USD" => &[10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 25, 10, 5, 1],
        _ => &[],
    };
    if !of.is_empty() {
        return of.to_vec();
    }
    let unit = currency.unit();
    let large = [1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1].map(|many: i64| many * unit);
    let small = [50, 20, 10, 5, 2, 1].iter().filter(|part| **part < unit).copied();
    large.into_iter().chain(small).collect()
}

/// What a form says was counted.
struct Counted {
    cash: Option<Amount>,
    slips: Option<Amount>,
    reason: Option<DifferenceReason>,
    words: String,
}

impl Counted {
    fn read(texts: &Texts, currency: Currency, form: &Query) -> Result<Self, String> {
        let by_piece = by_piece(currency, form).ok_or_else(|| texts.t("cashier-pieces-bad"))?;
        let typed_cash = typed(texts, currency, form.one("counted"))?;
        let cash = match (typed_cash, by_piece) {
            (Some(one), Some(other)) if one != other => {
                let text = |amount| money::amount(texts, currency, amount);
                return Err(texts.with("cashier-pieces-differ", &[("sum", text(one)), ("pieces", text(other))]));
            }
            (one, other) => one.or(other),
        };
        Ok(Self {
            cash,
            slips: slips(texts, currency, form.one("slips"))?,
            reason: form.one("reason").and_then(DifferenceReason::parse),
            words: words_of(form),
        })
    }
}

/// The sum of the card slips: below zero where more went back to cards than came.
fn slips(texts: &Texts, currency: Currency, text: Option<&str>) -> Result<Option<Amount>, String> {
    let text = text.map(str::trim);
    match text.and_then(|text| text.strip_prefix(['-', '\u{2212}'])) {
        Some(rest) => Ok(typed(texts, currency, Some(rest))?.and_then(|amount| amount.times(-1))),
        None => typed(texts, currency, text),
    }
}

/// The sum of the notes and coins of a form; nothing where none was typed, `None` where something is no number.
fn by_piece(currency: Currency, form: &Query) -> Option<Option<Amount>> {
    let mut found = Vec::new();
    for piece in pieces(currency) {
        let Some(text) = form.one(&format!("piece-{piece}")) else { continue };
        let count: i64 = text.parse().ok().filter(|count| (0..=PIECES_MAX).contains(count))?;
        found.push(Amount::new(piece)?.times(count)?);
    }
    Some((!found.is_empty()).then(|| sum(found)))
}

/// `GET /till/drawer`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, None, &Query::default()).await?;
    if let Some(text) = query.one("done").and_then(|code| visit.texts().code_if_any("cashier-done-", code)) {
        let paper = query.one("shift").filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        page.done = Some((text, paper.map(|id| format!("/till/drawers/{id}/closing.pdf"))));
    }
    render(StatusCode::OK, &page)
}

/// The page of one's own drawer, or of another's.
async fn page(visit: &Visit, other: Option<&str>, form: &Query) -> Result<Page, Fault> {
    let (acting, till) = (visit.acting()?, &visit.app.till);
    let own = match other {
        Some(_) => None,
        None => till.shift_of(&acting).await?,
    };
    let id = other.map(str::to_owned).or_else(|| own.map(|shift| shift.id));
    let mut hands = Hands::new(visit);
    let now = match &id {
        Some(id) => {
            let totals = till.shift_totals(&acting, id).await?;
            let cashier = hands.name("account", Some(&totals.shift.account)).await?;
            Some(now_of(visit, &totals, cashier, form))
        }
        None => None,
    };
    let me = visit.signed_in()?.account.id.as_str().to_owned();
    let filter = ShiftFilter { account: Some(me), open: Some(false), limit: 10, ..ShiftFilter::default() };
    let mut earlier = Vec::new();
    if other.is_none() {
        for shift in &till.shifts(&acting, &filter).await? {
            earlier.push(line(visit, &mut hands, shift).await?);
        }
    }
    Ok(Page {
        frame: Frame::new(visit, if other.is_some() { "till-days" } else { "till-drawer" }),
        script: assets::path("cashier.js"),
        key: new_key()?,
        currency: till.rules().currency.to_string(),
        drawer: form.one("drawer").or(earlier.first().map(|line| line.drawer.as_str())).unwrap_or_default().to_owned(),
        float: form.one("float").unwrap_or_default().to_owned(),
        action: match other {
            Some(id) => format!("/till/drawers/{id}/close"),
            None => "/till/drawer/close".to_owned(),
        },
        is_other: other.is_some(),
        now,
        earlier,
        problem: None,
        done: None,
    })
}

fn now_of(visit: &Visit, totals: &ShiftTotals, cashier: String, form: &Query) -> Now {
    let (texts, times) = (visit.texts(), visit.times());
    let currency = totals.shift.currency;
    let text = |amount| money::amount(&texts, currency, amount);
    let counted = Counted::read(&texts, currency, form).ok();
    let difference = counted.as_ref().and_then(|counted| counted.cash).and_then(|cash| cash.minus(totals.cash));
    Now {
        no: totals.shift.no,
        drawer: totals.shift.drawer.clone(),
        cashier,
        opened: times.full(totals.shift.opened),
        float: text(totals.shift.float),
        cash: text(totals.cash),
        cash_minor: totals.cash.minor(),
        card: text(totals.card),
        digits: currency.digits(),
        waiting: totals.waiting,
        methods: totals.methods.iter().map(|method| method_line(&texts, method)).collect(),
        pieces: pieces(currency)
            .into_iter()
            .map(|piece| Piece {
                minor: piece,
                name: Amount::new(piece).map_or_else(String::new, |amount| {
                    let text = money::bare(&texts, currency, amount);
                    if piece % currency.unit() == 0 { whole(&text) } else { text }
                }),
                count: form.one(&format!("piece-{piece}")).unwrap_or_default().to_owned(),
            })
            .collect(),
        counted: form.one("counted").unwrap_or_default().to_owned(),
        slips: form.one("slips").unwrap_or_default().to_owned(),
        reasons: choices(
            &texts,
            "cashier-difference-",
            DifferenceReason::ALL.iter().map(|it| it.as_str()),
            form.one("reason"),
        ),
        words: words_of(form),
        difference: difference.map(|amount| said(&texts, currency, amount)),
    }
}

/// An amount of whole units without the minor ones.
fn whole(text: &str) -> String {
    text.split_once(['.', ',']).map_or(text, |(whole, _)| whole).to_owned()
}

/// A difference with its tone.
fn said(texts: &Texts, currency: Currency, amount: Amount) -> (String, &'static str) {
    let tone = if amount == Amount::ZERO { "ok" } else { "bad" };
    let sign = if amount.is_positive() { "+" } else { "" };
    (format!("{sign}{}", money::amount(texts, currency, amount)), tone)
}

fn method_line(texts: &Texts, method: &MethodTotals) -> MethodLine {
    let text = |amount| money::amount(texts, method.currency, amount);
    MethodLine {
        method: texts.code("till-method-", method.method.as_str()),
        count: method.count,
        taken: text(method.taken),
        given: text(method.given),
    }
}

async fn line(visit: &Visit, hands: &mut Hands<'_>, shift: &Shift) -> Result<Line, Fault> {
    let (texts, times) = (visit.texts(), visit.times());
    let or_dash = |amount: Option<Amount>| {
        amount.map_or_else(|| "—".to_owned(), |amount| money::amount(&texts, shift.currency, amount))
    };
    let difference = shift.counted.zip(shift.expected).and_then(|(counted, expected)| counted.minus(expected));
    Ok(Line {
        id: shift.id.clone(),
        no: shift.no,
        drawer: shift.drawer.clone(),
        cashier: hands.name("account", Some(&shift.account)).await?,
        opened: times.full(shift.opened),
        closed: shift.closed.map(|at| times.full(at)),
        float: or_dash(Some(shift.float)),
        expected: or_dash(shift.expected),
        counted: or_dash(shift.counted),
        difference: difference.map(|amount| said(&texts, shift.currency, amount)),
        reason: shift.reason.map(|reason| texts.code("cashier-difference-", reason.as_str())),
    })
}

async fn again(visit: &Visit, other: Option<&str>, form: &Query, problem: String) -> Result<Response, Fault> {
    let mut page = page(visit, other, form).await?;
    page.problem = Some(problem);
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `POST /till/drawer/open`
pub async fn open(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts, currency) = (visit.acting()?, visit.texts(), visit.app.till.rules().currency);
    let float = match typed(&texts, currency, form.one("float")) {
        Ok(float) => float.unwrap_or(Amount::ZERO),
        Err(problem) => return again(&visit, None, &form, problem).await,
    };
    let new = NewShift {
        key: form.one("key").unwrap_or_default().to_owned(),
        drawer: form.one("drawer").unwrap_or_default().to_owned(),
        currency: None,
        float,
    };
    match visit.app.till.open_shift(&acting, new).await {
        Ok(_) => Ok(go("/till/drawer?done=opened")),
        Err(TillError::Changed) => again(&visit, None, &form, texts.t("cashier-drawer-taken")).await,
        Err(error) => {
            let problem = explain(&texts, currency, error)?;
            again(&visit, None, &form, problem).await
        }
    }
}

/// `POST /till/drawer/close`
pub async fn close(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let acting = visit.acting()?;
    let shift = match form.one("shift").map(str::to_owned) {
        Some(shift) => shift,
        None => match visit.app.till.shift_of(&acting).await? {
            Some(shift) => shift.id,
            None => return again(&visit, None, &form, visit.texts().t("till-problem-no_shift")).await,
        },
    };
    close_now(&visit, &shift, None, &form).await
}

/// `POST /till/drawers/{id}/close`: another's drawer.
pub async fn close_other(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    close_now(&visit, &id, Some(&id), &form).await
}

async fn close_now(visit: &Visit, shift: &str, other: Option<&str>, form: &Query) -> Result<Response, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let totals = till.shift_totals(&acting, shift).await?;
    let currency = totals.shift.currency;
    let counted = match Counted::read(&texts, currency, form) {
        Ok(counted) => counted,
        Err(problem) => return again(visit, other, form, problem).await,
    };
    let Some(cash) = counted.cash else {
        return again(visit, other, form, texts.t("cashier-count-first")).await;
    };
    let Some(card) = counted.slips.or((totals.card == Amount::ZERO).then_some(Amount::ZERO)) else {
        return again(visit, other, form, texts.t("cashier-slips-first")).await;
    };
    // Money came or went since the page was made: what was counted may be of before.
    let is_open = totals.shift.closed.is_none();
    if is_open && form.one("shown").and_then(minor).is_some_and(|shown| shown != totals.cash) {
        return again(visit, other, form, texts.t("cashier-drawer-moved")).await;
    }
    let closing = Closing {
        key: form.one("key").unwrap_or_default().to_owned(),
        shift: shift.to_owned(),
        counted: cash,
        card,
        reason: counted.reason,
        words: counted.words,
    };
    match till.close_shift(&acting, closing).await {
        Ok(shift) if other.is_none() => Ok(go(&format!("/till/drawer?done=closed&shift={}", shift.id))),
        Ok(shift) => Ok(go(&format!("/till/drawers?done=closed&shift={}", shift.id))),
        Err(TillError::ReasonWanted) => {
            let over = cash.minus(totals.cash).unwrap_or(Amount::ZERO);
            let cards = card.minus(totals.card).unwrap_or(Amount::ZERO);
            let values = [("cash", said(&texts, currency, over).0), ("card", said(&texts, currency, cards).0)];
            again(visit, other, form, texts.with("cashier-difference-why", &values)).await
        }
        Err(TillError::Changed) => again(visit, other, form, texts.t("cashier-drawer-waits")).await,
        Err(error) => {
            let problem = explain(&texts, currency, error)?;
            again(visit, other, form, problem).await
        }
    }
}

#[derive(Template)]
#[template(path = "cashier/drawers.html")]
struct All {
    frame: Frame,
    lines: Vec<Line>,
    drawer: String,
    states: Vec<Choice>,
    from: String,
    until: String,
    is_filtered: bool,
    next: Option<String>,
    export: String,
    done: Option<(String, Option<String>)>,
}

fn filter_of(query: &Query) -> Result<ShiftFilter, Fault> {
    Ok(ShiftFilter {
        drawer: query.one("drawer").map(str::to_owned),
        open: match query.one("state") {
            Some("open") => Some(true),
            Some("closed") => Some(false),
            Some(_) => return Err(Fault::Invalid),
            None => None,
        },
        from: day_of(query.one("from"))?,
        until: day_of(query.one("until"))?,
        before: query.one("before").map(|text| text.parse().map_err(|_| Fault::Invalid)).transpose()?,
        ..ShiftFilter::default()
    })
}

/// `GET /till/drawers`: all drawers, and with `open` one of them to be closed.
pub async fn all(visit: Visit, query: Query) -> Result<Response, Fault> {
    if !visit.acting()?.rights.allows(domain::Permission::PaymentTake) {
        return match super::lacking(&visit, "till-days")? {
            Some(page) => Ok(page),
            None => Ok(go("/till/days")),
        };
    }
    if let Some(id) = query.one("open") {
        let page = page(&visit, Some(id), &Query::default()).await?;
        return render(StatusCode::OK, &page);
    }
    let (acting, texts) = (visit.acting()?, visit.texts());
    let filter = ShiftFilter { limit: PAGE, ..filter_of(&query)? };
    let shifts = visit.app.till.shifts(&acting, &filter).await?;
    let mut hands = Hands::new(&visit);
    let mut lines = Vec::with_capacity(shifts.len());
    for shift in &shifts {
        lines.push(line(&visit, &mut hands, shift).await?);
    }
    let full = shifts.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let done = query.one("done").and_then(|code| texts.code_if_any("cashier-done-", code));
    render(
        StatusCode::OK,
        &All {
            frame: Frame::new(&visit, "till-days"),
            lines,
            drawer: one("drawer"),
            states: choices(&texts, "cashier-drawer-", ["open", "closed"], query.one("state")),
            from: one("from"),
            until: one("until"),
            is_filtered: ["drawer", "state", "from", "until"].iter().any(|key| query.one(key).is_some()),
            next: shifts
                .last()
                .filter(|_| full)
                .map(|last| format!("/till/drawers{}", query.with("before", Some(&last.no.to_string())))),
            export: format!("/till/drawers.csv{}", query.with("before", None)),
            done: done.map(|text| (text, None)),
        },
    )
}

/// `GET /till/drawers.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.allows(domain::Permission::PaymentTake) {
        return Ok(go("/till/days"));
    }
    let times = visit.times();
    let mut filter = ShiftFilter { limit: SHIFTS_MAX, ..filter_of(&query)? };
    let mut csv = Csv::new(&[
        "id",
        "no",
        "drawer",
        "account",
        "currency",
        "opened",
        "float",
        "expected",
        "counted",
        "card_expected",
        "card",
        "reason",
        "closed",
        "closed_by",
        "entry",
    ]);
    let mut rows = 0;
    loop {
        let shifts = visit.app.till.shifts(&acting, &filter).await?;
        rows += shifts.len();
        for shift in &shifts {
            let text = |amount: Option<Amount>| amount.map(|it| shift.currency.decimal(it)).unwrap_or_default();
            csv.row(&[
                shift.id.clone(),
                shift.no.to_string(),
                shift.drawer.clone(),
                shift.account.clone(),
                shift.currency.to_string(),
                times.exact(shift.opened),
                shift.currency.decimal(shift.float),
                text(shift.expected),
                text(shift.counted),
                text(shift.card_expected),
                text(shift.card),
                shift.reason.map(|reason| reason.to_string()).unwrap_or_default(),
                shift.closed.map(|at| times.exact(at)).unwrap_or_default(),
                shift.closed_by.clone().unwrap_or_default(),
                shift.entry.to_string(),
            ]);
        }
        let full = shifts.len() == usize::try_from(SHIFTS_MAX).unwrap_or(usize::MAX);
        match shifts.last().filter(|_| full && rows < ROWS_MAX) {
            Some(last) => filter.before = Some(last.no),
            None => break,
        }
    }
    Ok(csv.into_response("drawers.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn counted(form: &str) -> Result<Option<i64>, String> {
        let uah = Currency::parse("UAH").unwrap();
        let counted = Counted::read(&Language::En.texts(), uah, &Query::read(form))?;
        Ok(counted.cash.map(Amount::minor))
    }

    #[test]
    fn cash_is_counted_as_a_sum_or_note_by_note_and_both_agree() {
        assert_eq!(counted("counted=1 018,50"), Ok(Some(101_850)));
        assert_eq!(counted("piece-100000=1&piece-1000=1&piece-50=3"), Ok(Some(101_150)));
        assert_eq!(counted("counted=1011.50&piece-100000=1&piece-1000=1&piece-50=3"), Ok(Some(101_150)));
        assert_eq!(counted("piece-100000=&words=x"), Ok(None), "nothing was counted");
        assert_eq!(counted("piece-100000=0"), Ok(Some(0)), "an empty drawer was counted");
        for bad in ["piece-100000=x", "piece-100000=-1", "piece-100000=100001", "counted=-1", "counted=1&piece-1000=1"]
        {
            assert!(counted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slips_may_be_below_zero_where_more_went_back_than_came() {
        let slips = |form: &str| {
            let counted = Counted::read(&Language::En.texts(), Currency::parse("UAH").unwrap(), &Query::read(form))?;
            Ok::<_, String>(counted.slips.map(Amount::minor))
        };
        assert_eq!((slips("slips=-10.50"), slips("slips=10.50")), (Ok(Some(-1_050)), Ok(Some(1_050))));
        assert!(slips("slips=--1").is_err() && slips("slips=-").is_err());
    }

    #[test]
    fn every_currency_has_notes_and_coins_from_the_largest_down() {
        for code in ["UAH", "EUR", "JPY", "KWD", "CHF", "RUB", "PLN", "USD"] {
            let pieces = pieces(Currency::parse(code).unwrap());
            assert!(pieces.len() > 8 && pieces.is_sorted_by(|a, b| a > b), "{code} {pieces:?}");
        }
    }
}

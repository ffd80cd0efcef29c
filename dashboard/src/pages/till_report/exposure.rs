//! What is owed of which limit, and what was allowed on top.

use axum::response::Response;
use clinic::till::figures::{Exposure, NEAR_PER_CENT};
use domain::money::Amount;
use domain::till::Owner;

use super::{Cell, Grid, Head, Input, Kind, Page, day_inputs, owner, problem, read_days, share, told};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::money;
use crate::pages::hands::Hands;
use crate::pages::query::Query;
use crate::papers::Words;
use crate::view::Frame;
use crate::visit::Visit;
use crate::words::short_id;

/// `GET /till/exposure`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, w) = (visit.acting()?, Words::of_visitor(&visit));
    let t = |key: &str| w.texts.t(key);
    let days = read_days(&visit, &query)?;
    let only_near = query.one("near").is_some();
    let exposure = near(visit.app.till.exposure(&acting).await?, only_near);
    let (overrides, trouble) = match visit.app.till.overrides_given(&acting, &days).await {
        Ok(overrides) => (overrides, None),
        Err(error) => (Vec::new(), Some(problem(&w.texts, error)?)),
    };
    let money = |currency, amount: Amount| money::amount(&w.texts, currency, amount);
    let groups = exposure.groups.iter().map(|of| {
        let limit = of.limit.map(|limit| limit.plus(of.extra).unwrap_or(limit));
        vec![
            Cell::text(of.name.clone()),
            Cell::text(limit.map_or_else(|| t("report-no-pot"), |limit| money(of.currency, limit))),
            Cell::text(money(of.currency, of.used)),
            Cell::bar(of.share().unwrap_or(0)),
            share(&w.texts, of.share()),
            Cell::text(money(of.currency, of.owed)),
            Cell::text(format!("{} / {}", of.patients, of.members)),
        ]
    });
    let patients = exposure.patients.iter().map(|of| {
        let limit = of.limit.map(|limit| limit.plus(of.extra).unwrap_or(limit));
        vec![
            Cell::text(short_id(&of.patient.to_string())),
            Cell::text(limit.map_or_else(|| "—".to_owned(), |limit| money(of.currency, limit))),
            Cell::text(money(of.currency, of.owed)),
            Cell::bar(of.share().unwrap_or(0)),
            share(&w.texts, of.share()),
        ]
    });
    let (now, mut hands) = (visit.app.now(), Hands::new(&visit));
    let mut by = Vec::new();
    for of in &overrides {
        by.push(hands.name(&of.actor.0, of.actor.1.as_deref()).await?);
    }
    let allowed = overrides.iter().zip(by).map(|(of, by)| {
        let state = match of.ended {
            Some(_) => t("report-ended"),
            None if of.until <= now => t("report-over"),
            None => t("report-open"),
        };
        vec![
            Cell::text(of.no.to_string()),
            Cell::text(w.stamp(of.from)),
            Cell::text(w.stamp(of.ended.unwrap_or(of.until))),
            Cell::text(owner(&w.texts, &of.owner, of.name.as_deref())),
            Cell::text(money(of.currency, of.extra)),
            Cell::text(w.texts.code("till-office-reason-", &of.reason)),
            Cell::text(by),
            Cell { tone: if of.ended.is_none() && of.until > now { "warn" } else { "" }, ..Cell::text(state) },
        ]
    });
    let is_near = |share: Option<u32>| share.is_some_and(|share| share >= NEAR_PER_CENT);
    let near = exposure.groups.iter().filter(|of| is_near(of.share())).count()
        + exposure.patients.iter().filter(|of| is_near(of.share())).count();
    let heads = vec![
        Head::word(t("report-group")),
        Head::number(t("report-shared-limit")),
        Head::number(t("report-used")),
        Head::bar(),
        Head::number(t("report-share")),
        Head::number(t("report-owed")),
        Head::number(t("report-owing")),
    ];
    let groups = Grid::new(&w.texts, t("report-groups"), heads, groups.collect());
    let heads = vec![
        Head::word(t("paper-patient")),
        Head::number(t("report-limit")),
        Head::number(t("report-owed")),
        Head::bar(),
        Head::number(t("report-share")),
    ];
    let patients = Grid::new(&w.texts, t("report-patients"), heads, patients.collect());
    let heads = vec![
        Head::number(t("paper-no")),
        Head::word(t("report-from")),
        Head::word(t("report-until")),
        Head::word(t("report-whose")),
        Head::number(t("report-extra")),
        Head::word(t("report-why")),
        Head::word(t("report-by")),
        Head::word(t("report-state")),
    ];
    let overrides = Grid::new(&w.texts, t("report-overrides"), heads, allowed.collect());
    let mut inputs = day_inputs(&visit, &days);
    // Limits are of all currencies; days are those of the overrides.
    inputs.retain(|input| input.name != "currency");
    let value = if only_near { "1" } else { "" }.to_owned();
    inputs.push(Input { name: "near", label: t("report-only-near"), value, kind: Kind::Tick });
    super::show(&Page {
        frame: Frame::new(&visit, "till-exposure"),
        title: t("place-till-exposure"),
        finding: w.texts.n("report-near", near),
        action: "/till/exposure",
        inputs,
        problem: trouble,
        export: format!("/till/exposure.csv{}", query.with("", None)),
        paper: None,
        facts: Vec::new(),
        columns: None,
        grids: vec![groups, patients, overrides],
    })
}

/// Only what is near its end, if that was asked for.
fn near(mut exposure: Exposure, is_wanted: bool) -> Exposure {
    if is_wanted {
        exposure.groups.retain(|of| of.share().is_some_and(|share| share >= NEAR_PER_CENT));
        exposure.patients.retain(|of| of.share().is_some_and(|share| share >= NEAR_PER_CENT));
    }
    exposure
}

/// `GET /till/exposure.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let acting = visit.acting()?;
    let days = read_days(&visit, &query)?;
    let exposure = near(visit.app.till.exposure(&acting).await?, query.one("near").is_some());
    let overrides = visit.app.till.overrides_given(&acting, &days).await?;
    let mut csv =
        Csv::new(&["what", "id", "name", "currency", "limit", "extra", "used", "owed", "percent", "from", "until"]);
    let per_cent = |share: Option<u32>| share.map(|share| share.to_string()).unwrap_or_default();
    for of in &exposure.groups {
        let decimal = |amount| of.currency.decimal(amount);
        csv.row(&[
            "group".to_owned(),
            of.payer.clone(),
            of.name.clone(),
            of.currency.to_string(),
            of.limit.map(decimal).unwrap_or_default(),
            decimal(of.extra),
            decimal(of.used),
            decimal(of.owed),
            per_cent(of.share()),
            String::new(),
            String::new(),
        ]);
    }
    for of in &exposure.patients {
        let decimal = |amount| of.currency.decimal(amount);
        csv.row(&[
            "patient".to_owned(),
            of.patient.to_string(),
            String::new(),
            of.currency.to_string(),
            of.limit.map(decimal).unwrap_or_default(),
            decimal(of.extra),
            decimal(of.owed),
            decimal(of.owed),
            per_cent(of.share()),
            String::new(),
            String::new(),
        ]);
    }
    for of in &overrides {
        let id = match &of.owner {
            Owner::Everybody => String::new(),
            Owner::Payer(id) => id.clone(),
            Owner::Patient(person) => person.to_string(),
        };
        csv.row(&[
            "override".to_owned(),
            id,
            of.name.clone().unwrap_or_default(),
            of.currency.to_string(),
            String::new(),
            of.currency.decimal(of.extra),
            String::new(),
            String::new(),
            String::new(),
            visit.times().exact(of.from),
            visit.times().exact(of.ended.unwrap_or(of.until)),
        ]);
    }
    let persons = exposure.patients.iter().map(|of| of.patient).collect();
    told(&visit, "/till/exposure.csv", persons, exposure.groups.len() + exposure.patients.len() + overrides.len())
        .await?;
    Ok(csv.into_response("exposure.csv"))
}

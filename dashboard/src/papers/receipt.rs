//! The receipt of a payment, or of money given back.

use axum::extract::Path;
use axum::response::Response;
use domain::money::Amount;
use reports::{Part, Row, Sheet};

use super::{Words, answer, blank, fact, numbers, patient, sheet, table, words};
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::visit::Visit;

/// `GET /till/payments/{id}/receipt.pdf`
pub async fn show(visit: Visit, Path(id): Path<String>, query: Query) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    let receipt = visit.app.till.receipt(&acting, &id).await?;
    let payment = &receipt.payment;
    // What has not come about has no receipt.
    let (Some(no), Some(done)) = (payment.no, payment.done) else { return Err(Fault::NotFound) };
    let w = Words::of(&visit, receipt.language.as_deref());
    let (t, code) = (|key: &str| w.texts.t(key), w.texts.language().code());
    let sheet = sheet(&visit, &query);
    let title = format!("{} {no}", w.texts.code("paper-receipt-", &payment.kind));
    let mut paper = blank(&visit, &w, sheet, title);
    paper.facts.push(fact(t("paper-when"), w.stamp(done)));
    if let Some(person) = payment.patient {
        paper.facts.push(fact(t("paper-patient"), patient(&visit, person).await?));
    }
    if let Some(payer) = &receipt.payer {
        paper.facts.push(fact(t("paper-payer"), payer.clone()));
    }
    paper.facts.push(fact(t("paper-method"), w.texts.code("till-method-", payment.method.as_str())));
    let mut rows: Vec<Row> = Vec::new();
    for (charge, part) in &receipt.parts {
        let name = w.pieces(charge.name(code), charge.quantity);
        let amount = w.bare(payment.currency, *part);
        rows.push(match sheet {
            Sheet::A4 => {
                let net = w.bare(payment.currency, charge.net);
                Row::plain(vec![charge.no.to_string(), w.date(charge.day), name, net, amount])
            }
            Sheet::Roll80 => Row::plain(vec![name, amount]),
        });
    }
    if receipt.rest != Amount::ZERO {
        let rest = (t("paper-rest-deposit"), w.bare(payment.currency, receipt.rest));
        rows.push(match sheet {
            Sheet::A4 => Row::plain(vec![String::new(), String::new(), rest.0, String::new(), rest.1]),
            Sheet::Roll80 => Row::plain(vec![rest.0, rest.1]),
        });
    }
    let currency = payment.currency.to_string();
    let columns = match sheet {
        Sheet::A4 => vec![
            numbers(t("paper-no"), 9),
            words(t("paper-day"), 16),
            words(t("paper-service"), 45),
            numbers(t("paper-to-pay"), 16),
            numbers(currency, 16),
        ],
        Sheet::Roll80 => vec![words(t("paper-service"), 42), numbers(currency, 20)],
    };
    paper.parts.push(table(columns, rows));
    let total = w.texts.code("paper-total-", &payment.kind);
    paper.parts.push(Part::Strong(total, w.money(payment.currency, payment.amount)));
    if payment.state == "returned" {
        paper.parts.push(Part::Text(t("paper-was-returned")));
    }
    answer(&visit, paper, &format!("receipt-{no}")).await
}

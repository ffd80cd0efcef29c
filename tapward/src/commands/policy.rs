//! `tapward policy explain`: why a card would be allowed or refused, by the code that decides.

use anyhow::{Context, bail};
use clinic::people;
use domain::card::{self, CardFormat};
use domain::decide::{self, Outcome, PinEntry, Request};
use domain::ids::{CardId, Direction, PointId};
use domain::policy::Policy;
use domain::presence::Presence;
use domain::{Clock, Draft, Kind, UtcMillis};
use serde_json::json;
use store::Database;
use store::journal::JournalReader;

use crate::cli::{PolicyCommand, exit};
use crate::config::{Config, hint};
use crate::{compose, keys};

/// Carries it out. Answers 0 when the card would be granted, 4 when it would be refused.
pub async fn policy(config: &Config, command: PolicyCommand, clock: &Clock) -> anyhow::Result<u8> {
    keys::private_folder(&config.data)?;
    let mut database = compose::open_database(config, clock, false).await?;
    if clinic::policy::read_layout(&database).await?.is_none() {
        // Nothing has run here yet: explain by what the configuration says.
        database.close().await;
        database = compose::open_database(config, clock, true).await?;
    }
    let answer = explain(config, &database, command, clock).await;
    database.close().await;
    answer
}

async fn explain(config: &Config, database: &Database, command: PolicyCommand, clock: &Clock) -> anyhow::Result<u8> {
    let PolicyCommand::Explain { point, direction, card, card_number, card_format, person, at, json } = command;
    let at = match at {
        None => clock.now(),
        Some(text) => UtcMillis::from_rfc3339(&text)
            .with_context(|| format!("\"{text}\" is no time such as 2026-11-21T09:15:00+02:00"))?,
    };
    let direction = Direction::parse(&direction).with_context(|| format!("\"{direction}\" is neither in nor out"))?;
    let point = known_point(config, &point)?;
    let card = match (card, card_number, person) {
        (Some(card), ..) => card.parse::<CardId>().context("--card")?,
        (_, Some(number), _) => number_to_id(config, &number, card_format.as_deref().unwrap_or_default())?,
        (.., Some(person)) => card_of(database, &person).await?,
        _ => bail!("say which card: --card, --card-number with --card-format, or --person"),
    };
    let source = clinic::policy::source(database, at).await?.context("there is no policy yet")?;
    let mut seed = [0; 8];
    keys::random(&mut seed)?;
    let policy = Policy::compile(source, u64::from_le_bytes(seed))?;
    let presence = presence(config, &policy).await?;
    let mut request = Request::new(&point, direction, card, at);
    // A PIN is taken for granted as missing: the explanation says whether one would be asked for.
    request.pin = PinEntry::NotYet;
    let explanation = decide::explain(&policy, &presence, &request);
    print(&explanation, &point, direction, at, config, json);
    Ok(if explanation.decision.granted() { 0 } else { exit::FOUND })
}

fn known_point(config: &Config, name: &str) -> anyhow::Result<PointId> {
    let points = || config.layout.points.iter().map(|point| point.id.as_str());
    match config.layout.points.iter().find(|point| point.id.as_str() == name) {
        Some(point) => Ok(point.id.clone()),
        None => bail!("there is no point \"{name}\"{}", hint(name, points())),
    }
}

fn number_to_id(config: &Config, number: &str, format: &str) -> anyhow::Result<CardId> {
    let format = CardFormat::parse(format).with_context(|| format!("\"{format}\" is no card format"))?;
    Ok(keys::site_keys(&config.data)?.card.id(&card::parse(format, number)?))
}

async fn card_of(database: &Database, text: &str) -> anyhow::Result<CardId> {
    let person = super::people::person(database, text).await?;
    let passes = people::passes_of(database, person).await?;
    let active = passes.iter().find(|pass| pass.state == domain::policy::PassState::Active).or(passes.first());
    Ok(active.context("this person has no card")?.card)
}

/// Who is inside, as the journal of this machine's gateway says; nobody, if there is none.
async fn presence(config: &Config, policy: &Policy) -> anyhow::Result<Presence> {
    let mut presence = Presence::new(policy);
    let path = config.data.join("journal.db");
    if !path.exists() {
        return Ok(presence);
    }
    let reader = JournalReader::open(&path).await?;
    let mut after = 0;
    loop {
        let kinds = [Kind::Granted, Kind::Passed, Kind::NotTaken];
        let entries = reader.read_kinds_after(&kinds, UtcMillis(0), after, 5000).await?;
        let Some(last) = entries.last() else { return Ok(presence) };
        after = last.seq;
        entries.iter().map(|entry| &entry.fact).for_each(|fact: &Draft| presence.apply(policy, fact));
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn print(
    explanation: &decide::Explanation,
    point: &PointId,
    direction: Direction,
    at: UtcMillis,
    config: &Config,
    as_json: bool,
) {
    let decision = &explanation.decision;
    let verdict = match decision.verdict {
        decide::Verdict::Granted => "granted",
        decide::Verdict::Refused => "refused",
        decide::Verdict::AskPin => "pin_needed",
    };
    let outcome = |outcome: Outcome| match outcome {
        Outcome::Met => ("met", None),
        Outcome::Failed(reason) => ("failed", Some(reason.as_str())),
        Outcome::Noted(reason) => ("noted", Some(reason.as_str())),
    };
    if as_json {
        let steps: Vec<_> = explanation
            .steps
            .iter()
            .map(|step| {
                let (result, reason) = outcome(step.outcome);
                json!({"check": check(step.check), "outcome": result, "reason": reason, "about": step.about})
            })
            .collect();
        let answer = json!({
            "point": point.as_str(), "direction": direction.as_str(), "at": at.to_rfc3339(), "verdict": verdict,
            "reason": decision.reason.as_str(), "soft": decision.soft,
            "person": decision.person.map(|person| person.to_string()),
            "category": explanation.category.as_ref().map(|category| category.as_str()), "steps": steps,
        });
        println!("{answer}");
        return;
    }
    let local = at
        .to_chrono()
        .map_or_else(String::new, |at| at.with_timezone(&config.time_zone).format("%a %Y-%m-%d %H:%M").to_string());
    println!("{point} {direction}, {local}: {verdict} ({})", decision.reason);
    for step in &explanation.steps {
        let (result, reason) = outcome(step.outcome);
        let about = step.about.as_deref().map_or_else(String::new, |about| format!(": {about}"));
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        println!("  {:<14} {result}{reason}{about}", check(step.check));
    }
}

const fn check(check: decide::Check) -> &'static str {
    use decide::Check;
    match check {
        Check::Point => "point",
        Check::Condition => "door",
        Check::Card => "card",
        Check::State => "state",
        Check::Leaving => "leaving",
        Check::PolicyAge => "policy age",
        Check::Validity => "validity",
        Check::OneTime => "one-time",
        Check::Rule => "rule",
        Check::Demand => "visit or condition",
        Check::AntiPassback => "anti-passback",
        Check::Reuse => "re-use",
        Check::Capacity => "capacity",
        Check::Free => "free",
        Check::Pin => "PIN",
    }
}

//! The queue of reviews: what was done without the card, whether that was in order, and how often each specialist does
//! it. Nobody reviews their own.

use domain::visit::{IrregularVerdict, OutOfCardCode, OutOfCardKind};
use domain::{Permission, PersonId, UtcMillis, codes};
use store::{read, transact};

use super::rows::{CaseRow, IrregularOn, select_case};
use super::{Case, Irregular, IrregularError, Review, Told};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::disclosures;
use crate::visits::VisitsOn;

/// Most cases of one page.
pub const LIST_MAX: u32 = 1000;
/// Most specialists of one table of rates.
const RATES_MAX: i64 = 2000;

codes! {
    /// Which cases.
    Queue {
        /// Nobody has looked yet.
        Waiting = "waiting",
        /// Nobody has looked, and the time for it is over.
        Overdue = "overdue",
        /// Reviewed.
        Done = "done",
        /// All.
        All = "all",
    }
}

/// Which cases; everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// How far the review has come.
    pub queue: Queue,
    /// Not earlier than this.
    pub from: Option<UtcMillis>,
    /// Earlier than this.
    pub until: Option<UtcMillis>,
    /// By this specialist.
    pub staff: Option<PersonId>,
    /// What was done.
    pub kind: Option<OutOfCardKind>,
    /// For this reason.
    pub code: Option<OutOfCardCode>,
    /// With this result.
    pub verdict: Option<IrregularVerdict>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { queue: Queue::Waiting, from: None, until: None, staff: None, kind: None, code: None, verdict: None }
    }
}

/// Where a page ended; the next one starts behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The time of the last case shown.
    pub at: UtcMillis,
    /// Its id.
    pub id: String,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that nobody has looked at.
    pub waiting: u64,
    /// Of these, those whose time is over.
    pub overdue: u64,
}

/// How often a specialist works without the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Who.
    pub staff: PersonId,
    /// Visits, those taken back left out.
    pub visits: u64,
    /// Of these, those that began without the card.
    pub without_card: u64,
    /// All cases of the time: also work on records, ends and sign-ins.
    pub cases: u64,
    /// Cases that a review found to be misuse.
    pub misuse: u64,
}

impl Rate {
    /// Visits without the card for each 100 visits, in tenths: 125 is 12.5. 0 without visits.
    pub const fn per_100_in_tenths(&self) -> u64 {
        match self.without_card.saturating_mul(1000).checked_div(self.visits) {
            Some(rate) => rate,
            None => 0,
        }
    }
}

enum Found {
    Done(Box<Case>),
    Missing,
    Own,
    Reviewed,
}

impl Irregular {
    /// Cases, the latest first, at most `limit` (at most [`LIST_MAX`]), and where the next page starts. By pseudonym and
    /// without words.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `irregular_review`; engine errors.
    pub async fn list(
        &self,
        acting: &Acting,
        filter: &Filter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<(Vec<Case>, Option<Position>), IrregularError> {
        acting.must(Permission::IrregularReview)?;
        Ok(self.page(filter, after, limit).await?)
    }

    /// What a staff member did without the card and nobody has looked at yet, for themselves.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `desk_use`, [`IrregularError::NotYours`]; engine errors.
    pub async fn own(&self, acting: &Acting, staff: PersonId) -> Result<Vec<Case>, IrregularError> {
        acting.must(Permission::DeskUse)?;
        let actor = acting.actor.clone();
        let own = read!(self.database, "irregular.who", |conn| { conn.staff_of(&actor).await })?;
        if own != Some(staff) {
            return Err(IrregularError::NotYours);
        }
        let filter = Filter { staff: Some(staff), ..Filter::default() };
        Ok(self.page(&filter, None, LIST_MAX).await?.0)
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<(Vec<Case>, Option<Position>), store::Error> {
        let (limit, now) = (limit.clamp(1, LIST_MAX), self.clock.now());
        let (from, until) = (filter.from.map_or(i64::MIN, |at| at.0), filter.until.map_or(i64::MAX, |at| at.0));
        let (before_ms, before_id) = after.map_or((i64::MAX, ""), |place| (place.at.0, place.id.as_str()));
        let staff = filter.staff.map(|id| id.to_string());
        let rows: Vec<CaseRow> = read!(self.database, "irregular.list", |conn| {
            let mut query = sqlx::QueryBuilder::<Db>::new(select_case!("WHERE at_ms >= "));
            query.push_bind(from).push(" AND at_ms < ").push_bind(until);
            query.push(" AND (at_ms < ").push_bind(before_ms);
            query.push(" OR (at_ms = ").push_bind(before_ms).push(" AND id < ").push_bind(before_id).push("))");
            match filter.queue {
                Queue::All => {}
                Queue::Done => {
                    query.push(" AND reviewed_ms IS NOT NULL");
                }
                Queue::Waiting => {
                    query.push(" AND reviewed_ms IS NULL");
                }
                Queue::Overdue => {
                    query.push(" AND reviewed_ms IS NULL AND due_ms < ").push_bind(now.0);
                }
            }
            if let Some(staff) = &staff {
                query.push(" AND staff = ").push_bind(staff);
            }
            if let Some(kind) = filter.kind {
                query.push(" AND kind = ").push_bind(kind.as_str());
            }
            if let Some(code) = filter.code {
                query.push(" AND code = ").push_bind(code.as_str());
            }
            if let Some(verdict) = filter.verdict {
                query.push(" AND verdict = ").push_bind(verdict.as_str());
            }
            query.push(" ORDER BY at_ms DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
            Ok(query.build_query_as().fetch_all(&mut *conn).await?)
        })?;
        let mut cases: Vec<Case> = rows.into_iter().map(CaseRow::read).collect::<Result<_, _>>()?;
        let is_more = cases.len() > limit as usize;
        cases.truncate(limit as usize);
        let last = cases.last().map(|case| Position { at: case.at, id: case.id.clone() });
        Ok((cases, last.filter(|_| is_more)))
    }

    /// One case with its words; the look is recorded.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `irregular_review`, [`IrregularError::NotFound`]; engine errors.
    pub async fn of(&self, acting: &Acting, id: &str) -> Result<Told, IrregularError> {
        acting.must(Permission::IrregularReview)?;
        let (id, now, acting) = (id.to_owned(), self.clock.now(), acting.clone());
        let found = transact!(self.database, "irregular.of", |conn| {
            let Some(case) = conn.case(&id).await? else { return Ok(None) };
            let second = case.review.as_ref().map_or(0, |review| review.entry);
            let notes: Vec<(i64, Option<String>)> =
                sqlx::query_as("SELECT no, note FROM audit_entry WHERE no = $1 OR no = $2")
                    .bind(case.entry.cast_signed())
                    .bind(second.cast_signed())
                    .fetch_all(&mut *conn)
                    .await?;
            let note =
                |no: u64| notes.iter().find(|(own, _)| own.cast_unsigned() == no).and_then(|(_, note)| note.clone());
            let visit = match &case.visit {
                Some(visit) => conn.visit(visit).await?,
                None => None,
            };
            let draft = Draft {
                subject: case.patient,
                object: Some(case.id.clone()),
                detail: Some("words of a case".to_owned()),
                ..acting.draft(now, Action::AuditRead)
            };
            audit::record!(conn, &draft);
            Ok(Some(Told { words: note(case.entry), comment: note(second), visit, case }))
        })?;
        found.ok_or(IrregularError::NotFound)
    }

    /// Writes the result of a review. Nobody reviews their own.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `irregular_review`, [`IrregularError::BadReason`] for a comment of fewer than
    /// 10 characters, [`IrregularError::NotFound`], [`IrregularError::Own`], [`IrregularError::Reviewed`]; engine errors.
    pub async fn review(
        &self,
        acting: &Acting,
        id: &str,
        verdict: IrregularVerdict,
        comment: &str,
    ) -> Result<Case, IrregularError> {
        acting.must(Permission::IrregularReview)?;
        let comment = words(comment, REASON_MIN_CHARS).ok_or(IrregularError::BadReason)?;
        let (id, now, acting) = (id.to_owned(), self.clock.now(), acting.clone());
        let by = disclosures::actor_code(&acting.actor);
        let found = transact!(self.database, "irregular.review", |conn| {
            let Some(case) = conn.case(&id).await? else { return Ok(Found::Missing) };
            if case.review.is_some() {
                return Ok(Found::Reviewed);
            }
            if case.staff.is_some() && conn.staff_of(&acting.actor).await? == case.staff {
                return Ok(Found::Own);
            }
            let draft = Draft {
                subject: case.patient.or(case.staff),
                object: Some(case.id.clone()),
                detail: Some(format!("verdict={verdict}; kind={}; code={}", case.kind, case.code)),
                note: Some(comment.clone()),
                ..acting.draft(now, Action::IrregularReviewed)
            };
            let entry = audit::record!(conn, &draft);
            let review = Review { at: now, by: by.clone(), verdict, entry };
            conn.store_review(&case.id, &review).await?;
            Ok(Found::Done(Box::new(Case { review: Some(review), ..case })))
        })?;
        match found {
            Found::Done(case) => Ok(*case),
            Found::Missing => Err(IrregularError::NotFound),
            Found::Own => Err(IrregularError::Own),
            Found::Reviewed => Err(IrregularError::Reviewed),
        }
    }

    /// How much waits for a review.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `irregular_review`; engine errors.
    pub async fn counts(&self, acting: &Acting) -> Result<Counts, IrregularError> {
        acting.must(Permission::IrregularReview)?;
        let now = self.clock.now();
        let (waiting, overdue): (i64, i64) = read!(self.database, "irregular.counts", |conn| {
            Ok(sqlx::query_as(
                "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN due_ms < $1 THEN 1 ELSE 0 END), 0) AS BIGINT)
                 FROM irregular WHERE reviewed_ms IS NULL",
            )
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?)
        })?;
        Ok(Counts { waiting: waiting.cast_unsigned(), overdue: overdue.cast_unsigned() })
    }

    /// How often each specialist worked without the card within a time, the highest rate first, at most 2000.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `irregular_review`; engine errors.
    pub async fn rates(&self, acting: &Acting, from: UtcMillis, until: UtcMillis) -> Result<Vec<Rate>, IrregularError> {
        acting.must(Permission::IrregularReview)?;
        let rows: Vec<(String, i64, i64, i64, i64)> = read!(self.database, "irregular.rates", |conn| {
            Ok(sqlx::query_as(
                "SELECT staff, CAST(SUM(visits) AS BIGINT), CAST(SUM(without_card) AS BIGINT),
                     CAST(SUM(cases) AS BIGINT), CAST(SUM(misuse) AS BIGINT)
                 FROM (
                     SELECT staff, COUNT(*) AS visits,
                         SUM(CASE WHEN began_by = 'out_of_card' THEN 1 ELSE 0 END) AS without_card,
                         0 AS cases, 0 AS misuse
                     FROM visit WHERE started_ms >= $1 AND started_ms < $2
                         AND (ended_why IS NULL OR ended_why <> 'cancelled') GROUP BY staff
                     UNION ALL
                     SELECT staff, 0, 0, COUNT(*), SUM(CASE WHEN verdict = 'misuse' THEN 1 ELSE 0 END)
                     FROM irregular WHERE at_ms >= $1 AND at_ms < $2 AND staff IS NOT NULL GROUP BY staff
                 ) AS counted
                 GROUP BY staff
                 ORDER BY SUM(without_card) * 1000 / (SUM(visits) + 1) DESC, SUM(cases) DESC, staff LIMIT $3",
            )
            .bind(from.0)
            .bind(until.0)
            .bind(RATES_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut rates = Vec::with_capacity(rows.len());
        for (staff, visits, without_card, cases, misuse) in rows {
            rates.push(Rate {
                staff: crate::rows::column("visit", "staff", &staff, str::parse)?,
                visits: visits.cast_unsigned(),
                without_card: without_card.cast_unsigned(),
                cases: cases.cast_unsigned(),
                misuse: misuse.cast_unsigned(),
            });
        }
        rates.sort_by_key(|rate| std::cmp::Reverse((rate.per_100_in_tenths(), rate.cases)));
        Ok(rates)
    }
}

//! The graph of specialists and patients: who was with whom, how often and for how long, by pseudonym.

use domain::{Permission, PersonId, UtcMillis, ZoneId};
use store::{Database, read};

use super::{WhereError, span};
use crate::acting::Acting;
use crate::rows::column;

/// Most edges handed out; the heaviest.
pub const EDGES_MAX: u32 = 20_000;

/// A specialist and a patient who met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The specialist.
    pub staff: PersonId,
    /// The patient.
    pub patient: PersonId,
    /// How often.
    pub visits: u64,
    /// For how long together, in milliseconds.
    pub lasted_ms: u64,
    /// When they last met.
    pub last: UtcMillis,
}

/// Who was with whom within a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// The heaviest first: most visits, then longest.
    pub edges: Vec<Edge>,
    /// Whether there are more than are shown.
    pub is_cut: bool,
}

impl Graph {
    /// The specialists, each once, with visits and milliseconds; the busiest first.
    pub fn specialists(&self) -> Vec<(PersonId, u64, u64)> {
        self.nodes(|edge| edge.staff)
    }

    /// The patients, each once, with visits and milliseconds; the busiest first.
    pub fn patients(&self) -> Vec<(PersonId, u64, u64)> {
        self.nodes(|edge| edge.patient)
    }

    fn nodes(&self, of: impl Fn(&Edge) -> PersonId) -> Vec<(PersonId, u64, u64)> {
        let mut nodes = std::collections::BTreeMap::<PersonId, (u64, u64)>::new();
        for edge in &self.edges {
            let node = nodes.entry(of(edge)).or_default();
            *node = (node.0 + edge.visits, node.1 + edge.lasted_ms);
        }
        let mut nodes: Vec<_> = nodes.into_iter().map(|(id, (visits, ms))| (id, visits, ms)).collect();
        nodes.sort_by_key(|(id, visits, ms)| (std::cmp::Reverse((*visits, *ms)), *id));
        nodes
    }
}

/// Which part of the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Of this specialist only.
    pub staff: Option<PersonId>,
    /// Of this patient only.
    pub patient: Option<PersonId>,
    /// Of visits in this zone only.
    pub zone: Option<ZoneId>,
}

/// The graph of visits that started within a time of at most 31 days, visits taken back and persons whose
/// processing is restricted left out; running ones count until `now`. At most `limit` edges (at most [`EDGES_MAX`]).
///
/// # Errors
/// [`WhereError::Denied`] without `visit_see`, [`WhereError::BadSpan`]; engine errors.
pub async fn graph(
    database: &Database,
    acting: &Acting,
    from: UtcMillis,
    until: UtcMillis,
    part: &Part,
    limit: u32,
    now: UtcMillis,
) -> Result<Graph, WhereError> {
    acting.must(Permission::VisitSee)?;
    span(from, until)?;
    let limit = limit.clamp(1, EDGES_MAX);
    let (staff, patient) = (part.staff.map(|id| id.to_string()), part.patient.map(|id| id.to_string()));
    let rows: Vec<(String, String, i64, i64, i64)> = read!(database, "whereabouts.graph", |conn| {
        let mut query = sqlx::QueryBuilder::<Db>::new(
            "SELECT staff, patient, COUNT(*),
                 CAST(SUM(CASE WHEN ended_ms IS NOT NULL THEN ended_ms - started_ms ELSE ",
        );
        query.push_bind(now.0).push(" - started_ms END) AS BIGINT), MAX(started_ms) FROM visit WHERE started_ms >= ");
        query.push_bind(from.0).push(" AND started_ms < ").push_bind(until.0);
        query.push(
            " AND (ended_why IS NULL OR ended_why <> 'cancelled')
              AND patient NOT IN (SELECT person FROM restriction) AND staff NOT IN (SELECT person FROM restriction)",
        );
        if let Some(staff) = &staff {
            query.push(" AND staff = ").push_bind(staff);
        }
        if let Some(patient) = &patient {
            query.push(" AND patient = ").push_bind(patient);
        }
        if let Some(zone) = &part.zone {
            query.push(" AND zone = ").push_bind(zone.as_str());
        }
        query.push(" GROUP BY staff, patient ORDER BY 3 DESC, 4 DESC, staff, patient LIMIT ");
        query.push_bind(i64::from(limit) + 1);
        Ok(query.build_query_as().fetch_all(&mut *conn).await?)
    })?;
    let is_cut = rows.len() > limit as usize;
    let edges = rows.into_iter().take(limit as usize).map(|(staff, patient, visits, lasted, last)| {
        Ok(Edge {
            staff: column("visit", "staff", &staff, str::parse)?,
            patient: column("visit", "patient", &patient, str::parse)?,
            visits: visits.cast_unsigned(),
            lasted_ms: lasted.max(0).cast_unsigned(),
            last: UtcMillis(last),
        })
    });
    Ok(Graph { edges: edges.collect::<Result<_, store::Error>>()?, is_cut })
}

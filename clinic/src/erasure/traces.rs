//! What leads from a person to their pseudonym, removed inside one transaction. Macros, because the connection's type
//! differs between engines.

/// Removes it: `remove!(conn, person: PersonId, acting: Acting, now: UtcMillis)`. Running it again changes nothing.
macro_rules! remove {
    ($conn:expr, $person:expr, $acting:expr, $now:expr) => {{
        let id: String = $person.to_string();
        let passes = sqlx::query("DELETE FROM credential WHERE person = $1").bind(&id).execute(&mut *$conn).await?;
        if passes.rows_affected() > 0 {
            // Gateways and devices forget the cards with the next version.
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy'").execute(&mut *$conn).await?;
        }
        for text in [
            "UPDATE person SET external_ref = NULL, language = NULL, language_told = NULL, language_by = NULL,
                 erasing_ms = NULL WHERE id = $1",
            "DELETE FROM presence WHERE person = $1",
            "DELETE FROM person_alias WHERE person = $1",
            "DELETE FROM desk_pin WHERE person = $1",
            "DELETE FROM desk_factor WHERE person = $1",
            "UPDATE desk_session SET card = NULL WHERE person = $1 AND card IS NOT NULL",
            "UPDATE staff SET login = NULL, practitioner = NULL, account = NULL, specialty = NULL,
                 ended_ms = COALESCE(ended_ms, changed_ms) WHERE person = $1",
            "UPDATE command SET person = NULL, reason = NULL WHERE person = $1",
            "UPDATE event SET card = NULL WHERE person = $1 AND card IS NOT NULL",
            "DELETE FROM feed_record WHERE person = $1",
            "DELETE FROM feed_difference WHERE person = $1",
            "DELETE FROM feed_pass WHERE person = $1",
            "DELETE FROM person_condition WHERE person = $1",
            "DELETE FROM workplace_staff WHERE person = $1",
            "DELETE FROM payer_member WHERE person = $1",
            // The card of whoever registered it; the books say who by pseudonym.
            "UPDATE charge SET card = NULL WHERE staff = $1 AND card IS NOT NULL",
            "DELETE FROM visit_question WHERE patient = $1",
            "UPDATE appointment SET external = id, purpose = NULL WHERE patient = $1",
            "DELETE FROM restriction WHERE person = $1",
            "DELETE FROM legal_hold WHERE person = $1",
        ] {
            sqlx::query(text).bind(&id).execute(&mut *$conn).await?;
        }
        let glasses: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM glass WHERE reviewed_ms IS NOT NULL AND reason <> ''
             AND id IN (SELECT glass FROM audit_entry WHERE subject = $1 AND glass IS NOT NULL) ORDER BY id",
        )
        .bind(&id)
        .fetch_all(&mut *$conn)
        .await?;
        for glass in &glasses {
            $crate::erasure::blot_glass!($conn, glass, $acting, $now);
        }
        $crate::audit::blot_notes_of!($conn, $person, $acting, $now);
    }};
}
pub(super) use remove;

/// Blots out the words of one breaking of glass, in its table and in the audit log:
/// `blot_glass!(conn, id: &String, acting: Acting, now: UtcMillis)`.
macro_rules! blot_glass {
    ($conn:expr, $glass:expr, $acting:expr, $now:expr) => {{
        sqlx::query("UPDATE glass SET reason = '', comment = '' WHERE id = $1")
            .bind($glass)
            .execute(&mut *$conn)
            .await?;
        let notes: Vec<i64> = sqlx::query_scalar(
            "UPDATE audit_entry SET note = NULL, note_salt = NULL WHERE object = $1 AND note IS NOT NULL
             AND action IN ('glass_broken', 'glass_reviewed') RETURNING no",
        )
        .bind($glass)
        .fetch_all(&mut *$conn)
        .await?;
        for no in notes {
            let draft = $crate::audit::Draft {
                object: Some(domain::audit::blot_object(no.cast_unsigned())),
                detail: Some("reason=erasure".to_owned()),
                ..$acting.draft($now, $crate::audit::Action::NoteBlotted)
            };
            $crate::audit::record!($conn, &draft);
        }
    }};
}
pub(crate) use blot_glass;

# The audit log: the auditor's page, and words for what was done, how it ended, by whom and what for.

place-audit = Audit log
audit-title = Audit log
audit-count = { $n ->
    [one] { $n } entry
   *[other] { $n } entries
}
audit-state = State of the log
audit-check = Check of the whole log
audit-check-now = Check now
audit-checking = Being checked
audit-check-asked = The whole log is being checked. Open this page again in a moment.
audit-check-never = Not checked yet
audit-check-sound = Sound
audit-check-faults = { $n ->
    [one] { $n } fault
   *[other] { $n } faults
}
audit-check-size = { $n ->
    [one] { $n } entry
   *[other] { $n } entries
}
audit-head = Last signed head
audit-head-none = None yet: the first one is signed a few seconds after the start.
audit-head-size = { $n ->
    [one] covers { $n } entry
   *[other] covers { $n } entries
}
audit-head-at = , signed { $a }
audit-places = Second places
audit-places-none = None
audit-places-none-text = Whoever commands this server could rewrite the log unnoticed. Ask the administrator to name a place under [audit] heads.
audit-place-current = Up to date
audit-place-away = Not reached
audit-place-ahead = Knows more
audit-place-strange = Not ours
audit-place-told = { $n ->
    [one] told up to entry { $n }
   *[other] told up to entry { $n }
}
audit-place-untold = Nothing told yet
audit-outcome = How it ended
audit-purpose = What for
audit-about = About
audit-no = no.
audit-number = Number
audit-who-hint = sign-in name
audit-subject-hint = pseudonym
audit-person = Person
audit-person-page = Page
audit-person-open = Open the person
audit-address = From
audit-session = Session
audit-object = About
audit-fields = Fields shown
audit-glass = Broken glass
audit-note-blotted = What was typed here was blotted out. That this was done, and by whom, is an entry of its own.
audit-export-csv = Export CSV
audit-export-lines = For the verifier
audit-export-fhir = FHIR
audit-empty-title = Nothing recorded yet
audit-empty-text = Every sign-in, refusal, look at personal data and change stands here from the first one on.
audit-bad-who = Nobody has this sign-in name. Write the name as it is typed at sign-in, or console, system, anybody.
audit-bad-code = One of the chosen words is unknown. Choose one from the list.
audit-bad-subject = A person's pseudonym has 32 hexadecimal digits.
audit-proof = Proof
audit-proof-signed = Proved: this entry stands in the log whose head was signed { $a }.
audit-proof-unsigned = No head covers this entry yet. It fits the log as it is now; a head is signed soon.
audit-proof-broken = This entry is not what was written. Keep a copy of the database and check the whole log.
audit-proof-download = Save the proof
audit-proof-help = Whoever has the public key checks the file with tapward-audit proof, without this server.
audit-proof-show = Show the hashes
audit-leaf = Hash of the entry
audit-root = Root
audit-privacy = People are pseudonyms here. That you opened this entry is recorded too.


outcome-done = done
outcome-refused = refused
outcome-failed = failed

audit-purpose-checkpoint = checkpoint
audit-purpose-pass_issue = pass office
audit-purpose-treatment = treatment
audit-purpose-booking = appointment
audit-purpose-payment = payment
audit-purpose-person_request = the person's own request
audit-purpose-incident = incident
audit-purpose-maintenance = keeping data right
audit-purpose-emergency = emergency

action-signed_in = Signed in
action-sign_in_failed = Sign-in failed
action-session_ended = Session ended
action-sessions_ended = All sessions ended
action-first_run = First administrator made
action-account_created = Account made
action-account_disabled = Account closed
action-account_enabled = Account opened again
action-roles_changed = Roles of an account changed
action-role_edited = Role made or changed
action-link_made = One-time link made
action-password_set = Password set by link
action-password_changed = Password changed
action-factor_changed = Second factor changed
action-preferences_changed = Preferences changed
action-notice_tested = Test notice sent
action-api_key_changed = Key of the HTTP API changed
action-refused = Refused
action-person_searched = People searched
action-person_seen = Person looked at
action-person_revealed = Fields revealed
action-person_changed = Person changed
action-photo_changed = Photo changed
action-person_erased = Person erased
action-person_restricted = Processing restricted
action-pass_changed = Pass changed
action-door_ordered = Order to a door
action-exported = Data taken away
action-disclosed = Data given away
action-imported = Import
action-vault_opened = Vault opened or locked
action-vault_key_changed = Key of the vault changed
action-glass_broken = Glass broken
action-glass_reviewed = Broken glass reviewed
action-request_handled = Request of a person
action-incident_handled = Incident
action-data_expired = Data past their time removed
action-settings_changed = Settings changed
action-audit_read = Audit log read
action-note_blotted = Note blotted out
action-log_rolled_back = Log found rolled back
action-desk_opened = Bound to a workstation
action-desk_ended = Workstation locked or left
action-desk_changed = Workstation set up
action-visit_started = Visit started
action-visit_ended = Visit ended
action-chart_opened = Chart opened
action-out_of_card = Done without the card
action-irregular_sign_in = Signed in without a card
action-irregular_reviewed = Work without a card reviewed
action-badge_signed_in = Signed in by card
action-person_located = Asked where a person is
action-exchange_changed = Exchange with a system changed
action-feed_taken = Taken over from another system
action-service_registered = Service registered
action-service_cancelled = Service taken back
action-service_refused = Service refused
action-account_seen = A patient’s account shown
action-payment_taken = Payment taken
action-payment_returned = Money given back
action-till_requested = Write-off or money back asked for
action-till_decided = Write-off or money back decided
action-limit_overridden = More than a limit allowed
action-drawer_changed = Drawer opened or closed
action-day_closed = Day of the till closed
action-prices_changed = Prices changed
action-terms_changed = Terms of payment changed
action-till_checked = Till checked
action-adopted = Older log taken over

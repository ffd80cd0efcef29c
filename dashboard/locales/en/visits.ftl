# Visits, rooms, work without the card, where people are.
place-visits = Visits
place-visits-graph = Who with whom
place-visits-rooms = Rooms
place-irregular = Without card
place-where = Where is…
visits-title = Visits
visits-from = Started from
visits-until = until
visits-room = Room
visits-specialist = Specialist
visits-specialist-id = Specialist, by pseudonym
visits-patient = Patient
visits-began = Began
visits-ended = Ended
visits-running = Only running
visits-no = No.
visits-when = When
visits-first = First page
visits-older = Older
visits-none-title = No visits
visits-none-text = No visit fits. Visits appear here as soon as patients tap at workstations.
visits-bad-zone = A room is written as in the configuration, for example room-214.
visits-bad-person = A pseudonym has 32 characters 0 to 9 and a to f.
visits-bad-code = This choice is not known. Choose one of the list.
visits-day = Day
visits-days = Period
visits-days-1 = This day
visits-days-7 = 7 days up to it
visits-days-31 = 31 days up to it
visits-table = The table behind the picture
began-card = by card
began-out_of_card = without card
visit-end-by_hand = ended by the specialist
visit-end-out_of_card = ended without card
visit-end-tap_out = patient tapped out
visit-end-next_patient = next patient
visit-end-elsewhere = patient tapped elsewhere
visit-end-session_ended = specialist left
visit-end-run_out = closed by rule: too long
visit-end-expired = time without card was over
visit-end-cancelled = taken back
graph-title = Who was with whom
graph-finding = { $few } of { $all } saw half of { $visits }
graph-few = { $n ->
    [one] One specialist
   *[other] { $n } specialists
}
graph-of-visits = { $n ->
    [one] { $n } visit
   *[other] { $n } visits
}
graph-visits = Visits
graph-specialists = Specialists
graph-patients = Patients
graph-minutes = Minutes together
graph-last = Last time
graph-drawn = { $n ->
    [one] Drawn: the heaviest pair. The table has all.
   *[other] Drawn: { $n } pairs, the heaviest of the busiest specialists. The table has more.
}
graph-more = { $n ->
    [one] One more pair is in the export.
   *[other] { $n } more pairs are in the export.
}
graph-none-title = No visits in this time
graph-none-text = Choose another day or a longer period.
rooms-title = Use of rooms
rooms-finding = { $most } was used { $high } of its staffed time, { $least } { $low }
rooms-finding-one = { $most } was used { $high } of its staffed time
rooms-text = A block is a visit. The share at the right: time with a patient, of the time in which a specialist was signed in there. Point at a block to see who and when.
rooms-used = used
rooms-by-room = By room
rooms-occupied = Minutes with patients
rooms-staffed = Minutes staffed
rooms-table = Every visit of the picture
rooms-cut = There is more than is shown; the export has all of it.
rooms-none-title = No room was used on this day
rooms-none-text = Choose another day. Rooms appear when visits take place in them.
irregular-title = Done without card
irregular-text = Whoever works without the patient’s card says why; somebody else looks at it afterwards. Nobody reviews their own.
irregular-waiting = { $n ->
    [one] one waits for review
   *[other] { $n } wait for review
}
irregular-overdue = { $n ->
    [one] one too late
   *[other] { $n } too late
}
irregular-queue = Queue
irregular-queue-waiting = Waiting
irregular-queue-overdue = Too late
irregular-queue-done = Reviewed
irregular-queue-all = All
irregular-what = What
irregular-when = When
irregular-reason = Reason
irregular-source = Reported by
irregular-visit = Visit
irregular-due = Review by
irregular-entry = Entry of the audit log
irregular-reviewed = Reviewed
irregular-none-title = Nothing here
irregular-none-text = Nothing done without a card fits this filter.
irregular-overdue-by = late by { $a }
irregular-due-in = review within { $a }
irregular-words-gone = The words were blotted out.
irregular-verdict = What was found?
irregular-comment = Comment of the review
irregular-comment-ask = Comment, at least 10 characters
irregular-go = Finish the review
irregular-no-verdict = Choose what was found.
irregular-bad-comment = Write at least 10 characters about what was found.
irregular-own = Nobody reviews what they did themselves. Ask another reviewer.
irregular-already = Somebody has reviewed it already.
irregular-done-reviewed = Reviewed.
irregular-finding = { $rate } of 100 visits began without card in 31 days: { $without } of { $visits }
irregular-rates-none = No visits in the last 31 days
irregular-col-without = Without card (all cases)
irregular-col-rate = Per 100 visits
irregular-col-misuse = Misuse
out-of-card-kind-start = Visit started without card
out-of-card-kind-work = Worked without a visit
out-of-card-kind-end = Visit ended without card
out-of-card-kind-service = Service registered without card
out-of-card-kind-sign_in = Signed in to the MIS without card
verdict-regular = In order
verdict-irregular = Not as it should be
verdict-misuse = Misuse
where-title = Where is…
where-words = Name, record number or pseudonym
where-purpose = What for
where-go = Ask
where-text = Each question is recorded with your name and the purpose.
where-which = Which one?
where-unknown = There is nobody with this pseudonym.
where-by-id = Your role finds people by pseudonym only: 32 characters.
where-nowhere = not seen today
where-outside = outside
where-since = since { $a }
where-now = now
where-today = The way today
where-none = Nothing is known of today.
where-cut = There is more than is shown here.
where-visit-with = visit with { $a }
where-source-passage = came through a door
where-source-desk = signed in at a workstation
where-source-visit = visit
where-sure-passage = The last door that was passed. Inside a zone people move unseen.
where-sure-desk = Their card opened a workstation there.
where-sure-visit = A visit runs there.

# Other systems: what they are told.

place-exchange = Deliveries
exchange-title = Deliveries to other systems
exchange-none-title = No other system is told anything
exchange-none-text = Systems are connected in the configuration file. The page Exchange of the documents says how.
exchange-system = System
exchange-waiting = Waiting
exchange-rate = Rate
exchange-taken = Last taken
exchange-dead = Dead letters
exchange-do = What to do
exchange-oldest = the oldest for { $a }
exchange-per-minute = { $n ->
    [one] { $n } in the last minute
   *[other] { $n } in the last minute
}
exchange-in-all = { $n ->
    [one] { $n } in all
   *[other] { $n } in all
}
exchange-nothing-taken = Nothing yet
exchange-running = works
exchange-paused = paused
exchange-failing = fails for { $a }
exchange-again-in = Tried again in { $a }.
exchange-ended = Ended { $a }.
exchange-pause = Pause
exchange-resume = Resume
exchange-try-now = Try now
exchange-retry-all = Retry dead letters
exchange-letters = Deliveries
exchange-only-dead = dead letters
exchange-happened = Happened
exchange-number = No. { $n }
exchange-tries = { $n ->
    [one] Tried { $n } time
   *[other] Tried { $n } times
}
exchange-no-letters-title = No dead letters
exchange-no-letters-text = What a system refuses for good, or fails at again and again, stands here until somebody deals with it.
exchange-bad-filter = This filter cannot be read. Choose from the lists.
exchange-retry = Retry
exchange-retry-help = Tries it again as if it were new. Mend the cause first: a repetition of what was refused is refused again.
exchange-why = Why it is given up
exchange-why-help = At least 10 characters. It stands in the audit log under your name.
exchange-give-up = Give up
exchange-done-paused = Paused. What happens from now on waits.
exchange-done-resumed = It goes on.
exchange-done-retried = It is tried again.
exchange-done-given_up = Given up. The audit log says why.
exchange-problem-reason = Say why, in at least 10 characters.
exchange-problem-unknown = Nothing was done: it is in another state by now. Look again.
exchange-speaks-fhir = FHIR R4
exchange-speaks-webhook = Webhook
exchange-speaks-hl7 = HL7 v2
exchange-speaks-gnuhealth = GNU Health
exchange-speaks-logout = Sign-out of sessions
exchange-state-waiting = waits
exchange-state-done = delivered
exchange-state-dead = dead letter
exchange-state-given_up = given up
exchange-fault-unreachable = The system is not reached: its name is not known, or nobody answers there.
exchange-fault-tls = The connection could not be protected: a certificate is not trusted, has expired or is missing.
exchange-fault-late = No answer in time.
exchange-fault-broken = The connection broke, or what came is not the protocol.
exchange-fault-overloaded = The system asks for patience.
exchange-fault-unauthorised = The system does not let us in: check user, token or key.
exchange-fault-forbidden = The system lets us in, but not do this: check our rights there.
exchange-fault-not_found = The system does not know what it is about.
exchange-fault-gone = It was deleted there.
exchange-fault-conflict = Somebody else changes it there at the same time, or it is there several times.
exchange-fault-refused = The system refused it as wrong.
exchange-fault-server_fault = The system failed itself.
exchange-fault-bad_answer = The answer cannot be understood.
exchange-fault-too_long = It is longer than allowed.
exchange-fault-no_alias = It is not known what the system calls this patient or specialist.
exchange-fault-missing = What it is about is not here any more.
exchange-fault-unspeakable = It cannot be said to this system: check its settings.
exchange-fault-wrong_answer = The system answered to something else.
exchange-kind-session_opened = Work at a workstation began
exchange-kind-session_confirmed = The specialist confirmed
exchange-kind-factor_wanted = A second factor was asked for
exchange-kind-session_locked = Workstation locked
exchange-kind-session_unlocked = Workstation unlocked
exchange-kind-session_ended = Work at a workstation ended
exchange-kind-tap_refused = A tap was refused
exchange-kind-choice_wanted = An appointment had to be chosen
exchange-kind-visit_started = Visit started
exchange-kind-visit_confirmed = The patient tapped again
exchange-kind-visit_ended = Visit ended
exchange-kind-visit_cancelled = Visit taken back
exchange-kind-out_of_card = Done without the card
exchange-kind-irregular_sign_in = Sign-in without a card
exchange-kind-appointment_changed = Appointment changed
exchange-kind-person_changed = Person's record changed
exchange-kind-person_merged = Two records became one
exchange-kind-staff_changed = Staff changed
exchange-kind-charge_ordered = Service ordered
exchange-kind-charge_rendered = Service rendered
exchange-kind-charge_cancelled = Service taken back
exchange-kind-charge_refused = Service refused
exchange-kind-payment_taken = Payment taken
exchange-kind-payment_returned = Payment returned
exchange-kind-terms_changed = Terms of payment changed
exchange-kind-out_of_sync = A program did not follow the chart
exchange-kind-in_sync = The program follows again

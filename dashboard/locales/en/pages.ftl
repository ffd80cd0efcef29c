# The pages and what they share.

skip = To the page
places = Places
place-live = Live
place-devices = Doors and readers
place-journal = Journal
place-accounts = Accounts
place-roles = Roles
find = Find in the journal
language = Language
theme = Look
theme-system = As the computer
theme-light = Light
theme-dark = Dark
to-start = To the start page
state = State
actions = Actions
export = Export CSV
filter = Filter
filter-clear = Clear
any = any
seen = Heard
version = Version
close = Close
key = Key

span-s = { $n } s
span-min = { $n } min
span-h = { $n } h
span-d = { $n } d
ago = { $a } ago
ago-s = { $a } s ago
ago-min = { $a } min ago
ago-h = { $a } h ago
for-span = for { $a }
ms = { $a } ms
weekday-0 = Mon
weekday-1 = Tue
weekday-2 = Wed
weekday-3 = Thu
weekday-4 = Fri
weekday-5 = Sat
weekday-6 = Sun
month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec
people-count = { $n ->
    [one] { $n } person
   *[other] { $n } people
}

# Errors
error-400-title = This was not understood
error-400-text = The address or form has something in it that we cannot read. Go back and try again.
error-401-title = Sign in first
error-401-text = The session has ended. Sign in again.
error-403-title = Not for this account
error-403-text = Your role does not open this page. Ask an administrator if you need it.
error-404-title = Nothing here
error-404-text = There is no such page, or what it showed is gone.
error-405-title = This cannot be done here
error-405-text = The page exists, but not for this action. Go back and use its buttons.
error-413-title = Too long
error-413-text = What was sent is longer than any form here. Shorten it and try again.
error-500-title = Something broke on our side
error-500-text = It has been written down. Try again; if it stays, tell the administrator the time.
error-503-title = Not available now
error-503-text = The database does not answer. Doors keep working on their own. Try again in a moment.
error-form-title = This form is too old
error-form-text = It was opened before you signed in, or by another site. Nothing was changed. Open the page again and repeat.

# Live
live-title = Checkpoint
all-points = All points
choose-points = Points of this post
show-these = Show these
show-all = Show all
points-count = { $n ->
    [one] { $n } point
   *[other] { $n } points
}
last-attempt = Last attempt
passing-now = Passing now
this-post = This post
col-time = Time
col-who = Who
col-where = Where
col-result = Result
live-empty-title = Nobody has passed yet
live-empty-text = The next card at any reader of this post shows up here by itself.
post-empty = No points yet. They appear when a gateway reports.
hour-passed = { $n } passed this hour
hour-refused = { $n } refused
inside-now = Inside now
by-zone = By zone
category-none = No current pass
point-working = working
point-unknown = no report yet
point-gateway-gone = no news for { $a }
point-reader-silent = reader silent for { $a }
point-tamper = reader case open
point-untrusted = reader not trusted
point-insecure = line not secured
link-wait = connecting
link-live = live · last event { $a }
link-quiet = live · nothing yet
link-lost = Connection lost, showing { $a }
sound-on = Sound on
sound-off = Sound off
no-script = This page moves by itself only with JavaScript. Reload it to see what is new.
pass-patient_temporary = Patient, temporary
pass-patient = Patient
pass-staff = Staff
pass-visitor = Visitor
pass-contractor = Contractor
pass-vehicle = Vehicle

# Doors and readers
devices-title = Doors and readers
readers-count = { $n ->
    [one] { $n } reader
   *[other] { $n } readers
}
troubled-count = { $n ->
    [one] { $n } needs a look
   *[other] { $n } need a look
}
shown-count = { $n ->
    [one] { $n } reader shown
   *[other] { $n } readers shown
}
devices-empty-title = No equipment has reported yet
devices-empty-text = Start a gateway with at least one line in its settings. Its readers appear here within seconds.
doors = Doors
reader = Reader
reply = Reply time
polls = Polls
faults = Faults since start
faults-none = none
faults-retries = repeats
faults-timeouts = no reply
faults-crc = bad checksum
faults-alarms = alarms
poll-every = every { $a }
filter-readers = Name, place, model, state
only-trouble = Only what needs a look
none-found-title = Nothing found
none-found-text = Nothing matches this filter. Make it wider or clear it.
policy = Access rules
confirmed-ago = confirmed { $a } ago
policy-old = rules are old
journal = Journal
waiting-count = { $n ->
    [0] all delivered
   *[other] { $n } waiting
}
running-for = Running for
gateway-gone = not connected
gateway-connected = connected
polls-a-second = { $n ->
    [one] { $n } poll a second
   *[other] { $n } polls a second
}
line-closed = closed
not-known-now = not known now
reader-silent-for = silent for { $a }
reader-untrusted = not trusted
reader-unknown = not heard yet
reader-tamper = case open
reader-online = answers
key-secure = secured
key-accepted = accepted without
key-none = not secured
no-point = no point
address-n = address { $n }
door-locked = locked
door-released = released
door-open = open
door-held = held open
door-forced = opened by force
door-blocked = blocked by command
door-free = free passage
door-emergency = emergency release
door-unreachable = not reachable
readers = Readers
peer = Controller or system
peers = Controllers and systems
peers-count = { $n ->
    [one] { $n } controller or system
   *[other] { $n } controllers and systems
}
shown-peers-count = { $n ->
    [one] { $n } controller or system shown
   *[other] { $n } controllers and systems shown
}
peers-away = { $n ->
    [one] { $n } away
   *[other] { $n } away
}
peer-kind-acs_link = acs-link controller
peer-kind-hikvision = Hikvision
peer-kind-parsec = ParsecNET 3
peer-away = not connected
peer-connected = connected
connection = Connection
peer-secure = secured
peer-plain = not encrypted
peer-secure-unknown = none now
peer-waiting = Waiting
peer-waiting-none = nothing
peer-events-held = { $n ->
    [one] { $n } event held there
   *[other] { $n } events held there
}
peer-commands-waiting = { $n ->
    [one] { $n } command not confirmed
   *[other] { $n } commands not confirmed
}
peer-quarantined = { $n ->
    [one] { $n } message set aside
   *[other] { $n } messages set aside
}
peer-passes = Passes there
peer-passes-none = none
peer-passes-all = { $a }
peer-passes-some = { $a } so far
peer-clock = Its clock
peer-clock-good = right
peer-clock-unknown = not known
peer-clock-behind = { $a } behind
peer-clock-ahead = { $a } ahead

# Orders to a door
cancel = Cancel
door-journal = What happened here
orders-last = Last orders
order-open = Open once
order-lock = Lock
order-normal = Back to normal
order-free_passage = Free passage
order-emergency = Emergency release
order-text-open = { $a } is released once, for its usual time, for whoever stands there. It is recorded with your name.
order-text-lock = { $a } lets nobody in, whatever their card, until somebody orders it back to normal. Whoever is inside can go out.
order-text-normal = { $a } decides by cards and rules again.
order-text-free_passage = { $a } lets everybody through in both directions, without a card, until somebody orders it back to normal.
order-text-emergency = { $a } opens the way out and stays open until somebody orders it back to normal.
order-button-open = Open now
order-button-lock = Lock now
order-button-normal = Back to normal now
order-button-free_passage = Let everybody through
order-button-emergency = Open the way out now
order-reason = Why
order-reason-choose = Choose a reason
order-reason-missing = Choose why. The reason is kept with the order.
order-reason-delivery = Delivery
order-reason-forgotten_card = Card forgotten, checked by document
order-reason-help = Somebody needs help
order-reason-repair = Repair or cleaning
order-reason-drill = Drill or test
order-reason-other = Another reason
order-note = In your words
order-note-help = Needed for another reason. No names: this stays in the journal.
order-note-missing = Say in a few words why.
order-unheard = The gateway of this door is not connected. An order cannot arrive now, and is not carried out later.
given-pending = on its way
given-pending-text = It is on its way. This page asks again by itself.
given-done = done
given-done-text = The gateway has carried it out.
given-refused = not done
given-refused-text = It was not carried out.
given-expired = no answer in time
given-expired-text = No answer in time. It is not carried out later; look at the door before you repeat it.
late-by = { $a } earlier
late-unknown = earlier, nobody knows when

# Journal
journal-title = Journal
times-in = times of { $a }
from = From
until = To
point = Point
what = What
why = Why
text = Point, reader or pseudonym
text-hint = turnstile, or 32 digits
search = Search
newest = Newest
older = Older
no-older = Nothing older
entry = Entry
journal-empty-title = Nothing has been recorded yet
journal-empty-text = Every tap, passage and alarm of every gateway is kept here.
journal-bad-time = The time is not understood. Use the field's calendar, or write 2026-11-24T09:00.
journal-bad-point = The point's name is not understood. Choose one from the list.
journal-bad-kind = This kind of event is unknown. Choose one from the list.
journal-bad-reason = This reason is unknown. Choose one from the list.
journal-bad-card = A card's pseudonym has 32 hexadecimal digits.
fact-at = At
fact-place = Point
fact-direction = Direction
fact-reader = Reader
fact-person = Person
fact-card = Card
fact-pass = Pass today
fact-age = Earlier by
fact-happened = Happened at
fact-ordered-by = Ordered by
fact-detail = Detail
fact-arrived = Arrived here
fact-gateway = Gateway
fact-number = Number and journal
privacy-note = People and cards are pseudonyms here. Names live in the identity vault and are shown only to who may see them.

# Keys of the HTTP API, its description, and who asks too often.

error-429-title = Too often
error-429-text = Searches and exports are bounded for each account, so that everybody is served. Wait a minute and go on.

place-api_keys = API keys
api-title = Keys of the HTTP API
api-text = With a key another system reads and acts here in your name, and never more than you may yourself.
api-description = What it can do
api-count = { $n ->
    [one] { $n } key
   *[other] { $n } keys
}
api-search = Name, account or permission
api-new = New key
api-make = Make the key
api-name = What it is for
api-name-help = The name of the system, not of a person.
api-life = Works for
api-days = { $n ->
    [one] { $n } day
   *[other] { $n } days
}
api-zones = Only in these zones
api-networks = Only from these networks
api-networks-help = One a line, for example 10.3.0.7 or 10.3.0.0/16. Empty: from everywhere.
api-whose = Answered for by
api-made = Made
api-until = Works until
api-used = Last used
api-id = Id
api-where = Where
api-all-zones = In every zone that its account reaches
api-all-networks = From every network
api-narrow = What its account loses, the key loses at the same moment.
api-works = works
api-expired = time is over
api-ended = ended
api-end = End this key now
api-done-ended = The key is ended. Its next request is refused.
api-none-title = No keys yet
api-none-text = Make one when another system is to be joined: a booking service, a report, a watchdog.
api-made-title = Key for { $a }
api-made-text = Copy it now: it is shown only this once. It works until { $a }.
api-bad-name = Say in 1 to 80 characters, on one line, what the key is for.
api-bad-life = A key works for 1 to 365 days.
api-no-permission = Choose at least one permission.
api-never = No key may do this: { $a }. It is for people only.
api-beyond = You cannot give this, you do not have it everywhere there yourself: { $a }
api-bad-network = This is no network. { $a }
api-too-many-networks = Name at most 20 networks; a larger network may hold several.
api-too-many = Your account has as many keys as it may. End one that is not needed.
api-glass = While glass is broken no key can be made. End it first.

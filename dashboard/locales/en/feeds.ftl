# What other systems tell us.
place-feeds = Feeds
feeds-title = What other systems tell us
feeds-text = Staff, patients, workplaces, appointments and orders from the personnel department and the medical system. They make and end passes and say which rooms a patient may enter.
feeds-source = Source
feeds-search = Name of a purpose or workplace
feeds-told = Last told
feeds-taken = Last taken { $a }
feeds-rate = Records: this hour / hour before
feeds-counts = All together
feeds-added = { $n ->
    [one] { $n } added
   *[other] { $n } added
}
feeds-changed = { $n ->
    [one] { $n } changed
   *[other] { $n } changed
}
feeds-ended = { $n ->
    [one] { $n } ended
   *[other] { $n } ended
}
feeds-refused = { $n ->
    [one] { $n } not taken
   *[other] { $n } not taken
}
feeds-none-title = Nobody has told anything yet
feeds-none-text = Connect a system in the configuration, put a list into its folder, or send one by the HTTP API.
feeds-hold-title = A whole list of { $a } waits for your word
feeds-hold-text = It would end more than usual: { $a }. Nothing of it was taken. Half a list looks like this too: ask the source before you allow it.
feeds-hold-allow = Allow it to end them
feeds-hold-drop = Do not take it
feeds-hold-allowed = Allowed. It is taken when the source tells it again.
feeds-problems = Records that were not taken
feeds-problems-none = Every record was taken
feeds-problems-none-text = What cannot be taken is listed here by its place in the list.
feeds-row = Row and field
feeds-differences = Where sources differ
feeds-person = Person
feeds-believed = Differs ≠ believed
feeds-purposes = Purposes of visits
feeds-purpose = Purpose
feeds-purposes-none = No purposes yet
feeds-purposes-none-text = They come with appointments, or as a list of their own.
feeds-leads = Where it leads
feeds-minutes = { $a } minutes planned
feeds-zones = Zones, with ; between
feeds-early = Minutes before
feeds-late = Minutes after
feeds-save = Save
feeds-workplaces = Workplaces
feeds-workplace = As the source calls it
feeds-workplaces-none = No workplaces yet
feeds-workplaces-none-text = Rooms and desks of the medical system are listed here, to be joined with zones of yours.
feeds-zone = Our zone
feeds-staff = { $n ->
    [one] { $n } specialist
   *[other] { $n } specialists
}
feeds-by-hand = set by hand
feeds-ended-one = out of use
feeds-done-allowed = Allowed. The list is taken when the source tells it again.
feeds-done-dropped = The list is not taken.
feeds-done-purpose = Saved. Doors know within seconds.
feeds-done-workplace = Saved. It counts for appointments that are told from now on.
feeds-wrong-zone = There is no such zone. Nothing was saved.
feeds-wrong-minutes = Write whole minutes, at most a day (1440). Nothing was saved.
feeds-wrong-gone = Somebody has decided this already, or it is not there any more.
feed-kind-staff = Staff
feed-kind-patients = Patients
feed-kind-workplaces = Workplaces
feed-kind-appointments = Appointments
feed-kind-purposes = Purposes
feed-kind-conditions = Conditions
feed-kind-messages = Orders
feed-state-good = good
feed-state-refusing = some not taken
feed-state-held = waits for a word
feed-state-failing = cannot be read
feed-problem-missing = A field is missing.
feed-problem-unreadable = A field cannot be read.
feed-problem-unknown_field = A field is not known.
feed-problem-too_long = It is too long.
feed-problem-encoding = The text is not UTF-8.
feed-problem-broken = It is cut off, or no list.
feed-problem-backwards = An end lies before its beginning, or more than a day after it.
feed-problem-unknown_person = The person is not known.
feed-problem-unknown_zone = The zone does not exist.
feed-problem-unknown_point = The workstation does not exist.
feed-problem-several_persons = Its ids belong to different persons.
feed-problem-card_taken = The card is another person’s.
feed-problem-name_taken = The login or practitioner is another person’s.
feed-problem-vault_locked = The vault is locked: names cannot be stored.
feed-problem-erased = The person was erased and is still told of.
feed-problem-passport = A name, date or contact cannot be stored.
feed-problem-unmerge = A merge cannot be taken back.
feed-problem-unknown_order = The order is not known.
feed-todo-missing = Fill it in at the source.
feed-todo-unreadable = Write it as the documentation of feeds says.
feed-todo-unknown_field = Remove it or correct its name.
feed-todo-too_long = Shorten it.
feed-todo-encoding = Save the list as UTF-8.
feed-todo-broken = Send the whole list again.
feed-todo-backwards = Correct the two times.
feed-todo-unknown_person = Send the person first.
feed-todo-unknown_zone = Correct it, or say below which zone the workplace is.
feed-todo-unknown_point = Name a workstation of the configuration.
feed-todo-several_persons = Merge the two records at the source, or correct the ids.
feed-todo-card_taken = Withdraw it from the other person first, or correct the number.
feed-todo-name_taken = End the other person’s record first, or correct it.
feed-todo-vault_locked = Open the vault. The record is taken when it is told again.
feed-todo-erased = Remove the person at the source.
feed-todo-passport = Correct it at the source.
feed-todo-unmerge = Correct it by hand: what was joined cannot be told apart again.
feed-todo-unknown_order = Send one of the orders of the documentation of feeds.

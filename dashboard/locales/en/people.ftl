# People: who they are, for those who may see it.

place-people = People
place-inside = Who is inside

# Faces and the vault
face-locked = name locked
face-workstation = name kept by the workstation
face-erased = erased
photo-none = no photo
photo-of = Photo of this person
names-locked-title = Names are locked
names-locked-absent = The medium with the vault's key is not in place. Put it in; names come back by themselves. Doors and pseudonyms go on working.
names-locked-passphrase = The vault waits for its passphrase. Who manages the vault can type it; until then people are pseudonyms, and doors go on working.
names-locked-by-hand = Somebody has locked the vault. Who manages the vault can open it again; until then people are pseudonyms.
names-locked-workstation = Names are kept by workstations here: this server has no key to them. Open them on a workstation that has the key.
names-locked-key = The vault's key cannot be used. Tell the administrator; doors and pseudonyms go on working.
names-to-vault = To the vault
error-locked-title = Names are locked
error-locked-text = The identity vault is locked, so this cannot be shown or changed now. Doors and pseudonyms go on working. Nothing was changed.

# Purposes
purpose = What for
purpose-choose = Choose what for
purpose-missing = Choose what for. It is recorded with the look, so that the person can be told.
purpose-checkpoint = To decide who may pass
purpose-pass_issue = To issue or change a pass
purpose-treatment = To treat
purpose-booking = To book or change an appointment
purpose-payment = To take or return a payment
purpose-person_request = To answer the person's own request
purpose-incident = To look into an incident
purpose-maintenance = To keep the data right
purpose-emergency = To save life or health

# Search
people-title = People
people-words = Name, telephone, document or reference
people-words-help = Beginnings of names in any order: “iva ole”. A whole telephone or document number. A pseudonym from the journal.
people-words-short = Type at least two letters of a name, or a whole number.
people-words-many = Too many people fit. Type more letters, or another name as well.
people-start-title = Whom are you looking for?
people-start-text = Type the beginning of a name and choose what for. Who looked for whom, and what for, is recorded.
people-none-title = Nobody found
people-none-text = Check the spelling, or try fewer letters. Somebody who is not registered yet is not here.
people-found = { $n ->
    [0] Nobody found
    [one] { $n } person found
   *[other] { $n } people found
}
people-first = { $n ->
    [one] The first { $n } of more
   *[other] The first { $n } of more
}
people-more = Show more
people-more-text = More letters find them faster.
born = born { $a }

# A person
person-title = Person
person-add = Register a person
person-known = What is known
person-unknown = Nothing is known of this person yet but the pseudonym.
person-fill = Fill in
person-edit = Correct
person-erase = Erase…
person-restricted = restricted
person-restricted-text = Processing of this person's data is restricted. Use them only for what the person has agreed to, or for what the law asks.
known-since = known since { $a }
nothing-known = nothing known
document-passport = Passport
document-id_card = Identity card
document-birth_certificate = Birth certificate
document-driving_licence = Driving licence
document-insurance = Insurance
document-personal_number = Personal number
document-other = Other document
contact-phone = Telephone
contact-email = E-mail
contact-address = Address
reveal = Show
reveal-all = Show all
reveal-field = Show: { $a }
reveal-recorded = Showing records your account, the time, the field and what for. The person can ask who looked.
person-history = What was known before corrections
person-history-title = Before corrections
person-history-none = Nothing was corrected yet.
until-then = until { $a }
person-done-registered = Registered. A photo and a pass can follow.
person-done-saved = Saved. What was known before is kept among the corrections.
person-done-photo = The photo is stored.
person-done-photo_removed = The photo is removed.
person-done-pass = The pass is changed. Readers that are connected know it within a second.
person-done-pass_changed = Nothing was done: somebody else has changed this pass meanwhile. Look at it again.
person-events = Lately
person-events-none = No event of this person in the journal.
person-events-all = All of this in the journal
person-looks = Who looked
person-looks-text = Every look at this person is in the audit log. Opening the list is recorded too.
person-looks-show = Show who looked
person-looks-none = Nobody has looked yet.
look-person_searched = searched
look-person_seen = saw
look-person_revealed = unmasked
look-person_changed = changed
look-person_erased = erased
look-person_restricted = changed the restriction
look-photo_changed = changed the photo
look-pass_changed = changed a pass
look-exported = exported
look-disclosed = disclosed
look-imported = imported
look-door_ordered = ordered a door
look-request_handled = handled a request
look-refused = was refused
look-glass = broken glass
actor-account = Account
actor-api_key = Another system
actor-staff = At a workstation
actor-peer = Connected system
actor-console = Command line of the server
actor-system = The program itself
actor-anybody = Nobody signed in

# Passes
passes = Passes
passes-none = No pass yet.
pass-none = no pass
pass-over = ended
pass-early = not valid yet
pass-state-active = works
pass-state-blocked = blocked
pass-state-lost = lost
pass-state-withdrawn = withdrawn
pass-do-active = Make it work again
pass-do-blocked = Block
pass-do-lost = Mark as lost
pass-do-withdrawn = Withdraw
pass-change = Change
pass-why = Why (kept with the change; no names)
valid-always = without end
valid-from = valid from { $a }
valid-until = valid until { $a }
valid-ended = ended { $a }

# Register and correct
edit-new-title = Register a person
edit-title = Correct what is known
edit-back = Back to the person
edit-register = Register
edit-save = Save
edit-kept = What stood here before is kept, encrypted, among the corrections.
edit-kind = Kind
edit-number = Number
edit-issued = Issued by and when
edit-way = Way
edit-value = Number or address
edit-rows-help = An empty row is left out. To remove one, empty it. A further row appears after saving.
edit-reference-help = Personnel or record number. 1 to 64 characters; each belongs to one person.
name-family = Family name
name-given = Given name
name-middle = Middle name
edit-problems = { $n ->
    [one] One field needs a look. Nothing was saved.
   *[other] { $n } fields need a look. Nothing was saved.
}
edit-no-name = A family name or a given name is needed.
edit-long-name = A name has at most 100 characters.
edit-long-text = At most 300 characters.
edit-empty-text = The number is missing. Fill it in, or empty the whole row.
edit-control = There are invisible characters in it. Type it by hand.
edit-born-later = This day has not come yet.
edit-bad-date = This is not a day of the calendar. Write it as 1987-04-21.
edit-bad-mail = This is not an e-mail address. It looks like name@example.org.
edit-bad-phone = This is not a telephone number. Use digits, blanks, + and -.
edit-bad-reference = 1 to 64 characters, on one line.
edit-reference-taken = Another person has this number already. Search for it before you register somebody twice.
edit-many-documents = At most 8 documents.
edit-many-contacts = At most 16 contacts.
check-missing = This is needed.
check-wrong = This is not understood. Look at it again.

# Photo
photo-title = Photo
photo-preview = How it will look
photo-add = Add a photo
photo-change = Change the photo
photo-file = Picture from a file
photo-help = JPEG or PNG, at most 5 MB and 4096 pixels. It is cut to 3:4 around the middle and stored encrypted, without what the camera wrote into the file.
photo-consent = The person agrees that the photo is stored
photo-consent-text = Ask. A pass works without a photo, and the person may change their mind at any time.
photo-consent-given = The person agreed on { $a }.
photo-consent-refused = The person did not want a photo ({ $a }). Their pass works without one.
photo-consent-not-asked = Nobody has asked this person about a photo yet.
photo-store = Store the photo
photo-remove = Remove the photo
photo-remove-text = The person may refuse or take back a photo. The picture is then destroyed, and the pass goes on working.
photo-refused = The person does not want a photo
photo-none-chosen = Choose a picture, or take one with the camera.
photo-no-consent = Nothing was stored: without the person's agreement there is no photo.
photo-no-passport = Fill in the person's name first.
picture-too-large = The picture is larger than 5 MB. Nothing was stored; take a smaller one.
picture-too-wide = The picture is wider or higher than 4096 pixels. Nothing was stored; take a smaller one.
picture-too-small = The picture is smaller than 60 by 80 pixels. Nothing was stored; nobody could be recognised.
picture-format = This is not a JPEG or PNG picture. Nothing was stored.
picture-damaged = The picture is damaged. Nothing was stored; take another one.
camera-start = Use the camera
camera-take = Take the photo
camera-again = Take it again
camera-denied = The browser does not allow the camera. Allow it for this address, or choose a file.
camera-none = No camera was found. Choose a file instead.
key-space = Space

# Inside
inside-title = Who is inside
inside-at = as of { $a }
inside-zone = Zone
inside-since = Since
inside-names-text = One look at everybody on this list is recorded with your account.
inside-empty-title = Nobody is inside
inside-empty-text = Who passes a point inward appears here, zone by zone, until they leave.
inside-cut = The list is cut: not everybody of a large zone is on it. Choose one zone, or take the file.
muster-seen = Seen
print = Print
fact-name = Name
known-name = Name
known-birth_date = Date of birth
known-document = Documents
known-contact = Contacts
known-reference = Number in other systems
names-locked-list = The list of erased persons is damaged. Until it is put right no names are shown, so that nobody comes back who was erased. Tell the administrator.

# The language that a person is spoken to in.
person-language = Spoken to in
language-set = { $a }, set here
language-told = { $language }, as told by { $by }
language-listed = { $a }, from an imported list
edit-language = Language
edit-language-unknown = not known: that of the site
edit-language-help = Refusals at the till and papers are in it, as far as this program knows it. What is chosen here counts before what other systems tell.

# Roles: names, what they are for, why something about them was not done.

# Headings of the navigation.
places-more = More
group-post = Post
group-people = People
group-desk = Visits
group-till = Till
group-exchange = Other systems
group-trust = Trust
group-office = Office

# The shipped roles and who they are for.
role-guard = Guard
role-pass_office = Pass office
role-contact_centre = Contact centre
role-doctor = Doctor
role-nurse = Nurse
role-cashier = Cashier
role-accountant = Chief cashier
role-manager = Manager
role-auditor = Auditor
role-privacy_officer = Privacy officer
role-integrator = Integrator
role-administrator = Administrator
role-may-guard = Watches a post: live page, doors, journal
role-may-pass_office = Registers people and gives passes
role-may-contact_centre = Answers the telephone and finds people by name
role-may-doctor = Treats: sees who is inside and whom they treat
role-may-nurse = Nurses: sees who is inside and whom they nurse
role-may-cashier = Takes payments: finds people by name
role-may-accountant = Answers for the till: prices, terms, approvals, closing
role-may-manager = Looks at flows and doors by pseudonym, and exports
role-may-auditor = Reads and checks the audit log
role-may-privacy_officer = Answers requests about personal data and checks who looked
role-may-integrator = Joins other systems by the HTTP API
role-may-administrator = Everything, also accounts and roles

# Accounts: the list and what may be done.
accounts-search = Name or sign-in name
account-name = Name
account-made = Made
account-access = Access
account-state-signed_in = signed in
account-state-open = open
account-state-invited = no password yet
account-state-closed = closed
roles-title = Roles
roles-save = Save the roles
roles-own = Nobody changes their own roles. Ask another administrator.
roles-beyond = This reaches further than your own rights. Ask somebody who has them.
roles-last = Then nobody could manage accounts and roles any more. Name another one first.
roles-none = An account has at least one role.
roles-too-many = An account has at most { $n } roles.
roles-no-role = There is no such role any more. Load the page again.
roles-no-zone = There is no such zone any more. Load the page again.
roles-not-local = This role has nothing to do with places. Give it on the whole site.
role-add = Add a role
role-add-none = none
role-where = Where
whole-site = the whole site
role-where-help = A zone limits what is about places: the live page, doors, devices, the journal, who is inside. Everything else counts on the whole site.

# Roles: the list and what each grants.
roles-count = { $n ->
    [one] { $n } role
   *[other] { $n } roles
}
roles-search = Role, or what it may do
role-who = Has it
role-nobody = nobody
role-permissions = May do
role-fields = Sees of a person
role-is-own = own
role-is-shipped = comes with the program; copy it to change it
role-local = in its zones
role-new = New role
role-name = Name
role-description = Who it is for
role-save = Save the role
role-copy = Copy into a new role
role-copy-of = { $a }, own
role-remove = Remove the role
role-remove-help = a role can be removed when nobody has it
permissions-count = { $n ->
    [one] { $n } right
   *[other] { $n } rights
}
fields-all = everything
fields-none = nothing: pseudonyms only
roles-bad-name = A role needs a name of 1 to { $n } characters on one line.
roles-bad-text = The description has at most { $n } characters on one line.
roles-name-taken = Another role has this name. Choose another one.
roles-in-use = { $n ->
    [one] { $n } account still has this role. Give it another one first.
   *[other] { $n } accounts still have this role. Give them another one first.
}
roles-done-made = The role is made. Give it on the page Accounts.
roles-done-changed = The role is changed. It counts from the next click of everybody who has it.
roles-done-removed = The role is removed.

# What a permission lets somebody do.
permission-live_watch = Watch people pass, live
permission-door_open = Open a door once; emergency release
permission-door_command = Lock doors, set them free, put them back to normal
permission-devices_see = See readers and controllers and their state
permission-journal_see = Read the journal
permission-journal_export = Take the journal away as a file
permission-presence_see = See who is inside
permission-person_find = Look for a person by name, document, contact or number
permission-person_see = Open a person’s page, masked
permission-person_reveal = Unmask fields of a person, with a purpose
permission-person_edit = Register people and correct what is known of them
permission-pass_edit = Give, block and withdraw passes
permission-person_erase = Erase a person
permission-account_see = See accounts and roles
permission-account_edit = Make and close accounts, give roles, end sessions
permission-role_edit = Make and change roles
permission-api_key_edit = Make and end keys of the HTTP API
permission-notice_see = See e-mail notices and whether they arrived
permission-vault_manage = Unlock the vault and change its key
permission-audit_see = Read and check the audit log
permission-audit_export = Take the audit log away as a file
permission-disclosure_see = Read the register of disclosures
permission-privacy_manage = Answer requests about personal data, restrict, keep the data map
permission-break_glass_use = Break glass in an emergency
permission-break_glass_review = Review who broke glass
permission-feed_read = Read the feed of changes by the HTTP API
permission-desk_use = Work at a workstation: visits, work without the card
permission-desk_manage = Set up workstations and end what is open there
permission-person_locate = Ask where a patient or a colleague is
permission-visit_see = See visits, rooms and routes, by pseudonym
permission-irregular_review = Review what was done without a card
permission-exchange_see = See how other systems are connected and what they were told
permission-exchange_manage = Connect other systems; repeat, pause and give up deliveries
permission-feed_write = Tell staff, patients and appointments by the HTTP API
permission-service_register = Register services for a patient and take them back
permission-charge_see = See what a patient was charged, owes and has paid
permission-payment_take = Take payments, open and close one’s own drawer
permission-till_approve = Allow write-offs and money given back
permission-limit_override = Allow more than a limit for a while
permission-till_close = Close days and drawers of others
permission-price_edit = Set services and prices
permission-terms_edit = Set terms of payment, groups, limits and discounts
permission-till_report = See the till’s figures, by pseudonym
permission-own_account = One’s own account: language, password, sessions

# What may be seen of a person.
field-name = name
field-photo = photo
field-validity = passes and until when
field-category = category
field-birth_date = date of birth
field-document = documents
field-contact = contacts
field-reference = personnel or record number
field-visit_purpose = what a visit is for

# Roles: names, what they are for, why something about them was not done.

# Headings of the navigation.
places-more = More
group-post = Post
group-people = People
group-trust = Trust
group-office = Office

role-guard = Guard
role-pass_office = Pass office
role-contact_centre = Contact centre
role-doctor = Doctor
role-nurse = Nurse
role-cashier = Cashier
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
role-may-manager = Looks at flows and doors by pseudonym, and exports
role-may-auditor = Reads and checks the audit log
role-may-privacy_officer = Answers requests about personal data and checks who looked
role-may-integrator = Joins other systems by the HTTP API
role-may-administrator = Everything, also accounts and roles

accounts-own = Nobody changes their own roles. Ask another administrator.
accounts-beyond = This reaches further than your own rights. Ask somebody who has them.

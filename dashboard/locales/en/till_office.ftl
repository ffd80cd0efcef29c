# Services, prices, terms, groups and discounts.
place-till-services = Services and prices
place-till-payers = Groups and contracts
place-till-terms = Terms of payment
place-till-scales = Discounts
place-till-overrides = More than a limit

till-office-save = Save
till-office-change = Change
till-office-search = Search
till-office-search-service = Code, name or other code
till-office-more = Further
till-office-none = none
till-office-choose = choose
till-office-show = Show
till-office-name = Name
till-office-code = Code
till-office-code-help = Letters, digits, points, hyphens and underscores, at most 40. It stays for ever.
till-office-code-drawn = Letters, digits, points and hyphens; empty: one is drawn. It stays for ever.
till-office-kind = Kind
till-office-currency = Currency
till-office-external = Code in other systems
till-office-external-help = What the medical or accounting system calls it; empty: the same code.
till-office-version = version { $a }
till-office-versions = Versions
till-office-since = since { $a }
till-office-from = From
till-office-from-help = Today: from now on. A later day: from its midnight. What was registered keeps its price.
till-office-first-day = First day
till-office-last-day = Last day
till-office-number = Record number of the patient
till-office-with-ended = also ended
till-office-left = left: { $a }
till-office-entry = audit entry { $a }

# Services
till-office-service = Service
till-office-service-new = New service
till-office-service-what = What it is
till-office-category = Category
till-office-name-in = Name ({ $a })
till-office-at-home = at home
till-office-at-home-long = At the patient’s home: always paid before, whatever the terms
till-office-ended = not given any more
till-office-ended-long = Not given any more; what was registered stays
till-office-price = Price
till-office-price-now = Price now
till-office-price-next = Planned
till-office-price-from = { $price } from { $from }
till-office-prices = Prices
till-office-no-price = no price
till-office-free = free of charge
till-office-not-sold = not sold
till-office-sold-price = the price above
till-office-or = Or
till-office-planned = planned
till-office-counts = counts now
till-office-set-price = New price
till-office-set-price-go = Set the price
till-office-no-services = No services yet
till-office-no-services-text = Make one, or take over a price list from a file.

# A price list from a file
till-office-import = Price list from a file
till-office-back-services = Services and prices
till-office-choose-file = Choose a file
till-office-another-file = Another file
till-office-file = CSV file
till-office-look = Look at it
till-office-file-help = Comma, semicolon or tab; UTF-8; columns in any order, only the first is needed. A price is an amount, the word free, or the word none for what is not sold any more; empty keeps it. Nothing is changed before you confirm. Up to 2 MiB; larger lists are taken at the server.
till-office-template = The list as it is now, to fill in
till-office-look-take = This is what would change. Nothing is changed yet.
till-office-look-same = Everything is so already.
till-office-look-faults = Nothing can be taken: correct these lines in the file and choose it again.
till-office-take = Take it exactly so
till-office-list-changed = Meanwhile somebody else changed something. This is what the file would change now.
till-office-counts-from = counts from { $a }
till-office-count-new = { $n } new
till-office-count-changed = { $n } changed
till-office-count-unchanged = { $n } unchanged
till-office-state-new = new
till-office-state-changed = changed
till-office-state-unchanged = unchanged
till-office-faults = What is wrong
till-office-line = Line
till-office-lines = Line by line
till-office-column = Column
till-office-wrong = What is wrong, and what to do
till-office-before = Before
till-office-after = After
till-office-stays = stays
till-office-service-changes = the service itself changes
till-office-stays-planned = stays planned: { $price } from { $from }
till-office-more-faults = { $n ->
    [one] and { $n } further fault
   *[other] and { $n } further faults
}
till-office-more-lines = { $n ->
    [one] and { $n } further line
   *[other] and { $n } further lines
}
till-office-fault-not_csv = This is not a CSV file in UTF-8. Save it as “CSV UTF-8”.
till-office-fault-too_much = More than 16 MiB or 50 000 rows. Take it in parts.
till-office-fault-empty = The file is empty. Its first line names the columns.
till-office-fault-column = This column is not known. Remove it or correct its name.
till-office-fault-column_twice = This column is there twice. Remove one.
till-office-fault-column_missing = This column must be there.
till-office-fault-fields = More fields than columns. Put fields with the separator into quotation marks.
till-office-fault-long = The field is longer than 1000 bytes.
till-office-fault-code = A code has 1 to 40 letters, digits, points, hyphens and underscores.
till-office-fault-twice = This stands on an earlier line already. Remove one of the two.
till-office-fault-differs = Another line of this service says otherwise. Write the same on both.
till-office-fault-name_missing = A new service needs a name. Fill in a column like name_en.
till-office-fault-text = One line without control characters: at most 120 for a name, 80 otherwise.
till-office-fault-flag = Write yes or no.
till-office-fault-currency = No currency in use. Write three capital letters, like EUR.
till-office-fault-zero = A price of 0 is written as the word free. Leave the field empty to keep the price.
till-office-fault-negative = A price is not negative.
till-office-fault-amount = Not an amount. Write it like 1018.00, or free, or none.
till-office-fault-digits = More digits after the decimal sign than the currency has.
till-office-fault-large = This amount is too large.
till-office-fault-person = No person, or more than one, has this number.
till-office-fault-day = Write a day as 2027-03-31.
till-office-fault-days = The last day lies before the first.

# Groups and contracts
till-office-payer-new = New group or contract
till-office-payer-what = What it is
till-office-payer-ended = Has ended: its terms count no more
till-office-has-ended = ended
till-office-no-payers = No groups or contracts yet
till-office-no-payers-text = A family, a firm, an insurer: whose members pay on terms of their own, or share one limit.
till-office-members = Members
till-office-no-members = Nobody belongs to it.
till-office-member-add = Add a member
till-office-member-add-go = Add
till-office-members-file = Members from a file
till-office-members-help = By record numbers. Who is not in the file stays what they are. Columns:
till-office-members-take = This is what would change. Nothing is changed yet.
till-office-members-same = All of them are members already.
till-office-members-changed = { $n ->
    [one] { $n } member to add or change
   *[other] { $n } members to add or change
}
till-office-leave = Ends today
till-office-terms-of-it = Terms for it
till-office-pot = Shared limit
till-office-pot-used = Used of the shared limit
till-office-pot-limit = May owe together
till-office-pot-go = Set the shared limit
till-office-pot-help = May be less than what is owed already: then nothing more goes until enough is paid. Terms must name it to count.
till-office-no-pot = None set.
till-office-used-of = { $used } of { $limit }

# Terms
till-office-terms-new = New terms
till-office-terms-own = Terms of their own
till-office-terms-count = { $n ->
    [one] { $n } in force or to come
   *[other] { $n } in force or to come
}
till-office-whom = For whom
till-office-owner-help = For one patient: look them up by number first.
till-office-mode = Paid
till-office-limit = Limit of each patient
till-office-limit-is = limit { $a }
till-office-limit-help = Postpaid only. Of a group: each member’s own limit. Empty: only the shared limit bounds.
till-office-pot-of = shared limit of { $a }
till-office-scheme = Discounts
till-office-scheme-is = discounts { $a }
till-office-priority = Priority
till-office-priority-is = priority { $n }
till-office-priority-help = 0 to 1000; the higher counts. Of equal ones: patient, contract, group, everybody.
till-office-valid = Valid
till-office-valid-now = in force
till-office-valid-later = to come
till-office-valid-over = over
till-office-withdraw = Withdraw
till-office-withdrawn = withdrawn
till-office-withdraw-help = They count no more from now on. What was registered on them stays as it is.
till-office-no-terms = No terms yet
till-office-no-terms-text = Without any, nothing can be registered. Begin with terms for everybody.
till-office-no-everybody = There are no terms for everybody today: for who belongs to no group and has none of their own, nothing can be registered.
till-office-overlap = { $owner }: { $counts } and { $hidden } have the same priority and days in common. { $counts } counts, { $hidden } does not.
till-office-for-patient = What counts for a patient today, and why
till-office-for-patient-help = By the number of the record; the look is recorded.
till-office-on-day = on { $a }
till-office-nothing-counts = Nothing counts: no service can be registered for this patient.
till-office-why = Why
till-office-why-counts = counts
till-office-why-priority = others have a higher priority
till-office-why-particular = others are more particular
till-office-why-older = an older one of the same kind counts
till-office-why-later = begins later
till-office-why-over = has ended
till-office-why-currency = another currency

# Discounts
till-office-discounts-text = The rate follows from the sum of services rendered to the patient before, after discounts. It counts for the whole service. A scale is used by naming it in terms; a change is a new version and touches nothing that was registered.
till-office-scheme-new = New scale
till-office-scheme-what = The scale
till-office-no-schemes = No scales yet
till-office-no-schemes-text = Make one and name it in terms of payment.
till-office-steps = Steps
till-office-steps-help = From this sum on, this rate. Sums rise; rows left empty count for nothing.
till-office-step = from { $from }: { $rate }
till-office-step-from = From a sum of
till-office-rate = Rate
till-office-rounding = Rounding
till-office-rounded = { $how }, to { $to }
till-office-unit = Rounded to
till-office-calculator = What it gives
till-office-calculator-text = Each price after all those before it. Nothing is registered.
till-office-before-sum = Rendered before
till-office-prices-line = Prices
till-office-prices-help = One in each line, or separated by semicolons; at most 50.
till-office-calculate = Calculate
till-office-discount = Discount
till-office-to-pay = To pay
till-office-next-step = Next step
till-office-total = Together

# More than a limit
till-office-allow = Allow more
till-office-allow-text = At most { $most } at once, for at most { $longest }. It opens registration at once, and is written into the audit log.
till-office-allow-go = Allow it
till-office-whose = Whose limit
till-office-other-patient = somebody else
till-office-or-pot = Or a shared limit
till-office-extra = More by
till-office-until = Until
till-office-how-long = For how long
till-office-hours = { $n ->
    [one] { $n } hour
   *[other] { $n } hours
}
till-office-reason = Reason
till-office-words = The reason in words
till-office-words-help = 10 to 500 characters; they stand in the audit log. No diagnosis.
till-office-end-now = End now
till-office-show-what = Show
till-office-show-open = open ones
till-office-show-all = all
till-office-override-open = open
till-office-override-ended = ended early
till-office-override-over = over
till-office-target-patient = patient
till-office-target-pot = shared limit
till-office-reason-emergency = life or health does not wait
till-office-reason-treatment = treatment must not be interrupted
till-office-reason-payment = the money is on its way
till-office-reason-surety = somebody stands surety
till-office-reason-mistake = the limit was set wrongly
till-office-reason-other = another reason
till-office-no-overrides = Nothing is allowed on top now
till-office-no-overrides-text = What is allowed stands here until it ends.

# Done
till-office-done-service = The service is saved.
till-office-done-price = The price is set.
till-office-done-same = Everything was so already; nothing was changed.
till-office-done-list = The price list is taken over.
till-office-done-payer = It is saved.
till-office-done-pot = The shared limit is set.
till-office-done-member = The member is added.
till-office-done-members = The members are taken over.
till-office-done-left = The membership ends today.
till-office-done-terms = The terms are saved.
till-office-done-withdrawn = The terms are withdrawn.
till-office-done-scheme = The scale is saved.
till-office-done-override = More is allowed now; registration is open at once.
till-office-done-ended = It is ended.

# What is wrong with what was typed
till-office-bad-code = A code has 1 to 40 letters, digits, points, hyphens and underscores, and begins with a letter or digit.
till-office-bad-code_taken = This code is there already. Choose another, or open what it stands for and change it.
till-office-bad-id = A code has 1 to 40 letters, digits, points, hyphens and underscores, and begins with a letter or digit.
till-office-bad-names = A service has a name in at least one language, of 1 to 120 characters in one line.
till-office-bad-name = A name has 1 to 120 characters in one line.
till-office-bad-category = A category has at most 80 characters in one line.
till-office-bad-external = The other code has at most 80 characters in one line, and belongs to one only.
till-office-bad-service = There is no such service.
till-office-bad-price = This is not a price. Write it like 1018.00, not negative, with as many digits as the currency has.
till-office-bad-zero = A price of 0 is not typed as a number: choose “free of charge” instead.
till-office-bad-prices = Write up to 50 amounts that are not negative, one in each line.
till-office-bad-before = The sum before is an amount like 12400.00.
till-office-bad-from = Choose a day: for prices today or a later one, until the year 2200.
till-office-bad-until = Choose a last day that does not lie before the first.
till-office-bad-until_at = Choose for how long; at most { $a }.
till-office-bad-file = Choose a CSV file that is not empty, of at most 2 MiB.
till-office-bad-number = No patient, or more than one, has this number.
till-office-bad-kind = A group stays a group and a contract a contract. Make another one.
till-office-bad-limit = A limit is an amount like 2500.00, not negative.
till-office-bad-currency = This currency cannot be used here. Write three capital letters, like EUR; a scale keeps its currency, and more than a limit is allowed in the clinic’s currency only.
till-office-bad-terms = This makes no sense: postpaid terms need a limit or a shared limit, the others have none; the last day does not lie before the first.
till-office-bad-mode = Choose how services are paid.
till-office-bad-priority = A priority is a whole number from 0 to 1000.
till-office-bad-pot = This group or contract has no shared limit in this currency. Set one first.
till-office-bad-scheme = There is no scale of discounts of this code in this currency.
till-office-bad-owner = Say whose limit: a patient’s number or a shared limit. At most ten may be open at once.
till-office-bad-owner_twice = A patient or a shared limit, not both.
till-office-bad-steps = A scale has 1 to 50 steps; sums rise and are not negative; rates are at most 100 %. Rounding is to 1 to 100 000 minor units.
till-office-bad-rate = A rate is a per cent from 0 to 100 with at most two digits after the decimal sign.
till-office-bad-rounding = Choose how to round.
till-office-bad-unit = Rounded to: an amount like 0.01 or 1.00.
till-office-bad-extra = Allow more than 0 and at most { $a }.
till-office-bad-reason_code = Choose a reason.

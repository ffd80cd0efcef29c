# The till’s figures, statements and papers.
place-till-statements = Statements
place-till-exposure = Limits and debts
place-till-revenue = Revenue
place-till-discounts = Discounts given
place-till-ageing = Unpaid by age

# Papers: receipts, slips, statements, closings.
paper-page = Page { $n } of { $m }
paper-receipt-paid = Receipt
paper-receipt-refunded = Money given back, no.
paper-receipt-returned = Payment taken back, no.
paper-receipt-short = receipt
paper-total-paid = Paid
paper-total-refunded = Given back
paper-total-returned = Taken back
paper-when = When
paper-day = Day
paper-patient = Patient
paper-payer = Payer
paper-method = How
paper-no = No.
paper-service = Service
paper-price = Price
paper-discount = Discount
paper-to-pay = To pay
paper-paid = Paid
paper-together = Together
paper-rest-deposit = Deposit of the patient
paper-was-returned = This payment was taken back later: the services are to be paid again.
paper-slip = What was done on { $a }
paper-slip-none = On this day nothing was registered or paid, and nothing is open.
paper-made = As of
paper-services = Services
paper-payments = Payments
paper-payment = Payment
paper-open-now = Open now
paper-open-rendered = To pay for what was rendered
paper-open-ordered = To pay before it is rendered
paper-held = Paid and not rendered yet
paper-deposit = Left of the deposit
paper-limit = Limit for paying afterwards
paper-limit-left = { $left } left of { $limit }
paper-statement-patient = Statement
paper-statement-payer = Statement of a group or contract
paper-statement-everybody = Daybook of the clinic
paper-statement-cashier = Statement of a cashier
paper-statement-shift = Statement of a shift
paper-days = Days
paper-currency = Currency
paper-what = What
paper-charged = Charged
paper-credited = Paid or taken back
paper-within = From the deposit
paper-in = Cash in
paper-out = Cash out
paper-not-cash = Not in cash
paper-balance = Balance
paper-opening = At the beginning
paper-closing = At the end
paper-drawer = Closing of drawer { $drawer }, shift { $no }
paper-cashier = Cashier
paper-opened = Opened
paper-closed = Closed
paper-not-closed = not closed yet
paper-by-method = By method
paper-count = Payments
paper-taken = Taken
paper-given = Given back
paper-counted-title = Counted
paper-should = Should be
paper-counted = Counted
paper-difference = Difference
paper-slips = card slips
paper-float = Change put in
paper-difference-reason = Why there is a difference
paper-reason-change = mistake when giving change
paper-reason-counting = mistake when counting
paper-reason-counterfeit = false note or coin
paper-reason-slips = slips of the terminal
paper-reason-unexplained = nobody knows
paper-reason-other = other; the audit log has the words
paper-waiting = Payments that wait for the terminal
paper-signatures = Cashier: ______________________     Received by: ______________________
paper-day-closing = Closing of { $a }
paper-day-nothing = On this day nothing was charged or paid.
paper-day-in = In { $a }
paper-day-charges = Services registered
paper-day-cancelled = Services taken back
paper-day-revenue = Services at their price
paper-day-net = After discounts
paper-day-deposit-in = Into deposits
paper-day-deposit-out = Out of deposits
paper-day-unpaid-count = Charges not paid
paper-day-unpaid = Not paid
paper-last-row = Last row of the ledger
paper-audit-entry = Entry of the audit log

# Figures.
report-from = From
report-until = Until
report-paper = On paper
report-cut = { $n ->
    [one] One more row is in the file.
   *[other] { $n } more rows are in the file.
    }
report-none-title = Nothing here
report-none-text = There is nothing for these days and this currency.
report-problem-denied = Your role does not show this statement.
report-problem-none = There is no such patient, group, cashier or shift.
report-problem-days = Choose fewer days: the first one must not lie after the last, and a statement has at most 20,000 lines.
report-problem-which = Type of whom or what the statement is.
report-problem-typed = Something that was typed cannot be understood. Correct it and ask again.
report-per-cent = { $n } %
report-groups = Groups and contracts
report-group = Group or contract
report-shared-limit = Shared limit
report-no-pot = none
report-used = Used
report-share = Share
report-owed = Owed
report-owing = Owing / members
report-limit = Limit
report-patients = Patients
report-overrides = Allowed on top of limits
report-whose = Whose limit
report-extra = On top
report-why = Why
report-by = By
report-state = State
report-open = in force
report-over = over
report-ended = ended
report-only-near = only from 80 % on
report-near = { $n ->
    [0] No limit is near its end
    [one] One limit is near its end
   *[other] { $n } limits are near their end
    }
report-sum-by = Summed up by
report-by-service = Service
report-by-staff = Specialist
report-by-room = Room
report-by-hour = Hour
report-by-day = Day
report-nowhere = without
report-earned = { $net } after discounts of { $discount }
report-written-off = Written off
report-rendered = Rendered
report-cancelled = Taken back
report-net = After discounts, { $a }
report-discounted = { $discount } on prices of { $gross }
report-scheme = Scheme
report-scheme-version = { $name }, version { $version }
report-step = From
report-rate = Rate
report-age = { $a } days
report-charges = Charges
report-by-terms = By terms
report-terms-of = Terms of
report-oldest = Oldest
report-old = { $n ->
    [0] Nobody owes anything for more than 90 days
    [one] One patient owes something for more than 90 days
   *[other] { $n } patients owe something for more than 90 days
    }
report-of = Statement of
report-id = Id
report-of-everybody = the whole clinic
report-of-patient = a patient
report-of-payer = a group or contract
report-of-cashier = a cashier
report-of-shift = a shift
report-lines = { $n ->
    [one] One line
   *[other] { $n } lines
    }

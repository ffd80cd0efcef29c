# The cashier’s pages.
place-till = Cash desk
place-till-payments = Payments
place-till-drawer = My drawer
place-till-requests = Requests
place-till-notices = Unmatched payments
place-till-days = Days and closing
cashier-lacking-title = Your role does not show accounts
cashier-lacking-text = It may take payments, but not see what patients were charged. Whoever manages roles adds “see what a patient was charged, owes and has paid”.

# Finding
cashier-find = Patient
cashier-find-help = Beginnings of names: “iva ole”. A whole record number. Or hold the card to the reader.
cashier-none-text = Check the spelling, or ask for the card or the record number.
cashier-no-find = Your role does not look for people. Pick the patient from the list, or hold the card to the reader.
cashier-locked = Names cannot be searched now: the identity vault is locked. Use the card or the record number.
cashier-card-unknown = This card belongs to nobody here. Look for the patient by name.
cashier-serial-on = The reader is connected. A card held to it opens the patient’s account.
cashier-to-pay = To be paid
cashier-to-pay-none = Nobody has anything to pay
cashier-to-pay-none-text = As soon as a service is registered that is to be paid, the patient stands here.
cashier-day = Day
cashier-col-items = Items
cashier-col-last = Last
cashier-items = { $n ->
    [one] { $n } item
   *[other] { $n } items
}

# The account
cashier-account = Account
cashier-no-terms = no terms of payment
cashier-slip = Slip for the patient
cashier-statement = Statement
cashier-next-patient = Next patient
cashier-fact-total = To pay
cashier-fact-owed = Owed for services
cashier-fact-ordered = Ordered, to be paid first
cashier-fact-deposit = Deposit
cashier-fact-held = Paid, not rendered yet or on its way back
cashier-limit-own = Postpaid limit
cashier-limit-pot = Limit of the group
cashier-left-of = { $left } left of { $limit }
cashier-open-items = To be paid
cashier-all-paid = Everything is paid
cashier-all-paid-text = There is nothing open on this account.
cashier-tick = Pay this
cashier-col-service = Service
cashier-col-price = Price
cashier-of-it-paid = { $a } settled
cashier-col-open = Open
cashier-col-pay = Pay now
cashier-more-items = { $n ->
    [one] { $n } more item is open. It is shown when some of these are paid; “pay everything” pays it too.
   *[other] { $n } more items are open. They are shown when some of these are paid; “pay everything” pays up to 500 at once.
}
cashier-pay = Payment
cashier-ticked = Ticked
cashier-col-method = Method
cashier-no-cash = Cash needs an open drawer.
cashier-terminal = Terminal
cashier-by-hand = by hand: the slip’s number is typed
cashier-slip-or-reference = Number of the slip, or reference of the transfer
cashier-received = Received
cashier-change = Change to give back
cashier-keep = What is left over goes into the deposit
cashier-pay-all = Pay everything: { $a }
cashier-pay-ticked = Pay what is ticked…
cashier-pay-help = “Pay everything” takes the money at once. What is ticked is shown once more before it is taken.
cashier-amount = Amount
cashier-pay-in = Pay into the deposit
cashier-pay-in-text = The patient pays before services; on deposit terms they are taken from it.
cashier-pay-in-go = Pay in…
cashier-give-back = Give back from the deposit
cashier-give-back-text = In the deposit: { $a }.
cashier-alone = Up to { $a } you give back alone; more than that somebody else must allow.
cashier-never-alone = Somebody else must allow it.
cashier-back-how = Given back by
cashier-back-to-card = to the card of payment { $no }, at { $terminal }: up to { $left }
cashier-to-the-card = to the card that paid, at its terminal
cashier-back-too-much = There is only { $a } in the deposit.
cashier-write-off = Ask for a write-off
cashier-write-off-text = What is owed will not be paid. Somebody else must allow it; until then nothing changes.
cashier-write-off-all = Empty: all of what is open.
cashier-write-off-go = Ask for it
cashier-reason = Reason
cashier-words = In your words (10 to 500 characters)
cashier-choose = Choose…
cashier-continue = Continue…
cashier-waits = Waits for a decision
cashier-paid-orders = Paid, to be rendered
cashier-lately = Earlier services
cashier-no-lately = No earlier services
cashier-no-lately-text = What is paid or taken back stands here.
cashier-no-payments = No payments
cashier-no-payments-text = Nothing was taken or given back here yet.
cashier-receipt = Receipt
cashier-earlier-service = an earlier service
cashier-a-payer = a group or contract

# What was done
cashier-said-paid = { $amount } taken, { $method }. Receipt { $no }.
cashier-said-refunded = { $amount } given back, { $method }. Receipt { $no }.
cashier-said-returned = { $amount } taken back, { $method }. Receipt { $no }.
cashier-done-paid = Paid.
cashier-done-paid_in = Paid in.
cashier-done-refunded = Given back.
cashier-done-asked = Asked for. Somebody else decides; until then nothing changes.
cashier-done-returned = The payment was taken back. What it paid is open again.
cashier-done-opened = Your drawer is open.
cashier-done-closed = The drawer is closed.
cashier-done-day_closed = The day is closed.
cashier-done-allowed = Allowed and done.
cashier-done-refused = Refused.
cashier-done-aside = Put aside.

# What is wrong with a form
cashier-amount-bad = This is not an amount. Write it like 1018.00.
cashier-amount-fine = { $n ->
    [0] This currency has no digits after the decimal sign.
   *[other] This currency has { $n } digits after the decimal sign.
}
cashier-amount-large = This amount is larger than the till can hold.
cashier-amount-negative = An amount is not below zero.
cashier-amount-missing = Type an amount.
cashier-no-method = Choose how the money moves.
cashier-no-slip = Type the number on the terminal’s slip, or choose a terminal.
cashier-no-reference = Type the reference of the transfer.
cashier-no-reason = Choose a reason.
cashier-no-charge = Choose the service.
cashier-no-verdict = Choose whether it is allowed.
cashier-nothing-ticked = Tick what is to be paid.
cashier-part-too-much = { $part } is more than what is open: { $open }.
cashier-received-short = { $a } is missing. Take it, or pay less of the items.
cashier-over-not-cash = Only cash gives change. Let the rest go into the deposit, or correct what was received.
cashier-problem-amount = There is not so much: look at what is in the drawer and in the deposit.
cashier-problem-payment = This payment cannot be taken back: its drawer is closed, or there is not so much cash in it. Take the service back and give the money back instead.
cashier-problem-notice = This notice is dealt with already, or nothing can be done with it.
cashier-problem-rest_to_deposit = What is left over must go into the deposit, or the amounts must fit.
cashier-problem-drawer = Give the drawer a name of 1 to 40 characters.
cashier-problem-float = The change in the drawer is an amount that is not below zero.
cashier-problem-counted = What was counted is an amount that is not below zero.
cashier-problem-card = The sum of the slips is an amount that is not below zero.
cashier-problem-terminal = There is no such terminal. Choose another one, or type the slip’s number.
cashier-problem-external = The number of a slip or a reference has 1 to 64 letters and digits without spaces, and no personal data.
cashier-problem-parts = At most 500 services are paid at once.
cashier-problem-key = This form is not complete. Open the page anew.
cashier-problem-day = The day cannot be closed yet.
cashier-problem-method = This method is not possible here. Choose another one.

# What will happen
cashier-back = Back
cashier-by-cash = in cash
cashier-by-card = by card
cashier-by-transfer = by transfer
cashier-by-deposit = from the deposit
cashier-sure-take = Take { $amount } { $how }
cashier-sure-whole = { $no } · { $name }: { $part }, then it is paid.
cashier-sure-part = { $no } · { $name }: { $part }; { $left } stays open.
cashier-sure-more = { $n ->
    [one] and { $n } more
   *[other] and { $n } more
}
cashier-sure-rest = { $a } goes into the deposit.
cashier-sure-terminal = The terminal asks for the card at once.
cashier-sure-pay-in = Pay in { $amount } { $how }
cashier-sure-deposit = The deposit is { $before } now and { $after } afterwards.
cashier-sure-give = Give back { $amount } { $how }
cashier-sure-ask = Ask to give back { $amount } { $how }
cashier-sure-reason = Reason: { $a }.
cashier-sure-second = Nothing is given back yet: somebody else must allow it.
cashier-sure-return = Take back the payment of { $a }
cashier-sure-reopen = { $n ->
    [one] { $n } service is open again.
   *[other] { $n } services are open again.
}
cashier-sure-out-of-deposit = { $a } is taken out of the deposit.
cashier-sure-return-stays = The payment stays on record; a second one says that it was taken back.
cashier-sure-assign = This payment of { $a } is this patient’s

# Payments
cashier-payment = Payment
cashier-payment-title = Payment { $no }
cashier-payment-unnumbered = Payment without a receipt
cashier-kind-paid = paid
cashier-kind-refunded = given back
cashier-kind-returned = taken back
cashier-payment-waiting = at the terminal
cashier-payment-done = done
cashier-payment-failed = did not come about
cashier-payment-returned = taken back
cashier-fault-declined = declined
cashier-fault-cancelled = broken off
cashier-fault-not_asked = the terminal was never asked
cashier-fault-broken = the terminal could not do it
cashier-return-card_reversed = the bank took the card payment back
cashier-return-transfer_bounced = the transfer bounced
cashier-return-mistake = a mistake at the cash desk
cashier-return-service_reversed = the payment service took it back
cashier-return-other = something else
cashier-refund-wish = the patient wants it back
cashier-refund-service_cancelled = a service was taken back
cashier-refund-overpaid = too much was paid
cashier-refund-other = something else
cashier-write-off-hardship = the patient cannot pay
cashier-write-off-unreachable = the patient cannot be reached
cashier-write-off-clinic_fault = the clinic made a mistake
cashier-write-off-small = too little to ask for
cashier-write-off-other = something else
cashier-col-receipt = Receipt
cashier-col-when = When
cashier-col-what = What
cashier-from = From
cashier-until = Until
cashier-clear = Show all
cashier-by = Cashier
cashier-begun = Begun
cashier-ended = Done
cashier-source = Terminal or service
cashier-external = Its number
cashier-fault = Why not
cashier-paid-items = What it paid
cashier-reverses = The payment that this one takes back
cashier-refunds = The payment whose money goes back to its card
cashier-to-account = Patient’s account
cashier-take-back = This payment did not hold: take it back
cashier-take-back-text = When the bank took the money back, or it was a mistake. What it paid is open again.
cashier-at-terminal = The terminal waits for the card
cashier-at-terminal-text = The page goes on by itself. Leaving it changes nothing: the payment is asked about until it is known.
cashier-break-off = Break off
cashier-back-at-terminal = The terminal gives the money back to the card
cashier-back-at-terminal-text = The amount is set aside from the deposit. The page goes on by itself. Leaving it changes nothing: the terminal is asked until it is known.
cashier-terminal-silent = The terminal does not answer. Whether the money was taken is not known yet; the payment is asked about until it is.

# The drawer
cashier-drawer-is-open = Drawer { $a } is open
cashier-drawer-is-closed = No drawer is open
cashier-drawer-go = Open the drawer
cashier-drawer-open = open
cashier-drawer-closed = closed
cashier-drawer-taken = This drawer is open already, or you have another one open. Close it first, or take another drawer.
cashier-drawer-moved = Money came or went since this page was shown. Count again and compare with what should be there now.
cashier-drawer-waits = A payment still waits for its terminal. Break it off or wait, then close the drawer.
cashier-drawer = Drawer
cashier-drawer-help = The name that stands on it. One cashier at a drawer.
cashier-float = Change put in
cashier-float-help = Cash from the safe that is in the drawer at the beginning. Empty: nothing.
cashier-open-drawer = Open the drawer
cashier-close-drawer = Close the drawer
cashier-close-text = What was counted goes to the safe. A closed drawer is not opened again; the next shift begins with a new one.
cashier-cash-expected = Cash that should be there
cashier-card-expected = Card slips should be
cashier-opened = Opened
cashier-closed = Closed
cashier-shift-no = Shift
cashier-by-method = By method
cashier-col-count = Payments
cashier-col-taken = Taken
cashier-col-given = Given back
cashier-look = Look
cashier-count-pieces = Count note by note
cashier-counted = Counted
cashier-counted-help = All cash in the drawer. Count it before you look at what should be there.
cashier-slips = Sum of the card slips
cashier-slips-help = From the terminal’s own closing. Empty is allowed when there were no card payments.
cashier-difference = Difference
cashier-difference-reason = Why it differs
cashier-no-difference = nothing differs
cashier-difference-change = a mistake when giving change
cashier-difference-counting = a mistake when counting
cashier-difference-counterfeit = a false note or coin
cashier-difference-slips = a slip is missing or too much
cashier-difference-unexplained = nobody knows
cashier-difference-other = something else
cashier-difference-why = It differs: cash { $cash }, cards { $card }. Count again, or choose why and say it in your words.
cashier-pieces-bad = The number of notes or coins is a whole number.
cashier-pieces-differ = The sum typed is { $sum }, the notes and coins are { $pieces }. Correct one of them.
cashier-count-first = Count the cash first: type the sum, or the number of notes and coins. An empty drawer is 0.
cashier-slips-first = There were card payments: type the sum of the slips.
cashier-closing-paper = Closing paper
cashier-to-desk = To the cash desk
cashier-earlier = My earlier shifts
cashier-all-drawers = All drawers
cashier-other-drawer = Another cashier’s drawer
cashier-no-drawers = No drawers
cashier-no-drawers-text = As soon as a cashier opens a drawer, it stands here.

# Days
cashier-no-days = No days
cashier-no-days-text = Days with money or services stand here.
cashier-day-closed = closed
cashier-day-ready = can be closed
cashier-day-open = open
cashier-day-closed-by = Closed { $at } by { $by }. Nothing is posted to it any more.
cashier-day-hindered = The day cannot be closed yet. What hinders it stands below.
cashier-day-close = Close { $a }
cashier-day-close-text = A closed day stays as it is for good: nothing is posted to it any more, and it is not opened again. What comes later counts to the next day.
cashier-empty-day = Nothing happened on this day.
cashier-hinders = What hinders the closing
cashier-hinders-future = The day has not come yet.
cashier-hinders-earlier = { $a } is not closed yet.
cashier-hinders-shift = Drawer { $a } is open.
cashier-hinders-waiting = { $n ->
    [one] { $n } payment waits for its terminal.
   *[other] { $n } payments wait for their terminals.
}
cashier-col-money = Money taken
cashier-sum-charges = Services registered
cashier-sum-cancelled = Taken back
cashier-sum-revenue = Revenue
cashier-sum-discounts = Discounts
cashier-sum-written-off = Written off
cashier-sum-deposit-in = Into deposits
cashier-sum-deposit-out = Out of deposits
cashier-sum-difference = Differences of cash
cashier-sum-unpaid = Unpaid

# Requests
cashier-request-write_off = write-off
cashier-request-refund = money back
cashier-asked-asked = to be decided
cashier-asked-allowed = allowed
cashier-asked-refused = refused
cashier-request-title = Request { $no }
cashier-asked-by = Asked by
cashier-asked-at = Asked
cashier-decided-by = Decided by
cashier-decided-at = Decided
cashier-verdict = Decision
cashier-allow-write-off = Allow: { $a } is written off at once.
cashier-allow-refund = Allow: { $a } is given back at once.
cashier-refuse = Refuse: nothing changes.
cashier-decide = Decide
cashier-col-no = No.
cashier-no-requests = No requests
cashier-no-requests-text = Write-offs and money back that somebody asks for stand here until somebody else decides.

# Payments that nobody could be found for
cashier-notice = Unmatched payment
cashier-notice-kind-paid = money came
cashier-notice-kind-reversed = taken back
cashier-notice-done = done
cashier-notice-unassigned = for nobody yet
cashier-notice-put_aside = put aside
cashier-no-notices = No unmatched payments
cashier-no-notices-text = Money that a payment service told of and that belongs to nobody known stands here.
cashier-notice-for = For whom
cashier-notice-for-help = The patient’s record number, or the pseudonym from the account. It pays the oldest items; the rest goes into the deposit.
cashier-notice-whom = Type a record number or a pseudonym.
cashier-notice-nobody = Nobody has this number. Check it, or find the patient at the cash desk.
cashier-notice-several = Several people have this number. Find the patient at the cash desk and use the pseudonym.
cashier-aside = Put aside
cashier-aside-text = It is dealt with outside the till, for example sent back by the bank.

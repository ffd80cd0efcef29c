# The second step of signing in, one's own second factor and address.

sign-in-busy = Very many people are signing in at this moment. Nothing was checked yet. Try again in { $a }.
step-lapsed = The second step took too long. Sign in again.
step-title = One more step
step-text = Open the authenticator on your telephone and type the six digits that it shows for this clinic.
step-code = Code
step-help = Telephone not at hand? Type one of your recovery codes instead; each works once. None left? An administrator resets your second factor.
code-wrong = This code is wrong or was used before. Wait for the next one, and check the time on the telephone.

enrol-title = Set up the second factor
enrol-needed = Your role needs a second factor besides the password. It takes a minute, once.
enrol-scan = Open an authenticator on your telephone, for example Aegis, FreeOTP or Google Authenticator, and scan this picture.
enrol-then = Type the six digits that it shows.
enrol-picture = Picture to scan with the telephone
enrol-by-hand = Cannot scan? Type a key instead
enrol-code = Six digits
enrol-confirm = Confirm
cancel-change = Not now
codes-title = Your recovery codes
codes-text = For the day when the telephone is lost. Each of these works once instead of the six digits.
codes-once = Print them or write them down now: they are never shown again. Keep them away from this computer.
codes-kept = I have kept them

me-look = Language and look
me-done-factor = The second factor is set up. Other sessions have ended.
me-done-factor_removed = The second factor is removed. Other sessions have ended.
me-done-email = The address is confirmed. Notices go there from now on.
me-done-email_asked = A letter with a link is on its way. The address counts when you have followed the link.
me-done-email_removed = The address is removed.
factor-title = Second factor
factor-on = on
factor-off = off
factor-text = With a code from your telephone at each sign-in, a password that somebody has seen is of no use to them.
factor-needed = Your role needs a second factor: it can be set up anew, not removed.
factor-since = Set up on { $a }
factor-left = { $n ->
    [0] No recovery code is left. Draw new ones now.
    [one] { $n } recovery code is left.
   *[other] { $n } recovery codes are left.
}
factor-begin = Set it up
factor-again = Set it up on another telephone
factor-codes = New recovery codes
factor-remove = Remove it
email-title = Address for notices
email-text = You are told by e-mail when your password or second factor changes, or somebody signs in from a new browser.
email-field = E-mail address
email-new = Another e-mail address
email-bad = This is not an e-mail address. Write it like name@clinic.example
email-waiting = { $a } waits to be confirmed: follow the link in the letter.
email-ask = Send the confirmation
email-remove = No more notices
email-confirm-title = Is this your address?
email-confirm-text = Notices about your account will go to { $a }.
email-confirm = Yes, confirm
email-spent = The link was used, is older than 24 hours, or belongs to another account. Ask for a new letter.

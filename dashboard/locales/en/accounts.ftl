# Signing in, one's own account, accounts of staff.

sign-in = Sign in
sign-in-title = Sign in
sign-in-help = No account, or the password is lost? An administrator makes you a new sign-in link.
sign-in-wrong = The name or the password is wrong.
sign-in-wait = Too many wrong tries. Wait { $a }, then try again.
signed-out = You are signed out.
sign-out = Sign out
login = Sign-in name
login-help = Letters a to z, digits and . _ @ -
login-bad = A sign-in name has 1 to 64 of the letters a to z, digits and . _ @ -
login-taken = This sign-in name is taken. Choose another one.
shown-name = Name shown to others
shown-name-bad = A name has at most 80 characters, all on one line.
password = Password
new-password = New password
current-password = Current password
your-password = Your password, to confirm
password-again = The same once more
password-help = { $n } characters or more. A short sentence is easy to remember.
password-differs = The two passwords differ. Type the new one twice.
password-wrong = The current password is wrong.
password-short = Too short: take at least 12 characters. A short sentence is easy to remember.
password-long = Too long: take at most 256 characters.
password-common = This is one of the passwords that are tried first. Take another one.
password-pattern = This repeats a few characters or counts up. Take another one.
password-about-you = This is made from your sign-in name or the name of the site. Take another one.
password-weak = This can be guessed. One or two unusual words more make it good.
set-password = Set the password
change-password = Change the password

welcome-title = Welcome to Tapward
welcome-text = This link works once. Choose the name and password of the first administrator.
welcome-go = Make the account and begin
new-password-title = Choose a password
new-password-text = This link works once. Afterwards you are signed in here and signed out everywhere else.
spent-title = This link does not work any more
spent-text = It has been used or is older than 24 hours. Ask an administrator for a new one. At the first start, restart Tapward: it prints a new link.

role = Role

me-title = My account
me-sessions = Where I am signed in
me-sessions-text = End what you do not recognise, then change the password.
me-this = this one
me-opened = since { $a }
me-done-password = The new password is set. Other sessions have ended.
me-done-sessions = Ended.
end-session = End
end-others = End all others

accounts-title = Accounts
accounts-count = { $n ->
    [one] { $n } account
   *[other] { $n } accounts
}
accounts-confirm-wrong = Your own password is wrong. Nothing was changed.
accounts-done-role = The role is changed. It counts from the next click.
accounts-done-disable = The account is closed and signed out everywhere.
accounts-done-enable = The account is open again.
accounts-done-factor = The second factor is taken away; the next sign-in sets up a new one where one is needed.
accounts-done-end = All its sessions have ended.
account-signed-in = { $n ->
    [one] signed in
   *[other] signed in, { $n } places
}
new-account = New account
new-account-text = You get a link to pass on. Its reader chooses the password; you never see it.
create-account = Create and get the link
link-title = Link for { $a }
link-text = Pass it on now, it is shown only once. It works once and for 24 hours.
make-link = New password link
end-sessions = Sign out everywhere
reset-factor = Take the second factor away
accounts-no-factor = This account has no second factor.
close-account = Close the account
open-account = Open the account
last-sign-in = Last sign-in
you = you
never = never

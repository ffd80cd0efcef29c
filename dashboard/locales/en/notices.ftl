# Notices: the page, and the letters.

place-notices = Notices
notices-title = E-mail notices
notices-empty-title = Nothing was to be told yet
notices-empty-text = Notices about accounts, broken glass and alarms stand here with their fate.
notices-bad-filter = This filter cannot be read. Choose from the lists.
notices-test = Send me a test
notices-done-test = A test is on its way to your address. Its fate appears here.
notices-done-no_address = Your account has no confirmed address. Set one on the page My account.
notice-to = To
notice-to-all = Everybody who may: { $a }
notice-to-nobody = Nobody
notice-said = The server said: { $a }
notice-sent-at = Sent { $a }.
notice-tries = { $n ->
    [one] Tried { $n } time.
   *[other] Tried { $n } times.
}
notice-next = Again in { $a }.
notice-state-queued = waits
notice-state-sent = sent
notice-state-failed = tried again
notice-state-gave_up = given up
notice-reply-no_address = Nobody concerned has a confirmed address.
notice-reply-no_server = No mail server is configured.
notice-reply-expired = Not sent within a day.
notice-reply-away = The mail server is not reached.
notice-reply-tls = The connection could not be protected.
notice-reply-login = The mail server does not let us in: check user and password.
notice-reply-later = The mail server refused for now.
notice-reply-refused = The mail server refused.
notice-reply-letter = The letter could not be written.
notice-kind-registered = New account
notice-kind-password_changed = Password changed
notice-kind-password_link = Password link
notice-kind-factor_changed = Second factor changed
notice-kind-factor_guessed = Wrong codes
notice-kind-new_device = New browser
notice-kind-roles_changed = Roles changed
notice-kind-account_closed = Account closed
notice-kind-email_confirm = Address to confirm
notice-kind-email_changed = Address changed
notice-kind-break_glass = Broken glass
notice-kind-vault_locked = Vault locked
notice-kind-audit_alarm = Audit log
notice-kind-api_key = Key of the HTTP API
notice-kind-critical_alarm = Alarm
notice-kind-irregular_overdue = Not reviewed
notice-kind-test = Test

notice-link-help = The link works once and for 24 hours. Nobody will ask you for it.
notice-link-path = Open the pages of Tapward and go to { $a }
notice-foot = Tapward at { $site }, about your account { $login }. Nobody reads answers to this address.
notice-subject-registered = your account
notice-body-registered = An account { $login } was made for you. Follow this link and choose a password that only you know.
notice-subject-password_changed = your password was changed
notice-body-password_changed =
    The password of your account was changed { $when }, from the computer { $address }.

    Was it not you? Tell an administrator at once.
notice-subject-password_link = a link for a new password
notice-body-password_link =
    An administrator made this link for you. Follow it and choose a new password.

    Did you not ask for it? Leave the link alone and tell an administrator.
notice-subject-factor_changed = your second factor
notice-body-factor_changed =
    { $what ->
        [set_up] A second factor was set up for your account { $when }.
        [removed] The second factor of your account was removed { $when }.
        [reset] An administrator reset the second factor of your account { $when }. Set it up again at your next sign-in.
        [codes_drawn] New recovery codes were drawn { $when }. The old ones do not work any more.
        [recovery_used] One of your recovery codes was used to sign in { $when }.
       *[other] The second factor of your account was changed { $when }.
    }

    Was it not you? Tell an administrator at once.
notice-subject-factor_guessed = somebody knows your password
notice-body-factor_guessed =
    Somebody gave your right password and several wrong codes { $when }, from the computer { $address }.

    Was it not you? Change your password now.
notice-subject-new_device = sign-in from a new browser
notice-body-new_device =
    Your account was used { $when } in a browser that it was not used in before: { $agent }, from the computer { $address }.

    Was it not you? Change your password, end that session on the page My account, and tell an administrator.
notice-subject-roles_changed = your roles were changed
notice-body-roles_changed = The roles of your account were changed { $when }. Sign in to see what you may do now.
notice-subject-account_closed = your account was closed
notice-body-account_closed = Your account was closed { $when }. If this is a mistake, speak with an administrator.
notice-subject-email_confirm = confirm your address
notice-body-email_confirm = Somebody, probably you, wants notices about the account { $login } to go to this address. Follow this link to confirm it. Otherwise do nothing.
notice-subject-email_changed = notices go elsewhere now
notice-body-email_changed =
    Notices about your account do not come to this address any more, since { $when }.

    Was it not you? Tell an administrator at once.
notice-subject-break_glass = somebody broke glass
notice-body-break_glass = { $login } broke glass { $when } and sees more than the role shows, for { $minutes } minutes. The reason stands on the page of reviews. Please review it.
notice-subject-vault_locked = the vault is locked
notice-body-vault_locked = The identity vault is locked since { $when }: names and photographs are not shown. Doors work. Unlock it on the page of the vault.
notice-subject-audit_alarm = the audit log needs you
notice-body-audit_alarm = The audit log does not fit what was published of it, or cannot be published, since { $when }. See its page for what and where.
notice-subject-api_key = a key of the HTTP API
notice-body-api_key = The key { $name } of the HTTP API was made or ends soon, { $when }. See the page of keys.
notice-subject-critical_alarm = alarm
notice-body-critical_alarm = { $reason } at { $point }, { $when }. See the live page.
notice-subject-irregular_overdue = work without the card waits for a review
notice-body-irregular_overdue = { $new } more cases of work without the card were not reviewed in time, { $when }; { $waiting } wait for too long. Please review them on the page of work without the card.
notice-subject-test = mail works
notice-body-test = This is the test that you asked for { $when }. Mail from Tapward reaches you.

# The identity vault: its state, its keys.

place-vault = Identity vault
vault-title = Identity vault
vault-open = Open
vault-locked = Locked
vault-elsewhere = At the workstations
vault-state = State
vault-about = Names, documents and photographs are kept encrypted. While the vault is locked, doors and pages go on; people are shown as numbers.
vault-persons = People
vault-erased = Erased
vault-count = { $n }
vault-source = The key comes from
vault-source-own = a file in the data folder
vault-source-file = a file on a medium
vault-source-passphrase = a passphrase
vault-source-workstation = the workstations
vault-key = Number of the key
vault-since = Open since

vault-passphrase = Passphrase
vault-passphrase-new = New passphrase
vault-passphrase-again = The same once more
vault-passphrase-help = At least 16 characters, for example five words without a connection. Nobody can restore a lost one: keep it in a safe place.
vault-unlock = Open the vault
vault-set = Set the passphrase
vault-reopen = Try again
vault-lock = Lock the vault
vault-lock-help = Names and photographs disappear from all pages until the vault is opened again.

vault-keys = Keys
vault-keys-locked = Keys can be changed when the vault is open.
vault-changing = The keys are being changed. Everything works meanwhile, and it goes on by itself after a restart.
vault-left = { $n ->
    [one] One person is left
   *[other] { $n } people are left
}
vault-rotate = Change the key
vault-rotate-about = Change the key when somebody who knew it has left, when a copy of it was lost, and once a year. Earlier backups need the earlier key: keep it as long as you keep them.
vault-index = Search index
vault-index-about = People are found by hashes made with a key of its own. Make it anew if a copy of the database and of this key may be in wrong hands.
vault-index-rebuild = Make the index anew

vault-done-opened = The vault is open.
vault-done-locked = The vault is locked.
vault-done-begun = The change of the key has begun.
vault-done-index = The index is being made anew.

vault-differ = The two passphrases differ. Type the same one twice.
vault-wrong = This passphrase does not open the vault.
vault-weak = This passphrase is too easy to guess. Take at least 16 characters, for example five words without a connection.
vault-changing-already = The keys are being changed already. Wait until that has ended.
vault-other-source = The key of this vault comes from elsewhere; see the configuration.
vault-interrupted = Somebody else changed the keys at the same moment. Look at the state and try again.
vault-file = The file of the key cannot be written. Look at its medium, folder and owner; the log says more.

vault-locked-not_opened = The vault has not been opened yet.
vault-locked-key_absent = The file of the key is not there. Put its medium in; the vault opens by itself.
vault-locked-key_unreadable = The file of the key cannot be read or does not hold a key. Look at its owner, its mode and its text.
vault-locked-wrong_key = This is not the key of today: it was changed, or it belongs to another installation. Put the right one in its place.
vault-locked-passphrase_needed = The vault waits for its passphrase.
vault-locked-no_passphrase_yet = The vault has no passphrase yet. Choose one; from then on it is asked for after each start.
vault-locked-list_damaged = The list of erased people was changed or is damaged. The log says where. Put a whole copy in its place and start the program again; until then nobody is shown who might have been erased.
vault-locked-by_hand = Somebody locked the vault.

-- Why: controllers and systems in the network stand beside serial lines; pages show how each of them is doing.
-- Without a kind the line is a serial one and the other columns mean nothing.
ALTER TABLE device_line ADD COLUMN peer_kind TEXT;
ALTER TABLE device_line ADD COLUMN peer_address TEXT;
ALTER TABLE device_line ADD COLUMN peer_node TEXT;
ALTER TABLE device_line ADD COLUMN peer_secure BIGINT;
ALTER TABLE device_line ADD COLUMN peer_connected_since_ms BIGINT;
ALTER TABLE device_line ADD COLUMN peer_events_held BIGINT;
ALTER TABLE device_line ADD COLUMN peer_commands_waiting BIGINT;
ALTER TABLE device_line ADD COLUMN peer_passes_told BIGINT;
ALTER TABLE device_line ADD COLUMN peer_passes_wanted BIGINT;
ALTER TABLE device_line ADD COLUMN peer_quarantined BIGINT;
ALTER TABLE device_line ADD COLUMN peer_skew_ms BIGINT;
ALTER TABLE device_line ADD COLUMN peer_software TEXT;
-- Why: what a network peer calls the place of a reader.
ALTER TABLE device_reader ADD COLUMN at TEXT;

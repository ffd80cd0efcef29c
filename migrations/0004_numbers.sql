-- Why: controllers and devices that decide by themselves must be told real card numbers. Where one is configured, the
-- number is kept sealed (AES-256, the key is a file of the site); everywhere else, and in closed rows, this is empty.
ALTER TABLE credential ADD COLUMN number TEXT;

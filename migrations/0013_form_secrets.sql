-- Why: what the tokens of a session's forms are made from. Drawn apart from what the browser's cookie holds: whoever has
-- copied the cookie alone cannot make a token. Sessions from before this have none and must sign in again.
ALTER TABLE account_session ADD COLUMN form_secret TEXT NOT NULL DEFAULT '';

-- Why: roles that a clinic makes for itself, beside the shipped ones, which are part of the program.
CREATE TABLE role (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    changed_at  BIGINT NOT NULL
);

-- Why: what such a role lets somebody do, one permission a row.
CREATE TABLE role_permission (
    role       TEXT NOT NULL REFERENCES role (id),
    permission TEXT NOT NULL,
    PRIMARY KEY (role, permission)
);

-- Why: which fields of a person such a role shows, one field a row.
CREATE TABLE role_field (
    role  TEXT NOT NULL REFERENCES role (id),
    field TEXT NOT NULL,
    PRIMARY KEY (role, field)
);

-- Why: who has which roles and where. role is a shipped role's code or an own role's id; zone is empty for the whole
-- site. Every account has at least one.
CREATE TABLE account_role (
    account TEXT NOT NULL REFERENCES account (id),
    role    TEXT NOT NULL,
    zone    TEXT NOT NULL,
    PRIMARY KEY (account, role, zone)
);
CREATE INDEX account_role_by_role ON account_role (role);

INSERT INTO account_role (account, role, zone) SELECT id, role, '' FROM account;
ALTER TABLE account DROP COLUMN role;

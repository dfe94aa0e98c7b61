-- +goose Up

-- Times are Unix microseconds, UTC; 0: none.

CREATE TABLE relay_meta (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  revision INTEGER NOT NULL,           -- rises with each change other nodes have to know of
  mac_key  BLOB    NOT NULL CHECK (length(mac_key) = 32)
) STRICT;
INSERT INTO relay_meta (one, revision, mac_key) VALUES (1, 1, randomblob(32));

CREATE TABLE clinic (
  n               INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT    NOT NULL UNIQUE CHECK (id <> ''),
  name            TEXT    NOT NULL,
  name_key        TEXT    NOT NULL,    -- folded
  created_at      INTEGER NOT NULL,
  revoked_at      INTEGER NOT NULL DEFAULT 0,
  rotate          INTEGER NOT NULL DEFAULT 0 CHECK (rotate IN (0, 1)),
  identity        BLOB    NOT NULL DEFAULT x'', -- Ed25519, public
  instance        TEXT    NOT NULL DEFAULT '',
  version         TEXT    NOT NULL DEFAULT '',
  paired_at       INTEGER NOT NULL DEFAULT 0,
  key_id          TEXT    NOT NULL DEFAULT '',
  key_public      BLOB    NOT NULL DEFAULT x'', -- X25519: the one to seal to
  key_added_at    INTEGER NOT NULL DEFAULT 0,
  history         TEXT    NOT NULL DEFAULT '{}',
  history_version INTEGER NOT NULL DEFAULT 0,
  received        INTEGER NOT NULL DEFAULT 0,
  too_large       INTEGER NOT NULL DEFAULT 0,
  limited         INTEGER NOT NULL DEFAULT 0,
  gaps            INTEGER NOT NULL DEFAULT 0,
  takeovers       INTEGER NOT NULL DEFAULT 0,
  changed_rev     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX clinic_name ON clinic(name_key) WHERE revoked_at = 0;
CREATE INDEX clinic_changed ON clinic(changed_rev);

-- The state of a clinic's mailbox: small rows, because acks write them.
CREATE TABLE mailbox (
  clinic          INTEGER PRIMARY KEY REFERENCES clinic(n) ON DELETE RESTRICT,
  store_epoch     TEXT    NOT NULL,
  session_epoch   INTEGER NOT NULL DEFAULT 0,
  acked           INTEGER NOT NULL DEFAULT 0,
  removed_to      INTEGER NOT NULL DEFAULT 0, -- the highest number ever removed
  removed_at      INTEGER NOT NULL DEFAULT 0, -- when that event was received
  removed_why     TEXT    NOT NULL DEFAULT '',
  node            TEXT    NOT NULL DEFAULT '',
  instance        TEXT    NOT NULL DEFAULT '',
  run             TEXT    NOT NULL DEFAULT '',
  transport       TEXT    NOT NULL DEFAULT '',
  version         TEXT    NOT NULL DEFAULT '',
  claimed_at      INTEGER NOT NULL DEFAULT 0,
  last_heard      INTEGER NOT NULL DEFAULT 0,
  connected_since INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX mailbox_node ON mailbox(node) WHERE node <> '';

-- What can still be sent. AUTOINCREMENT: a number is never given out twice, also after the highest rows are gone.
CREATE TABLE event (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  clinic      INTEGER NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  received_at INTEGER NOT NULL,
  kind        TEXT    NOT NULL,
  size        INTEGER NOT NULL,        -- header and body
  header      BLOB    NOT NULL,
  body        BLOB    NOT NULL
) STRICT;
CREATE INDEX event_clinic ON event(clinic, seq, size);

-- Until when a clinic had acknowledged what, by the hour.
CREATE TABLE ack_mark (
  clinic INTEGER NOT NULL,
  hour   INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  PRIMARY KEY (clinic, hour)
) STRICT, WITHOUT ROWID;

-- What was removed, without its content.
CREATE TABLE metadata (
  clinic      INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  kind        TEXT    NOT NULL,
  size        INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (clinic, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX metadata_received ON metadata(received_at);

-- The same in a relay with very many clinics.
CREATE TABLE hourly (
  clinic INTEGER NOT NULL,
  hour   INTEGER NOT NULL,
  kind   TEXT    NOT NULL,
  events INTEGER NOT NULL,
  bytes  INTEGER NOT NULL,
  PRIMARY KEY (clinic, hour, kind)
) STRICT, WITHOUT ROWID;

-- Inbound addresses, by the hash of their secret.
CREATE TABLE url (
  hash        BLOB    PRIMARY KEY CHECK (length(hash) = 32),
  clinic      INTEGER NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  kind        TEXT    NOT NULL,
  label       TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL DEFAULT 0,
  retired_at  INTEGER NOT NULL DEFAULT 0,
  first_used  INTEGER NOT NULL DEFAULT 0,
  last_used   INTEGER NOT NULL DEFAULT 0,
  uses        INTEGER NOT NULL DEFAULT 0,
  changed_rev INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX url_clinic ON url(clinic, kind, created_at);
CREATE INDEX url_changed ON url(changed_rev);

CREATE TABLE token (
  id           INTEGER PRIMARY KEY AUTOINCREMENT, -- also the order of age
  kid          TEXT    NOT NULL UNIQUE CHECK (kid <> ''),
  clinic       INTEGER NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  hash         BLOB    NOT NULL CHECK (length(hash) = 32),
  created_at   INTEGER NOT NULL,
  confirmed_at INTEGER NOT NULL DEFAULT 0,
  used_at      INTEGER NOT NULL DEFAULT 0,
  dies_at      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX token_clinic ON token(clinic, id);

CREATE TABLE pairing (
  grp        TEXT    PRIMARY KEY CHECK (grp <> ''),
  clinic     INTEGER NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  hash       BLOB    NOT NULL CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  wrong      INTEGER NOT NULL DEFAULT 0,
  ended_at   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX pairing_clinic ON pairing(clinic);

CREATE TABLE audit (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  clinic TEXT    NOT NULL,
  action TEXT    NOT NULL,
  detail TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit(at, id);
CREATE INDEX audit_clinic ON audit(clinic, at, id);

CREATE TABLE notice (
  key        TEXT    PRIMARY KEY CHECK (key <> ''),
  kind       TEXT    NOT NULL,
  clinic     TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  at         INTEGER NOT NULL,
  detail     TEXT    NOT NULL,
  due_at     INTEGER NOT NULL,
  tries      INTEGER NOT NULL DEFAULT 0,
  settled_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX notice_due ON notice(due_at) WHERE settled_at = 0;

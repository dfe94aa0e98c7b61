-- +goose Up

-- Times are Unix microseconds, UTC; 0: none.

CREATE TABLE relay_meta (
  one      BIGINT PRIMARY KEY CHECK (one = 1),
  revision BIGINT NOT NULL,           -- rises with each change other nodes have to know of
  mac_key  BYTEA   NOT NULL CHECK (length(mac_key) = 32)
);
INSERT INTO relay_meta (one, revision, mac_key) VALUES (1, 1, sha256(decode(replace(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')));

CREATE TABLE clinic (
  n               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id              TEXT    NOT NULL UNIQUE CHECK (id <> ''),
  name            TEXT    NOT NULL,
  name_key        TEXT    NOT NULL,    -- folded
  created_at      BIGINT NOT NULL,
  revoked_at      BIGINT NOT NULL DEFAULT 0,
  rotate          BIGINT NOT NULL DEFAULT 0 CHECK (rotate IN (0, 1)),
  identity        BYTEA   NOT NULL DEFAULT '', -- Ed25519, public
  instance        TEXT    NOT NULL DEFAULT '',
  version         TEXT    NOT NULL DEFAULT '',
  paired_at       BIGINT NOT NULL DEFAULT 0,
  key_id          TEXT    NOT NULL DEFAULT '',
  key_public      BYTEA   NOT NULL DEFAULT '', -- X25519: the one to seal to
  key_added_at    BIGINT NOT NULL DEFAULT 0,
  history         TEXT    NOT NULL DEFAULT '{}',
  history_version BIGINT NOT NULL DEFAULT 0,
  received        BIGINT NOT NULL DEFAULT 0,
  too_large       BIGINT NOT NULL DEFAULT 0,
  limited         BIGINT NOT NULL DEFAULT 0,
  gaps            BIGINT NOT NULL DEFAULT 0,
  takeovers       BIGINT NOT NULL DEFAULT 0,
  changed_rev     BIGINT NOT NULL
);
CREATE UNIQUE INDEX clinic_name ON clinic(name_key) WHERE revoked_at = 0;
CREATE INDEX clinic_changed ON clinic(changed_rev);

-- The state of a clinic's mailbox: small rows, because appends and acks write them. No index on what they write.
CREATE TABLE mailbox (
  clinic          BIGINT PRIMARY KEY REFERENCES clinic(n) ON DELETE RESTRICT,
  store_epoch     TEXT    NOT NULL,
  session_epoch   BIGINT NOT NULL DEFAULT 0,
  last_seq        BIGINT NOT NULL DEFAULT 0, -- the highest number ever given out
  acked           BIGINT NOT NULL DEFAULT 0,
  removed_to      BIGINT NOT NULL DEFAULT 0, -- the highest number ever removed
  removed_at      BIGINT NOT NULL DEFAULT 0, -- when that event was received
  removed_why     TEXT    NOT NULL DEFAULT '',
  node            TEXT    NOT NULL DEFAULT '',
  instance        TEXT    NOT NULL DEFAULT '',
  run             TEXT    NOT NULL DEFAULT '',
  transport       TEXT    NOT NULL DEFAULT '',
  version         TEXT    NOT NULL DEFAULT '',
  claimed_at      BIGINT NOT NULL DEFAULT 0,
  last_heard      BIGINT NOT NULL DEFAULT 0,
  connected_since BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- every append writes last_seq: room for it on the same page
CREATE INDEX mailbox_node ON mailbox(node) WHERE node <> '';

-- What can still be sent. Numbers come from mailbox.last_seq, under its row lock, so that they are in commit order.
CREATE TABLE event (
  clinic      BIGINT NOT NULL,
  seq         BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  kind        TEXT   NOT NULL,
  size        BIGINT NOT NULL,         -- header and body
  header      BYTEA  NOT NULL,
  body        BYTEA  NOT NULL,
  PRIMARY KEY (clinic, seq)
);
-- Sealed bodies do not compress.
ALTER TABLE event ALTER COLUMN header SET STORAGE EXTERNAL;
ALTER TABLE event ALTER COLUMN body SET STORAGE EXTERNAL;

-- Until when a clinic had acknowledged what, by the hour.
CREATE TABLE ack_mark (
  clinic BIGINT NOT NULL,
  hour   BIGINT NOT NULL,
  at     BIGINT NOT NULL,
  seq    BIGINT NOT NULL,
  PRIMARY KEY (clinic, hour)
);

-- What was removed, without its content.
CREATE TABLE metadata (
  clinic      BIGINT NOT NULL,
  seq         BIGINT NOT NULL,
  kind        TEXT    NOT NULL,
  size        BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (clinic, seq)
);
CREATE INDEX metadata_received ON metadata(received_at);

-- The same in a relay with very many clinics.
CREATE TABLE hourly (
  clinic BIGINT NOT NULL,
  hour   BIGINT NOT NULL,
  kind   TEXT    NOT NULL,
  events BIGINT NOT NULL,
  bytes  BIGINT NOT NULL,
  PRIMARY KEY (clinic, hour, kind)
);

-- Inbound addresses, by the hash of their secret.
CREATE TABLE url (
  hash        BYTEA   PRIMARY KEY CHECK (length(hash) = 32),
  clinic      BIGINT NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  kind        TEXT    NOT NULL,
  label       TEXT    NOT NULL,
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL DEFAULT 0,
  retired_at  BIGINT NOT NULL DEFAULT 0,
  first_used  BIGINT NOT NULL DEFAULT 0,
  last_used   BIGINT NOT NULL DEFAULT 0,
  uses        BIGINT NOT NULL DEFAULT 0,
  changed_rev BIGINT NOT NULL
);
CREATE INDEX url_clinic ON url(clinic, kind, created_at);
CREATE INDEX url_changed ON url(changed_rev);

CREATE TABLE token (
  id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- also the order of age
  kid          TEXT    NOT NULL UNIQUE CHECK (kid <> ''),
  clinic       BIGINT NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  hash         BYTEA   NOT NULL CHECK (length(hash) = 32),
  created_at   BIGINT NOT NULL,
  confirmed_at BIGINT NOT NULL DEFAULT 0,
  used_at      BIGINT NOT NULL DEFAULT 0,
  dies_at      BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX token_clinic ON token(clinic, id);

CREATE TABLE pairing (
  grp        TEXT    PRIMARY KEY CHECK (grp <> ''),
  clinic     BIGINT NOT NULL REFERENCES clinic(n) ON DELETE RESTRICT,
  hash       BYTEA   NOT NULL CHECK (length(hash) = 32),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  wrong      BIGINT NOT NULL DEFAULT 0,
  ended_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX pairing_clinic ON pairing(clinic);

CREATE TABLE audit (
  id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     BIGINT NOT NULL,
  clinic TEXT    NOT NULL,
  action TEXT    NOT NULL,
  detail TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit(at, id);
CREATE INDEX audit_clinic ON audit(clinic, at, id);

CREATE TABLE notice (
  key        TEXT    PRIMARY KEY CHECK (key <> ''),
  kind       TEXT    NOT NULL,
  clinic     TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  at         BIGINT NOT NULL,
  detail     TEXT    NOT NULL,
  due_at     BIGINT NOT NULL,
  tries      BIGINT NOT NULL DEFAULT 0,
  settled_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX notice_due ON notice(due_at) WHERE settled_at = 0;

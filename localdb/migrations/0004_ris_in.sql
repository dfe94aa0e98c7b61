-- +goose Up

-- A message that came by HL7, with the answer that it got. One that comes again
-- is found by its key and gets the same answer; a refused one is never found.
-- The bytes are in raw, for their own retention.
CREATE TABLE hl7_in (
  id                  INTEGER PRIMARY KEY AUTOINCREMENT,
  ris                 TEXT NOT NULL, -- name in the settings, '' when not known
  peer                TEXT NOT NULL,
  at                  INTEGER NOT NULL,
  type                TEXT NOT NULL,
  sending_application TEXT NOT NULL,
  sending_facility    TEXT NOT NULL,
  control_id          TEXT NOT NULL,
  hash                TEXT NOT NULL,
  outcome             TEXT NOT NULL, -- applied, noted, unmatched, test, ignored, answer, refused
  refused             TEXT NOT NULL, -- why it was not accepted
  size                INTEGER NOT NULL,
  raw_id              INTEGER REFERENCES raw(id) ON DELETE SET NULL,
  answer              BLOB           -- NULL: none was wanted
) STRICT;
CREATE UNIQUE INDEX hl7_in_key ON hl7_in(control_id, hash, sending_application, sending_facility) WHERE refused = '';
CREATE INDEX hl7_in_ris ON hl7_in(ris, at);
CREATE INDEX hl7_in_at  ON hl7_in(at);
CREATE INDEX hl7_in_raw ON hl7_in(raw_id) WHERE raw_id IS NOT NULL;

-- The orders that a message speaks of.
CREATE TABLE hl7_in_order (
  id       INTEGER PRIMARY KEY,
  in_id    INTEGER NOT NULL REFERENCES hl7_in(id) ON DELETE CASCADE,
  order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  UNIQUE (in_id, order_id)
) STRICT;
CREATE INDEX hl7_in_order_order ON hl7_in_order(order_id);

-- What a message says and what does not count yet: it waits for quiet (due_at),
-- or for a person to say which order is meant (arrival_id).
CREATE TABLE hl7_held (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  in_id      INTEGER NOT NULL REFERENCES hl7_in(id) ON DELETE CASCADE,
  ris        TEXT NOT NULL,
  control_id TEXT NOT NULL,
  order_id   INTEGER REFERENCES orders(id) ON DELETE CASCADE,
  sps_id     TEXT NOT NULL,
  arrival_id INTEGER REFERENCES arrival(id) ON DELETE CASCADE,
  due_at     INTEGER,
  body       TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX hl7_held_in      ON hl7_held(in_id);
CREATE INDEX hl7_held_due     ON hl7_held(due_at)         WHERE due_at IS NOT NULL;
CREATE INDEX hl7_held_order   ON hl7_held(order_id, ris)  WHERE order_id IS NOT NULL;
CREATE INDEX hl7_held_arrival ON hl7_held(arrival_id, id) WHERE arrival_id IS NOT NULL;

-- An application acknowledgement that the peer is still to get.
CREATE TABLE hl7_reply (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  in_id      INTEGER NOT NULL REFERENCES hl7_in(id) ON DELETE CASCADE,
  ris        TEXT NOT NULL,
  payload    BLOB NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER NOT NULL,
  give_up_at INTEGER NOT NULL,
  last_text  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX hl7_reply_in  ON hl7_reply(in_id);
CREATE INDEX hl7_reply_due ON hl7_reply(next_at, id);

-- A report's text or one of its files. Until a person has said which order is
-- meant it belongs to an arrival. The bytes are in parts, so that no list reads them.
CREATE TABLE document (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  order_id      INTEGER REFERENCES orders(id) ON DELETE CASCADE,
  held_id       INTEGER REFERENCES hl7_held(id) ON DELETE CASCADE,
  in_id         INTEGER REFERENCES hl7_in(id) ON DELETE SET NULL,
  ris           TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('text','pdf','link','other')),
  mime          TEXT NOT NULL,
  name          TEXT NOT NULL,
  status        TEXT NOT NULL, -- P, F, C, or empty when the message does not say
  broken        INTEGER NOT NULL CHECK (broken IN (0, 1)),
  correction_of INTEGER REFERENCES document(id) ON DELETE SET NULL,
  control_id    TEXT NOT NULL,
  at            INTEGER NOT NULL,
  size          INTEGER NOT NULL,
  hash          TEXT NOT NULL
) STRICT;
CREATE INDEX document_order   ON document(order_id, id)   WHERE order_id IS NOT NULL;
CREATE INDEX document_held    ON document(held_id)        WHERE held_id IS NOT NULL;
CREATE INDEX document_in      ON document(in_id)          WHERE in_id IS NOT NULL;
CREATE INDEX document_correct ON document(correction_of)  WHERE correction_of IS NOT NULL;

CREATE TABLE document_part (
  id          INTEGER PRIMARY KEY,
  document_id INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE,
  n           INTEGER NOT NULL,
  bytes       BLOB NOT NULL,
  UNIQUE (document_id, n)
) STRICT;

-- The numbers that a RIS has for an order.
CREATE TABLE filler (
  id                  INTEGER PRIMARY KEY,
  order_id            INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  sps_id              TEXT NOT NULL, -- '' for the whole order
  ris                 TEXT NOT NULL,
  filler_order_number TEXT NOT NULL,
  accession_number    TEXT NOT NULL, -- of the RIS, when it has its own
  at                  INTEGER NOT NULL,
  UNIQUE (order_id, ris, sps_id)
) STRICT;
CREATE INDEX filler_number    ON filler(ris, filler_order_number) WHERE filler_order_number <> '';
CREATE INDEX filler_accession ON filler(ris, accession_number)    WHERE accession_number <> '';

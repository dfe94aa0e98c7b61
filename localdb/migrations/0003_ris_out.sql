-- +goose Up

-- What each RIS was told about an order: the outcome of everything that was put
-- into the outbox for it. A unit is a step, or with sps_id '' the whole order.
CREATE TABLE told (
  order_id      INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  ris           TEXT NOT NULL,
  sps_id        TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('open','closed')),
  seen          TEXT NOT NULL, -- hash of what of the order the RIS can see
  content       TEXT NOT NULL, -- hash of the order's content the messages were made of
  study_uid     TEXT NOT NULL, -- as the RIS knows it
  patient_id    TEXT NOT NULL,
  modality_id   TEXT NOT NULL,
  modality_name TEXT NOT NULL,
  PRIMARY KEY (order_id, ris, sps_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_study ON told(study_uid);

-- What each RIS was told about an animal.
CREATE TABLE told_patient (
  ris        TEXT NOT NULL,
  patient_id TEXT NOT NULL,
  hash       TEXT NOT NULL,
  at         INTEGER NOT NULL,
  PRIMARY KEY (ris, patient_id)
) STRICT, WITHOUT ROWID;

-- Messages that a RIS accepted (CA) and has not processed yet.
CREATE TABLE awaited_ack (
  control_id TEXT PRIMARY KEY,
  outbox_id  INTEGER NOT NULL REFERENCES outbox(id) ON DELETE CASCADE,
  due_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX awaited_ack_outbox ON awaited_ack(outbox_id);
CREATE INDEX awaited_ack_due    ON awaited_ack(due_at);

-- The unit of told that an entry is about, what was told before it, and whether
-- the peer may have taken it although no answer said so.
ALTER TABLE outbox ADD COLUMN unit   TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN before TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0 CHECK (unsure IN (0, 1));

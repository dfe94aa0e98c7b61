-- +goose Up

-- An imaging order. What is searched for has a column; the rest is in content.
CREATE TABLE orders (
  id                     INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, even after a purge
  provet_id              TEXT UNIQUE,                       -- NULL: entered by hand
  accession_number       TEXT NOT NULL UNIQUE CHECK (accession_number <> ''),
  study_instance_uid     TEXT NOT NULL UNIQUE CHECK (study_instance_uid <> ''),
  requested_procedure_id TEXT NOT NULL,
  state                  TEXT NOT NULL
                         CHECK (state IN ('received','held','scheduled','in_progress','completed','discontinued','cancelled')),
  revision               INTEGER NOT NULL,
  by_hand                INTEGER NOT NULL CHECK (by_hand IN (0, 1)),
  created_at             INTEGER NOT NULL,
  changed_at             INTEGER NOT NULL,
  closed_at              INTEGER,
  patient_id             TEXT NOT NULL,
  search_text            TEXT NOT NULL,                     -- folded: accession, Provet id, patient id, names
  content_hash           TEXT NOT NULL,
  holds                  TEXT NOT NULL,                     -- JSON
  content                TEXT NOT NULL                      -- JSON
) STRICT;
CREATE INDEX orders_procedure ON orders(requested_procedure_id);
CREATE INDEX orders_patient   ON orders(patient_id, created_at);
CREATE INDEX orders_list      ON orders(created_at, id, state, search_text); -- covers the search
CREATE INDEX orders_state     ON orders(state, created_at, id);
CREATE INDEX orders_open      ON orders(id) WHERE state IN ('received','held','scheduled','in_progress');
CREATE INDEX orders_closed    ON orders(closed_at) WHERE closed_at IS NOT NULL;

-- How many orders are in each state, so that nobody has to count them.
CREATE TABLE order_count (
  state TEXT PRIMARY KEY,
  n     INTEGER NOT NULL
) STRICT;
INSERT INTO order_count(state, n) VALUES
  ('received',0),('held',0),('scheduled',0),('in_progress',0),('completed',0),('discontinued',0),('cancelled',0);
-- +goose StatementBegin
CREATE TRIGGER orders_count_insert AFTER INSERT ON orders BEGIN
  UPDATE order_count SET n = n + 1 WHERE state = NEW.state;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER orders_count_delete AFTER DELETE ON orders BEGIN
  UPDATE order_count SET n = n - 1 WHERE state = OLD.state;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER orders_count_update AFTER UPDATE OF state ON orders WHEN OLD.state <> NEW.state BEGIN
  UPDATE order_count SET n = n - 1 WHERE state = OLD.state;
  UPDATE order_count SET n = n + 1 WHERE state = NEW.state;
END;
-- +goose StatementEnd

-- A scheduled procedure step of an order.
CREATE TABLE step (
  id                INTEGER PRIMARY KEY,
  order_id          INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  n                 INTEGER NOT NULL,
  sps_id            TEXT NOT NULL UNIQUE CHECK (sps_id <> ''),
  modality_id       TEXT NOT NULL,
  modality_name     TEXT NOT NULL,
  stations          TEXT NOT NULL, -- JSON
  state             TEXT NOT NULL
                    CHECK (state IN ('received','held','scheduled','in_progress','completed','discontinued','cancelled')),
  started_at        INTEGER,
  ended_at          INTEGER,
  foreign_study_uid TEXT,
  UNIQUE (order_id, n)
) STRICT;
CREATE INDEX step_foreign ON step(foreign_study_uid) WHERE foreign_study_uid IS NOT NULL;

-- What is left of an order that was withdrawn unseen or purged. No personal data.
CREATE TABLE tombstone (
  id                 INTEGER PRIMARY KEY,
  provet_id          TEXT UNIQUE,
  accession_number   TEXT,
  study_instance_uid TEXT,
  reason             TEXT NOT NULL,
  at                 INTEGER NOT NULL
) STRICT;
CREATE INDEX tombstone_accession ON tombstone(accession_number) WHERE accession_number IS NOT NULL;

-- A durable request to look at one order.
CREATE TABLE hint (
  id        INTEGER PRIMARY KEY,
  provet_id TEXT NOT NULL UNIQUE CHECK (provet_id <> ''),
  seq       INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  first_at  INTEGER NOT NULL, -- oldest signal not yet looked at
  at        INTEGER NOT NULL, -- newest signal
  due_at    INTEGER NOT NULL,
  attempts  INTEGER NOT NULL DEFAULT 0,
  last_code TEXT,
  last_text TEXT
) STRICT;
CREATE INDEX hint_due ON hint(due_at, seq);

-- Numbers that are never handed out twice.
CREATE TABLE counter (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;
INSERT INTO counter(name, value) VALUES ('hint', 0);

-- A line of an order's timeline.
CREATE TABLE entry (
  id       INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  at       INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  source   TEXT NOT NULL,
  code     TEXT NOT NULL,
  text     TEXT NOT NULL
) STRICT;
CREATE INDEX entry_order ON entry(order_id, id);

-- The ledger of evidence.
CREATE TABLE evidence (
  id        INTEGER PRIMARY KEY,
  order_id  INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  sps_id    TEXT NOT NULL,
  at        INTEGER NOT NULL,
  source    TEXT NOT NULL,
  event     TEXT NOT NULL,
  station   TEXT NOT NULL,
  ref       TEXT NOT NULL,
  series    INTEGER NOT NULL,
  instances INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  decided   INTEGER NOT NULL CHECK (decided IN (0, 1))
) STRICT;
CREATE INDEX evidence_order ON evidence(order_id, id);

-- Which machine has been given an order in its worklist.
CREATE TABLE seen (
  id       INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  machine  TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  UNIQUE (order_id, machine)
) STRICT;

-- A modality performed procedure step.
CREATE TABLE performed_step (
  id                   INTEGER PRIMARY KEY,
  sop_instance_uid     TEXT NOT NULL UNIQUE CHECK (sop_instance_uid <> ''),
  machine              TEXT NOT NULL,
  calling_ae_title     TEXT NOT NULL,
  address              TEXT NOT NULL,
  status               TEXT NOT NULL,
  final                INTEGER NOT NULL CHECK (final IN (0, 1)),
  arrival_id           INTEGER,
  patient_id           TEXT NOT NULL,
  patient_name         TEXT NOT NULL,
  modality             TEXT NOT NULL,
  pps_id               TEXT NOT NULL,
  station              TEXT NOT NULL,
  description          TEXT NOT NULL,
  study_uids           TEXT NOT NULL, -- JSON
  started_at           INTEGER,
  ended_at             INTEGER,
  discontinuation_code TEXT NOT NULL,
  discontinuation_text TEXT NOT NULL,
  series               INTEGER NOT NULL,
  instances            INTEGER NOT NULL,
  created_at           INTEGER NOT NULL,
  changed_at           INTEGER NOT NULL
) STRICT;
CREATE INDEX performed_step_changed ON performed_step(changed_at);

CREATE TABLE performed_ref (
  id                INTEGER PRIMARY KEY,
  performed_step_id INTEGER NOT NULL REFERENCES performed_step(id) ON DELETE CASCADE,
  n                 INTEGER NOT NULL,
  order_id          INTEGER REFERENCES orders(id) ON DELETE SET NULL,
  sps_id            TEXT NOT NULL,
  UNIQUE (performed_step_id, n)
) STRICT;
CREATE INDEX performed_ref_order ON performed_ref(order_id) WHERE order_id IS NOT NULL;

-- Messages as they were received or sent, for support. bytes is NULL after their retention.
CREATE TABLE raw (
  id       INTEGER PRIMARY KEY,
  kind     TEXT NOT NULL,
  order_id INTEGER REFERENCES orders(id) ON DELETE CASCADE,
  ref      TEXT NOT NULL,
  peer     TEXT NOT NULL,
  at       INTEGER NOT NULL,
  note     TEXT NOT NULL,
  bytes    BLOB
) STRICT;
CREATE INDEX raw_order ON raw(order_id, id) WHERE order_id IS NOT NULL;
CREATE INDEX raw_at    ON raw(at);
CREATE INDEX raw_full  ON raw(at) WHERE bytes IS NOT NULL;

-- Imaging that belongs to no order, until a person links or ignores it.
CREATE TABLE arrival (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  kind               TEXT NOT NULL,
  ref                TEXT NOT NULL,
  machine            TEXT NOT NULL,
  calling_ae_title   TEXT NOT NULL,
  address            TEXT NOT NULL,
  at                 INTEGER NOT NULL,
  patient_id         TEXT NOT NULL,
  patient_name       TEXT NOT NULL,
  modality           TEXT NOT NULL,
  study_instance_uid TEXT NOT NULL,
  accession_number   TEXT NOT NULL,
  started_at         INTEGER,
  ended_at           INTEGER,
  status             TEXT NOT NULL,
  reason             TEXT NOT NULL,
  series             INTEGER NOT NULL,
  instances          INTEGER NOT NULL,
  state              TEXT NOT NULL CHECK (state IN ('open','linked','ignored')),
  linked_order_id    INTEGER REFERENCES orders(id) ON DELETE SET NULL,
  linked_at          INTEGER,
  linked_by          TEXT NOT NULL
) STRICT;
CREATE INDEX arrival_open  ON arrival(id) WHERE state = 'open';
CREATE INDEX arrival_ref   ON arrival(kind, ref);
CREATE INDEX arrival_study ON arrival(study_instance_uid) WHERE study_instance_uid <> '';
CREATE INDEX arrival_order ON arrival(linked_order_id) WHERE linked_order_id IS NOT NULL;
CREATE INDEX arrival_at    ON arrival(at);

-- What we still owe others.
CREATE TABLE outbox (
  id          INTEGER PRIMARY KEY AUTOINCREMENT, -- also the order of sending
  order_id    INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  dest        TEXT    NOT NULL CHECK (dest <> ''),
  kind        TEXT    NOT NULL,
  payload     BLOB    NOT NULL,
  idem_key    TEXT    NOT NULL UNIQUE CHECK (idem_key <> ''),
  state       TEXT    NOT NULL DEFAULT 'ready'
              CHECK (state IN ('ready','leased','done','parked','dropped')),
  attempts    INTEGER NOT NULL DEFAULT 0,
  next_at     INTEGER NOT NULL,
  lease_until INTEGER,
  lease_token TEXT,
  give_up_at  INTEGER NOT NULL,
  last_code   TEXT,
  last_text   TEXT,
  created_at  INTEGER NOT NULL,
  done_at     INTEGER
) STRICT;
CREATE INDEX outbox_open   ON outbox(dest, order_id, id) WHERE state IN ('ready','leased','parked');
CREATE INDEX outbox_due    ON outbox(dest, next_at, id)  WHERE state = 'ready';
CREATE INDEX outbox_leased ON outbox(lease_until)        WHERE state = 'leased';
CREATE INDEX outbox_order  ON outbox(order_id, id);
CREATE INDEX outbox_done   ON outbox(done_at)            WHERE state IN ('done','dropped') AND length(payload) > 0;

CREATE TABLE attempt (
  id        INTEGER PRIMARY KEY,
  outbox_id INTEGER NOT NULL REFERENCES outbox(id) ON DELETE CASCADE,
  at        INTEGER NOT NULL,
  ms        INTEGER NOT NULL,
  outcome   TEXT NOT NULL,
  code      TEXT,
  text      TEXT
) STRICT;
CREATE INDEX attempt_outbox ON attempt(outbox_id, id);

CREATE TABLE destination (
  dest         TEXT PRIMARY KEY,
  paused_by    TEXT,
  paused_at    INTEGER,
  pause_reason TEXT,
  hold_until   INTEGER NOT NULL DEFAULT 0, -- common back-off of the destination
  failures     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Machines that were refused because nobody told us about them.
CREATE TABLE pending_machine (
  id               INTEGER PRIMARY KEY,
  calling_ae_title TEXT NOT NULL,
  called_ae_title  TEXT NOT NULL,
  address          TEXT NOT NULL,
  reason           TEXT NOT NULL,
  first_at         INTEGER NOT NULL,
  last_at          INTEGER NOT NULL,
  count            INTEGER NOT NULL,
  ignored          INTEGER NOT NULL DEFAULT 0 CHECK (ignored IN (0, 1)),
  UNIQUE (calling_ae_title, called_ae_title, address)
) STRICT;
CREATE INDEX pending_machine_age ON pending_machine(ignored, last_at);

-- Worklist queries, the newest of each machine.
CREATE TABLE query (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  at               INTEGER NOT NULL,
  machine          TEXT NOT NULL,
  calling_ae_title TEXT NOT NULL,
  address          TEXT NOT NULL,
  keys             TEXT NOT NULL, -- JSON
  matches          INTEGER NOT NULL,
  status           INTEGER NOT NULL,
  bytes            INTEGER NOT NULL,
  ms               INTEGER NOT NULL,
  end_reason       TEXT NOT NULL,
  excluded         TEXT NOT NULL, -- JSON
  matched          TEXT NOT NULL  -- JSON
) STRICT;
CREATE INDEX query_machine ON query(machine, id);
CREATE INDEX query_at      ON query(at);

-- The newest query of each machine that had each outcome for an order.
CREATE TABLE query_order (
  id       INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
  machine  TEXT NOT NULL,
  outcome  TEXT NOT NULL CHECK (outcome IN ('matched','excluded')),
  key      TEXT NOT NULL,
  reason   TEXT NOT NULL,
  query_id INTEGER NOT NULL REFERENCES query(id) ON DELETE CASCADE,
  count    INTEGER NOT NULL,
  UNIQUE (order_id, machine, outcome, key)
) STRICT;
CREATE INDEX query_order_query ON query_order(query_id);

-- When problems appeared and went away.
CREATE TABLE problem_log (
  id         INTEGER PRIMARY KEY,
  code       TEXT NOT NULL,
  subject    TEXT NOT NULL,
  args       TEXT NOT NULL, -- JSON
  raised_at  INTEGER NOT NULL,
  cleared_at INTEGER
) STRICT;
CREATE UNIQUE INDEX problem_log_active ON problem_log(code, subject) WHERE cleared_at IS NULL;
CREATE INDEX problem_log_raised ON problem_log(raised_at);

-- Small facts that must survive a restart: paused, cursors, baselines.
CREATE TABLE state (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- Who did what. No names of patients or owners.
CREATE TABLE audit (
  id               INTEGER PRIMARY KEY,
  at               INTEGER NOT NULL,
  who              TEXT NOT NULL,
  what             TEXT NOT NULL,
  accession_number TEXT NOT NULL,
  detail           TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit(at);

-- +goose Up

-- Events that came through the tunnel, as they came: sealed where the relay
-- seals. An event is stored once, whatever is sent again.
CREATE TABLE inbox (
  id           INTEGER PRIMARY KEY,
  clinic       TEXT    NOT NULL, -- the mailbox at the relay
  epoch        TEXT    NOT NULL CHECK (epoch <> ''),
  seq          INTEGER NOT NULL CHECK (seq > 0),
  kind         TEXT    NOT NULL,
  received_at  INTEGER NOT NULL, -- microseconds, the relay's clock
  header       BLOB    NOT NULL,
  body         BLOB    NOT NULL,
  at           INTEGER NOT NULL,
  state        TEXT    NOT NULL CHECK (state IN ('new','done','poison')),
  reason       TEXT    NOT NULL, -- why it is poison
  provet_id    TEXT    NOT NULL, -- the order it made us look at
  processed_at INTEGER,
  UNIQUE (clinic, epoch, seq)
) STRICT;
CREATE INDEX inbox_new    ON inbox(id)           WHERE state = 'new';
CREATE INDEX inbox_poison ON inbox(id)           WHERE state = 'poison';
CREATE INDEX inbox_done   ON inbox(processed_at) WHERE processed_at IS NOT NULL;

-- How far the tunnel has come. One row.
CREATE TABLE tunnel (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  clinic      TEXT    NOT NULL,
  epoch       TEXT    NOT NULL,  -- empty: never connected
  seq         INTEGER NOT NULL,  -- last event that is in the inbox, or in a gap
  received_at INTEGER NOT NULL,  -- of that event, microseconds; 0: a gap was last
  window_ms   INTEGER NOT NULL,  -- spread of a reconnect, as the relay asks for
  gaps        INTEGER NOT NULL,  -- holes ever announced
  changed_at  INTEGER NOT NULL
) STRICT;
INSERT INTO tunnel(id, clinic, epoch, seq, received_at, window_ms, gaps, changed_at) VALUES (1, '', '', 0, 0, 0, 0, 0);

-- Holes that the relay announced, or that we found.
CREATE TABLE tunnel_gap (
  id       INTEGER PRIMARY KEY,
  clinic   TEXT    NOT NULL,
  epoch    TEXT    NOT NULL,
  from_seq INTEGER NOT NULL,
  to_seq   INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  at       INTEGER NOT NULL
) STRICT;
CREATE INDEX tunnel_gap_at ON tunnel_gap(at);

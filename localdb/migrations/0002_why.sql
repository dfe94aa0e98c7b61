-- +goose Up

-- What Provet Cloud showed last, why and by whom an order was closed, and what
-- a person should look at.
ALTER TABLE orders ADD COLUMN upstream_status TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN closed_by       TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN closed_text     TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN notices         TEXT NOT NULL DEFAULT 'null'; -- JSON

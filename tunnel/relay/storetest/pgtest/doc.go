// Package pgtest starts a private PostgreSQL server for tests: own data folder,
// loopback only, durable settings. It is never shipped.
package pgtest

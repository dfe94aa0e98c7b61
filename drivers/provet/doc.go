// Package provet speaks to Provet Cloud: it reads imaging orders through the
// REST API 0.1 (OAuth 2.0 client credentials) and writes their status back.
//
// The names of the fields of Provet's imaging objects are configuration, not
// code: every field is read through a mapping (Fields) from a logical name to
// candidate names, and every relation is accepted as a URL, an id, or an
// embedded object. Status values are configuration too; a state without a value
// is never sent. Probe and ImportSchema find out what a tenant offers and render
// it as settings for a person to confirm.
//
// The access token goes to the configured base URL only: never along a
// redirect, a "next" link or a relation URL. Relation URLs are parsed for the
// id and never fetched.
package provet

// Package support writes the support file: one zip with what a helper needs to
// see, without names, contacts, payloads and secrets.
//
// Redaction works by construction: every file is built from fields that are
// known to be harmless, never by searching for what is harmful in something
// larger. Ids become a keyed hash whose key is made for each file and thrown
// away, so that the lines of one file belong together and those of two do not.
package support

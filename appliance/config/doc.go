// Package config is the settings file, rayhound.toml: its format, defaults,
// checks, and how it is written.
//
// A setting exists once: as a field of File with its name, comment, default and
// range in the struct tags. Parse reads strictly and reports every mistake of a
// file together, each with its line and, for an unknown key, the nearest known
// one. No secret is ever in the file; a test walks the struct for suspicious
// names.
//
// Struct tags:
//
//	toml     name of the key
//	comment  what it means, written above the key
//	default  value when the key is absent; lists are separated by commas
//	min, max range of numbers and durations
//	oneof    the words allowed, separated by |
//	inline   write the table behind the equals sign
package config

// Package logging sets up the log: text on the console, JSON in the rotating
// file logs/rayhound.log of the data folder, both behind one handler that keeps
// secrets and personal data out.
//
// The handler is the second line. The first is that nobody hands such values to
// the log: types that hold them implement slog.LogValuer, and errors are worded
// without them.
package logging

// Package command is the command line of Rayhound: one file for each command.
//
// Commands that act on a running service ask it through package control; what
// only the wiring of the program can do (run, demo) comes in through Program.
//
// Errors go to standard error as one sentence, what to do next, and a code.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the service is not running, 4
// not allowed.
package command

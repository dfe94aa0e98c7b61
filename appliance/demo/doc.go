// Package demo is a whole clinic in one process on loopback: a simulated Provet
// Cloud, a real relay, simulated machines, a simulated RIS, and one real appliance
// between them with a data folder of its own.
//
// It exists to show the main job, to prove it (Options.Once), and to train
// people. Nothing in it is real, and nothing leaves the computer.
package demo

// Package sim runs one simulator alone, for certification and training: what
// rayhound sim does. The simulators themselves live beside the drivers of what
// they imitate.
package sim

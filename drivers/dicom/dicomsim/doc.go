// Package dicomsim is a simulated modality. It asks for its worklist, performs
// what it finds, reports it by MPPS (N-CREATE, N-SET), discontinues, and, when
// asked to, misbehaves in all the ways that have been seen on real networks.
//
// It is part of the product: the demo, rayhound sim modality, the installer's
// self-test and everybody who certifies a worklist need a machine that can be
// told what to do. Its patients come from the worklist it is given.
package dicomsim

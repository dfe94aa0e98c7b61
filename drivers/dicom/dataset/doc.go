// Package dataset reads and writes DICOM data sets (PS3.5) and the values in
// them: character sets, person names, dates, times and matching keys.
//
// It is a codec. It knows no orders, keeps no state, writes no log and never
// waits. Its input may come from anybody who can reach the port, therefore the
// reader, [Parse], checks the length of an element, its depth and the number of
// elements before it allocates, copies no value, and works in time linear in
// the length of its input. Values of a parsed [Set] are parts of the bytes that
// were given to Parse and stay valid as long as those are not changed.
//
// Writing is done by functions that append: [AppendElement], [AppendSequence],
// [AppendSet], and above them [Builder], which sorts, converts text, cuts values
// to the length of their value representation and reports what did not fit.
// Lengths are always defined and even.
//
// Text is Unicode (NFC) inside the program. [Charset] converts it.
//
// The dictionary of attributes and the second reading of files at rest come
// from github.com/suyashkumar/dicom. No other package may import that library,
// and it is never given bytes that [Parse] has not accepted: a data set of ten
// bytes makes it allocate 4 GiB.
package dataset

package appliance

import (
	"crypto/rand"
	"encoding/base32"
	"math/big"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// shMax is the length of an SH value in DICOM (PS3.5 6.2): accession numbers,
// requested procedure ids and scheduled procedure step ids are SH.
const shMax = 16

// mint gives a new order its identity, once and for life: the accession number
// is Provet's worklist id behind the clinic's prefix, the study UID is 2.25 and
// 128 random bits (PS3.5 B.2). An order that was known before keeps what its
// tombstone remembers; the caller sees to that.
func mint(o *order.Order, prefix string) {
	o.AccessionNumber = accession(prefix, o.ProvetID)
	o.StudyInstanceUID = newStudyUID()
	o.RequestedProcedureID = o.AccessionNumber
}

// accession returns prefix and id when both fit an SH value, else a short
// random one that no Provet id can collide with.
func accession(prefix, id string) string {
	if id != "" && len(prefix)+len(id) <= shMax && plain(id) {
		return prefix + id
	}
	return shortID(prefix + "H")
}

// stepID returns the id of the n-th step (from 1): the accession number, with
// -n from the second step on, or a short random id where that is too long.
func stepID(accession string, n int) string {
	if n == 1 {
		return accession
	}
	id := accession + "-" + strconv.Itoa(n)
	if len(id) > shMax {
		return shortID("S")
	}
	return id
}

// shortID returns head and random letters and digits, 16 characters at most.
func shortID(head string) string {
	var b [10]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	id := head + base32.StdEncoding.EncodeToString(b[:])
	return id[:min(len(id), len(head)+10, shMax)]
}

// newStudyUID returns a UID made of 128 random bits.
func newStudyUID() string {
	var b [16]byte
	rand.Read(b[:])
	return "2.25." + new(big.Int).SetBytes(b[:]).String()
}

// plain reports whether id is safe as part of an accession number: letters,
// digits and a few signs that no console stumbles over.
func plain(id string) bool {
	return strings.IndexFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
	}) < 0
}

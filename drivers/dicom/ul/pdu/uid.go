package pdu

// common are the UIDs nearly every association carries; they are not allocated again.
var common = map[string]string{
	ApplicationContextUID:     ApplicationContextUID,
	"1.2.840.10008.1.1":       "1.2.840.10008.1.1",
	"1.2.840.10008.1.2":       "1.2.840.10008.1.2",
	"1.2.840.10008.1.2.1":     "1.2.840.10008.1.2.1",
	"1.2.840.10008.1.2.2":     "1.2.840.10008.1.2.2",
	"1.2.840.10008.5.1.4.31":  "1.2.840.10008.5.1.4.31",
	"1.2.840.10008.3.1.2.3.3": "1.2.840.10008.3.1.2.3.3",
}

// ApplicationContextUID names the DICOM application context (PS3.7 A.2.1).
const ApplicationContextUID = "1.2.840.10008.3.1.1.1"

// Text returns b without the NULs and spaces around it.
func Text(b []byte) string {
	for len(b) > 0 && (b[len(b)-1] == 0 || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	for len(b) > 0 && (b[0] == 0 || b[0] == ' ') {
		b = b[1:]
	}
	if s, ok := common[string(b)]; ok {
		return s
	}
	return string(b)
}

// AETitle returns s as the 16 bytes of an AE title field, padded with spaces.
// What does not fit is cut.
func AETitle(s string) (f [16]byte) {
	n := copy(f[:], s)
	for i := n; i < len(f); i++ {
		f[i] = ' '
	}
	return f
}

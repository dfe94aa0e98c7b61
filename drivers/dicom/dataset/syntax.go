package dataset

// Syntax is a transfer syntax of data sets without compressed parts (PS3.5
// Annex A). Big Endian and Deflated are retired or unsafe and not supported.
type Syntax uint8

// The supported transfer syntaxes.
const (
	ImplicitLE Syntax = iota // Implicit VR Little Endian, the default of DICOM
	ExplicitLE               // Explicit VR Little Endian
)

// UIDs of the supported transfer syntaxes (PS3.6 Annex A).
const (
	implicitLEUID = "1.2.840.10008.1.2"
	explicitLEUID = "1.2.840.10008.1.2.1"
)

// UID returns the transfer syntax UID.
func (s Syntax) UID() string {
	if s == ExplicitLE {
		return explicitLEUID
	}
	return implicitLEUID
}

// String returns the short name used in messages.
func (s Syntax) String() string {
	if s == ExplicitLE {
		return "explicit VR little endian"
	}
	return "implicit VR little endian"
}

// SyntaxByUID finds the syntax with this UID.
func SyntaxByUID(uid string) (Syntax, bool) {
	switch uid {
	case implicitLEUID:
		return ImplicitLE, true
	case explicitLEUID:
		return ExplicitLE, true
	}
	return 0, false
}

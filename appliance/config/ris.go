package config

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RIS is one [[ris]]: a RIS or an image manager that gets orders by HL7, and how
// it wants its messages.
type RIS struct {
	Name    string `toml:"name" comment:"ours, for lists and commands; keep it: what was sent is remembered under it"`
	Address string `toml:"address" comment:"host:port of its MLLP receiver"`
	Version string `toml:"version" default:"2.3.1" oneof:"2.3.1|2.4|2.5.1" comment:"of HL7; 2.5.1 with OMG^O19 and OMI^O23"`
	Message string `toml:"message" default:"ORM^O01" oneof:"ORM^O01|OMG^O19|OMI^O23" comment:"of an order"`
	Update  string `toml:"update" default:"XO" oneof:"XO|CA+NW|RP" comment:"how a changed order is sent: change, cancel and new, or replace"`
	Charset string `toml:"charset" default:"UNICODE UTF-8" comment:"of its messages (MSH-18)"`
	Serves  Names  `toml:"serves" comment:"Provet modality names or ids; empty: every order"`

	OwnsWorklist  bool  `toml:"owns_worklist" comment:"true: the machines ask the RIS for their list; what it serves is not on ours"`
	CompletedWhen Names `toml:"completed_when" default:"ORC-5=CM,OBR-25=F" comment:"fields that say an order is done (ORC-1, ORC-5, OBR-25, OBX-11)"`

	SendingApplication   string `toml:"sending_application" default:"RAYHOUND" comment:"MSH-3"`
	SendingFacility      string `toml:"sending_facility" comment:"MSH-4; empty: the clinic's name"`
	ReceivingApplication string `toml:"receiving_application" comment:"MSH-5; empty: name"`
	ReceivingFacility    string `toml:"receiving_facility" comment:"MSH-6; empty: the clinic's name"`
	Test                 bool   `toml:"test" comment:"true: messages are marked as a test (MSH-11 = T)"`

	ORC5OnNew       string            `toml:"orc5_on_new" comment:"ORC-5 of new and changed orders: empty for a RIS, SC for an image manager such as dcm4chee"`
	PlacerNumber    string            `toml:"placer_number" default:"accession" oneof:"accession|step" comment:"ORC-2; step: for a RIS that refuses a number it knows"`
	NewUIDOnReplace bool              `toml:"new_uid_on_replace" comment:"true: a replaced order gets a new Study Instance UID"`
	StationInOrder  bool              `toml:"station_in_order" comment:"true: send the AE titles of the machines"`
	Modalities      map[string]string `toml:"modalities" inline:"yes" comment:"DICOM modality of Provet's modalities where no [[modality]] says it, as in { \"X-ray\" = \"DX\" }"`

	SendADT            bool   `toml:"send_adt" comment:"true: send ADT^A08 and A40 when the animal changes"`
	RegisterFirst      bool   `toml:"register_first" comment:"true: send ADT^A04 ahead of a new order"`
	PID35In231         bool   `toml:"pid35_in_231" comment:"true: send species and breed (PID-35, PID-36) in HL7 2.3.1 too"`
	SpeciesScheme      string `toml:"species_scheme" comment:"coding scheme of species codes, such as SCT; empty: text only"`
	BreedScheme        string `toml:"breed_scheme" comment:"coding scheme of breed codes, such as VTSL; empty: text only"`
	PatientAuthority   string `toml:"patient_authority" comment:"assigning authority of the patient id (PID-3.4)"`
	MicrochipAuthority string `toml:"microchip_authority" comment:"sends the microchip as a second id of this authority; empty: it is not sent"`

	ImageManager bool     `toml:"image_manager" comment:"true: OBR-25 = A and X mean rejected images, as with dcm4chee"`
	QuietPeriod  Duration `toml:"quiet_period" default:"0s" min:"0s" max:"24h" comment:"done counts after nothing else came for so long"`
	Cancel       string   `toml:"cancel" default:"notice" oneof:"notice|apply" comment:"an order that the RIS cancels: ask a person, or close it here"`

	Timeout        Duration `toml:"timeout" default:"30s" min:"1s" max:"10m" comment:"wait for an answer"`
	MinGap         Duration `toml:"min_gap" default:"0s" min:"0s" max:"1m" comment:"least time between an answer and the next message"`
	AckWithin      Duration `toml:"ack_within" default:"5m" min:"10s" max:"7d" comment:"wait for the result of a message that was only accepted (CA)"`
	Resend         bool     `toml:"resend" comment:"true: a message whose answer was lost is sent again, the same bytes; false: ask a person"`
	MaxTries       int      `toml:"max_tries" default:"5" min:"1" max:"1000" comment:"of a message that is answered with an error"`
	CloseAfterEach bool     `toml:"close_after_each" comment:"true: a connection for each message"`

	TLS       bool   `toml:"tls" comment:"true: connect with TLS"`
	TLSCAFile string `toml:"tls_ca_file" comment:"roots (PEM) of its certificate; empty: the system's"`
	TLSPin    Names  `toml:"tls_pin" comment:"SHA-256 fingerprints of its certificate, instead of roots and name"`

	ReceivesFrom Names  `toml:"receives_from" comment:"further IP addresses or networks it may send from; the address above always may"`
	CharsetIn    string `toml:"charset_in" comment:"of what it sends, whatever its messages say; empty: as they say"`
}

// HL7 is [hl7].
type HL7 struct {
	Listen    Names  `toml:"listen" default:":2575" comment:"addresses for statuses and reports of the RIS"`
	TLSListen Names  `toml:"tls_listen" comment:"addresses with TLS; they need tls_cert and tls_key"`
	TLSCert   string `toml:"tls_cert" comment:"certificate chain (PEM) of the TLS addresses"`
	TLSKey    string `toml:"tls_key" comment:"file of its private key (PEM)"`
}

// NewRIS returns a RIS with every default set.
func NewRIS() RIS {
	var r RIS
	applyDefaults(&r)
	return r
}

// hl7Charsets are the character sets that HL7 messages may have: the values of
// MSH-18 (HL7 table 0211) and names people use.
var hl7Charsets = []string{
	"UNICODE UTF-8", "UTF-8", "UNICODE UTF-16", "ASCII", "8859/1", "8859/2", "8859/3", "8859/4", "8859/5", "8859/6", "8859/7", "8859/8",
	"8859/9", "8859/15", "ISO IR14", "ISO IR87", "ISO IR159", "KS X 1001", "GB 18030-2000", "BIG-5", "windows-1250", "windows-1251",
	"windows-1252", "windows-1253", "windows-1254", "windows-1257", "Shift_JIS", "EUC-JP", "EUC-KR",
}

// HL7Charsets returns the character sets that a RIS may be set to.
func HL7Charsets() []string { return slices.Clone(hl7Charsets) }

// plainCharset is a name without case, blanks and signs, and without "ISO".
func plainCharset(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, strings.ToUpper(s))
	if rest, ok := strings.CutPrefix(s, "ISO8859"); ok {
		return "8859/" + strings.TrimPrefix(rest, "/")
	}
	return s
}

// checkRIS checks the RIS one by one and their names against each other.
func (f *File) checkRIS(errs *Errors) {
	seen := map[string]bool{}
	for i := range f.RIS {
		r := &f.RIS[i]
		at := item("ris", i)
		name := strings.ToLower(r.Name)
		switch {
		case r.Name == "":
			errs.add(at+".name", "", "a name is needed")
		case utf8.RuneCountInString(r.Name) > 32:
			errs.add(at+".name", "", "at most 32 characters")
		case strings.ContainsFunc(r.Name, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == '/' || c == ':' }):
			errs.add(at+".name", "", "no spaces, / or : in a name that commands use")
		case seen[name]:
			errs.add(at+".name", "", "%q is the name of another RIS", clip(r.Name))
		}
		seen[name] = true
		r.check(at, errs)
	}
}

func (r *RIS) check(at string, errs *Errors) {
	checkPeer(at+".address", r.Address, errs)
	if (r.Message == "ORM^O01") == (r.Version == "2.5.1") {
		if r.Version == "2.5.1" {
			errs.add(at+".message", "OMG^O19 or OMI^O23", "HL7 2.5.1 has no %s here", r.Message)
		} else if slices.Contains([]string{"OMG^O19", "OMI^O23"}, r.Message) {
			errs.add(at+".version", `write version = "2.5.1"`, "%s needs HL7 2.5.1", r.Message)
		}
	}
	checkHL7Charset(at+".charset", r.Charset, errs)
	if r.CharsetIn != "" {
		checkHL7Charset(at+".charset_in", r.CharsetIn, errs)
	}
	for i, s := range r.Serves {
		if strings.TrimSpace(s) == "" {
			errs.add(item(at+".serves", i), "", "an empty name serves nothing")
		}
	}
	for i, c := range r.CompletedWhen {
		field, value, _ := strings.Cut(c, "=")
		field = strings.ToUpper(strings.TrimSpace(field))
		if !slices.Contains([]string{"ORC-1", "ORC-5", "OBR-25", "OBX-11"}, field) || strings.TrimSpace(value) == "" {
			errs.add(item(at+".completed_when", i), "such as ORC-5=CM or OBR-25=F", "%q does not say when an order is done", clip(c))
		}
	}
	for name, code := range r.Modalities {
		if !isCodeString(code) {
			errs.add(at+".modalities."+name, "such as DX, CR, CT, MR, US or IO", "%q is not a DICOM modality", clip(code))
		}
	}
	for i, a := range r.ReceivesFrom {
		checkSource(item(at+".receives_from", i), a, errs)
	}
	for i, p := range r.TLSPin {
		b, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(p))
		if err != nil || len(b) != 32 {
			errs.add(item(at+".tls_pin", i), "64 hexadecimal digits, with or without colons", "%q is not a SHA-256 fingerprint", clip(p))
		}
	}
	if !r.TLS && (r.TLSCAFile != "" || len(r.TLSPin) > 0) {
		errs.add(at+".tls", "write tls = true", "roots and fingerprints are used with TLS only")
	}
}

func checkHL7Charset(at, name string, errs *Errors) {
	if slices.ContainsFunc(hl7Charsets, func(k string) bool { return plainCharset(k) == plainCharset(name) }) {
		return
	}
	hint := "known: " + strings.Join(hl7Charsets, ", ")
	if n := nearest(name, hl7Charsets); n != "" {
		hint = "did you mean " + n + "?"
	}
	errs.add(at, hint, "%q is not a character set we know", clip(name))
}

func (h *HL7) check(errs *Errors) {
	for i, a := range h.Listen {
		checkListen(item("hl7.listen", i), a, false, errs)
	}
	for i, a := range h.TLSListen {
		checkListen(item("hl7.tls_listen", i), a, false, errs)
	}
	if len(h.TLSListen) > 0 && (h.TLSCert == "" || h.TLSKey == "") {
		errs.add("hl7.tls_listen", "", "tls_cert and tls_key are needed with it")
	}
	all := slices.Concat(h.Listen, h.TLSListen)
	for i, a := range all {
		if slices.Contains(all[:i], a) && !strings.HasSuffix(a, ":0") {
			errs.add("hl7.listen", "", "%q is listed twice", clip(a))
		}
	}
}

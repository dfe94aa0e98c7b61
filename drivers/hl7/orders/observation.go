package orders

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// Document is a file in a report.
type Document struct {
	Type string // "PDF", or "RP" for a link
	MIME string // "application/pdf"; "" for a link
	Name string // of the observation, OBX-3.2
	// Data are the bytes of the file. When it could not be decoded (Broken) they are
	// what was received; of a link they are its address, which is never followed.
	Data   []byte
	Broken bool
}

// maxRepetitions bounds the repetitions of OBX-5 that are read.
const maxRepetitions = 10_000

// observations reads the results of an order: text, documents and the study UID.
func (r reader) observations(rep *Report, st *status, g hl7.Group) {
	var text []string
	for _, o := range g.Observations {
		s := o.OBX
		kind, id, state := upper(s.Get("2")), get(s, "3"), upper(s.Get("11"))
		if id == "113014" { // DICOM Study, DCM
			rep.StudyInstanceUID = or(get(s, "5"), rep.StudyInstanceUID)
			continue
		}
		if state == "O" { // the order's detail, no result
			continue
		}
		if state != "" {
			st.obx11 = append(st.obx11, state)
		}
		switch kind {
		case "ED":
			for i := 1; i <= min(max(s.Count(5), 1), maxRepetitions); i++ {
				rep.Documents = append(rep.Documents, document(s, "5["+strconv.Itoa(i)+"]"))
			}
		case "RP":
			rep.Documents = append(rep.Documents, Document{Type: "RP", Name: get(s, "3.2"), Data: []byte(s.Get("5"))})
		default:
			if measured(s) && !resultType(r.m.Type()) {
				continue // weight and size that came with the order
			}
			if t := observationText(s, kind); t != "" {
				text = append(text, t)
			}
		}
		for _, n := range o.Notes {
			if t := strings.TrimRight(lines(n.Text("3")), " \n"); t != "" {
				text = append(text, t)
			}
		}
	}
	rep.Text = strings.Join(text, "\n")
}

func resultType(t string) bool { return strings.HasPrefix(t, "ORU") }

// measured reports the weight or the size of the animal.
func measured(s hl7.Segment) bool {
	name := get(s, "3.2")
	return strings.EqualFold(name, "Body Weight") || strings.EqualFold(name, "Body Height")
}

// observationText is OBX-5 as people read it, a line for each repetition.
func observationText(s hl7.Segment, kind string) string {
	n := min(s.Count(5), maxRepetitions)
	out := make([]string, 0, n)
	for i := 1; i <= n; i++ {
		at := "5[" + strconv.Itoa(i) + "]"
		var t string
		switch kind {
		case "CE", "CWE", "CNE", "CF":
			t = or(strings.TrimSpace(s.Get(at+".2")), strings.TrimSpace(s.Get(at+".5")), s.Get(at+".1"))
		default:
			t = lines(s.Text(at))
		}
		if kind != "TX" && kind != "FT" && kind != "ST" && strings.TrimSpace(t) != "" {
			if name := get(s, "3.2"); name != "" {
				t = name + ": " + t
			}
			if unit := get(s, "6"); unit != "" {
				t += " " + unit
			}
		}
		out = append(out, strings.TrimRight(t, " \t\n"))
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

var lineBreaks = strings.NewReplacer(
	"\r\n", "\n", "\r", "\n",
	// Escaped twice on its way (HL7-V2 issue 40).
	`\X0D\\X0A\`, "\n", `\X0D0A\`, "\n", `\X0D\`, "\n", `\X0A\`, "\n", `\.br\`, "\n",
)

func lines(s string) string { return lineBreaks.Replace(s) }

var mimeTypes = map[string]string{
	"PDF": "application/pdf", "JPEG": "image/jpeg", "JPG": "image/jpeg", "PNG": "image/png", "TIFF": "image/tiff", "GIF": "image/gif",
	"RTF": "application/rtf", "HTML": "text/html", "TXT": "text/plain", "PLAIN": "text/plain", "XML": "application/xml",
}

// document reads an ED: source application, type, subtype, encoding, data.
func document(s hl7.Segment, at string) Document {
	d := Document{Name: get(s, "3.2"), Type: upper(s.Get(at + ".3"))}
	if d.Type == "" {
		d.Type = upper(s.Get(at + ".2"))
	}
	if _, sub, ok := strings.Cut(d.Type, "/"); ok {
		d.Type = sub
	}
	raw := s.Get(at + ".5")
	switch encoding := upper(s.Get(at + ".4")); {
	case encoding == "HEX":
		b, err := hex.DecodeString(withoutBlanks(raw))
		d.Data, d.Broken = b, err != nil
	case encoding == "A":
		d.Data = []byte(raw)
	default: // Base64, and what has no name
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(withoutBlanks(raw), "="))
		d.Data, d.Broken = b, err != nil
	}
	if d.Broken {
		d.Data = []byte(raw)
	}
	isPDF := len(d.Data) >= 4 && string(d.Data[:4]) == "%PDF"
	switch {
	case len(d.Data) == 0, d.Type == "PDF" && !isPDF:
		d.Broken = true
	case d.Type != "PDF" && isPDF:
		d.Type = "PDF"
	}
	d.MIME = or(mimeTypes[d.Type], "application/octet-stream")
	return d
}

// withoutBlanks drops white space, and line breaks that were escaped twice.
func withoutBlanks(s string) string {
	if strings.IndexByte(s, '\\') >= 0 {
		s = lines(s)
	}
	if strings.IndexFunc(s, blank) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if blank(r) {
			return -1
		}
		return r
	}, s)
}

func blank(r rune) bool { return r == ' ' || r == '\n' || r == '\r' || r == '\t' }

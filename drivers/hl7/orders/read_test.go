package orders

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
)

func parse(t testing.TB, segments ...string) *hl7.Message {
	t.Helper()
	m, err := hl7.Parse([]byte(strings.Join(segments, "\r")+"\r"), hl7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func msh(messageType string) string {
	return `MSH|^~\&|RIS|Clinic|RAYHOUND|Clinic|20261124100000||` + messageType + `|42|P|2.5.1`
}

func read(t testing.TB, p *Profile, segments ...string) []Report {
	t.Helper()
	out, err := Read(p, parse(t, segments...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The table of the specification: ORC-5 before OBR-25.
func TestPolicy(t *testing.T) {
	standard := &Profile{}
	archive := &Profile{ImageManager: true}
	configured := &Profile{CompletedWhen: []string{"ORC-5=CM", "OBR-25=F"}}
	reported := &Profile{CompletedWhen: []string{"OBR-25=F"}}
	own := &Profile{CompletedWhen: []string{"ORC-5=ZD", "OBX-11=F"}}
	for _, c := range []struct {
		name                 string
		p                    *Profile
		control, orc5, obr25 string
		event                order.Event
		meaning              Meaning
	}{
		{"dcm4chee begins", standard, "SC", "IP", "R", order.StepStarted, Started},
		{"dcm4chee begins, archive", archive, "SC", "IP", "R", order.StepStarted, Started},
		{"started and final", standard, "SC", "IP", "F", order.StepStarted, Started},
		{"dcm4chee ends", standard, "SC", "CM", "R", order.StepCompleted, Acquired},
		{"study stored", archive, "SC", "CM", "P", order.StepCompleted, Acquired},
		{"given up", standard, "SC", "DC", "R", order.StepDiscontinued, Discontinued},
		{"unverified, ORC-5 empty", standard, "RE", "", "R", order.StepCompleted, Acquired},
		{"some results", standard, "SC", "A", "A", order.StepCompleted, Acquired},
		{"final", standard, "RE", "", "F", order.StepCompleted, Reported},
		{"no ORC", standard, "", "", "F", order.StepCompleted, Reported},
		{"corrected", standard, "RE", "CM", "C", order.StepCompleted, Reported},
		{"scheduled", standard, "SC", "SC", "S", "", Scheduled},
		{"scheduled, results unverified", standard, "SC", "SC", "R", "", Scheduled},
		{"hold", standard, "SC", "HD", "", "", OnHold},
		{"error", standard, "SC", "ER", "", "", Failed},
		{"cancelled", standard, "SC", "CA", "", order.Withdrawn, Cancelled},
		{"cannot obtain", standard, "SC", "", "X", order.Withdrawn, Cancelled},
		{"rejected in part", archive, "SC", "CM", "A", "", ImagesRejected},
		{"rejected", archive, "SC", "CM", "X", "", ImagesRejected},
		{"rejected, ORC-5 empty", archive, "SC", "", "X", "", ImagesRejected},
		{"configured CM", configured, "SC", "CM", "", order.StepCompleted, Acquired},
		{"configured F", configured, "RE", "", "F", order.StepCompleted, Reported},
		{"configured C", configured, "RE", "", "C", order.StepCompleted, Reported},
		{"configured, R alone", configured, "RE", "", "R", "", Partial},
		{"configured, started", configured, "SC", "IP", "F", order.StepStarted, Started},
		{"only reports, CM", reported, "SC", "CM", "R", "", Acquired},
		{"only reports, F", reported, "SC", "CM", "F", order.StepCompleted, Reported},
		{"a value of their own", own, "SC", "ZD", "", order.StepCompleted, Acquired},
		{"a value of nobody", standard, "SC", "ZZ", "R", "", Partial},
		{"order cancelled", standard, "OC", "", "", order.Withdrawn, Cancelled},
		{"cancelled as requested", standard, "CR", "CA", "", "", Confirmed},
		{"order discontinued", standard, "OD", "", "", order.StepDiscontinued, Discontinued},
		{"accepted", standard, "OK", "", "", "", Confirmed},
		{"changed by the peer", standard, "XX", "", "", "", Changed},
		{"changed and completed", standard, "XO", "CM", "", order.StepCompleted, Acquired},
		{"refused", standard, "UC", "", "", "", Refused},
		{"number", standard, "NA", "", "", "", Numbered},
		{"nothing", standard, "SC", "", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, c.p, msh("OMG^O19"), "PID|1||1001", "ORC|"+c.control+"|A|F||"+c.orc5, "OBR|1|A|F|x"+strings.Repeat("|", 21)+c.obr25)[0]
			if got.Event != c.event || got.Meaning != c.meaning {
				t.Errorf("%q %q, want %q %q", got.Event, got.Meaning, c.event, c.meaning)
			}
		})
	}
}

func TestObservationStatusCompletes(t *testing.T) {
	p := &Profile{CompletedWhen: []string{"OBX-11=F"}}
	if r := read(t, p, msh("ORU^R01"), "OBR|1||F", "OBX|1|TX|||done||||||F")[0]; r.Event != order.StepCompleted {
		t.Errorf("%+v", r)
	}
	if r := read(t, p, msh("ORU^R01"), "OBR|1||F", "OBX|1|TX|||done||||||P")[0]; r.Event != "" || r.Kind != KindResult {
		t.Errorf("%+v", r)
	}
}

func TestReadIDs(t *testing.T) {
	for name, c := range map[string]struct {
		segments []string
		want     Report
	}{
		"OMG of dcm4chee": {
			[]string{msh("OMG^O19"), "PID|1||1001", "ORC|SC|PL|FI||CM||||20261124113000+0100", "OBR|1|||x||||||||||||||ACC|RP|SPS|||||R", "OBX|1|NM|^Body Weight||4|kg", "OBX|2|ST|113014^DICOM Study^DCM||2.25.1||||||O"},
			Report{
				Kind: KindStatus, AccessionNumber: "ACC", PlacerOrderNumber: "PL", FillerOrderNumber: "FI", StudyInstanceUID: "2.25.1", ScheduledProcedureStepID: "SPS", PatientID: "1001",
				At: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC),
			},
		},
		"OMI of dcm4chee": {
			[]string{msh("OMI^O23"), "PID|1||1001", "ORC|SC|PL|FI||IP", "TQ1|1", "OBR|1|||x" + strings.Repeat("|", 21) + "R", "IPC|ACC|RP|2.25.1|SPS|DX"},
			Report{
				Kind: KindStatus, AccessionNumber: "ACC", PlacerOrderNumber: "PL", FillerOrderNumber: "FI", StudyInstanceUID: "2.25.1", ScheduledProcedureStepID: "SPS", PatientID: "1001",
				At: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
			},
		},
		"ORU without ORC": {
			[]string{msh("ORU^R01"), "PID|1||1001", "OBR|1|PL|FI|x||||||||||||||ACC||||20261124120000|||F", "OBX|1|TX|||No findings.||||||F"},
			Report{
				Kind: KindResult, AccessionNumber: "ACC", PlacerOrderNumber: "PL", FillerOrderNumber: "FI", PatientID: "1001", Text: "No findings.",
				At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
			},
		},
		"ORM with ZDS": {
			[]string{msh("ORM^O01"), "ORC|SN||FI", "OBR|1||FI", "ZDS|2.25.9^^Application^DICOM"},
			Report{Kind: KindNumber, FillerOrderNumber: "FI", StudyInstanceUID: "2.25.9", At: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)},
		},
		"refusal": {
			[]string{msh("ORR^O02"), "MSA|AA|1|Machine is booked", "ORC|UA|PL"},
			Report{Kind: KindRefusal, PlacerOrderNumber: "PL", Text: "Machine is booked", At: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := read(t, &Profile{}, c.segments...)[0]
			w := c.want
			if g.Kind != w.Kind || g.AccessionNumber != w.AccessionNumber || g.PlacerOrderNumber != w.PlacerOrderNumber || g.FillerOrderNumber != w.FillerOrderNumber ||
				g.StudyInstanceUID != w.StudyInstanceUID || g.PatientID != w.PatientID || g.Text != w.Text || !g.At.Equal(w.At) ||
				w.ScheduledProcedureStepID != g.ScheduledProcedureStepID && w.ScheduledProcedureStepID != "" {
				t.Errorf("got  %+v\nwant %+v", g, w)
			}
		})
	}
}

func TestReportText(t *testing.T) {
	r := read(t, &Profile{}, msh("ORU^R01"), "OBR|1||F"+strings.Repeat("|", 22)+"C",
		`OBX||TX|||FINDINGS~Line two`, `OBX||FT|||A\.br\B\X0D\C\E\X0D\E\D \T\ O\T\Neil`, "OBX||CE|1^Impression||X1^Fracture^L", "OBX||NM|2^Length||12|mm",
		"OBX||TX|||detail||||||O", "NTE|1||A note")[0]
	want := "FINDINGS\nLine two\nA\nB\nC\nD & O&Neil\nImpression: Fracture\nLength: 12 mm"
	if r.Text != want {
		t.Errorf("%q, want %q", r.Text, want)
	}
	if !r.Correction || r.Meaning != Reported || r.Kind != KindResult {
		t.Errorf("%+v", r)
	}
}

func TestDocuments(t *testing.T) {
	pdf := "%PDF-1.4 invented"
	good := base64.StdEncoding.EncodeToString([]byte(pdf))
	for name, c := range map[string]struct {
		field  string
		kind   string
		data   string
		broken bool
	}{
		"plain":          {"^AP^PDF^Base64^" + good, "PDF", pdf, false},
		"no padding":     {"^AP^PDF^Base64^" + strings.TrimRight(good, "="), "PDF", pdf, false},
		"wrapped":        {`^AP^PDF^Base64^` + good[:8] + `\.br\` + good[8:], "PDF", pdf, false},
		"wrapped, hex":   {`^AP^PDF^Base64^` + good[:8] + `\X0D0A\` + good[8:], "PDF", pdf, false},
		"wrapped twice":  {`^AP^PDF^Base64^` + good[:8] + `\E\X0D\E\` + good[8:], "PDF", pdf, false},
		"no encoding":    {"^AP^PDF^^" + good, "PDF", pdf, false},
		"MIME type":      {"^application^application/pdf^Base64^" + good, "PDF", pdf, false},
		"other name":     {"^AP^Octet-stream^Base64^" + good, "PDF", pdf, false},
		"hexadecimal":    {"^AP^PDF^Hex^255044462D", "PDF", "%PDF-", false},
		"not base64":     {"^AP^PDF^Base64^%%%%", "PDF", "%%%%", true},
		"no PDF":         {"^AP^PDF^Base64^" + base64.StdEncoding.EncodeToString([]byte("hello")), "PDF", "hello", true},
		"empty":          {"^AP^PDF^Base64^", "PDF", "", true},
		"an image":       {"^IM^JPEG^Base64^" + base64.StdEncoding.EncodeToString([]byte("jpg")), "JPEG", "jpg", false},
		"text of itself": {"^TX^Plain^A^hello", "PLAIN", "hello", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(t, &Profile{}, msh("ORU^R01"), "OBR|1||F", "OBX|1|ED|R^Report||"+c.field+"||||||F")[0]
			if len(r.Documents) != 1 {
				t.Fatalf("%+v", r)
			}
			d := r.Documents[0]
			if d.Type != c.kind || string(d.Data) != c.data || d.Broken != c.broken || d.Name != "Report" {
				t.Errorf("%+v", d)
			}
		})
	}
	r := read(t, &Profile{}, msh("ORU^R01"), "OBR|1||F", "OBX|1|RP|L^Link||https://ris.example/1^RIS^HTML")[0]
	if d := r.Documents[0]; d.Type != "RP" || string(d.Data) != "https://ris.example/1" {
		t.Errorf("%+v", d)
	}
}

func TestSeveralOrders(t *testing.T) {
	got := read(t, &Profile{QuietPeriod: time.Minute}, msh("ORU^R01"), "PID|1||1001", "ORC|RE|A1", "OBR|1|A1|F1", "OBX|1|TX|||one", "ORC|RE|A2|||CM", "OBR|2|A2|F2", "OBX|1|TX|||two")
	if len(got) != 2 || got[0].Text != "one" || got[1].Text != "two" || got[1].PlacerOrderNumber != "A2" || got[1].Quiet != time.Minute {
		t.Errorf("%+v", got)
	}
	got = read(t, &Profile{}, msh("OMI^O23"), "ORC|SC||||CM", "OBR|1", "IPC|A||2.25.1|S1", "IPC|A||2.25.1|S2")
	if len(got) != 2 || got[1].ScheduledProcedureStepID != "S2" || got[1].Event != order.StepCompleted {
		t.Errorf("%+v", got)
	}
}

func TestReadOtherTypes(t *testing.T) {
	if _, err := Read(&Profile{}, parse(t, msh("ADT^A08"), "PID|1||1")); !errors.Is(err, ErrType) {
		t.Error(err)
	}
	m := parse(t, msh("ORU^R01")+strings.Repeat("\rOBR|1\rOBX|1", maxReports+1))
	var limit *hl7.LimitError
	if _, err := Read(&Profile{}, m); !errors.As(err, &limit) {
		t.Error(err)
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"20261124":                 "2026-11-23T23:00:00Z",
		"202611241000":             "2026-11-24T09:00:00Z",
		"20261124100001.25":        "2026-11-24T09:00:01Z",
		"20261124100001.2500-0500": "2026-11-24T15:00:01Z",
		"20261124100001+0200":      "2026-11-24T08:00:01Z",
		"2026":                     "", "": "", "xxxxxxxx": "", "20261324": "",
	} {
		at, ok := parseTime(in, berlin)
		if got := at.UTC().Format(time.RFC3339); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %v %s, want %s", in, ok, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(msh("ORU^R01") + "\rPID|1||1\rORC|SC|A|B||CM\rOBR|1|A|B" + strings.Repeat("|", 22) + "F\rOBX|1|ED|||^AP^PDF^Base64^JVBERg==\rIPC|1|2|3|4\r"))
	f.Add([]byte(msh("ORR^O02") + "\rMSA|AA|1|no\rERR|PID^1^5^101\rORC|UX\r"))
	f.Add([]byte("MSH|^~\\&"))
	p := &Profile{CompletedWhen: []string{"ORC-5=CM", "OBX-11=F"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := hl7.Parse(b, hl7.Options{})
		if err != nil {
			return
		}
		reports, err := Read(p, m)
		for _, r := range reports {
			if err != nil || r.Kind == "" {
				t.Errorf("%+v %v", r, err)
			}
			if r.Event != "" {
				if _, err := order.Next(order.Scheduled, r.Event); err != nil {
					t.Error(err)
				}
			}
		}
		if a, err := hl7.ParseAck(b, hl7.Options{}); err == nil {
			if Classify(p, a).Class == "" {
				t.Error("no class")
			}
		}
	})
}

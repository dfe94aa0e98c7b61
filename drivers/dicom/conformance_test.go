// Package dicom_test holds what concerns the DICOM packages together: CONFORMANCE.md
// against the code, and conversations with other products.
package dicom_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// The statement says what the code does: each of its tables is compared with
// the running code.

// table returns the rows of the first table below a heading of CONFORMANCE.md,
// without its head.
func table(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, below, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("no heading %q", heading)
	}
	var rows [][]string
	for line := range strings.Lines(below) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|"):
			var cells []string
			for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(c))
			}
			rows = append(rows, cells)
		case len(rows) > 0:
			return rows[2:]
		case strings.HasPrefix(line, "#"):
			t.Fatalf("no table below %q", heading)
		}
	}
	return rows[2:]
}

var tagPattern = regexp.MustCompile(`\(([0-9A-F]{4}),([0-9A-F]{4})\)`)

// tagOf reads the tag in a cell.
func tagOf(t *testing.T, cell string) dataset.Tag {
	t.Helper()
	m := tagPattern.FindStringSubmatch(cell)
	if m == nil {
		t.Fatalf("no tag in %q", cell)
	}
	n, err := strconv.ParseUint(m[1]+m[2], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return dataset.Tag(n)
}

// keywordOf makes a keyword of an attribute's name, in lower case.
func keywordOf(name string) string {
	name = strings.ReplaceAll(name, "'s", "")
	return strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(name, ""))
}

func TestConformanceAttributes(t *testing.T) {
	for _, heading := range []string{"#### Matching keys", "#### Return keys", "#### Attributes read"} {
		for _, row := range table(t, heading) {
			tag := tagOf(t, row[1])
			if !strings.HasPrefix(strings.ToLower(dataset.Keyword(tag)), keywordOf(row[0])) {
				t.Errorf("%s: %s is called %q, the dictionary says %s", heading, tag, row[0], dataset.Keyword(tag))
			}
		}
	}
	text, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tagPattern.FindAllString(string(text), -1) {
		if tag := tagOf(t, m); dataset.Keyword(tag) == "" && tag.Group() != 0 {
			t.Errorf("%s is no attribute", m)
		}
	}
}

func TestConformanceStatuses(t *testing.T) {
	want := []string{"0000 -"}
	for _, r := range mpps.Refusals() {
		id := "-"
		if r.ErrorID != 0 {
			id = fmt.Sprintf("%04X", r.ErrorID)
		}
		want = append(want, fmt.Sprintf("%04X %s %s", r.Status, id, r.Comment))
	}
	var got []string
	for _, row := range table(t, "#### Statuses of N-CREATE and N-SET") {
		line := row[0] + " " + row[1]
		if row[2] != "-" {
			line += " " + row[2]
		}
		got = append(got, line)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the statement has\n%s\nthe code\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	got = nil
	for _, row := range table(t, "#### Statuses of C-FIND") {
		got = append(got, row[0])
	}
	want = nil
	for _, code := range []uint16{
		dimse.Success, dimse.Pending, dimse.PendingWarning, dimse.Cancel, dimse.OutOfResources, dimse.IdentifierMismatch,
		dimse.UnableToProcess, dimse.Deadline,
	} {
		want = append(want, fmt.Sprintf("%04X", code))
	}
	if !slices.Equal(got, want) {
		t.Errorf("C-FIND: the statement has %q, the code %q", got, want)
	}
}

func TestConformanceIdentityAndLimits(t *testing.T) {
	text, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	lim := dimse.Limits{}.WithDefaults()
	rows := map[string]string{
		"Implementation class UID":    ul.ImplementationClassUID,
		"Implementation version name": ul.ImplementationVersionName,
		"A-ASSOCIATE-RQ":              bytesOf(lim.AssociatePDU),
		"P-DATA-TF received":          bytesOf(lim.ToleratedPDU),
		"Command set":                 bytesOf(lim.Command),
		"C-FIND identifier":           bytesOf(lim.Identifier),
		"MPPS data set": fmt.Sprintf("%s, %s elements, depth %d", bytesOf(mpps.DefaultLimits.MaxBytes),
			thousands(mpps.DefaultLimits.MaxElements), mpps.DefaultLimits.MaxDepth),
		"Answers of one query":                                  thousands(mwl.DefaultMaxAnswers),
		"ARTIM: to the complete A-ASSOCIATE-RQ":                 seconds(lim.ARTIM),
		"ARTIM: to the close after a refusal, abort or release": seconds(lim.Close),
		"Idle association":                                      seconds(lim.Idle),
		"Rest of a PDU":                                         seconds(lim.PDU),
		"Rest of a message":                                     seconds(lim.Message),
		"One operation":                                         seconds(lim.Operation),
		"Maximum length announced":                              bytesOf(lim.MaxPDU),
		"Associations at once":                                  fmt.Sprintf("%d in total (setting `max_associations`), %d for one machine, %d for unknown", lim.Associations, lim.PerMachine, lim.PerUnknown),
	}
	for name, value := range rows {
		if !strings.Contains(string(text), "| "+name+" | "+value) {
			t.Errorf("the statement has no row %q with %q", name, value)
		}
	}
	if mpps.DefaultLimits.MaxBytes != lim.Attributes {
		t.Errorf("mpps takes %d bytes, dimse %d", mpps.DefaultLimits.MaxBytes, lim.Attributes)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

func bytesOf(n int) string { return thousands(n) + " bytes" }

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func TestConformanceCharacterSets(t *testing.T) {
	for _, row := range table(t, "## 5. Character sets") {
		cs, note := dataset.ParseCharset([]string{row[0]})
		if note != "" || cs.DefinedTerm() != row[0] {
			t.Errorf("%s: %q, written as %s", row[0], note, cs.DefinedTerm())
		}
	}
}

// The SOP classes and the return keys, asked over an association.
func TestConformanceOverAnAssociation(t *testing.T) {
	target := worklist(t)
	for _, row := range table(t, "#### SOP classes") {
		c, err := query.Dial(t.Context(), target, row[1])
		if accepted := err == nil; accepted != (row[3] == "yes") {
			t.Errorf("%s: as provider %q, the association says %v", row[0], row[3], err)
		}
		if err == nil {
			_ = c.Release(t.Context())
		}
	}

	both := target
	both.TransferSyntaxes = []string{dataset.ImplicitLE.UID(), dataset.ExplicitLE.UID()}
	c, err := query.Dial(t.Context(), both, query.WorklistClassUID)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.TransferSyntax(query.WorklistClassUID); got != dataset.ExplicitLE.UID() {
		t.Errorf("of implicit and explicit, %s was chosen", got)
	}
	_ = c.Release(t.Context())

	var asked []query.Key
	step := map[dataset.Tag]bool{}
	never := map[dataset.Tag]bool{} // empty, by type 1 and 1C
	for _, row := range table(t, "#### Return keys") {
		tag := tagOf(t, row[1])
		step[tag] = strings.HasSuffix(row[1], "step")
		never[tag] = row[2] == "1"
		if tag != dataset.SpecificCharacterSet && tag != dataset.ScheduledProcedureStepSequence && !step[tag] {
			asked = append(asked, query.Key{Tag: tag})
		}
	}
	var entries []*query.Entry
	for e, err := range query.Worklist(t.Context(), target, query.Keys{WholeStep: true, OnlyExtra: true, Extra: asked}) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	if len(entries) != 1 {
		t.Fatalf("%d answers", len(entries))
	}
	item := entries[0].Set.Item(dataset.ScheduledProcedureStepSequence)
	for tag, inStep := range step {
		set := entries[0].Set
		if inStep {
			set = item
		}
		e := set.Find(tag)
		switch {
		case e == nil:
			t.Errorf("%s %s is not returned", tag, dataset.Keyword(tag))
		case never[tag] && len(e.Value) == 0 && len(e.Items) == 0:
			t.Errorf("%s %s is empty", tag, dataset.Keyword(tag))
		}
	}
	if n := len(entries[0].Set.Elements) + len(item.Elements); n != len(step) {
		t.Errorf("%d attributes in the answer, %d in the statement", n, len(step))
	}
}

// worklist runs all services on loopback, with one order on the worklist.
func worklist(t *testing.T) query.Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	list := mwl.NewList(mwl.Config{
		Clinic: "Riverside Veterinary Clinic", Machines: []mwl.Machine{{Name: "X-ray room 1", AETitle: "DR1", Code: "DX"}},
	})
	list.Put(&order.Order{
		ID: 1, ProvetID: "1001", AccessionNumber: "1001", RequestedProcedureID: "1001", StudyInstanceUID: "2.25.1", Revision: 1,
		State: order.Scheduled, CreatedAt: time.Now(),
		Steps: []order.Step{{
			ScheduledProcedureStepID: "1001", Modality: order.Ref{ID: "7", Name: "X-ray"}, Stations: []string{"X-ray room 1"},
			State: order.Scheduled,
		}},
		Content: order.Content{
			Patient: order.Patient{ID: "4711", Name: "Bella"}, Owner: order.Owner{LastName: "Müller"},
			Modalities: []order.Ref{{ID: "7", Name: "X-ray"}},
		},
	})
	server := dimse.NewServer(dimse.ServerConfig{
		AETitle: "RAYHOUND",
		Services: map[string]any{
			query.WorklistClassUID: mwl.NewService(mwl.ServiceConfig{List: list}),
			mpps.SOPClassUID:       mpps.NewService(mpps.Config{}),
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return query.Target{CalledAETitle: "RAYHOUND", CallingAETitle: "DR1", Address: ln.Addr().String()}
}

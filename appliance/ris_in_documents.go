package appliance

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// maxReportText is the length of a report's text in bytes; what is longer is
// kept with the message only.
const maxReportText = 4 << 20

func hasReport(rep *orders.Report) bool {
	return rep.Kind != orders.KindRefusal && (rep.Text != "" || len(rep.Documents) > 0)
}

// reportStatus is P, F or C, or empty when the message does not say.
func reportStatus(rep *orders.Report) string {
	switch {
	case rep.Correction:
		return "C"
	case rep.Result == "F" || rep.Meaning == orders.Reported:
		return "F"
	case rep.Result == "P" || rep.Result == "R" || rep.Result == "A":
		return "P"
	}
	return ""
}

// reportParts are the documents of a report, the text among them, with their bytes.
func reportParts(s said, rep *orders.Report) (docs []localdb.Document, bytes [][]byte) {
	status := reportStatus(rep)
	add := func(kind, mime, name string, broken bool, data []byte) {
		docs = append(docs, localdb.Document{
			InID: s.inID, RIS: s.ris, Kind: kind, MIME: mime, Name: clipped(name, 200), Status: status, Broken: broken,
			ControlID: s.controlID, At: rep.At,
		})
		bytes = append(bytes, data)
	}
	if rep.Kind == orders.KindRefusal {
		return nil, nil
	}
	if t := rep.Text; t != "" {
		add(localdb.DocumentText, "text/plain; charset=utf-8", "", false, []byte(t[:min(len(t), maxReportText)]))
	}
	for _, d := range rep.Documents {
		kind := localdb.DocumentOther
		switch d.Type {
		case "PDF":
			kind = localdb.DocumentPDF
		case "RP":
			kind = localdb.DocumentLink
		}
		add(kind, d.MIME, d.Name, d.Broken, d.Data)
	}
	return docs, bytes
}

// keepReport keeps text and documents with the order, and tells the timeline.
func (b *batch) keepReport(s said, o *order.Order, rep *orders.Report) error {
	docs, bytes := reportParts(s, rep)
	if len(docs) == 0 {
		return nil
	}
	before, err := b.tx.DocumentsOf(b.ctx, o.ID)
	if err != nil {
		return err
	}
	tooMany := 0
	var kept []localdb.Document
	for i := range docs {
		d := &docs[i]
		d.OrderID = o.ID
		if d.At.IsZero() {
			d.At = b.now
		}
		if known(before, d, localdb.DocumentHash(bytes[i])) {
			continue
		}
		d.CorrectionOf = corrected(before, d)
		switch err := b.tx.AddDocument(b.ctx, d, bytes[i]); {
		case errors.Is(err, localdb.ErrTooLarge):
			tooMany++
		case err != nil:
			return err
		default:
			kept = append(kept, *d)
		}
	}
	return b.reportKept(s, o, kept, tooMany)
}

// known reports whether the same document came before and nothing replaced it.
func known(before []localdb.Document, d *localdb.Document, hash string) bool {
	for i := len(before) - 1; i >= 0; i-- {
		if x := before[i]; x.RIS == d.RIS && x.Kind == d.Kind && x.Name == d.Name {
			if x.Hash == hash && x.Status == d.Status {
				return true
			}
			if d.Kind == localdb.DocumentText { // an older text was replaced by this one
				return false
			}
		}
	}
	return false
}

// corrected returns the document that d replaces: the last one of its kind from
// the same RIS, of its name when it has one, when d is a correction or final
// after a preliminary one.
func corrected(before []localdb.Document, d *localdb.Document) int64 {
	for i := len(before) - 1; i >= 0; i-- {
		x := before[i]
		if x.RIS == d.RIS && x.Kind == d.Kind && x.Name == d.Name && x.ControlID != d.ControlID &&
			(d.Status == "C" || d.Status == "F" && x.Status == "P") {
			return x.ID
		}
	}
	return 0
}

// reportKept writes the line "Report from clinic-ris: final, 1 PDF (214 kB)", and
// tells a person of files that cannot be opened.
func (b *batch) reportKept(s said, o *order.Order, docs []localdb.Document, tooMany int) error {
	if tooMany > 0 {
		text := fmt.Sprintf("%s of a report from %s: too large, or too many of this order; kept with the message only", count(tooMany, "document", "documents"), s.ris)
		if err := b.say(o, "report", order.HL7, problem.RISDocument, text); err != nil {
			return err
		}
	}
	if len(docs) == 0 {
		return nil
	}
	broken := 0
	for _, d := range docs {
		if d.Broken {
			broken++
		}
	}
	code := problem.Code("")
	if broken > 0 {
		code = problem.RISDocument
		b.notice(o, code, problem.Args{"ris": s.ris, "accession": o.AccessionNumber})
		if err := b.save(o); err != nil {
			return err
		}
	}
	return b.say(o, "report", order.HL7, code, reportLine(s.ris, docs, broken))
}

func reportLine(ris string, docs []localdb.Document, broken int) string {
	line := "Report from " + ris
	if docs[0].Status == "C" {
		line = "Corrected report from " + ris
	}
	var parts []string
	if w := statusWord(docs[0].Status); w != "" {
		parts = append(parts, w)
	}
	kinds := []struct{ kind, one, many string }{
		{localdb.DocumentText, "text", "texts"},
		{localdb.DocumentPDF, "PDF", "PDFs"},
		{localdb.DocumentLink, "link", "links"},
		{localdb.DocumentOther, "file", "files"},
	}
	for _, k := range kinds {
		n, size := 0, int64(0)
		for _, d := range docs {
			if d.Kind == k.kind {
				n, size = n+1, size+d.Size
			}
		}
		switch {
		case n == 0:
		case k.kind == localdb.DocumentText && n == 1:
			parts = append(parts, "text")
		case k.kind == localdb.DocumentLink:
			parts = append(parts, count(n, k.one, k.many))
		default:
			parts = append(parts, count(n, k.one, k.many)+" ("+sizeText(size)+")")
		}
	}
	if broken > 0 {
		parts = append(parts, count(broken, "file is damaged", "files are damaged"))
	}
	return line + ": " + strings.Join(parts, ", ")
}

// statusWord names the status of a report.
func statusWord(status string) string {
	return map[string]string{"P": "preliminary", "F": "final", "C": "corrected"}[status]
}

// sizeText writes "214 kB" or "3.2 MB".
func sizeText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 999_500:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

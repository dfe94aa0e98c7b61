package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/ui"
)

type ordersReportCmd struct {
	Accession string `arg:"" help:"Accession number."`
	Out       string `help:"Save every file of the report in this folder." placeholder:"DIR"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersReportCmd) Help() string {
	return "Prints the text of the report as the RIS sent it, and saves PDFs and other files with --out. Reading a report leaves an audit line.\n\n" +
		"Example:\n\n  rayhound orders report 1234 --out reports"
}

// Run prints and saves the report.
func (c ordersReportCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	rep, err := client.Report(e.ctx, c.Accession)
	if err != nil {
		return err
	}
	saved := map[int64]string{}
	if c.Out != "" {
		if saved, err = saveDocuments(e, client, rep, c.Out); err != nil {
			return err
		}
	}
	if c.JSON {
		return e.json(rep)
	}
	if len(rep.Documents) == 0 {
		e.printf("Nothing was reported about order %s yet.\n", plain(c.Accession))
		return nil
	}
	for _, d := range rep.Documents {
		e.printf("%s  %s\n", moment(d.At), plain(documentText(d)))
		if path := saved[d.ID]; path != "" {
			e.printf("  saved as %s\n", path)
		}
		if d.Text != "" {
			for line := range strings.SplitSeq(d.Text, "\n") {
				e.printf("  %s\n", plain(line))
			}
		}
	}
	return nil
}

// saveDocuments writes the files of a report into dir, over none that is there.
func saveDocuments(e *env, client *control.Client, rep ui.Report, dir string) (map[int64]string, error) {
	saved := map[int64]string{}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(dir, err)
	}
	for _, d := range rep.Documents {
		if d.Kind == "text" || d.Kind == "link" {
			continue
		}
		path := filepath.Join(dir, d.FileName())
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, unusable(path, err)
		}
		err = client.CopyDocument(e.ctx, rep.AccessionNumber, d, f)
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = unusable(path, closeErr)
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(path)) // half a file helps nobody
		}
		saved[d.ID] = path
	}
	return saved, nil
}

// showDocuments lists the documents of an order, and the numbers that the RIS
// have for it.
func (e *env) showDocuments(o *ui.OrderDetail) {
	for _, n := range o.Numbers {
		text := strings.Join(nonEmpty(n.FillerOrderNumber, n.ScheduledProcedureStepID), ", step ")
		if n.AccessionNumber != "" {
			text = strings.Join(nonEmpty(text, "accession "+n.AccessionNumber), ", ")
		}
		e.fact("In "+n.RIS, text)
	}
	if len(o.Documents) == 0 {
		return
	}
	e.title("Reports")
	for _, d := range o.Documents {
		e.printf("  %s  %s\n", moment(d.At), plain(documentText(d)))
	}
	e.printf("  rayhound orders report %s prints them\n", plain(o.AccessionNumber))
}

// documentText says in a line what a document is.
func documentText(d ui.Document) string {
	kind := map[string]string{"text": "text", "pdf": "PDF", "link": "link", "other": "file"}[d.Kind]
	parts := []string{d.RIS, strings.TrimSpace(d.Status + " " + first(kind, d.Kind)), d.Name, bytesText(d.Bytes)}
	if d.Broken {
		parts = append(parts, "damaged, kept as it came")
	}
	if d.ReplacedBy != 0 {
		parts = append(parts, "replaced by a later one")
	}
	return strings.Join(nonEmpty(parts...), ", ")
}

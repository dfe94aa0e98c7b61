package ui

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Reports are the reports of a RIS that belong to an order. Who reads one leaves
// an audit line.
type Reports interface {
	// Report returns the documents of an order with the texts in them.
	Report(ctx context.Context, accession string) (Report, error)
	// Document returns what is known of one document of an order, without its
	// bytes; one that the order does not have is RH-514.
	Document(ctx context.Context, accession string, id int64) (Document, error)
	// CopyDocument writes the bytes of a document to w.
	CopyDocument(ctx context.Context, accession string, id int64, w io.Writer) error
}

// Report is everything that a RIS reported about an order, oldest first.
type Report struct {
	AccessionNumber string     `json:"accession_number"`
	Documents       []Document `json:"documents"`
}

// Document is a report's text or one of its files.
type Document struct {
	ID           int64     `json:"id"`
	RIS          string    `json:"ris"`
	Kind         string    `json:"kind"` // text, pdf, link, other
	MIME         string    `json:"mime"`
	Name         string    `json:"name,omitempty"`
	Status       string    `json:"status,omitempty"` // preliminary, final, corrected
	Broken       bool      `json:"broken"`           // damaged; the bytes are as received
	CorrectionOf int64     `json:"correction_of,omitempty"`
	ReplacedBy   int64     `json:"replaced_by,omitempty"`
	At           time.Time `json:"at"`
	Bytes        int64     `json:"bytes"`
	ControlID    string    `json:"control_id"`
	Text         string    `json:"text,omitempty"` // of texts and links, in Report only
}

func (s *Server) report(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.cfg.Appliance.Report(r.Context(), r.PathValue("accession"))
}

// document sends a file as it is, to be saved and not to be shown.
func (s *Server) document(w http.ResponseWriter, r *http.Request) (any, error) {
	n, err := id(r)
	if err != nil {
		return nil, err
	}
	accession := r.PathValue("accession")
	d, err := s.cfg.Appliance.Document(r.Context(), accession, n)
	if err != nil {
		return nil, err
	}
	takesLong(w, s.cfg.Log)
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(d.Bytes, 10))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.FileName()}))
	if err := s.cfg.Appliance.CopyDocument(r.Context(), accession, n, w); err != nil {
		s.cfg.Log.Error("a document broke off", "route", r.Pattern, "err", err)
		panic(http.ErrAbortHandler) // the head is sent: only a broken connection tells
	}
	return answered, nil
}

// FileName is a name that is safe everywhere: the number of the document, and
// the ending that its bytes deserve.
func (d Document) FileName() string {
	ending := map[string]string{
		"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tif", "image/gif": ".gif",
		"application/rtf": ".rtf", "text/plain": ".txt", "application/xml": ".xml",
	}
	name := "report-" + strconv.FormatInt(d.ID, 10)
	t, _, err := mime.ParseMediaType(d.MIME)
	if d.Broken || err != nil || ending[t] == "" {
		return name + ".bin"
	}
	return name + ending[t]
}

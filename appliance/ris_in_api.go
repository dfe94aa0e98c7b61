package appliance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// Report answers ui.Reports: everything that was reported about an order, with
// the texts. Who reads it is written down.
func (a api) Report(ctx context.Context, accession string) (ui.Report, error) {
	rep := ui.Report{AccessionNumber: accession, Documents: []ui.Document{}}
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		docs, err := orderDocuments(ctx, s, accession)
		if err != nil {
			return err
		}
		rep.Documents = docs
		for i := range rep.Documents {
			d := &rep.Documents[i]
			if d.Kind != localdb.DocumentText && d.Kind != localdb.DocumentLink {
				continue
			}
			var text strings.Builder
			if err := s.CopyDocument(ctx, d.ID, &text); err != nil {
				return err
			}
			d.Text = strings.ToValidUTF8(text.String(), "\uFFFD")
		}
		return nil
	})
	if err == nil {
		err = a.audited(ctx, "read report", accession, "")
	}
	return rep, err
}

// Document answers ui.Reports.
func (a api) Document(ctx context.Context, accession string, id int64) (ui.Document, error) {
	var found ui.Document
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		docs, err := orderDocuments(ctx, s, accession)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if d.ID == id {
				found = d
				return nil
			}
		}
		return problem.New(problem.Usage, problem.Args{"reason": "The order has no such document"}, nil)
	})
	return found, err
}

// CopyDocument answers ui.Reports.
func (a api) CopyDocument(ctx context.Context, accession string, id int64, w io.Writer) error {
	d, err := a.Document(ctx, accession, id)
	if err != nil {
		return err
	}
	if err := a.audited(ctx, "save document", accession, d.FileName()); err != nil {
		return err
	}
	return a.db.Read(ctx, func(s *localdb.Snapshot) error { return s.CopyDocument(ctx, id, w) })
}

func (a api) audited(ctx context.Context, what, accession, detail string) error {
	return a.db.Write(ctx, func(tx *localdb.Tx) error {
		return tx.AddAudit(ctx, localdb.Audit{At: a.cfg.Now(), Who: console, What: what, Accession: accession, Detail: detail})
	})
}

// orderDocuments lists the documents of the order with that accession number.
func orderDocuments(ctx context.Context, s *localdb.Snapshot, accession string) ([]ui.Document, error) {
	o, err := s.OrderByAccession(ctx, accession)
	if err != nil {
		return nil, notFound(err, accession)
	}
	return documentsOf(ctx, s, o.ID)
}

func documentsOf(ctx context.Context, s *localdb.Snapshot, orderID int64) ([]ui.Document, error) {
	rows, err := s.DocumentsOf(ctx, orderID)
	list := make([]ui.Document, 0, len(rows))
	at := map[int64]int{}
	for _, d := range rows {
		at[d.ID] = len(list)
		list = append(list, ui.Document{
			ID: d.ID, RIS: d.RIS, Kind: d.Kind, MIME: d.MIME, Name: d.Name, Status: statusWord(d.Status), Broken: d.Broken,
			CorrectionOf: d.CorrectionOf, At: d.At, Bytes: d.Size, ControlID: d.ControlID,
		})
	}
	for _, d := range rows {
		if i, ok := at[d.CorrectionOf]; ok {
			list[i].ReplacedBy = d.ID
		}
	}
	return list, err
}

// numbersOf lists the numbers that the RIS have for an order.
func numbersOf(ctx context.Context, s *localdb.Snapshot, orderID int64) ([]ui.Number, error) {
	rows, err := s.FillersOf(ctx, orderID)
	list := make([]ui.Number, 0, len(rows))
	for _, f := range rows {
		list = append(list, ui.Number{
			RIS: f.RIS, ScheduledProcedureStepID: f.SPSID, FillerOrderNumber: f.FillerOrderNumber, AccessionNumber: f.AccessionNumber,
		})
	}
	return list, err
}

// hl7Status fills in which ports are open and when each RIS sent last.
func (a api) hl7Status(ctx context.Context, st *ui.Status) error {
	st.HL7 = []string{}
	if st.RIS == nil {
		st.RIS = []ui.RIS{}
	}
	if a.hl7 == nil {
		return nil
	}
	st.HL7 = a.hl7.listening()
	return a.db.Read(ctx, func(s *localdb.Snapshot) error {
		for _, p := range a.core.routes.ris {
			last, err := s.LastHL7In(ctx, p.Name)
			if err = ignoreNotFound(err); err != nil {
				return err
			}
			i := slices.IndexFunc(st.RIS, func(r ui.RIS) bool { return r.Name == p.Name })
			if i < 0 {
				i = len(st.RIS)
				st.RIS = append(st.RIS, ui.RIS{Name: p.Name})
			}
			st.RIS[i].LastMessageAt, st.RIS[i].LastType = last.At, messageType(last.Type)
		}
		return nil
	})
}

// messageType is MSH-9 as far as it is one: anybody may have sent it.
func messageType(s string) string {
	if len(s) > 15 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789^_") != "" {
		return ""
	}
	return s
}

// checkHL7 looks whether the HL7 ports are open, and when each RIS sent last.
func (a api) checkHL7(ctx context.Context) []ui.Check {
	if a.hl7 == nil {
		return nil
	}
	var list []ui.Check
	open := a.hl7.listening()
	for _, addr := range open {
		list = append(list, check("hl7", "open at "+addr, func() (string, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return "", err
			}
			d := net.Dialer{Timeout: 5 * time.Second}
			if ip, err := netip.ParseAddr(dialHost(addr)); err == nil {
				a.hl7.callers.knock(ip)
			}
			c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(dialHost(addr), port))
			if err != nil {
				return "", problem.New(problem.RISPort, problem.Args{"address": addr, "reason": "nobody answers there"}, err)
			}
			return "a connection is taken", c.Close()
		}))
	}
	if len(open) == 0 {
		list = append(list, check("hl7", "port", func() (string, error) {
			return "", problem.New(problem.RISPort, problem.Args{"address": fmt.Sprint(a.cfg.Settings.HL7.Listen), "reason": "no port is open"}, nil)
		}))
	}
	var st ui.Status
	if err := a.hl7Status(ctx, &st); err != nil {
		return append(list, check("hl7", "last messages", func() (string, error) { return "", err }))
	}
	for _, r := range st.RIS {
		c := ui.Check{Area: "hl7", Name: r.Name, Result: "ok", Detail: "last message " + r.LastMessageAt.In(a.core.zone).Format(time.DateTime) + ", " + r.LastType}
		if r.LastMessageAt.IsZero() {
			c.Result, c.Detail = "warn", "has not sent a message yet"
			c.Help = "In the RIS, set the receiver of statuses and reports to this computer and the port of [hl7]."
		}
		list = append(list, c)
	}
	return list
}

// dialHost is where a listening address can be reached from here.
func dialHost(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	if err != nil || ip == nil || ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

// HL7Messages answers ui.Received.
func (a api) HL7Messages(ctx context.Context, f ui.HL7Filter) ([]ui.HL7Message, error) {
	if f.Limit <= 0 {
		f.Limit = 200
	}
	list := []ui.HL7Message{}
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		rows, err := s.ListHL7In(ctx, f.Outcome, f.Limit)
		for _, m := range rows {
			list = append(list, ui.HL7Message{
				ID: m.ID, At: m.At, RIS: m.RIS, Address: m.Peer, Type: m.Type, ControlID: m.Key.ControlID, Outcome: m.Outcome,
				Refused: m.Refused, Bytes: m.Size, Kept: m.Kept,
			})
		}
		return err
	})
	return list, err
}

// HL7Bytes answers ui.Received.
func (a api) HL7Bytes(ctx context.Context, id int64) ([]byte, error) {
	gone := problem.New(problem.Usage, problem.Args{"reason": "There is no such message, or its bytes were deleted after their retention"}, nil)
	var bytes []byte
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		m, err := s.HL7In(ctx, id)
		if err != nil {
			if ignoreNotFound(err) == nil {
				return gone
			}
			return err
		}
		raw, err := s.RawByID(ctx, m.RawID)
		if ignoreNotFound(err) != nil {
			return err
		}
		if bytes = raw.Bytes; bytes == nil {
			return gone
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return bytes, a.audited(ctx, "read hl7 message", "", fmt.Sprint(id))
}

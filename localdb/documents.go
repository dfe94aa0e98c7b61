package localdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// Kinds of documents.
const (
	DocumentText  = "text"
	DocumentPDF   = "pdf"
	DocumentLink  = "link" // the bytes are an address, which is never followed
	DocumentOther = "other"
)

// MaxDocument is the size of a document in bytes, MaxDocuments the number of
// those of one order.
const (
	MaxDocument  = 32 << 20
	MaxDocuments = 500
)

// documentPart is how much of a document is read or written at once.
const documentPart = 1 << 20

// ErrTooLarge refuses a document above MaxDocument, and one too many.
var ErrTooLarge = errors.New("localdb: the document is too large, or there are too many of the order")

// Document is a report's text or one of its files, without the bytes.
type Document struct {
	ID           int64
	OrderID      int64 // 0 while it belongs to an arrival
	HeldID       int64 // what of an arrival it belongs to
	InID         int64 // the message; 0 when that is gone
	RIS          string
	Kind         string // DocumentText ...
	MIME         string
	Name         string
	Status       string // P preliminary, F final, C corrected; empty: not said
	Broken       bool   // it could not be decoded; the bytes are as received
	CorrectionOf int64  // the document that it replaces; 0: none
	ControlID    string
	At           time.Time
	Size         int64
	Hash         string // SHA-256, hexadecimal
}

// AddDocument stores a document with its bytes and sets d.ID, d.Size and d.Hash.
func (tx *Tx) AddDocument(ctx context.Context, d *Document, data []byte) error {
	if len(data) > MaxDocument {
		return ErrTooLarge
	}
	if d.OrderID != 0 {
		n, err := one(ctx, tx.Snapshot, `SELECT count(*) FROM document WHERE order_id = ?`, scanInt, d.OrderID)
		if err != nil {
			return err
		}
		if n >= MaxDocuments {
			return ErrTooLarge
		}
	}
	d.Size, d.Hash = int64(len(data)), DocumentHash(data)
	id, err := tx.insert(ctx, `
		INSERT INTO document(order_id, held_id, in_id, ris, kind, mime, name, status, broken, correction_of, control_id, at, size, hash)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		idOrNull(d.OrderID), idOrNull(d.HeldID), idOrNull(d.InID), d.RIS, d.Kind, d.MIME, d.Name, d.Status, d.Broken,
		idOrNull(d.CorrectionOf), d.ControlID, msNotNull(d.At), d.Size, d.Hash)
	if err != nil {
		return err
	}
	d.ID = id
	for n := 0; len(data) > 0; n++ {
		part := data[:min(len(data), documentPart)]
		data = data[len(part):]
		if _, err := tx.exec(ctx, `INSERT INTO document_part(document_id, n, bytes) VALUES (?,?,?)`, id, n, part); err != nil {
			return err
		}
	}
	return nil
}

// DocumentHash is the hash that recognises the same bytes.
func DocumentHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// AdoptDocument gives a document of an arrival to an order.
func (tx *Tx) AdoptDocument(ctx context.Context, d *Document) error {
	n, err := tx.exec(ctx, `UPDATE document SET order_id=?, held_id=NULL, correction_of=? WHERE id=?`, d.OrderID, idOrNull(d.CorrectionOf), d.ID)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// DeleteDocument removes a document.
func (tx *Tx) DeleteDocument(ctx context.Context, id int64) error {
	_, err := tx.exec(ctx, `DELETE FROM document WHERE id=?`, id)
	return err
}

const documentColumns = `id, order_id, held_id, in_id, ris, kind, mime, name, status, broken, correction_of, control_id, at, size, hash`

func scanDocument(r scanner) (d Document, err error) {
	err = r.Scan(&d.ID, intoNum{&d.OrderID}, intoNum{&d.HeldID}, intoNum{&d.InID}, &d.RIS, &d.Kind, &d.MIME, &d.Name, &d.Status, &d.Broken,
		intoNum{&d.CorrectionOf}, &d.ControlID, intoTime{&d.At}, &d.Size, &d.Hash)
	return d, err
}

// DocumentsOf returns the documents of an order, oldest first, without their bytes.
func (s *Snapshot) DocumentsOf(ctx context.Context, orderID int64) ([]Document, error) {
	return all(ctx, s, `SELECT `+documentColumns+` FROM document WHERE order_id = ? ORDER BY id`, scanDocument, orderID)
}

// DocumentsHeld returns the documents of what an arrival waits to say.
func (s *Snapshot) DocumentsHeld(ctx context.Context, heldID int64) ([]Document, error) {
	return all(ctx, s, `SELECT `+documentColumns+` FROM document WHERE held_id = ? ORDER BY id`, scanDocument, heldID)
}

// Document returns a document without its bytes, or ErrNotFound.
func (s *Snapshot) Document(ctx context.Context, id int64) (Document, error) {
	return one(ctx, s, `SELECT `+documentColumns+` FROM document WHERE id = ?`, scanDocument, id)
}

// CopyDocument writes the bytes of a document to w, a part at a time.
func (s *Snapshot) CopyDocument(ctx context.Context, id int64, w io.Writer) error {
	d, err := s.Document(ctx, id)
	if err != nil {
		return err
	}
	for n, left := 0, d.Size; left > 0; n++ {
		part, err := one(ctx, s, `SELECT bytes FROM document_part WHERE document_id = ? AND n = ?`,
			func(r scanner) (b []byte, err error) { err = r.Scan(&b); return b, err }, id, n)
		if err != nil {
			return fmt.Errorf("localdb: part %d of document %d: %w", n, id, err)
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		left -= int64(len(part))
	}
	return nil
}

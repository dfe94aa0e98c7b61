package provet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a webhook's body.
const (
	// MaxWebhookBody is the most that is read of a webhook, in bytes. A real one has about a hundred.
	MaxWebhookBody = 64 << 10

	maxWebhookPairs = 200  // form fields looked at
	maxWebhookNest  = 4    // objects within objects, forms that hold JSON, text that holds JSON
	maxWebhookIDs   = 20   // orders one webhook may name
	maxWebhookLook  = 1000 // keys looked at in all
	maxWebhookKeys  = 30   // names kept in Keys
	maxKeyLen       = 64   // of one of them, in bytes
)

// Failures of ParseWebhook. None of them holds anything of the body.
var (
	ErrWebhookTooLarge   = errors.New("provet: the webhook's body is too large")
	ErrWebhookUnreadable = errors.New("provet: the webhook's body is neither a form nor JSON")
	ErrWebhookNoOrder    = errors.New("provet: the webhook names no imaging order")
)

// Webhook is what a webhook of the imaging worklist says: look at this order.
// Nothing of it is trusted as data.
type Webhook struct {
	OrderID   string   // decimal, without leading zeros; safe in a path of the API
	More      []string // further ids, when a sender put several into one body
	ProvetID  string   // organisation, for Client.IsTenant; may be empty
	ProvetURL string   // URL of the organisation, for Client.IsTenant; never called; may be empty
	Keys      []string // names of the keys that came, cleaned and bounded, sorted; for support
}

// ParseWebhook reads the body of a webhook with the default key names; see
// Fields.ParseWebhook.
func ParseWebhook(contentType string, body []byte) (Webhook, error) {
	return DefaultFields().ParseWebhook(contentType, body)
}

// ParseWebhook reads the body of a webhook: a form (RFC 1866 or multipart) or
// JSON. The body decides which of them it is, since the content type may be
// missing or wrong; byte order marks, charset parameters, nesting, lists, keys
// that come twice, and ids as numbers, text, URLs or objects are all read. The
// key names are those of the resource "webhook_body"; case and dashes do not
// count.
//
// Errors are ErrWebhookTooLarge, ErrWebhookUnreadable and ErrWebhookNoOrder; with
// the last of them the rest of the Webhook is filled in.
func (f Fields) ParseWebhook(contentType string, body []byte) (Webhook, error) {
	if len(body) > MaxWebhookBody {
		return Webhook{}, ErrWebhookTooLarge
	}
	r := hookReader{fields: f[resWebhookBody]}
	if !r.any(contentType, unmark(body), 0) {
		return Webhook{}, ErrWebhookUnreadable
	}
	slices.Sort(r.w.Keys)
	r.w.Keys = slices.Compact(r.w.Keys)
	if len(r.ids) == 0 {
		return r.w, ErrWebhookNoOrder
	}
	r.w.OrderID, r.w.More = r.ids[0], r.ids[1:]
	if len(r.w.More) == 0 {
		r.w.More = nil
	}
	return r.w, nil
}

// unmark takes a byte order mark off, and turns UTF-16 with a mark into UTF-8.
func unmark(b []byte) []byte {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return b[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		high := 0
		if b[0] == 0xff {
			high = 1
		}
		units := make([]uint16, 0, len(b)/2)
		for i := 2; i+1 < len(b); i += 2 {
			units = append(units, uint16(b[i+high])<<8|uint16(b[i+1-high]))
		}
		return []byte(string(utf16.Decode(units)))
	}
	return b
}

// hookReader collects what a webhook says.
type hookReader struct {
	fields map[string][]string
	w      Webhook
	ids    []string
	looked int // keys
}

// any reads a body of whatever kind, and reports whether it was of one.
func (r *hookReader) any(contentType string, b []byte, depth int) bool {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || depth > maxWebhookNest {
		return false
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		kind, params = "", nil
	}
	switch {
	case b[0] == '{' || b[0] == '[' || b[0] == '"':
		return r.json(b, "", depth)
	case kind == "multipart/form-data" && params["boundary"] != "" || bytes.HasPrefix(b, []byte("--")):
		return r.multipart(b, params["boundary"], depth)
	}
	return r.form(b, depth)
}

// form reads application/x-www-form-urlencoded, pair by pair: one that is broken
// does not spoil the others.
func (r *hookReader) form(b []byte, depth int) bool {
	if !utf8.Valid(b) || bytes.ContainsAny(b, "<>\x00") {
		return false
	}
	found, n := false, 0
	for pair := range strings.SplitSeq(string(b), "&") {
		if n++; n > maxWebhookPairs {
			break
		}
		rawKey, rawValue, ok := strings.Cut(strings.TrimSpace(pair), "=")
		key, err1 := url.QueryUnescape(rawKey)
		value, err2 := url.QueryUnescape(rawValue)
		if !ok || err1 != nil || err2 != nil || key == "" {
			continue
		}
		found = true
		r.text(strings.TrimSuffix(key, "[]"), value, depth)
	}
	return found
}

// multipart reads multipart/form-data without files. The boundary is taken from
// the body when the content type has none.
func (r *hookReader) multipart(b []byte, boundary string, depth int) bool {
	if boundary == "" {
		first, _, _ := bytes.Cut(b[2:], []byte("\n"))
		boundary = strings.TrimSpace(string(first))
	}
	if boundary == "" || len(boundary) > 200 {
		return false
	}
	mr := multipart.NewReader(bytes.NewReader(b), boundary)
	found := false
	for range maxWebhookPairs {
		p, err := mr.NextRawPart()
		if err != nil {
			break
		}
		value, err := io.ReadAll(io.LimitReader(p, MaxWebhookBody))
		if key := p.FormName(); err == nil && key != "" && p.FileName() == "" && utf8.Valid(value) {
			found = true
			r.text(key, string(value), depth)
		}
	}
	return found
}

// text takes a form field; one that holds JSON is opened.
func (r *hookReader) text(key, value string, depth int) {
	if value = strings.TrimSpace(value); strings.HasPrefix(value, "{") || strings.HasPrefix(value, "[") {
		if r.json([]byte(value), key, depth+1) {
			return
		}
	}
	b, err := json.Marshal(value)
	if err == nil {
		r.take(key, b)
	}
}

// json reads a JSON value below a key: an object, a list of values, or text that
// holds one of them. Keys that come twice are all seen.
func (r *hookReader) json(b []byte, key string, depth int) bool {
	if depth > maxWebhookNest || !json.Valid(b) || scanLimits(b) != nil {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	switch b[0] {
	case '"':
		var s string
		if key != "" || json.Unmarshal(b, &s) != nil {
			return false
		}
		return r.any("", []byte(s), depth+1)
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(b, &list) != nil {
			return false
		}
		for i, e := range list {
			if i == maxWebhookPairs {
				break
			}
			r.below(key, e, depth)
		}
		return true
	}
	return eachKey(d, func(k string) error {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		r.below(k, raw, depth)
		return nil
	}) == nil
}

// below takes a value that has a key, and looks into it when the key is none of ours.
func (r *hookReader) below(key string, raw json.RawMessage, depth int) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || key != "" && r.take(key, raw) {
		return
	}
	switch raw[0] {
	case '{', '[':
		r.json(raw, "", depth+1)
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil && strings.HasPrefix(strings.TrimSpace(s), "{") {
			r.json([]byte(strings.TrimSpace(s)), "", depth+1)
		}
	}
}

// take notes a key, and keeps its value when it is one of ours.
func (r *hookReader) take(key string, raw []byte) bool {
	if r.looked++; r.looked > maxWebhookLook {
		return false
	}
	if k := cleanLine(key); k != "" && len(r.w.Keys) < maxWebhookKeys {
		if len(k) > maxKeyLen {
			k = strings.ToValidUTF8(k[:maxKeyLen], "")
		}
		r.w.Keys = append(r.w.Keys, k)
	}
	switch {
	case r.is("order", key):
		v, err := decode(raw)
		if err != nil {
			return false
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			r.order(e)
		}
		return true
	case r.is("provet_id", key):
		return r.keep(&r.w.ProvetID, raw)
	case r.is("provet_url", key):
		return r.keep(&r.w.ProvetURL, raw)
	}
	return false
}

func (r *hookReader) order(v any) {
	id := strings.TrimLeft(relationTo(resWorklist, v).ID, "0")
	if id == "" || !isDigits(id) || len(r.ids) == maxWebhookIDs || slices.Contains(r.ids, id) {
		return
	}
	r.ids = append(r.ids, id)
}

// keep stores a short scalar, the first that comes.
func (r *hookReader) keep(into *string, raw []byte) bool {
	v, err := decode(raw)
	if err != nil {
		return false
	}
	s, ok := scalarFlat(v)
	if ok && *into == "" && len(s) <= 500 {
		*into = s
	}
	return ok
}

// is reports whether a key is one of the names of a field.
func (r *hookReader) is(logical, key string) bool {
	key = foldKey(key)
	return slices.ContainsFunc(r.fields[logical], func(n string) bool { return foldKey(n) == key })
}

// keyFolder is made once: making one costs more than all the rest of a webhook.
var keyFolder = strings.NewReplacer("-", "_", " ", "")

func foldKey(s string) string { return keyFolder.Replace(strings.ToLower(s)) }

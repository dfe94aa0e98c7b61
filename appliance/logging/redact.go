package logging

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Removed stands where something was taken out.
const Removed = "[removed]"

// Redact returns a handler that passes everything on to next without secrets
// and personal data:
//
//   - values of keys that speak of secrets or people are removed, numbers,
//     times and booleans excepted;
//   - user names, passwords and tokens are cut out of addresses in every text;
//   - values of types that are not known to be harmless become the name of
//     their type.
func Redact(next slog.Handler) slog.Handler { return redactor{next} }

type redactor struct{ next slog.Handler }

// Enabled asks next.
func (r redactor) Enabled(ctx context.Context, l slog.Level) bool { return r.next.Enabled(ctx, l) }

// Handle cleans a record and passes it on.
func (r redactor) Handle(ctx context.Context, rec slog.Record) error {
	clean := slog.NewRecord(rec.Time, rec.Level, Scrub(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(cleanAttr(a))
		return true
	})
	return r.next.Handle(ctx, clean)
}

// WithAttrs cleans the attributes once.
func (r redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = cleanAttr(a)
	}
	return redactor{r.next.WithAttrs(clean)}
}

// WithGroup passes on.
func (r redactor) WithGroup(name string) slog.Handler { return redactor{r.next.WithGroup(name)} }

var (
	secretKey   = regexp.MustCompile(`(?i)secret|token|passw|authorization|credential|cookie|api_?key`)
	personalKey = regexp.MustCompile(`(?i)patient_name|owner|client_name|first_?name|last_?name|phone|e_?mail|microchip|responsible|referring`)
)

func cleanAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		attrs := v.Group()
		clean := make([]slog.Attr, len(attrs))
		for i, g := range attrs {
			if isSensitive(a.Key) {
				g.Key = a.Key + "_" + g.Key
			}
			clean[i] = cleanAttr(g)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
		return slog.Attr{Key: a.Key, Value: v}
	case slog.KindString:
		if isSensitive(a.Key) {
			return slog.String(a.Key, Removed)
		}
		return slog.String(a.Key, Scrub(v.String()))
	case slog.KindAny, slog.KindLogValuer:
	}
	if isSensitive(a.Key) {
		return slog.String(a.Key, Removed)
	}
	return slog.Attr{Key: a.Key, Value: cleanAny(v.Any())}
}

func isSensitive(key string) bool { return secretKey.MatchString(key) || personalKey.MatchString(key) }

// cleanAny lets through what is known to be harmless.
func cleanAny(x any) slog.Value {
	switch x := x.(type) {
	case nil:
		return slog.StringValue("<nil>")
	case error:
		return slog.StringValue(Scrub(errorText(x)))
	case *url.URL:
		return slog.StringValue(Scrub(x.String()))
	case netip.Addr, netip.AddrPort, netip.Prefix, time.Month, time.Weekday:
		return slog.StringValue(fmt.Sprint(x))
	case interface {
		Network() string
		String() string
	}: // net.Addr
		return slog.StringValue(x.String())
	case []string:
		clean := make([]string, len(x))
		for i, s := range x {
			clean[i] = Scrub(s)
		}
		return slog.AnyValue(clean)
	case []int, []int64, []uint16, []uint32, map[string]int, map[string]int64:
		return slog.AnyValue(x)
	}
	return slog.StringValue(fmt.Sprintf("[%T]", x))
}

// errorText survives a nil pointer in an error interface.
func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("[%T]", err)
		}
	}()
	return err.Error()
}

var (
	userinfoRE = regexp.MustCompile(`://[^/\s"'@?#]+@`)
	queryRE    = regexp.MustCompile(`(?i)([?&;](?:[a-z0-9_.-]*(?:token|secret|password|passwd|signature|apikey|api_key)[a-z0-9_.-]*|code|key|sig|state)=)[^&;\s"'#]+`)
	headerRE   = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{4,}`)
	pairRE     = regexp.MustCompile(`(?i)((?:client_secret|access_token|refresh_token|password)"?\s*[:=]\s*"?)[^\s"',;&}]+`)
)

// Scrub cuts user names, passwords and tokens out of a text.
func Scrub(s string) string {
	if !strings.ContainsAny(s, ":=") && !headerRE.MatchString(s) {
		return s
	}
	s = userinfoRE.ReplaceAllString(s, "://"+Removed+"@")
	s = queryRE.ReplaceAllString(s, "${1}"+Removed)
	s = headerRE.ReplaceAllString(s, "$1 "+Removed)
	return pairRE.ReplaceAllString(s, "${1}"+Removed)
}

package query

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DefaultCallingAETitle is how we introduce ourselves when a Target says
// nothing else.
const DefaultCallingAETitle = "RAYHOUND"

// Target is a DICOM application that can be asked.
type Target struct {
	CalledAETitle  string // what the other is called
	Address        string // host:port
	CallingAETitle string // what we are called; empty means DefaultCallingAETitle

	TLS      *tls.Config // nil means no TLS
	Timeouts Timeouts    // zero means the defaults

	// TransferSyntaxes are proposed, in this order; none means explicit and
	// implicit VR little endian.
	TransferSyntaxes []string
}

// Timeouts bound the steps of one call; a zero field means its default.
type Timeouts struct {
	Connect   time.Duration // to the TCP connection (and TLS); 5 s
	Associate time.Duration // to the answer to A-ASSOCIATE-RQ; 15 s
	Response  time.Duration // to each response; 60 s
	Release   time.Duration // to A-RELEASE-RP; 5 s
}

// TargetError says why a target cannot be understood.
type TargetError struct {
	Text   string // as given
	Reason string
}

// Error implements error.
func (e *TargetError) Error() string {
	return fmt.Sprintf("query: %q is not a DICOM target: %s (expected AETITLE@HOST:PORT)", e.Text, e.Reason)
}

// ParseTarget reads "AETITLE@HOST:PORT". The AE title may hold an @; a numeric
// IPv6 address stands in brackets.
func ParseTarget(s string) (Target, error) {
	refuse := func(reason string) (Target, error) { return Target{}, &TargetError{Text: s, Reason: reason} }
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return refuse("there is no @ in it")
	}
	title, address := strings.TrimSpace(s[:at]), strings.TrimSpace(s[at+1:])
	if err := CheckAETitle(title); err != nil {
		return refuse(err.Error())
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return refuse("the address has no port, or an IPv6 address is not in brackets")
	}
	if host == "" {
		return refuse("the host is missing")
	}
	if strings.ContainsAny(host, `/\@`) || strings.ContainsFunc(host, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
		return refuse("the host has characters that no host has")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return refuse("the port is not a number from 1 to 65535")
	}
	return Target{CalledAETitle: title, Address: net.JoinHostPort(host, port)}, nil
}

// CheckAETitle reports why title is no AE title (PS3.5 6.2): 1 to 16
// characters of the default repertoire without backslash and control
// characters, not only spaces.
func CheckAETitle(title string) error {
	if strings.TrimSpace(title) == "" {
		return fmt.Errorf("the AE title is empty")
	}
	if len(title) > 16 {
		return fmt.Errorf("the AE title has more than 16 characters")
	}
	for _, c := range []byte(title) {
		if c < ' ' || c > '~' || c == '\\' {
			return fmt.Errorf("the AE title has a character that is not allowed")
		}
	}
	return nil
}

// String returns the target in the form that ParseTarget reads.
func (t Target) String() string { return t.CalledAETitle + "@" + t.Address }

// calling returns our AE title.
func (t Target) calling() string {
	if t.CallingAETitle == "" {
		return DefaultCallingAETitle
	}
	return t.CallingAETitle
}

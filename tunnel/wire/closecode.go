package wire

import (
	"strconv"
	"strings"
	"time"
)

// CloseCode is the code of a websocket's close (RFC 6455, section 7.4) and, by
// [CloseCode.Status], of a refusal before it.
type CloseCode int

// Close codes.
const (
	CloseNormal      CloseCode = 1000 // the agent goes
	CloseGoingAway   CloseCode = 1001 // the relay stops
	CloseRestart     CloseCode = 1012 // the relay restarts
	CloseOverloaded  CloseCode = 1013 // try later; the reason holds retry_ms=
	Close4400        CloseCode = 4400 // protocol error
	Close4401        CloseCode = 4401 // bad token
	Close4403        CloseCode = 4403 // revoked
	Close4409        CloseCode = 4409 // superseded by another instance
	Close4410        CloseCode = 4410 // identity conflict, frozen
	Close4413        CloseCode = 4413 // frame too large
	Close4426        CloseCode = 4426 // version too old
	Close4429        CloseCode = 4429 // rate; the reason holds retry_ms=
	CloseUnknownCode CloseCode = 0    // none was given
)

// CloseCodes are the codes of this version.
func CloseCodes() []CloseCode {
	return []CloseCode{
		CloseNormal, CloseGoingAway, CloseRestart, CloseOverloaded,
		Close4400, Close4401, Close4403, Close4409, Close4410, Close4413, Close4426, Close4429,
	}
}

// Text returns what the code means.
func (c CloseCode) Text() string {
	switch c {
	case CloseNormal:
		return "done"
	case CloseGoingAway, CloseRestart:
		return "restart"
	case CloseOverloaded:
		return "overloaded"
	case Close4400:
		return "protocol error"
	case Close4401:
		return "bad token"
	case Close4403:
		return "revoked"
	case Close4409:
		return "superseded by another instance"
	case Close4410:
		return "identity conflict, frozen"
	case Close4413:
		return "frame too large"
	case Close4426:
		return "version too old"
	case Close4429:
		return "rate"
	case CloseUnknownCode:
		return "connection lost"
	default:
		return "code " + strconv.Itoa(int(c))
	}
}

// Status returns the HTTP status that means the same in a refusal, or 0.
func (c CloseCode) Status() int {
	for _, s := range statuses {
		if s.code == c {
			return s.status
		}
	}
	return 0
}

// CodeOf returns the close code that an HTTP status of a relay means, or
// CloseUnknownCode. 401 and 403 count only with the header [HeaderRelay].
func CodeOf(status int) CloseCode {
	for _, s := range statuses {
		if s.status == status {
			return s.code
		}
	}
	return CloseUnknownCode
}

var statuses = []struct {
	status int
	code   CloseCode
}{
	{400, Close4400},
	{401, Close4401},
	{403, Close4403},
	{409, Close4409},
	{413, Close4413},
	{423, Close4410},
	{426, Close4426},
	{429, Close4429},
	{503, CloseOverloaded},
}

// RetryReason is the reason of a close that asks for a wait: "retry_ms=1500".
func RetryReason(d time.Duration) string {
	return "retry_ms=" + strconv.FormatInt(min(max(d, 0), MaxRetry).Milliseconds(), 10)
}

// ParseRetry reads the wait from the reason of a close, at most MaxRetry. The reason
// may hold words besides.
func ParseRetry(reason string) (time.Duration, bool) {
	for _, w := range strings.Fields(reason) {
		if v, ok := strings.CutPrefix(w, "retry_ms="); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 0 {
				return 0, false
			}
			return time.Duration(min(n, MaxRetry.Milliseconds())) * time.Millisecond, true
		}
	}
	return 0, false
}

package wire

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestPublishedContract compares tunnel/PROTOCOL.md with what is spoken.
func TestPublishedContract(t *testing.T) {
	b, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	has := func(what, text string) {
		t.Helper()
		if !strings.Contains(doc, text) {
			t.Errorf("%s: PROTOCOL.md does not say %q", what, text)
		}
	}
	has("version", fmt.Sprintf("| %d | `%s` |", MaxVersion, Protocol))
	has("control frame", fmt.Sprintf("UTF-8, at most %d bytes", MaxControl))
	has("fixed part", fmt.Sprintf("fixed part has %d bytes, the header at most %d", FixedSize, MaxHeader))
	has("body", fmt.Sprintf("at most %d bytes by default and %d by\nsetting", DefaultMaxBody, MaxBody))
	has("frame", fmt.Sprintf("exceeds it by at most %d bytes", FrameOverhead))
	has("max_frame", fmt.Sprintf("`max_frame` is at most %d", MaxFrame))
	has("window", fmt.Sprintf("%d events and %d bytes by default; a relay grants at most %d and %d", WindowMsgs, WindowBytes, MaxWindowMsgs, MaxWindowBytes))
	has("reconnect window", fmt.Sprintf("`reconnect_window_ms` is at most %d", MaxReconnectWindow.Milliseconds()))
	has("drain", fmt.Sprintf("`reconnect_in_ms` (at most %d)", MaxRetry.Milliseconds()))
	has("notice", fmt.Sprintf("`text` (at most %d bytes)", MaxNotice))
	has("acks", fmt.Sprintf("one after %d events or %d ms", AckEvents, AckDelay.Milliseconds()))
	has("handshake", fmt.Sprintf("Each step has %d s", int(HandshakeTimeout.Seconds())))
	has("heartbeat", fmt.Sprintf("every %d s (or every `ping_seconds`) and close after %d s", int(PingEvery.Seconds()), int(DeadAfter.Seconds())))
	has("write", fmt.Sprintf("written within %d s", int(WriteTimeout.Seconds())))
	has("request", fmt.Sprintf("The JSON has at most %d bytes", MaxRequest))
	has("poll", fmt.Sprintf("`GET %s?after=SEQ&wait=%d`", PollPath, int(PollWait.Seconds())))
	has("poll answer", fmt.Sprintf("at most %d bytes, is frames", MaxPollAnswer))
	has("ack path", "`POST "+AckPath+"`")
	has("tunnel path", "`GET "+TunnelPath+"`")
	has("pairing", fmt.Sprintf("`POST %s`, JSON, at most %d bytes", PairPath, MaxPair))
	has("code", fmt.Sprintf("of the letters `%s`", CodeAlphabet))
	has("code's life", fmt.Sprintf("valid for %d min and once", int(CodeLife.Minutes())))
	has("nonce", fmt.Sprintf("at most %d bytes, valid for %d min", MaxNonce, int(PollNonceLife.Minutes())))
	has("old token", fmt.Sprintf("or %d days after `rotated`", int(OldTokenLife.Hours()/24)))
	has("token", "`"+TokenPrefix+"<kid>_")
	for _, h := range []string{HeaderRelay, HeaderNonce, HeaderHello} {
		has("header", "`"+h)
	}
	for _, c := range []string{CapReplay, CapKey, CapPoll, GapExpired, GapQuota, GapRollback, PairWrong, PairTooMany, PairVersion, PairBad} {
		has("word", "`"+c+"`")
	}
	for _, k := range Kinds() {
		has("kind", "`"+k+"`")
	}
	for _, c := range CloseCodes() {
		status := "–"
		if s := c.Status(); s != 0 {
			status = strconv.Itoa(s)
		}
		has("close code", fmt.Sprintf("| %d | %s | %s |", int(c), status, c.Text()))
	}
	rows := map[string]string{}
	for line := range strings.Lines(doc) {
		if name, row, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); ok {
			rows[name] = row
		}
	}
	for _, c := range controls() {
		row, ok := rows[c.Type()]
		if !ok {
			t.Errorf("PROTOCOL.md does not list %s", c.Type())
		}
		fields(reflect.TypeOf(c).Elem(), func(name string, optional bool) {
			want := "`" + name + "`"
			if optional {
				want = "[" + want + "]"
			}
			if !strings.Contains(row, want) || !optional && strings.Contains(row, "["+want+"]") {
				t.Errorf("PROTOCOL.md has no %s in %s: %s", want, c.Type(), row)
			}
		})
	}
	for _, v := range []any{EventHeader{}, PairRequest{}, PairAnswer{}, PairRefusal{}} {
		fields(reflect.TypeOf(v), func(name string, _ bool) {
			if !strings.Contains(doc, "`"+name+"`") && !strings.Contains(doc, `"`+name+`"`) {
				t.Errorf("PROTOCOL.md has no %s of %T", name, v)
			}
		})
	}
}

func fields(t reflect.Type, f func(name string, optional bool)) {
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		f(name, strings.HasPrefix(opts, "omit"))
	}
}

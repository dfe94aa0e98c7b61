package relaybench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// poster sends webhooks on one connection that it keeps. It writes each request in
// one piece and reads no more than it must, so that it costs little.
type poster struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

var errAnswer = errors.New("relaybench: the relay did not answer 200")

func dialPoster(ctx context.Context, address string) (*poster, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &poster{conn: conn, in: bufio.NewReader(conn)}, nil
}

func (p *poster) close() { _ = p.conn.Close() } // nothing is under way

// post sends a body and returns after the answer. Any error ends the connection.
func (p *poster) post(path string, body []byte) error {
	if err := p.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	p.out = fmt.Appendf(p.out[:0], "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n", path, len(body))
	p.out = append(p.out, body...)
	if _, err := p.conn.Write(p.out); err != nil {
		return err
	}
	return p.answer()
}

// answer reads the answer to one request.
func (p *poster) answer() error {
	line, err := p.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	status, size := "", 0
	if _, rest, ok := bytes.Cut(line, []byte(" ")); ok {
		status = strings.TrimSpace(string(rest[:min(len(rest), 60)]))
	}
	for {
		if line, err = p.in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
	}
	if _, err := p.in.Discard(size); err != nil {
		return err
	}
	if !strings.HasPrefix(status, "200") {
		return fmt.Errorf("%w but %s", errAnswer, status)
	}
	return nil
}

// body is a webhook of size bytes that can be told from others.
func body(n int64, size int) []byte {
	head := fmt.Sprintf(`{"n":%d,"text":"`, n)
	return []byte(head + strings.Repeat("x", max(0, size-len(head)-2)) + `"}`)
}

// bodyNumber is the n of body, or -1.
func bodyNumber(b []byte) int64 {
	var n int64
	if _, err := fmt.Sscanf(string(b[:min(len(b), 40)]), `{"n":%d`, &n); err != nil {
		return -1
	}
	return n
}

package mllp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func message(id string) []byte { return []byte("MSH|^~\\&|||||||ORM^O01|" + id + "\r") }
func ack(id string) string     { return "MSH|^~\\&|||||||ACK|x\rMSA|AA|" + id + "\r" }

func framed(s string) []byte { return []byte(vt + s + fs + cr) }

// matching takes the answer to a message by its MSA-2; CA is not final.
func matching(id string) Match {
	return func(answer []byte) (ours, final bool) {
		return bytes.Contains(answer, []byte("|"+id+"\r")) || bytes.Contains(answer, []byte("|"+id+"\n")), !bytes.Contains(answer, []byte("|CA|"))
	}
}

// peer is a scripted server at the other end of a pipe: script runs for each
// connection, n counts them from 0.
type peer struct {
	mu     sync.Mutex
	dials  int
	strays []string
}

func (p *peer) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.dials }

func (p *peer) client(c ClientConfig, script func(n int, conn net.Conn, r *Reader)) *Client {
	c.Address = "peer:2575"
	c.OnStray = func(raw []byte, _ error) { p.mu.Lock(); defer p.mu.Unlock(); p.strays = append(p.strays, string(raw)) }
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		p.mu.Lock()
		n := p.dials
		p.dials++
		p.mu.Unlock()
		go func() {
			defer b.Close()
			script(n, b, NewReader(b, ReaderConfig{}))
		}()
		return a, nil
	}
	return NewClient(c)
}

// idOf returns MSH-10 of a frame.
func idOf(f Frame) string {
	return string(bytes.TrimRight(bytes.Split(f.Payload, []byte("|"))[9], "\r"))
}

// Each script answers one message in its own way.
func TestAnswersInTheField(t *testing.T) {
	pieces := func(c net.Conn, s string) {
		for i := range len(s) {
			_, _ = c.Write([]byte(s[i : i+1]))
		}
	}
	for _, tc := range []struct {
		name   string
		script func(c net.Conn, id string)
		want   string
		err    error
		after  time.Duration
		strays int
	}{
		{"plain", func(c net.Conn, id string) { _, _ = c.Write(framed(ack(id))) }, ack("M1"), nil, 0, 0},
		{"split over reads", func(c net.Conn, id string) { pieces(c, string(framed(ack(id)))) }, ack("M1"), nil, 0, 0},
		{"older answer first", func(c net.Conn, id string) { _, _ = c.Write(append(framed(ack("M0")), framed(ack(id))...)) }, ack("M1"), nil, 0, 1},
		{"LF terminators, extra CR", func(c net.Conn, id string) {
			_, _ = c.Write([]byte("\r\n" + vt + "MSH|^~\\&|\nMSA|AA|" + id + "\n" + fs + cr + cr))
		}, "MSH|^~\\&|\nMSA|AA|M1\n", nil, 0, 0},
		{"typed ORR of another version", func(c net.Conn, id string) {
			_, _ = c.Write(framed("MSH|^~\\&|||||||ORR^O02|1|P|2.3\rMSA|AA|" + id + "\r"))
		}, "MSH|^~\\&|||||||ORR^O02|1|P|2.3\rMSA|AA|M1\r", nil, 0, 0},
		{"CA then AA", func(c net.Conn, id string) {
			_, _ = c.Write(framed("MSH|^~\\&|\rMSA|CA|" + id + "\r"))
			time.Sleep(3 * time.Second)
			_, _ = c.Write(framed(ack(id)))
		}, ack("M1"), nil, 3 * time.Second, 0},
		{"CA then AA elsewhere", func(c net.Conn, id string) {
			_, _ = c.Write(framed("MSH|^~\\&|\rMSA|CA|" + id + "\r"))
			time.Sleep(time.Hour)
		}, "MSH|^~\\&|\rMSA|CA|M1\r", ErrTimeout, 20 * time.Second, 0},
		{"never", func(net.Conn, string) { time.Sleep(time.Hour) }, "", ErrTimeout, 20 * time.Second, 0},
		{"wrong MSA-2", func(c net.Conn, _ string) { _, _ = c.Write(framed(ack("XX"))); time.Sleep(time.Hour) }, "", ErrTimeout, 20 * time.Second, 1},
		{"empty MSA-2", func(c net.Conn, _ string) { _, _ = c.Write(framed(ack(""))); time.Sleep(time.Hour) }, "", ErrTimeout, 20 * time.Second, 1},
		{"truncated MSA-2", func(c net.Conn, _ string) { _, _ = c.Write(framed(ack("M"))); time.Sleep(time.Hour) }, "", ErrTimeout, 20 * time.Second, 1},
		{"close after read", func(net.Conn, string) {}, "", ErrPeerClosed, 0, 0},
		{"half an answer", func(c net.Conn, _ string) { _, _ = c.Write([]byte(vt + "MSH|^")) }, "", ErrBadAnswer, 0, 1},
		{"garbage", func(c net.Conn, _ string) { _, _ = c.Write([]byte("what?")); time.Sleep(time.Hour) }, "", ErrBadAnswer, grace, 1},
		{"no VT, no CR", func(c net.Conn, id string) { _, _ = c.Write([]byte(ack(id) + fs)); time.Sleep(time.Hour) }, ack("M1"), nil, grace, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p peer
				c := p.client(ClientConfig{Persistent: true, AnswerTimeout: 20 * time.Second}, func(_ int, conn net.Conn, r *Reader) {
					if f, err := r.Next(); err == nil {
						tc.script(conn, idOf(f))
					}
				})
				start := time.Now()
				got, err := c.Send(t.Context(), message("M1"), matching("M1"))
				if string(got) != tc.want || !errors.Is(err, tc.err) || time.Since(start) != tc.after || len(p.strays) != tc.strays {
					t.Errorf("%q %v after %v, strays %q", got, err, time.Since(start), p.strays)
				}
				var sent *SendError
				if err != nil && (!errors.As(err, &sent) || !sent.Sent || c.link != nil) {
					t.Errorf("after a failure the connection stays: %v", err)
				}
				_ = c.Close()
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// A late answer dies with its connection and is never the answer to the next.
func TestLateAnswerIsNeverCredited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peer
		c := p.client(ClientConfig{Persistent: true, AnswerTimeout: 5 * time.Second}, func(n int, conn net.Conn, r *Reader) {
			for {
				f, err := r.Next()
				if err != nil {
					return
				}
				if n == 0 {
					time.Sleep(6 * time.Second) // late
				}
				if _, err := conn.Write(framed(ack(idOf(f)))); err != nil {
					return
				}
			}
		})
		if _, err := c.Send(t.Context(), message("M1"), nil); !errors.Is(err, ErrTimeout) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		got, err := c.Send(t.Context(), message("M2"), nil)
		if err != nil || string(got) != ack("M2") || p.count() != 2 {
			t.Errorf("%q %v", got, err)
		}
		_ = c.Close()
	})
}

// An answer that comes while nobody waits is a stray, on a connection that lives on.
func TestUnsolicitedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peer
		c := p.client(ClientConfig{Persistent: true}, func(_ int, conn net.Conn, r *Reader) {
			for {
				f, err := r.Next()
				if err != nil {
					return
				}
				_, _ = conn.Write(append(framed(ack(idOf(f))), framed(ack(idOf(f)))...)) // twice
			}
		})
		for i := range 3 {
			id := fmt.Sprint("M", i)
			got, err := c.Send(t.Context(), message(id), nil)
			synctest.Wait()
			if err != nil || string(got) != ack(id) {
				t.Errorf("%q %v", got, err)
			}
		}
		if p.count() != 1 || !slices.Equal(p.strays, []string{ack("M0"), ack("M1")}) {
			t.Errorf("%d connections, strays %q", p.count(), p.strays)
		}
		_ = c.Close()
	})
}

// A peer that closes after each answer is noticed; nothing is lost, and from then
// on each message has its own connection.
func TestPeerClosesAfterEachAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peer
		c := p.client(ClientConfig{Persistent: true}, func(_ int, conn net.Conn, r *Reader) {
			if f, err := r.Next(); err == nil {
				_, _ = conn.Write(framed(ack(idOf(f))))
			}
		})
		for i := range 4 {
			id := fmt.Sprint("M", i)
			if got, err := c.Send(t.Context(), message(id), matching(id)); err != nil || string(got) != ack(id) {
				t.Fatal(i, err)
			}
			synctest.Wait()
		}
		if p.count() != 4 || !c.perMessage {
			t.Error(p.count(), "connections")
		}
		_ = c.Close()
	})
}

// Its closing may meet our next message on the way: the outcome of that one is
// unknown, and it is the only one.
func TestPeerClosesOntoTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peer
		c := p.client(ClientConfig{Persistent: true}, func(_ int, conn net.Conn, r *Reader) {
			if f, err := r.Next(); err == nil {
				_, _ = conn.Write(framed(ack(idOf(f))))
				_, _ = r.Next() // it had closed before it read this
			}
		})
		for i, want := range []error{nil, ErrPeerClosed, nil, nil, nil} {
			if _, err := c.Send(t.Context(), message("M"), matching("M")); !errors.Is(err, want) {
				t.Errorf("%d: %v, want %v", i, err, want)
			}
		}
		if p.count() != 4 || !c.perMessage {
			t.Error(p.count(), "connections")
		}
		_ = c.Close()
	})
}

func TestPersistentAndPerMessage(t *testing.T) {
	for persistent, dials := range map[bool]int{true: 1, false: 5} {
		synctest.Test(t, func(t *testing.T) {
			var p peer
			ended := make(chan error, 5)
			c := p.client(ClientConfig{Persistent: persistent}, func(_ int, conn net.Conn, r *Reader) {
				for {
					f, err := r.Next()
					if err != nil {
						ended <- err
						return
					}
					_, _ = conn.Write(framed(ack(idOf(f))))
				}
			})
			for range 5 {
				if _, err := c.Send(t.Context(), message("M"), matching("M")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(11 * time.Minute)
			}
			_ = c.Close()
			if p.count() != dials {
				t.Errorf("persistent %v: %d connections", persistent, p.count())
			}
			for range dials {
				if err := <-ended; !errors.Is(err, io.EOF) {
					t.Error(err)
				}
			}
			if _, err := c.Send(t.Context(), message("M"), nil); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	}
}

// The gap runs from the answer to the next message, on the wire, and one message
// is in flight however many send.
func TestMinimumGapAndOneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gap = 3 * time.Second
		var mu sync.Mutex
		var answered, came []time.Time
		inFlight := 0
		var p peer
		c := p.client(ClientConfig{Persistent: true, MinGap: gap}, func(_ int, conn net.Conn, r *Reader) {
			for {
				f, err := r.Next()
				if err != nil {
					return
				}
				mu.Lock()
				came = append(came, time.Now())
				if inFlight++; inFlight > 1 {
					t.Error("two messages in flight")
				}
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				inFlight--
				answered = append(answered, time.Now())
				mu.Unlock()
				_, _ = conn.Write(framed(ack(idOf(f))))
			}
		})
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				id := fmt.Sprint("M", i)
				if _, err := c.Send(t.Context(), message(id), matching(id)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := 1; i < len(came); i++ {
			if d := came[i].Sub(answered[i-1]); d != gap {
				t.Errorf("message %d came %v after the answer before", i, d)
			}
		}
		_ = c.Close()
	})
}

func TestSendGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peer
		c := p.client(ClientConfig{Persistent: true, MinGap: time.Hour}, func(_ int, _ net.Conn, r *Reader) {
			_, _ = r.Next()
			time.Sleep(time.Hour)
		})
		for range 2 { // the second one in the gap
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			_, err := c.Send(ctx, message("M"), nil)
			if !errors.Is(err, ErrCancelled) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Error(err, time.Since(start))
			}
			cancel()
		}
		_ = c.Close()
		time.Sleep(2 * time.Hour)
	})
}

// A peer that does not read does not hold the sender for ever.
func TestPeerDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peer
		c := p.client(ClientConfig{WriteTimeout: 7 * time.Second}, func(int, net.Conn, *Reader) { time.Sleep(time.Hour) })
		start := time.Now()
		_, err := c.Send(t.Context(), message("M"), nil)
		var sent *SendError
		if !errors.Is(err, ErrWrite) || !errors.As(err, &sent) || sent.Sent || time.Since(start) != 7*time.Second {
			t.Error(err, time.Since(start))
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestConnectFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	c := NewClient(ClientConfig{Address: ln.Addr().String()})
	_, err = c.Send(t.Context(), message("M"), nil)
	var sent *SendError
	if !errors.Is(err, ErrConnect) || !errors.As(err, &sent) || sent.Sent {
		t.Error(err)
	}
	if _, err := c.Send(t.Context(), []byte("a"+fs), nil); !errors.Is(err, ErrFrameCharacter) {
		t.Error(err)
	}
}

package mllp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// serve answers the messages of one connection, one after the other.
func (s *Server) serve(ctx context.Context, sc *serverConn) {
	keepAlive(sc.Conn, s.config.KeepAlive)
	if s.config.OnConnect != nil {
		s.config.OnConnect(sc.info)
	}
	if !s.handshake(ctx, sc) {
		return
	}
	r := NewReader(sc.Conn, ReaderConfig{MaxFrame: s.config.MaxFrame, Reserve: s.reserve})
	r.SetTimeouts(Timeouts{Idle: s.config.IdleTimeout, Frame: s.config.FrameTimeout})
	defer r.Release()
	for {
		frame, err := r.Next()
		s.setBusy(sc, true)
		goOn := false
		var bad *FrameError
		switch {
		case err == nil:
			goOn = s.answer(ctx, sc, frame)
		case errors.As(err, &bad):
			s.bad(sc.info, bad.Bytes, bad)
			goOn = s.refuse(sc, bad.Bytes, bad) && !bad.Fatal
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return // between messages
		default:
			s.bad(sc.info, nil, fmt.Errorf("mllp: read: %w", err))
			return
		}
		if mayGoOn := s.setBusy(sc, false); !goOn || !mayGoOn {
			return
		}
	}
}

// handshake does the TLS handshake now, so that its failure has a reason.
func (s *Server) handshake(ctx context.Context, sc *serverConn) bool {
	t, ok := sc.Conn.(*tls.Conn)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.HandshakeTimeout)
	defer cancel()
	err := t.HandshakeContext(ctx)
	if err == nil {
		state := t.ConnectionState()
		sc.info.TLS = &state
		return true
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		s.bad(sc.info, record.RecordHeader[:], ErrPlainText)
		return false
	}
	s.bad(sc.info, nil, fmt.Errorf("%w: %w", ErrHandshake, err))
	return false
}

// answer handles one message; it reports whether the connection may go on.
func (s *Server) answer(ctx context.Context, sc *serverConn, f Frame) bool {
	if len(f.Notes) > 0 && s.config.OnNotes != nil {
		s.config.OnNotes(sc.info, f.Notes)
	}
	answer, err := s.handle(ctx, sc, f.Payload)
	if err != nil {
		s.bad(sc.info, f.Payload[:min(len(f.Payload), keepBytes)], err)
		if answer == nil {
			return s.refuse(sc, f.Payload, err)
		}
	}
	if answer == nil {
		return true
	}
	return s.write(sc, answer)
}

func (s *Server) handle(ctx context.Context, sc *serverConn, payload []byte) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value may hold a part of the message.
			answer, err = nil, ErrHandlerPanic
		}
	}()
	return s.config.Handler(ctx, sc.info, payload)
}

// refuse answers what could not be handled; without an answer the connection ends.
func (s *Server) refuse(sc *serverConn, raw []byte, reason error) bool {
	if s.config.Refuse == nil {
		return false
	}
	answer := s.config.Refuse(sc.info, raw, reason)
	return answer != nil && s.write(sc, answer)
}

func (s *Server) write(sc *serverConn, answer []byte) bool {
	_ = sc.SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
	if err := Write(sc.Conn, answer); err != nil {
		s.bad(sc.info, nil, fmt.Errorf("mllp: answer: %w", err))
		return false
	}
	return true
}

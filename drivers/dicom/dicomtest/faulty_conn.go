package dicomtest

import (
	"net"
	"sync"
	"syscall"
)

// FaultyConn is a connection that breaks after a number of bytes. A negative
// number never breaks.
type FaultyConn struct {
	net.Conn
	mu          sync.Mutex
	read, write int
	// Chunk is the most one Read returns, in bytes; 0 means no limit.
	Chunk int
}

// NewFaultyConn breaks conn after so many bytes read or written.
func NewFaultyConn(conn net.Conn, read, write int) *FaultyConn {
	return &FaultyConn{Conn: conn, read: read, write: write}
}

// take returns how many of n bytes may pass.
func (c *FaultyConn) take(left *int, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *left < 0 {
		return n
	}
	n = min(n, *left)
	*left -= n
	return n
}

// Read reads until the limit, then fails like a reset connection.
func (c *FaultyConn) Read(b []byte) (int, error) {
	if c.Chunk > 0 && len(b) > c.Chunk {
		b = b[:c.Chunk]
	}
	n := c.take(&c.read, len(b))
	if n == 0 && len(b) > 0 {
		_ = c.Close()
		return 0, syscall.ECONNRESET
	}
	return c.Conn.Read(b[:n])
}

// Write writes until the limit, then fails like a reset connection.
func (c *FaultyConn) Write(b []byte) (int, error) {
	n := c.take(&c.write, len(b))
	if n < len(b) {
		if n > 0 {
			n, _ = c.Conn.Write(b[:n])
		}
		_ = c.Close()
		return n, syscall.ECONNRESET
	}
	return c.Conn.Write(b)
}

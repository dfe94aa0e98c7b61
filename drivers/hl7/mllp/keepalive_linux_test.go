package mllp

import (
	"net"
	"syscall"
	"testing"
)

// Both ends ask after three idle minutes whether the other is there: firewalls
// forget an idle connection after ten.
func TestKeepAlive(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := NewClient(ClientConfig{Address: ln.Addr().String()})
	l, err := c.connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	keepAlive(accepted, defaultKeepAlive)
	for name, conn := range map[string]net.Conn{"client": l.conn, "server": accepted} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			on, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
			idle, _ := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
			if on == 0 || idle != 180 {
				t.Errorf("%s: keep-alive %d after %d s", name, on, idle)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

package sim

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/rayhound/rayhound/appliance/problem"
)

// printer writes whole lines of several goroutines.
type printer struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *printer) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.w, format, args...) // a closed pipe; nowhere to report it
}

// reasonOf returns the part of an error that a person can use.
func reasonOf(err error) string {
	var op *net.OpError
	var sys *os.SyscallError
	switch {
	case problem.Of(err) != nil:
		return problem.Of(err).Sentence()
	case errors.As(err, &sys):
		return sys.Err.Error()
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

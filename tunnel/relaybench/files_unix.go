//go:build unix

package relaybench

import "syscall"

// raiseFiles lets this process and its children have that many files open, as far as
// allowed, and returns how many they may have.
func raiseFiles(wanted uint64) uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	if number64(l.Cur) < wanted {
		more := l
		more.Cur, more.Max = fit(more.Cur, wanted), max(more.Max, fit(more.Max, wanted))
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) != nil { // only root may go above the limit
			more = l
			more.Cur = more.Max
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) // it is read back
		}
		if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
			return 0
		}
	}
	return number64(l.Cur)
}

// number64 and fit convert from and to the type of the system's limits, which is
// signed on some.
func number64[T int64 | uint64](n T) uint64 { return uint64(n) }

func fit[T int64 | uint64](_ T, n uint64) T { return T(n) }

//go:build unix

package localdb

import (
	"os"
	"syscall"
)

// sameOwner gives a file to the owner of another. Only root can and needs to:
// rayhound backup restore is run by an administrator, and the service, which
// runs as a user of its own, must be able to open what it leaves.
func sameOwner(path, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Stat(like)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}

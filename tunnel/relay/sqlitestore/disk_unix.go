//go:build unix

package sqlitestore

import "golang.org/x/sys/unix"

// diskUsed returns the share of a disk that this account cannot use any more, 0..1.
func diskUsed(dir string) (float64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 {
		return 0, nil
	}
	used := float64(st.Blocks - st.Bfree)
	return used / (used + float64(st.Bavail)), nil
}

package sqlitestore

import "golang.org/x/sys/windows"

// diskUsed returns the share of a disk that this account cannot use any more, 0..1.
func diskUsed(dir string) (float64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free, total uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, &total, nil); err != nil {
		return 0, err
	}
	if total == 0 {
		return 0, nil
	}
	return 1 - float64(free)/float64(total), nil
}

package localdb

// sameOwner does nothing: files inherit the rights of their folder.
func sameOwner(_, _ string) error { return nil }

package sqlitestore

// DSN returns the name a test opens the file of a store with, as the store does.
func DSN(path string) string { return dsn(path, writerSettings) }

// Settings of the connections.
const (
	WriterSettings = writerSettings
	ReaderSettings = readerSettings
)

package sqlitestore

import (
	"net/url"
	"path/filepath"
	"strings"
)

// Settings of a connection stand in its data source name, so that every pooled
// connection gets them. A test reads them back.
//
// Only the writer names auto_vacuum: a reader that does asks for the write lock
// each time a connection is opened, and waits for seconds under load.
const (
	writerSettings = "_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1" +
		"&_txlock=immediate&_defensive=1&_auto_vacuum=INCREMENTAL" +
		"&_pragma=secure_delete(1)&_pragma=wal_autocheckpoint(4000)&_pragma=temp_store(2)&_pragma=cache_size(-8000)"
	readerSettings = "mode=rw&_busy_timeout=5000&_foreign_keys=1&_defensive=1&_query_only=1" +
		"&_pragma=temp_store(2)&_pragma=cache_size(-2000)"
	// A copy writes another file, which query_only would refuse.
	copySettings = "mode=rw&_busy_timeout=5000&_defensive=1&_pragma=temp_store(2)"
)

// dsn returns the data source name of a file. The path is percent-escaped:
// unescaped it would be cut at '#' and decoded at '%', and another file opened.
func dsn(path, settings string) string {
	p := filepath.ToSlash(path)
	if len(p) > 1 && p[1] == ':' && !strings.HasPrefix(p, "/") {
		p = "/" + p // file:/C:/..., as SQLite wants drive letters
	}
	return "file:" + (&url.URL{Path: p}).EscapedPath() + "?" + settings
}

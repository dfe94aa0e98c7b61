package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

// FileName is the name of the newest log file in the log folder.
const FileName = "rayhound.log"

// Limits of the files on disk: about 60 MB, less when compressed.
const (
	fileMegabytes = 10
	keptFiles     = 10
	keptDays      = 30
)

// Config says where the log goes.
type Config struct {
	Dir     string    // folder of the files, made when missing; empty: no file
	Console io.Writer // nil: no console
	JSON    bool      // on the console: JSON instead of text
	Level   string    // debug, info, warn, error; empty: info
}

// Log is an open log.
type Log struct {
	*slog.Logger
	level *slog.LevelVar
	file  io.Closer
	path  string
}

// Open opens the log. The caller closes it after everything that logs has
// ended.
func Open(cfg Config) (*Log, error) {
	l := &Log{level: new(slog.LevelVar)}
	if err := l.SetLevel(cfg.Level); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: l.level}
	var handlers []slog.Handler
	if cfg.Console != nil {
		if cfg.JSON {
			handlers = append(handlers, slog.NewJSONHandler(cfg.Console, opts))
		} else {
			handlers = append(handlers, slog.NewTextHandler(cfg.Console, opts))
		}
	}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("logging: %w", err)
		}
		l.path = filepath.Join(cfg.Dir, FileName)
		// timberjack opens at the first line; a folder that cannot be written is
		// reported now.
		f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("logging: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("logging: %w", err)
		}
		file := &timberjack.Logger{
			Filename: l.path, MaxSize: fileMegabytes, MaxBackups: keptFiles, MaxAge: keptDays,
			Compression: "gzip", FileMode: 0o600, LocalTime: true,
		}
		l.file = file
		handlers = append(handlers, slog.NewJSONHandler(file, opts))
	}
	l.Logger = slog.New(Redact(slog.NewMultiHandler(handlers...)))
	return l, nil
}

// SetLevel sets the least level that is written: debug, info, warn or error;
// empty means info.
func (l *Log) SetLevel(name string) error {
	if name == "" {
		name = "info"
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	l.level.Set(level)
	return nil
}

// Path returns the newest log file; empty when there is none.
func (l *Log) Path() string { return l.path }

// Close closes the file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	return nil
}

// Tail returns the last lines of the newest log file, at most limit bytes. A
// file that is not there is empty.
func Tail(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("logging: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("logging: %w", err)
	}
	start := max(0, info.Size()-limit)
	b, err := io.ReadAll(io.NewSectionReader(f, start, info.Size()-start))
	if err != nil {
		return nil, fmt.Errorf("logging: %w", err)
	}
	if start > 0 { // begin with a whole line
		for i, c := range b {
			if c == '\n' {
				return b[i+1:], nil
			}
		}
	}
	return b, nil
}

package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines says in which line a key stands.
type lines map[string]int

// of returns the line of a key, or of the nearest table around it; 0 when none
// is known.
func (l lines) of(key string) int {
	for key != "" {
		if n, ok := l[key]; ok {
			return n
		}
		i := max(strings.LastIndexByte(key, '.'), strings.LastIndexByte(key, '['))
		if i < 0 {
			break
		}
		key = key[:i]
	}
	return 0
}

// lineIndex finds the lines of all keys of a file that parses.
func lineIndex(b []byte) lines {
	x := indexer{src: b, at: lines{}, rows: map[string]int{}}
	x.p.Reset(b)
	for x.p.NextExpression() {
		e := x.p.Expression()
		switch {
		case e.Kind == unstable.Table:
			x.table = x.path("", e.Key(), false)
		case e.Kind == unstable.ArrayTable:
			x.table = x.path("", e.Key(), true)
		case e.Kind == unstable.KeyValue:
			x.keyValue(x.table, e)
		}
	}
	return x.at
}

type indexer struct {
	p     unstable.Parser
	src   []byte
	at    lines
	rows  map[string]int // rows of an array of tables so far
	table string         // the heading we are under
}

// path appends a dotted key to base and notes the line of each part. newRow
// says that the last part begins another row of an array of tables.
func (x *indexer) path(base string, it unstable.Iterator, newRow bool) string {
	for it.Next() {
		base = join(base, string(it.Node().Data))
		line := 1 + bytes.Count(x.src[:min(int(it.Node().Raw.Offset), len(x.src))], []byte("\n"))
		if newRow && it.IsLast() {
			x.rows[base]++
		}
		if _, ok := x.at[base]; !ok {
			x.at[base] = line
		}
		if n := x.rows[base]; n > 0 {
			base = fmt.Sprintf("%s[%d]", base, n)
			if _, ok := x.at[base]; !ok {
				x.at[base] = line
			}
		}
	}
	return base
}

// keyValue notes a key and, below it, the keys of inline tables.
func (x *indexer) keyValue(base string, e *unstable.Node) {
	base = x.path(base, e.Key(), false)
	x.value(base, e.Value())
}

func (x *indexer) value(base string, v *unstable.Node) {
	switch {
	case v.Kind == unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				x.keyValue(base, it.Node())
			}
		}
	case v.Kind == unstable.Array:
		n := 0
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			n++
			x.value(fmt.Sprintf("%s[%d]", base, n), it.Node())
		}
	}
}

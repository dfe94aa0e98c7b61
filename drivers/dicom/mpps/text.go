package mpps

import (
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// reader reads the text of one set or item with the character set that holds
// there: its own (0008,0005), else that of the set around it, else the
// machine's.
type reader struct {
	set     *dataset.Set
	charset dataset.Charset
}

// text returns the reader of set. outer is nil at the top level.
func (p *parser) text(set *dataset.Set, outer *reader) reader {
	if outer != nil {
		return reader{set, set.CharsetWithin(outer.charset)}
	}
	declared := set.Strings(dataset.SpecificCharacterSet)
	cs, note := dataset.ParseCharset(declared)
	if note != "" {
		p.note("character set: " + note)
	}
	if c := p.config.Charset; c != "" && c != "auto" {
		fallback, _ := dataset.ParseCharset([]string{c})
		cs = cs.WithFallback(fallback)
	}
	return reader{set, cs}
}

// value returns the first value of a text attribute as Unicode, trimmed.
func (r reader) value(t dataset.Tag) string { return r.set.Text(t, r.charset) }

// zone returns the zone of the dates and times of set: Timezone Offset From UTC
// when the console sends one, else the clinic's.
func (p *parser) zone(set *dataset.Set) *time.Location {
	s := set.String(dataset.TimezoneOffsetFromUTC)
	if s == "" {
		return p.config.Zone
	}
	zone, err := dataset.ParseTimezoneOffset(s)
	if err != nil {
		p.note("unreadable " + name(dataset.TimezoneOffsetFromUTC))
		return p.config.Zone
	}
	return zone
}

// moment joins a date and a time. A date without a usable time is midnight; a
// time without a date is nothing.
func (p *parser) moment(set *dataset.Set, date, clock dataset.Tag, zone *time.Location) time.Time {
	d, c := set.String(date), set.String(clock)
	if d == "" {
		return time.Time{}
	}
	day, err := dataset.ParseDate(d, zone)
	if err != nil {
		p.note("unreadable " + name(date))
		return time.Time{}
	}
	t, err := dataset.ParseDateAndTime(d, c, zone)
	if err != nil {
		p.note("unreadable " + name(clock))
		return day
	}
	return t
}

// name returns tag and keyword, for notes.
func name(t dataset.Tag) string { return t.String() + " " + dataset.Keyword(t) }

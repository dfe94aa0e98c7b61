package dataset

import (
	"strings"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		b.Run(s.String(), func(b *testing.B) {
			raw := sampleAnswer(b, s)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(raw, s, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		b.Run(s.String(), func(b *testing.B) {
			set := mustParse(b, s, sampleAnswer(b, s))
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendSet(buf[:0], s, set)
			}
		})
	}
}

func BenchmarkBuilder(b *testing.B) {
	x, buf := NewBuilder(ExplicitLE, Latin1), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		x.Reset().Text(AccessionNumber, "1001").Text(PatientName, "Müller^Bella").Text(PatientID, "4711").
			Text(StudyInstanceUID, "2.25.329800735698586629295641978511506172918").Text(StudyDate, "20261122")
		buf = x.AppendTo(buf[:0])
	}
}

func BenchmarkFold(b *testing.B) {
	for _, s := range []string{"MULLER^BELLA", "Muller^Bella", "Müller^Bella"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Fold(s)
			}
		})
	}
}

func BenchmarkMatchPN(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			MatchPN("bel*", "Müller^Bella")
		}
	})
	b.Run("prepared", func(b *testing.B) {
		key, value := NewPNKey("bel*"), Fold("Müller^Bella")
		b.ReportAllocs()
		for b.Loop() {
			key.MatchFolded(value)
		}
	})
	b.Run("worst", func(b *testing.B) {
		key, value := NewPNKey(strings.Repeat("*A", 511)+"*B"), strings.Repeat("A", 64)
		b.ReportAllocs()
		for b.Loop() {
			key.MatchFolded(value)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		cs   Charset
		text string
	}{{Latin1, "M\xfcller^Bella"}, {UTF8, "Müller^Bella"}, {Latin1, "Muller^Bella"}} {
		b.Run(c.cs.String()+" "+c.text, func(b *testing.B) {
			raw := []byte(c.text)
			b.ReportAllocs()
			for b.Loop() {
				c.cs.Decode(raw, PN)
			}
		})
	}
}

func BenchmarkVROf(b *testing.B) {
	for b.Loop() {
		VROf(PatientName)
	}
}

package hl7

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// orderOMI builds a full OMI^O23, as an image manager gets it.
func orderOMI() ([]byte, error) {
	b := NewBuilder(BuilderConfig{})
	b.MSH().Set("3", "RAYHOUND").Set("4", "CLINIC").Set("5", "PACS").Set("6", "CLINIC").
		Set("7", Timestamp(time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC))).SetAll("9", "OMI", "O23", "OMI_O23").Set("10", "RH0000000000000001").Set("11", "P")
	b.Segment("PID").Set("1", "1").SetAll("3", "4711", "", "", "PROVET").SetAll("3[2]", "276098100000001", "", "", "CHIP").
		SetAll("5", "Jäger", "Bella").Set("7", "20200102").Set("8", "F").SetAll("9", "Jäger", "Anna").
		SetAll("11", "Hauptstraße 1", "", "Linz", "", "4020", "AT").Set("13", "+43 732 1234").
		SetAll("35", "448771007", "Dog", "SCT").SetAll("36", "132636009", "Beagle", "SCT")
	b.Segment("PV1").Set("1", "1").Set("2", "O").SetAll("8", "17", "Huber", "Eva").Set("19", "88123")
	b.Segment("ORC").Set("1", "NW").Set("2", "A1000017").Set("3", "F1").Set("5", "SC").Set("9", "20261124010203").SetAll("12", "17", "Huber", "Eva")
	b.Segment("TQ1").Set("1", "1").Set("7", "20261124093000").Set("9", "R")
	b.Segment("OBR").Set("1", "1").Set("2", "A1000017").SetAll("4", "THORAX", "Thorax two views", "L").Set("13", "cough & fever").
		SetAll("16", "17", "Huber", "Eva").Set("24", "DX").Set("31.2", "Cough since a week").SetAll("44", "THORAX", "Thorax two views", "L")
	b.Segment("NTE").Set("1", "1").Set("3", "bites when held\nowner waits")
	b.Segment("OBX").Set("1", "1").Set("2", "NM").Set("3.2", "Body Weight").Set("5", "12.4").Set("6", "kg").Set("11", "F")
	b.Segment("IPC").Set("1", "A1000017").Set("2", "A1000017").Set("3", "2.25.329800735698586629295641978511506172918").Set("4", "A1000017-1").
		Set("5", "DX").SetAll("6", "THORAX", "Thorax two views", "L").Set("7", "ROOM1").Set("9", "DXROOM1")
	raw, _, err := b.Bytes()
	return raw, err
}

// reportORU makes a report of about size bytes.
func reportORU(size int) []byte {
	var b bytes.Buffer
	b.WriteString("MSH|^~\\&|RIS|CLINIC|RAYHOUND|CLINIC|20261124010203||ORU^R01^ORU_R01|R1|P|2.5.1||||||8859/1\r")
	b.WriteString("PID|1||4711^^^PROVET||J\xE4ger^Bella||20200102|F\rORC|RE|A1000017|F1\rOBR|1|A1000017|F1|THORAX^Thorax two views^L|||20261124|||||||||17^Huber^Eva||||||||DX|F\r")
	for i := 1; b.Len() < size; i++ {
		fmt.Fprintf(&b, "OBX|%d|TX|REPORT^Finding^L||The cardiac silhouette is of normal size \\T\\ shape; no signs of effusion.||||||F|||20261124010203\r", i)
	}
	return b.Bytes()
}

// reportPDF makes an ORU with a PDF so that the message has about size bytes.
func reportPDF(size int) []byte {
	pdf := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x25, 0x50, 0x44, 0x46, 0x9f, 0xc1, 0x1b}, size*3/4/7))
	return append(append(reportORU(2000), "OBX|99|ED|PDF^Report^L||^AP^PDF^Base64^"...), (pdf + "||||||F\r")...)
}

// readAll reads every leaf of a message.
func readAll(m *Message) (n int) {
	for _, s := range m.Segments("") {
		for f := 1; f <= s.Fields(); f++ {
			n += len(s.textAt(path{field: f}))
		}
	}
	return n
}

func BenchmarkBuildAndParseOMI(b *testing.B) {
	for name, read := range map[string]func(*Message) int{
		"split all": func(m *Message) int {
			for i := range m.segments {
				m.split(i)
			}
			return 1
		},
		"every leaf": readAll,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				raw, err := orderOMI()
				if err != nil {
					b.Fatal(err)
				}
				m, err := Parse(raw, Options{})
				if err != nil || read(m) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseORU10kB(b *testing.B) {
	raw := reportORU(10_000)
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(raw, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("report", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := Parse(raw, Options{})
			if err != nil {
				b.Fatal(err)
			}
			for _, g := range m.Groups() {
				for _, o := range g.Observations {
					_ = o.OBX.Text("5")
				}
			}
		}
	})
	b.Run("every leaf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := Parse(raw, Options{})
			if err != nil || readAll(m) == 0 {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParseORU20MB(b *testing.B) {
	raw := reportPDF(20 << 20)
	b.ReportAllocs()
	for b.Loop() {
		m, err := Parse(raw, Options{})
		if err != nil || len(m.Get("OBX(99)-5.5")) != 0 {
			b.Fatal(err)
		}
		if readAll(m) < 20<<20 {
			b.Fatal("the PDF is lost")
		}
	}
}

// The PDF of a large report comes out whole, and the memory stays within 100 MB.
func TestLargeReport(t *testing.T) {
	raw := reportPDF(20 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	m, err := Parse(raw, Options{})
	if err != nil {
		t.Fatal(err)
	}
	last := m.Segments("OBX")[m.Count("OBX")-1]
	pdf := last.Get("5.5")
	runtime.ReadMemStats(&after)
	if len(pdf) < 19<<20 || last.Get("5.4") != "Base64" || last.Get("11") != "F" {
		t.Fatalf("%d bytes of PDF", len(pdf))
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
		t.Errorf("%d MB", used>>20)
	}
	t.Logf("%d MB in %v, %d MB allocated", len(raw)>>20, time.Since(start), (after.TotalAlloc-before.TotalAlloc)>>20)
}

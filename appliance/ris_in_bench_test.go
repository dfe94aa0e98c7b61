package appliance

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/localdb"
)

// bigReport is an ORU of about 20 MB with a PDF.
func (r *ris) bigReport(accession string) []byte {
	pdf := append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("0123456789abcde"), 1_000_000)...)
	b := r.message("ORU^R01", "2.4", "OBR|1|"+accession+strings.Repeat("|", 23)+"F",
		"OBX|1|TX|R||All is well||||||F", "OBX|2|ED|PDF^Report||^AP^PDF^Base64^"+base64.StdEncoding.EncodeToString(pdf)+"||||||F")
	return b
}

// A report of 20 MB is kept in a second, within 100 MB.
func TestRISBigReport(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	m := r.bigReport(o.AccessionNumber)
	runtime.GC()
	before := residentPeak()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var top uint64
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			top = max(top, s.HeapInuse)
			select {
			case <-stop:
				peak <- top
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	start := time.Now()
	r.accepted(m)
	took := time.Since(start)
	close(stop)
	t.Logf("%.1f MB in %s, heap at most %d MB with the message itself, resident at most %d MB, %d MB before",
		float64(len(m))/1e6, took, <-peak/1e6, residentPeak()/1e6, before/1e6)
	docs, texts := r.documents(o)
	if len(docs) != 2 || docs[1].Size != 15_000_009 || len(texts[1]) != 15_000_009 || !strings.HasPrefix(texts[1], "%PDF-") {
		t.Errorf("%+v", docs)
	}
}

// residentPeak is the most memory that the process had, 0 where nobody tells.
func residentPeak() int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			n := 0
			for _, c := range f[1] {
				n = n*10 + int(c-'0')
			}
			return n * 1024
		}
	}
	return 0
}

func BenchmarkRISReceive(b *testing.B) {
	for _, size := range []string{"status", "report 20 MB"} {
		b.Run(size, func(b *testing.B) {
			db, err := localdb.Open(b.Context(), localdb.Config{Path: filepath.Join(b.TempDir(), "rayhound.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			p := testPeer(b)
			c := newCore(&core{db: db, list: shelf{}, routes: &routes{stations: []station{{Name: "DR1", Serves: []string{"X-ray"}}}, ris: []*risPeer{p}}})
			o, err := c.Add(b.Context(), newByHand{Modality: "X-ray", Patient: order.Patient{ID: "p1", Name: "Bella"}, Owner: order.Owner{LastName: "Virtanen"}})
			if err != nil {
				b.Fatal(err)
			}
			r := &ris{receiver: receiverOf(c, p)}
			peer := mllp.Conn{Peer: netip.MustParseAddrPort("127.0.0.1:40000")}
			for b.Loop() {
				b.StopTimer()
				m := r.message("ORM^O01", "2.3.1", "ORC|SC|"+o.AccessionNumber+"|||IP", "OBR|1")
				if size != "status" {
					m = r.bigReport(o.AccessionNumber)
				}
				b.SetBytes(int64(len(m)))
				b.StartTimer()
				if a, err := r.receiver.Handle(b.Context(), peer, m); err != nil || !bytes.Contains(a, []byte("MSA|AA")) {
					b.Fatalf("%s %v", a, err)
				}
			}
		})
	}
}

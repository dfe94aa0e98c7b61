//go:build peers

package appliance_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// These tests bring orders to independent HL7 programs, and their words back,
// through the whole appliance.

const (
	hl7Servers = "../drivers/hl7/mllp/testdata/peers"
	hl7Scripts = "../drivers/hl7/testdata/peers"
	python     = "/usr/bin/python3" // Debian's, which has python3-hl7
)

// hl7Modules says where the npm packages of HL7 are, and installs them when
// RAYHOUND_NODE_PATH does not say.
func hl7Modules(t *testing.T) []string {
	t.Helper()
	path := os.Getenv("RAYHOUND_NODE_PATH")
	if path == "" {
		dir := t.TempDir()
		mustPeer(t, nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir,
			"node-hl7-server@2.5.0", "node-hl7-client@2.3.1", "simple-hl7@3.3.0", "hl7v2@1.8.0")
		path = filepath.Join(dir, "node_modules")
	}
	return []string{"NODE_PATH=" + path}
}

// foreignRIS is a server of another program, with what it printed.
type foreignRIS struct {
	address string
	mu      sync.Mutex
	lines   []string
}

func (f *foreignRIS) got() []string { f.mu.Lock(); defer f.mu.Unlock(); return slices.Clone(f.lines) }

// standForeign starts a server of another program. A port that is free when we
// look can be taken when the program does: then it is started again.
func standForeign(t *testing.T, env []string, program, script string) *foreignRIS {
	t.Helper()
	for range 5 {
		if f := tryForeign(t, env, program, script); f != nil {
			return f
		}
	}
	t.Fatalf("%s does not listen", script)
	return nil
}

func tryForeign(t *testing.T, env []string, program, script string) *foreignRIS {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &foreignRIS{address: ln.Addr().String()}
	_ = ln.Close()
	_, port, _ := net.SplitHostPort(f.address)
	cmd := exec.Command(program, filepath.Join(hl7Servers, script), port)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			f.mu.Lock()
			f.lines = append(f.lines, s.Text())
			f.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", script, &stderr)
		}
	})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c, err := net.DialTimeout("tcp", f.address, time.Second)
		if err == nil {
			_ = c.Close()
			return f
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			return nil
		}
	}
	return nil
}

// ids returns the different control ids that a program printed.
func (f *foreignRIS) ids() []string {
	var ids []string
	for _, l := range f.got() {
		if w := strings.Fields(l); len(w) > 1 && w[0] == "GOT" && !slices.Contains(ids, w[1]) {
			ids = append(ids, w[1])
		}
	}
	return ids
}

// Servers of other programs take every order, change and cancel of one appliance
// at the same time, over a connection that is kept and over one for each message.
func TestPeersTakeOrders(t *testing.T) {
	env := hl7Modules(t)
	for _, closes := range []bool{false, true} {
		t.Run(fmt.Sprint("close after each ", closes), func(t *testing.T) {
			peers := []*foreignRIS{
				standForeign(t, env, python, "python_server.py"), standForeign(t, env, "node", "node_server.js"), standForeign(t, env, "node", "simple_server.js"),
			}
			p := sendingTo(t, func(r *config.RIS) { r.CloseAfterEach = closes }, peers[0].address, peers[1].address, peers[2].address)
			const n = 8
			var ids []int
			for range n { // all at once: simple-hl7 loses the second of two messages in one read
				ids = append(ids, p.request("X-ray"))
			}
			for _, id := range ids {
				p.becomes(id, order.Scheduled)
				p.upstream(id, "scheduled")
			}
			all := func(want int) {
				t.Helper()
				for i, f := range peers {
					dest := fmt.Sprint("ris:ris", i+1)
					var sent []ui.Message
					p.until(fmt.Sprintf("%s should have %d messages", dest, want), func() (err error) {
						if sent, err = p.api.Outbox(t.Context(), ui.OutboxFilter{Destination: dest, All: true}); err != nil {
							return err
						}
						delivered := 0
						for _, m := range sent {
							if m.State == "delivered" {
								delivered++
							}
						}
						if got := f.ids(); len(got) != want || delivered != want {
							return fmt.Errorf("it has %d, %d are delivered", len(got), delivered)
						}
						return nil
					})
				}
			}
			all(n)
			for _, id := range ids {
				p.remark(id, "left leg")
			}
			all(2 * n)
			for _, id := range ids {
				p.sim.SetStatus(id, "cancelled")
				p.becomes(id, order.Cancelled)
			}
			all(3 * n)
			for _, f := range peers {
				for _, l := range f.got() {
					if !strings.HasSuffix(l, " Koivu-Lehtimäki") {
						t.Errorf("a peer read %q", l)
					}
				}
			}
			for _, code := range []problem.Code{problem.RISRefused, problem.RISUnsure, problem.RISUnreachable} {
				if lines := p.board(code, ""); len(lines) > 0 {
					t.Errorf("raised %q", lines)
				}
			}
		})
	}
}

// Clients of other programs tell about an order.
func TestPeersTellAboutAnOrder(t *testing.T) {
	env := hl7Modules(t)
	p, sim := withRIS(t)
	id := p.request("X-ray")
	acc := p.becomes(id, order.Scheduled).AccessionNumber
	p.holds(sim, acc)
	_, port, err := net.SplitHostPort(p.hl7())
	p.ok(err)
	file := func(controlID, messageType string, segments ...string) string {
		path := filepath.Join(t.TempDir(), controlID+".hl7")
		head := `MSH|^~\&|` + risName + `|Clinic|RAYHOUND|Clinic|20261124083000||` + messageType + `|` + controlID + `|P|2.3.1||||||UNICODE UTF-8`
		p.ok(os.WriteFile(path, []byte(strings.Join(append([]string{head}, segments...), "\r")+"\r"), 0o600))
		return path
	}
	begin := file("P1", "ORM^O01", "ORC|SC|"+acc+"|F-7||IP", "OBR|1|"+acc+"|F-7")
	done := file("N1", "ORM^O01", "ORC|SC|"+acc+"|F-7||CM", "OBR|1|"+acc+"|F-7")
	report := file("S1", "ORU^R01", "OBR|1|"+acc+"|F-7"+strings.Repeat("|", 22)+"F", `OBX|1|FT|R||Größe 3 cm \T\ Łódź\.br\日本||||||F`)

	if out := mustPeer(t, nil, "mllp_send", "--port", port, "--loose", "--file", begin, "127.0.0.1"); !strings.Contains(out, "MSA|AA|P1") {
		t.Errorf("mllp_send: %s", out)
	}
	if o := p.becomes(id, order.InProgress); o.ID == 0 {
		t.Error("no order")
	}
	if out := mustPeer(t, env, "node", filepath.Join(hl7Scripts, "node_send.js"), port, done); !strings.Contains(out, "ANSWER AA N1") {
		t.Errorf("node-hl7-client: %s", out)
	}
	p.becomes(id, order.Completed)
	if out := mustPeer(t, env, "node", filepath.Join(hl7Scripts, "simple_send.js"), port, report); !strings.Contains(out, "ANSWER AA S1") {
		t.Errorf("simple-hl7: %s", out)
	}
	rep, err := p.api.Report(t.Context(), acc)
	p.ok(err)
	if len(rep.Documents) != 1 || rep.Documents[0].Text != "Größe 3 cm & Łódź\n日本" {
		t.Errorf("%+v", rep.Documents)
	}
	if d := p.detail(acc); len(d.Numbers) != 1 || d.Numbers[0].FillerOrderNumber != "F-7" {
		t.Errorf("%+v", d.Numbers)
	}
	received, err := p.api.HL7Messages(t.Context(), ui.HL7Filter{})
	p.ok(err)
	if len(received) != 3 {
		t.Errorf("%+v", received)
	}
}

// profiles are all ways in which a RIS may want its messages.
var profiles = map[string]func(*config.RIS){
	"2.3.1 XO":    func(r *config.RIS) {},
	"2.3.1 CA+NW": func(r *config.RIS) { r.Update = "CA+NW" },
	"2.3.1 RP":    func(r *config.RIS) { r.Update = "RP" },
	"2.4 XO":      func(r *config.RIS) { r.Version = "2.4" },
	"2.4 RP":      func(r *config.RIS) { r.Version, r.Update = "2.4", "RP" },
	"OMG":         func(r *config.RIS) { r.Version, r.Message = "2.5.1", "OMG^O19" },
	"OMG CA+NW":   func(r *config.RIS) { r.Version, r.Message, r.Update = "2.5.1", "OMG^O19", "CA+NW" },
	"OMI":         func(r *config.RIS) { r.Version, r.Message, r.ORC5OnNew = "2.5.1", "OMI^O23", "SC" },
	"OMI RP":      func(r *config.RIS) { r.Version, r.Message, r.Update = "2.5.1", "OMI^O23", "RP" },
}

// known are complaints about what is meant to be so: neutered in PID-8.2, as
// dcm4chee reads it; the length of a patient id, which 2.3.1 counts without its
// authority; OBX-4, which is conditional in the standard and has no use with one value.
var known = regexp.MustCompile(`PID-8: (3 characters|2 components)|PID-3: \d+ characters, at most 20$|OBX-4: required$`)

// owed lists what waits in the outbox, for the message of a failure.
func (p *practice) owed() string {
	box, err := p.api.Outbox(p.t.Context(), ui.OutboxFilter{})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%+v", box)
}

// Whatever leaves the appliance, in every profile, is what the dictionaries of
// hl7v2 say it should be.
func TestPeersValidateWhatLeaves(t *testing.T) {
	env := hl7Modules(t)
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range profiles {
			if !yield(n) {
				return
			}
		}
	})
	var sims []*hl7sim.RIS
	var addresses []string
	for range names {
		sim, address := standRIS(t)
		sims, addresses = append(sims, sim), append(addresses, address)
	}
	i := 0
	p := sendingTo(t, func(r *config.RIS) {
		r.SendADT, r.RegisterFirst, r.PatientAuthority, r.SpeciesScheme, r.BreedScheme = true, true, "PROVET", "SCT", "VTSL"
		profiles[names[i]](r)
		i++
	}, addresses...)
	heardBy := func(what string, kinds ...string) {
		t.Helper()
		for i, sim := range sims {
			p.until(fmt.Sprintf("%s should hear %s", names[i], what), func() error {
				ms := sim.Messages()
				for _, k := range kinds {
					if !slices.ContainsFunc(ms, func(m hl7sim.Message) bool { return m.Control == k || strings.HasSuffix(m.Type, k) }) {
						return fmt.Errorf("no %s in %d messages", k, len(ms))
					}
				}
				return nil
			})
		}
	}
	one, two := p.request("X-ray"), p.request("CT")
	o1, o2 := p.becomes(one, order.Scheduled), p.becomes(two, order.Scheduled)
	p.upstream(one, "scheduled")
	p.upstream(two, "scheduled")
	heardBy("a new order", "NW", "A04")
	p.remark(one, "left | ^ ~ \\ & leg\nand more")
	p.sim.RenamePatient(bello, "Ball|o & Söhne")
	p.remark(two, "as well")
	heardBy("a change", "A08")
	for i, sim := range sims {
		control := "XO"
		switch {
		case strings.Contains(names[i], "RP"):
			control = "RP"
		case strings.Contains(names[i], "CA"):
			control = "CA"
		}
		for _, o := range []*order.Order{o1, o2} {
			p.until(names[i]+" should hear all of "+control, func() error {
				got := heard(sim, o.AccessionNumber)
				if !slices.Contains(got, control) || control == "CA" && got[len(got)-1] != "NW" { // what has not left is taken back by what follows
					return fmt.Errorf("it heard %v; owed: %s", got, p.owed())
				}
				return nil
			})
		}
	}
	_, err := p.machine(ct).Perform(t.Context(), p.listed(ct, two), dicomsim.Options{Discontinue: &dicomsim.Reason{}})
	p.ok(err)
	p.becomes(two, order.Discontinued)
	heardBy("a discontinuation", "DC")
	p.sim.MergePatient(bello, 5002)
	p.remark(one, "merged")
	heardBy("a merge", "A40")
	p.sim.SetStatus(one, "cancelled")
	p.becomes(one, order.Cancelled)
	for i, sim := range sims {
		p.until(names[i]+" should hear CA at the end", func() error {
			if got := heard(sim, o1.AccessionNumber); len(got) == 0 || got[len(got)-1] != "CA" {
				return fmt.Errorf("it heard %v", got)
			}
			return nil
		})
		if got := heard(sim, o2.AccessionNumber); got[len(got)-1] != "DC" {
			t.Errorf("%s heard %v", names[i], got)
		}
	}

	dir, files, kinds := t.TempDir(), []string{}, map[string]int{}
	for i, sim := range sims {
		quiet(t, sim)
		for n, m := range sim.Messages() {
			path := filepath.Join(dir, fmt.Sprintf("%s-%02d-%s.hl7", strings.ReplaceAll(names[i], " ", "-"), n, m.Control))
			p.ok(os.WriteFile(path, m.Raw, 0o600))
			files = append(files, path)
			kinds[m.Type+" "+m.Control]++
		}
	}
	out := mustPeer(t, env, "node", append([]string{filepath.Join(hl7Scripts, "hl7v2_validate.js")}, files...)...)
	for l := range strings.Lines(out) {
		if l = strings.TrimSpace(l); !known.MatchString(l) && l != fmt.Sprintf("%d messages", len(files)) {
			t.Error(l)
		}
	}
	t.Logf("%d messages: %v", len(files), kinds)
}

// Names reach a RIS in its character set, as other programs read them, and what
// was written in other letters is in the order's story.
func TestPeersReadNames(t *testing.T) {
	env := hl7Modules(t)
	const owner, pet = `Jäger ß ł Я 日本 |^~\&`, "Bel|la ^~\\& Łapka\rII"
	readers := []struct{ charset, codec, owner, pet string }{
		{"UNICODE UTF-8", "utf-8", `Jäger ß ł Я 日本 |^~\&`, `Bel|la ^~\& Łapka`},
		{"8859/1", "latin-1", `Jäger ß l Ia ?? |^~\&`, `Bel|la ^~\& Lapka`},
		{"ASCII", "ascii", `Jaeger ss l Ia ?? |^~\&`, `Bel|la ^~\& Lapka`},
	}
	var sims []*hl7sim.RIS
	var addresses []string
	for range readers {
		sim, address := standRIS(t)
		sims, addresses = append(sims, sim), append(addresses, address)
	}
	i := 0
	p := sendingTo(t, func(r *config.RIS) { r.Charset = readers[i].charset; i++ }, addresses...)
	p.sim.UpdatePatient(bello, func(x *provetsim.Patient) { x.Name = pet })
	x, _ := p.sim.Patient(bello)
	p.sim.RenameClient(x.ClientID, owner)
	o := p.becomes(p.request("X-ray"), order.Scheduled)
	_, timeline, err := p.app.Load().Order(t.Context(), o.ProvetID)
	p.ok(err)
	story := strings.Join(texts(timeline), "\n")
	for i, r := range readers {
		p.hears(sims[i], o.AccessionNumber, "NW")
		raw := sims[i].Messages()[0].Raw
		file := filepath.Join(t.TempDir(), "m.hl7")
		p.ok(os.WriteFile(file, raw, 0o600))
		if n := strings.Count(string(raw), "\rPID|"); n != 1 {
			t.Errorf("%s: %d PID", r.charset, n)
		}
		var read []string
		p.ok(json.Unmarshal([]byte(mustPeer(t, nil, python, filepath.Join(hl7Scripts, "python_name.py"), file, r.codec)), &read))
		if len(read) != 2 || read[0] != r.owner || !strings.HasPrefix(read[1], r.pet) || !strings.HasSuffix(read[1], "II") {
			t.Errorf("python3-hl7, %s: %q", r.charset, read)
		}
		if r.codec == "latin-1" { // hl7v2 1.8.0 takes every character set of ISO 8859 for UTF-8
			decoded := make([]rune, len(raw))
			for i, b := range raw {
				decoded[i] = rune(b)
			}
			p.ok(os.WriteFile(file, []byte(string(decoded)), 0o600))
		}
		var rows [][7]any
		p.ok(json.Unmarshal([]byte(mustPeer(t, env, "node", filepath.Join(hl7Scripts, "hl7v2_read.js"), file)), &rows))
		for _, row := range rows {
			if row[0] == "PID" && row[2] == 5.0 && row[4] == 1.0 && row[6] != r.owner {
				t.Errorf("hl7v2, %s: %q", r.charset, row[6])
			}
		}
		if told := strings.Contains(story, "For ris"+fmt.Sprint(i+1)+" "); told != (i > 0) {
			t.Errorf("%s: told of letters: %v\n%s", r.charset, told, story)
		}
		t.Logf("%s: %q", r.charset, read)
	}
	contains(t, story, "ß is written as ss (PID-5", "For ris2 ł is written as l (PID-5", "日 is written as ?")
}

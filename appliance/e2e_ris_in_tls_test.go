package appliance_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// ownCertificate writes a certificate of our own making, and returns its files
// and its fingerprint.
func ownCertificate(t *testing.T) (certFile, keyFile, fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(der)
	return certFile, keyFile, hex.EncodeToString(sum[:])
}

// A RIS may send over TLS, and what speaks plain text there harms nothing.
func TestRISSendsOverTLS(t *testing.T) {
	t.Parallel()
	cert, key, fingerprint := ownCertificate(t)
	p := open(t, asItComes, setup{settings: func(f *config.File) {
		r := config.NewRIS()
		r.Name, r.Address, r.ReceivesFrom = risName, "192.0.2.7:2575", config.Names{"127.0.0.0/8"}
		f.RIS = append(f.RIS, r)
		f.HL7 = config.HL7{TLSListen: config.Names{"127.0.0.1:0"}, TLSCert: cert, TLSKey: key}
	}})
	id := p.request("X-ray")
	acc := p.becomes(id, order.Scheduled).AccessionNumber
	pinned, err := mllp.Pin(&tls.Config{MinVersion: tls.VersionTLS12}, fingerprint)
	p.ok(err)
	message := []byte("MSH|^~\\&|" + risName + "|Clinic|||20261124||ORM^O01|TLS1|P|2.3.1\rORC|SC|" + acc + "|||IP\rOBR|1\r")

	plain := mllp.NewClient(mllp.ClientConfig{Address: p.hl7()})
	defer plain.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if answer, err := plain.Send(ctx, message, nil); err == nil {
		t.Errorf("plain text was answered %q", answer)
	}
	client := mllp.NewClient(mllp.ClientConfig{Address: p.hl7(), TLS: pinned})
	defer client.Close()
	answer, err := client.Send(ctx, message, nil)
	p.ok(err)
	if a, err := hl7.ParseAck(answer, hl7.Options{}); err != nil || a.Code != hl7.AA {
		t.Errorf("%q %v", answer, err)
	}
	p.becomes(id, order.InProgress)
}

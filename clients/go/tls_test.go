package taskwheel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// certify writes a certificate of its own and its key, and answers whom to trust for it.
func certify(t *testing.T, folder string) (roots *x509.CertPool, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"wheel.internal"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	parsed, err := x509.ParseCertificate(der)
	check(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	cert, key = filepath.Join(folder, "wheel.pem"), filepath.Join(folder, "wheel.key")
	check(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	return roots, cert, key
}

func TestAServerIsKnownByItsCertificateAndByThatAlone(t *testing.T) {
	folder := t.TempDir()
	roots, cert, key := certify(t, folder)
	server, err := startServer(folder, "--tls-cert", cert, "--tls-key", key)
	check(t, err)
	defer server.stop()
	for name, c := range map[string]struct {
		options []Option
		code    codes.Code
	}{
		"trusted":         {[]Option{WithTLS(&tls.Config{RootCAs: roots})}, codes.OK},
		"by another name": {[]Option{WithTLS(&tls.Config{RootCAs: roots, ServerName: "wheel.internal"})}, codes.OK},
		"by a wrong name": {[]Option{WithTLS(&tls.Config{RootCAs: roots, ServerName: "elsewhere"})}, codes.Unavailable},
		"not trusted":     {[]Option{WithTLS(&tls.Config{})}, codes.Unavailable},
		"without TLS":     {nil, codes.Unavailable},
	} {
		_, err := connect(t, server.address, c.options...).Admin.GetServerInfo(soon(t), &pb.GetServerInfoRequest{})
		if status.Code(err) != c.code {
			t.Error(name, err)
		}
	}
}

// Package certtest is an authority whose certificates tests trust.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New makes one.
func New(t testing.TB) *Authority {
	t.Helper()
	a, err := Make()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Make is New where there is no test.
func Make() (*Authority, error) {
	now := time.Now()
	a := &Authority{certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "certtest authority"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// Pool trusts the authority and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// Pair is a certificate with its key, in PEM form.
type Pair struct{ Certificate, Key []byte }

// Issue makes a certificate for names or addresses.
func (a *Authority) Issue(t testing.TB, from, to time.Time, names ...string) Pair {
	t.Helper()
	p, err := a.issue(from, to, names)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (a *Authority) issue(from, to time.Time, names []string) (p Pair, err error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return p, err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.certificate, key.Public(), a.key)
	if err != nil {
		return p, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return p, err
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

// Good is Issue for a certificate that was good yesterday and will be for months.
func (a *Authority) Good(t testing.TB, names ...string) Pair {
	t.Helper()
	p, err := a.good(names)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (a *Authority) good(names []string) (Pair, error) {
	now := time.Now()
	return a.issue(now.AddDate(0, 0, -1), now.AddDate(0, 3, 0), names)
}

// WriteGood is Good and Write where there is no test.
func (a *Authority) WriteGood(dir string, names ...string) (certificate, key string, err error) {
	p, err := a.good(names)
	if err != nil {
		return "", "", err
	}
	return p.write(dir)
}

// Write puts the pair into dir, in place of what is there, and returns the paths.
func (p Pair) Write(t testing.TB, dir string) (certificate, key string) {
	t.Helper()
	certificate, key, err := p.write(dir)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func (p Pair) write(dir string) (certificate, key string, err error) {
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, contents := range map[string][]byte{certificate: p.Certificate, key: p.Key} {
		if err := os.WriteFile(path, contents, 0o600); err != nil {
			return "", "", err
		}
	}
	return certificate, key, nil
}

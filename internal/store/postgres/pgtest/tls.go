package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// StartTLS starts a cluster that offers encryption, with a certificate for that
// name; it is for the client to insist on it. It answers the file of the authority that signed it.
func StartTLS(name string) (c *Cluster, authority string, err error) {
	if c, err = Start(); err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	certificate, key, err := certificateFor(name)
	if err != nil {
		return c, "", err
	}
	for file, content := range map[string][]byte{"server.crt": certificate, "server.key": key} {
		path := filepath.Join(c.Dir, file)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return c, "", err
		}
		if c.as != nil {
			if err := os.Chown(path, int(c.as.Credential.Uid), int(c.as.Credential.Gid)); err != nil {
				return c, "", err
			}
		}
	}
	if err := c.configure("ssl = on"); err != nil {
		return c, "", err
	}
	return c, filepath.Join(c.Dir, "server.crt"), c.Restart()
}

// certificateFor makes a certificate that signs itself.
func certificateFor(name string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

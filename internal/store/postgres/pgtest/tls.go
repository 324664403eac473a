package pgtest

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/sparekey/sparekey/internal/certs/certtest"
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
	signer, err := certtest.Make()
	if err != nil {
		return c, "", err
	}
	certificate, key, err := signer.WriteGood(c.Dir, name)
	if err != nil {
		return c, "", err
	}
	authority = filepath.Join(c.Dir, "authority.pem")
	if err := errors.Join(os.WriteFile(authority, signer.PEM(), 0o600), c.owner.Give(certificate, key)); err != nil {
		return c, "", err
	}
	if err := c.configure("ssl = on", "ssl_cert_file = '"+certificate+"'", "ssl_key_file = '"+key+"'"); err != nil {
		return c, "", err
	}
	return c, authority, c.Restart()
}

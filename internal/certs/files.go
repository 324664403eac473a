package certs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// lookEvery is how often the files are looked at: certificates are replaced
// weeks before they end, so nobody waits for it. A few kilobytes are read.
const lookEvery = 30 * time.Second

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// FilesOptions name a pair of files.
type FilesOptions struct {
	Certificate, Key string // paths of PEM files
	Host             string // whom the certificate should be for
	Now              func() time.Time
	Log              *slog.Logger
}

// Files is a certificate with its key in two PEM files. It follows them when
// they change: by content, so that links that are pointed elsewhere count too.
type Files struct {
	o        FilesOptions
	current  atomic.Pointer[tls.Certificate]
	seen     [sha256.Size]byte // of what was read last, good or bad
	failed   string            // why the files could not be read when they were looked at last
	reminder reminder
}

// OpenFiles reads the pair. Its error is for the operator.
func OpenFiles(o FilesOptions) (*Files, error) {
	f := &Files{o: o, reminder: reminder{log: o.Log}}
	files, err := readFiles(o.Certificate, o.Key)
	if err != nil {
		return nil, err
	}
	pair, err := files.pair()
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	f.seen = files.digest()
	return f, nil
}

// ReadPair reads a certificate and its key.
func ReadPair(certificate, key string) (*tls.Certificate, error) {
	files, err := readFiles(certificate, key)
	if err != nil {
		return nil, err
	}
	return files.pair()
}

// contents are what is in the two files.
type contents struct{ certificate, key []byte }

func readFiles(certificate, key string) (c contents, err error) {
	if c.certificate, err = read(certificate); err != nil {
		return c, fmt.Errorf("read the certificate: %w", err)
	}
	if c.key, err = read(key); err != nil {
		return c, fmt.Errorf("read the key of the certificate: %w", err)
	}
	return c, nil
}

func (c contents) digest() [sha256.Size]byte {
	return sha256.Sum256(bytes.Join([][]byte{c.certificate, c.key}, []byte{0}))
}

func (c contents) pair() (*tls.Certificate, error) {
	made, err := tls.X509KeyPair(c.certificate, c.key)
	if err != nil {
		if bytes.Contains(c.key, []byte("ENCRYPTED")) {
			err = errors.New("the key has a passphrase")
		}
		return nil, fmt.Errorf("the certificate and its key do not fit: %w", err)
	}
	return &made, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	contents, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(contents) > maxFile {
		err = fmt.Errorf("%s is larger than %d KiB", path, maxFile>>10)
	}
	return contents, err
}

// TLSConfig is how the listener speaks TLS with these files.
func (f *Files) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     Version,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil },
	}
}

// Leaf is the certificate that is shown now.
func (f *Files) Leaf() *x509.Certificate { return f.current.Load().Leaf }

// Watch follows the files until ctx ends, and looks at once when told to by
// reload. It also tells the log when the certificate is, or soon will be, no good.
// Connections that are open go on with what they began with.
func (f *Files) Watch(ctx context.Context, reload <-chan os.Signal) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		f.reminder.tell(ctx, Problems(f.Leaf(), f.o.Host, f.o.Now()), f.o.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.look(ctx, false)
		case <-reload:
			f.look(ctx, true)
		}
	}
}

// look takes a new pair if there is one that is better than the old. Of what is
// wrong the log is told once; if asked, every time.
func (f *Files) look(ctx context.Context, asked bool) {
	files, err := readFiles(f.o.Certificate, f.o.Key)
	seen, failed := files.digest(), ""
	if err != nil {
		seen, failed = f.seen, err.Error()
	}
	news := seen != f.seen || failed != f.failed
	f.seen, f.failed = seen, failed
	if !news && !asked {
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = files.pair()
	}
	now := f.o.Now()
	if err == nil && !good(pair.Leaf, now) && good(f.Leaf(), now) {
		err = fmt.Errorf("the certificate is good from %s to %s, not now", stamp(pair.Leaf.NotBefore), stamp(pair.Leaf.NotAfter))
	}
	if err != nil {
		f.o.Log.WarnContext(ctx, "the old certificate is kept", "event", "tls.kept_old", "error", err,
			"hint", "put a certificate and its own key at tls.certificate and tls.key, where this user can read them; they are read again within half a minute, and on SIGHUP")
		return
	}
	f.current.Store(pair)
	f.o.Log.InfoContext(ctx, "a certificate was read", "event", "tls.loaded", "names", names(pair.Leaf), "expires", stamp(pair.Leaf.NotAfter))
}

func good(leaf *x509.Certificate, now time.Time) bool {
	return !now.Before(leaf.NotBefore) && now.Before(leaf.NotAfter)
}

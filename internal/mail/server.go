package mail

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// security says what protects the connection.
type security int

const (
	tlsDemanded security = iota // STARTTLS, or no mail (RFC 3207)
	tlsOffered                  // STARTTLS where the server offers it; to loopback only
	tlsImplicit                 // TLS from the first byte (RFC 8314, 3.3)
	tlsNone                     // in the clear, because the operator said so
)

// Server is where mails are handed in. ParseServer makes one; the zero value is no server.
type Server struct {
	scheme   string
	host     string
	port     string
	user     string
	password string
	auth     bool
	security security
	caFile   string
	roots    *x509.CertPool // nil: the system's
}

// ParseServer reads the address of a mail server:
//
//	smtp://[user:password@]host[:port]    port 587; STARTTLS is demanded, except to
//	                                      loopback, where it is used if offered
//	smtps://[user:password@]host[:port]   port 465; TLS from the first byte
//
// User and password are percent-decoded; with them the connection is
// authenticated. Two options may follow: ?tls=none (smtp:// only) sends in the
// clear, and ?ca=FILE names a PEM file of certificate authorities that are
// trusted besides the system's. TLS is version 1.2 or newer. The certificate
// and its host name are verified, except where STARTTLS is merely taken as
// offered, to loopback and without ?ca=FILE: the clear would be allowed there too.
//
// The error is a *reset.Error of kind Invalid; it says what to write instead
// and never repeats the URL, which may hold a password.
func ParseServer(rawURL string) (Server, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Server{}, reset.Invalidf("the mail server is not a URL; write smtp://user:password@mail.example.com:587, " +
			"and in the user and the password write %%40 for @, %%3A for :, %%2F for / and %%25 for %%")
	}
	s := Server{scheme: u.Scheme, host: u.Hostname(), port: u.Port()}
	standard := map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	switch {
	case standard == "":
		return Server{}, reset.Invalidf("the mail server's URL must begin with smtp:// (STARTTLS) or smtps:// (TLS from the first byte)")
	case s.host == "":
		return Server{}, reset.Invalidf("the mail server's URL has no host; write %s://mail.example.com", u.Scheme)
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		return Server{}, reset.Invalidf("the mail server's URL must end after the host and port; write %s://mail.example.com:%s", u.Scheme, standard)
	}
	if s.port == "" {
		s.port = standard
	}
	if n, err := strconv.ParseUint(s.port, 10, 16); err != nil || n == 0 {
		return Server{}, reset.Invalidf("the mail server's port must be a number from 1 to 65535, such as %s", standard)
	}
	if err := s.options(u.RawQuery); err != nil {
		return Server{}, err
	}
	if err := s.login(u.User); err != nil {
		return Server{}, err
	}
	return s, nil
}

// options reads what follows the question mark, and settles what protects the connection.
func (s *Server) options(rawQuery string) error {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return reset.Invalidf("the options of the mail server's URL are not well formed; write ?tls=none or ?ca=FILE, joined by &")
	}
	switch {
	case s.scheme == "smtps":
		s.security = tlsImplicit
	case isLoopback(s.host):
		s.security = tlsOffered
	}
	for name, values := range query {
		switch {
		case len(values) > 1:
			return reset.Invalidf("the mail server's URL has an option twice; write each once")
		case name == "tls" && values[0] == "none" && s.scheme == "smtp":
			s.security = tlsNone
		case name == "tls":
			return reset.Invalidf("the option tls of the mail server's URL takes one value, none, and with smtp:// only; for TLS leave it out")
		case name == "ca":
			s.caFile = values[0]
			if s.roots, err = readRoots(values[0]); err != nil {
				return err
			}
		default:
			return reset.Invalidf("the mail server's URL has an unknown option; there are tls=none and ca=FILE")
		}
	}
	return nil
}

// login takes user and password, unless they would have to travel in the clear.
func (s *Server) login(info *url.Userinfo) error {
	if info == nil {
		return nil
	}
	s.user = info.Username()
	s.password, s.auth = info.Password()
	switch {
	case s.user == "" || !s.auth || s.password == "":
		return reset.Invalidf("the mail server's URL needs both a user and a password before the @, or neither; write smtp://user:password@mail.example.com")
	case strings.ContainsRune(s.user+s.password, 0):
		return reset.Invalidf("the mail server's user and password must not contain a NUL (%%00)")
	case s.security == tlsNone && !isLoopback(s.host):
		return reset.Invalidf("the mail server's URL has a password and tls=none: it would be sent in the clear; leave one of them out")
	}
	return nil
}

// readRoots returns the system's certificate authorities and those in the file.
func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		e := reset.Invalidf("the file that the option ca of the mail server's URL names cannot be read; write ?ca= and the path of a PEM file")
		e.Cause = err
		return nil, e
	}
	roots, err := x509.SystemCertPool()
	if err != nil { // a machine without any: the file alone then
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, reset.Invalidf("the file that the option ca of the mail server's URL names holds no certificate; it needs at least one in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return roots, nil
}

// isLoopback reports whether the host is this machine by its very name:
// 127.0.0.0/8, ::1 or localhost (RFC 6761, 6.3).
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// address is host:port, for dialling.
func (s Server) address() string { return net.JoinHostPort(s.host, s.port) }

// tlsConfig verifies the certificate against the host as the URL names it
// (RFC 8314, 5.5.1). Sessions are resumed, so a new connection is cheap.
func (s Server) tlsConfig() *tls.Config {
	return &tls.Config{
		ServerName:         s.host,
		RootCAs:            s.roots,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
}

// String is the URL with the password hidden.
func (s Server) String() string {
	if s.auth {
		return s.format(url.QueryEscape(s.user) + ":[redacted]@")
	}
	return s.format("")
}

// GoString is the URL with the password hidden.
func (s Server) GoString() string { return s.String() }

// LogValue is the URL without user and password: a user is often a mail
// address, and no log line holds one.
func (s Server) LogValue() slog.Value { return slog.StringValue(s.format("")) }

func (s Server) format(login string) string {
	if s.host == "" {
		return ""
	}
	var options []string
	if s.security == tlsNone {
		options = append(options, "tls=none")
	}
	if s.caFile != "" {
		options = append(options, "ca="+s.caFile)
	}
	text := s.scheme + "://" + login + s.address()
	if len(options) > 0 {
		text += "?" + strings.Join(options, "&")
	}
	return text
}

package ldapdir

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// Method is how a password is set.
type Method string

// The methods.
const (
	// RFC3062 is the password modify extended operation: the server hashes, and its password policy is heeded.
	RFC3062 Method = "rfc3062"
	// UserPassword replaces the attribute userPassword by a hash that Sparekey makes (RFC 4519, 2.41). A
	// server's policy cannot look into a hash.
	UserPassword Method = "userpassword"
	// ActiveDirectory replaces unicodePwd, as an administrator does (MS-ADTS 3.1.1.3.1.5.1). It needs TLS.
	ActiveDirectory Method = "ad"
)

// Hash makes what is written into userPassword: "{SSHA512}…". It refuses what the scheme cannot hold with
// reset.Refused, and asks still as reset.Directory's Prepare says.
type Hash func(ctx context.Context, password string, still func(context.Context) error) (string, error)

// Attributes name the attributes of a user's entry. Empty: the default.
type Attributes struct {
	// ID tells users apart for good, even when they are renamed. Default entryUUID (RFC 4530), in Active Directory
	// objectGUID; these two are written as UUIDs, any other as its text. It must be unique and have an equality index.
	ID string
	// Mail has the user's addresses; of several, the one that was asked for is mailed. Default mail (RFC 4524).
	Mail string
	// Name is how to address the person. Default cn; in Active Directory displayName.
	Name string
	// Locale is a language tag. Default preferredLanguage (RFC 2798).
	Locale string
	// Account has the names of the user's accounts. Default: users are in none.
	Account string
	// Disabled, if it has the value DisabledValue in whatever case, says that the user may not reset. Default: none.
	// What Active Directory (userAccountControl) and ppolicy (pwdAccountLockedTime) have to say is looked at in any case.
	Disabled string
	// DisabledValue belongs to Disabled. Default TRUE.
	DisabledValue string
}

// Config is what a Directory is made of.
type Config struct {
	// Servers are URLs, ldaps://host[:port] or ldap://host[:port], in the order in which they are tried; at least one.
	// They are copies of one directory.
	Servers []string
	// StartTLS turns ldap:// into TLS before anything else is said (RFC 4511, 4.14).
	StartTLS bool
	// Plaintext allows ldap:// without StartTLS, where passwords cross the network in the clear; not for Active Directory.
	Plaintext bool
	// CA are the authorities whose certificates are believed. Default: the system's. The name in the URL is always verified.
	CA *x509.CertPool
	// BindDN is who Sparekey is to the directory; Active Directory also takes user@domain. Required.
	BindDN string
	// BindPassword returns its password; it is asked for each new connection, so that it may change. Required.
	BindPassword func() (string, error)
	// Base is the DN below which users are. Required.
	Base string
	// Filter says which entries are users (RFC 4515). Default (objectClass=person); in Active Directory
	// (&(objectCategory=person)(objectClass=user)).
	Filter string
	// AddressFilter finds an address; each {address} is replaced by it, escaped. Default (MAIL={address}), with Attributes.Mail.
	// Whatever it finds, only a user with that very address in Attributes.Mail has it.
	AddressFilter string
	// Attributes name the attributes of a user.
	Attributes Attributes
	// Method is how passwords are set. Default RFC3062.
	Method Method
	// Hash is for UserPassword, and required there.
	Hash Hash
	// Scheme names what Hash makes, for operators: "SSHA512".
	Scheme string
	// Unlock ends a lock after too many wrong passwords when a password is set: lockoutTime in Active Directory,
	// else pwdAccountLockedTime. OpenLDAP's ppolicy does it by itself, whatever is set here.
	Unlock bool
	// MustChange has the user choose yet another password at the next logon (pwdLastSet). Active Directory alone.
	MustChange bool
	// IgnoreHistory sets passwords as an administrator does also where Active Directory could be asked to heed history and
	// minimum age (the policy hints control, MS-ADTS 3.1.1.3.4.1.27).
	IgnoreHistory bool
	// Timeout is for each step of talking to a server: to connect and bind, to search, to change. Default 5 s.
	Timeout time.Duration
	// Connections is how many there are at most. Default 4.
	Connections int
	// Pause is for how long a server that could not be reached is passed over while there are others, and for how long a
	// bind that was refused is not tried again with the same password: each try counts for a lockout. Default 30 s.
	Pause time.Duration
	// Now is the clock for Pause and a password's age. Required.
	Now reset.Clock
	// Log is told what is nobody's error; default none.
	Log *slog.Logger
}

// placeholder is what an AddressFilter has in place of the address.
const placeholder = "{address}"

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	or := func(s *string, general, ad string) {
		switch {
		case *s != "":
		case c.Method == ActiveDirectory:
			*s = ad
		default:
			*s = general
		}
	}
	if c.Method == "" {
		c.Method = RFC3062
	}
	or(&c.Filter, "(objectClass=person)", "(&(objectCategory=person)(objectClass=user))")
	or(&c.Attributes.ID, entryUUID, objectGUID)
	or(&c.Attributes.Mail, "mail", "mail")
	or(&c.Attributes.Name, "cn", "displayName")
	or(&c.Attributes.Locale, "preferredLanguage", "preferredLanguage")
	or(&c.Attributes.DisabledValue, "TRUE", "TRUE")
	or(&c.AddressFilter, "("+c.Attributes.Mail+"="+placeholder+")", "("+c.Attributes.Mail+"="+placeholder+")")
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Connections == 0 {
		c.Connections = 4
	}
	if c.Pause == 0 {
		c.Pause = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// misset is what an operator has to mend before the service starts.
func misset(setting, fix, format string, args ...any) *reset.Misset {
	return &reset.Misset{Setting: setting, Fix: fix, Cause: fmt.Errorf(format, args...)}
}

// check looks at what can be seen without a server.
func (c Config) check() error {
	var errs []error
	no := func(setting, fix, format string, args ...any) {
		errs = append(errs, misset(setting, fix, format, args...))
	}
	if len(c.Servers) == 0 {
		no("servers", "name at least one, such as ldaps://ldap.example.com", "there is no server")
	}
	if c.BindDN == "" {
		no("bind.dn", "name the user that Sparekey binds as", "nobody to bind as")
	}
	if c.BindPassword == nil {
		no("bind.password_file", "name a file with the password of bind.dn", "no password to bind with")
	}
	if _, err := ldap.ParseDN(c.Base); err != nil || c.Base == "" {
		no("base", "write a DN, such as ou=people,dc=example,dc=com", "%q is not a DN", c.Base)
	}
	if err := checkFilter(c.Filter); err != nil {
		no("filter", "write a filter after RFC 4515, such as (objectClass=person)", "%w", err)
	}
	if err := checkTemplate(c.AddressFilter); err != nil {
		no("address_filter", "write a filter after RFC 4515 with {address} as a value, such as (mail={address})", "%w", err)
	}
	switch c.Method {
	case RFC3062, ActiveDirectory:
	case UserPassword:
		if c.Hash == nil {
			no("scheme", "name how passwords are hashed, such as ssha512", "no scheme for userPassword")
		}
	default:
		no("method", "write rfc3062, userpassword or ad", "there is no method %q", c.Method)
	}
	if c.Now == nil {
		errs = append(errs, errors.New("a directory needs a clock"))
	}
	if c.MustChange && c.Method != ActiveDirectory {
		no("must_change", "leave it out, or set method to ad", "pwdLastSet is of Active Directory")
	}
	if c.Timeout < 0 || c.Connections < 0 || c.Pause < 0 {
		no("timeout", "write nothing below zero", "a time or a number is below zero")
	}
	return errors.Join(errs...)
}

// checkFilter says what is wrong with a filter.
func checkFilter(filter string) error {
	if strings.Contains(filter, placeholder) {
		return errors.New("{address} belongs into address_filter alone")
	}
	_, err := ldap.CompileFilter(filter)
	return err
}

// checkTemplate says what is wrong with an AddressFilter. {address} is always a value, or part of one: escaping is for values.
func checkTemplate(template string) error {
	parts := strings.Split(template, placeholder)
	if len(parts) == 1 {
		return errors.New("{address} is missing")
	}
	for before := range strings.SplitSeq(strings.Join(parts[:len(parts)-1], placeholder+"\x00"), "\x00") {
		before = strings.TrimSuffix(before, placeholder)
		if i := strings.LastIndexByte(before, '('); i >= 0 && !strings.Contains(before[i:], "=") {
			return errors.New("{address} is where no value is")
		}
	}
	_, err := ldap.CompileFilter(fill(template, "ada@example.test"))
	return err
}

// parseServers reads the URLs.
func (c Config) parseServers() ([]*server, error) {
	var servers []*server
	var errs []error
	for _, s := range c.Servers {
		u, err := url.Parse(s)
		switch {
		case err != nil:
			errs = append(errs, misset("servers", "write ldaps://host or ldap://host", "this is not a URL"))
		case u.Scheme != "ldaps" && u.Scheme != "ldap" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			errs = append(errs, misset("servers", "write ldaps://host or ldap://host, with a port where it is another one, and nothing after that",
				"%s is not the URL of a server", u.Redacted()))
		case u.Scheme == "ldap" && !c.StartTLS && (!c.Plaintext || c.Method == ActiveDirectory):
			fix := "write ldaps://, or set start_tls"
			if c.Method != ActiveDirectory {
				fix += "; plaintext allows it where nobody can listen"
			}
			errs = append(errs, misset("servers", fix, "%s is not encrypted, and passwords go there", u.Redacted()))
		default:
			servers = append(servers, newServer(u))
		}
	}
	return servers, errors.Join(errs...)
}

package ldapdir_test

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// windows answers as a domain controller of Windows does, as far as a reset goes: Samba does not know the control by which
// history is heeded. What it answers is after MS-ADTS 3.1.1.3.4.1.27 and 3.1.1.3.1.5.
type windows struct {
	controls []string // that it says it supports
	lastSet  string   // pwdLastSet of its only user
	diagnose string   // what it says to a password in its history
	cut      bool     // it reads a change, and closes the connection

	listener net.Listener
	serving  sync.WaitGroup
	mu       sync.Mutex
	got      [][]string // the controls of each change, with their values
}

func (w *windows) start(t *testing.T) ldapdir.Config {
	t.Helper()
	authority := certtest.New(t)
	pair := authority.Good(t, "127.0.0.1")
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	must(t, err)
	w.listener, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	must(t, err)
	w.serving.Go(func() {
		for {
			conn, err := w.listener.Accept()
			if err != nil {
				return
			}
			w.serving.Go(func() { w.serve(conn) })
		}
	})
	t.Cleanup(func() {
		must(t, w.listener.Close())
		w.serving.Wait()
	})
	return ldapdir.Config{
		Servers: []string{"ldaps://" + w.listener.Addr().String()}, CA: authority.Pool(), Base: "DC=example,DC=test", Method: ldapdir.ActiveDirectory,
		BindDN: "sparekey@example.test", BindPassword: func() (string, error) { return "x", nil }, Timeout: 20 * time.Second, Now: time.Now,
	}
}

func (w *windows) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		p, err := ber.ReadPacket(conn)
		if err != nil || len(p.Children) < 2 {
			return
		}
		answer := func(op *ber.Packet) {
			m := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
			m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, p.Children[0].Value, ""))
			m.AppendChild(op)
			_, _ = conn.Write(m.Bytes())
		}
		switch op := p.Children[1]; op.Tag {
		case ldap.ApplicationBindRequest:
			answer(result(ldap.ApplicationBindResponse, 0, ""))
		case ldap.ApplicationSearchRequest:
			base, _ := op.Children[0].Value.(string)
			answer(w.entry(base))
			answer(result(ldap.ApplicationSearchResultDone, 0, ""))
		case ldap.ApplicationModifyRequest:
			if w.note(p); w.cut {
				return
			}
			if w.diagnose == "" {
				answer(result(ldap.ApplicationModifyResponse, 0, ""))
				continue
			}
			answer(result(ldap.ApplicationModifyResponse, ldap.LDAPResultConstraintViolation, w.diagnose))
		default:
			return
		}
	}
}

// note remembers the controls of a change.
func (w *windows) note(p *ber.Packet) {
	var list []string
	if len(p.Children) > 2 {
		for _, c := range p.Children[2].Children {
			oid, _ := c.Children[0].Value.(string)
			list = append(list, oid, string(c.Children[len(c.Children)-1].ByteValue))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, list)
}

func (w *windows) entry(base string) *ber.Packet {
	values := map[string][]string{ // the user
		"objectGUID": {"0123456789abcdef"}, "mail": {ada}, "userAccountControl": {"512"}, "sAMAccountName": {"ada"}, "pwdLastSet": {w.lastSet},
	}
	if base == "" {
		values = map[string][]string{"supportedControl": w.controls, "defaultNamingContext": {"DC=example,DC=test"}, "supportedCapabilities": {"1.2.840.113556.1.4.800"}}
	}
	values["minPwdLength"], values["pwdProperties"], values["pwdHistoryLength"], values["minPwdAge"] = []string{"7"}, []string{"0"}, []string{"24"}, []string{"-864000000000"}
	e := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	e.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "CN=ada,DC=example,DC=test", ""))
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for name, values := range values {
		attribute := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		attribute.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, name, ""))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range values {
			set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
		}
		attribute.AppendChild(set)
		list.AppendChild(attribute)
	}
	e.AppendChild(list)
	return e
}

func result(tag ber.Tag, code int64, diagnosis string) *ber.Packet {
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, diagnosis, ""))
	return r
}

// TestPolicyHints: where a server says that it knows the control, a reset is sent with it, and what the history refuses becomes a reason.
func TestPolicyHints(t *testing.T) {
	t.Parallel()
	const (
		now, old  = "2239", "2066"
		prefix    = "1.2.840.113556.1.4."
		value     = "\x30\x03\x02\x01\x01"
		restricts = "0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)"
		long      = "116444736000000000" // 1970
	)
	today := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	yesterday := "134399376000000000" // the evening before
	for name, c := range map[string]struct {
		server  *windows
		ignore  bool
		want    []string // the control
		reasons []string
	}{
		"heeded":         {&windows{controls: []string{prefix + old, prefix + now}, lastSet: long}, false, []string{prefix + now, value}, nil},
		"the old one":    {&windows{controls: []string{prefix + old}, lastSet: long}, false, []string{prefix + old, value}, nil},
		"not to be":      {&windows{controls: []string{prefix + now}, lastSet: long}, true, nil, nil},
		"not known":      {&windows{lastSet: long}, false, nil, nil},
		"in the history": {&windows{controls: []string{prefix + now}, lastSet: long, diagnose: restricts}, false, []string{prefix + now, value}, []string{ldapdir.CodeNotAllowed}},
		"too soon":       {&windows{controls: []string{prefix + now}, lastSet: yesterday, diagnose: restricts}, false, []string{prefix + now, value}, []string{ldapdir.CodeTooSoon}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := c.server.start(t)
			config.IgnoreHistory, config.Now = c.ignore, func() time.Time { return today }
			d := open(t, config)
			err := set(t.Context(), d, find(t, d, ada), newPassword)
			if c.reasons == nil {
				must(t, err)
			} else {
				refusedFor(t, err, c.reasons...)
			}
			if len(c.server.got) != 1 || !slices.Equal(c.server.got[0], c.want) {
				t.Errorf("the controls are %q, want %q", c.server.got, c.want)
			}
		})
	}
}

// TestNoAnswer: a change that was read and not answered is not known to be made, and is not sent again.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	server := windows{cut: true}
	d := open(t, server.start(t))
	err := set(t.Context(), d, find(t, d, ada), newPassword)
	unavailable(t, err)
	if _, ok := errors.AsType[*reset.Unchanged](err); ok {
		t.Errorf("it was said that nothing was changed: %v", err)
	}
	if len(server.got) != 1 {
		t.Errorf("the change was sent %d times", len(server.got))
	}
}

// TestOddAnswers: a refusal that has nothing to do with the password is the operator's.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for _, diagnose := range []string{"0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0", "", "whatever"} {
		server := windows{diagnose: diagnose + " ", lastSet: "1"}
		d := open(t, server.start(t))
		err := set(t.Context(), d, find(t, d, ada), newPassword)
		unavailable(t, err)
		names(t, err, "method", "")
		if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
			t.Errorf("%q: %v, want Unchanged", diagnose, err)
		}
	}
}

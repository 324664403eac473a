package mail

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

// rsaKey makes one key for all tests, since that takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func inPEM(tb testing.TB, key crypto.Signer) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func ed25519Key(tb testing.TB) string {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return inPEM(tb, key)
}

func signing(tb testing.TB, key string, domains ...string) *DKIM {
	tb.Helper()
	d, err := NewDKIM(DKIMOptions{Domains: domains, Selector: "sk1", Key: key}, func() time.Time { return testNow })
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// verify checks the signatures of a mail with the records that are said to be published.
func verify(t *testing.T, d *DKIM, raw []byte) []*dkim.Verification {
	t.Helper()
	records := map[string]string{}
	for _, r := range d.Records() {
		records[r.Name] = r.Value
	}
	list, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if r, ok := records[name]; ok {
			return []string{r}, nil
		}
		return nil, errors.New("no such record: " + name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMailsAreSignedAndTheSignatureHolds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 58) + ".example.com" // 70 characters
	for name, c := range map[string]struct{ key, from, domain string }{
		"RSA":               {inPEM(t, rsaKey()), "example.com", "example.com"},
		"Ed25519":           {ed25519Key(t), "example.com", "example.com"},
		"a domain above":    {ed25519Key(t), "mail.reset.example.com", "example.com"},
		"the longest there": {inPEM(t, rsaKey()), long, long},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t)
			d := signing(t, c.key, "elsewhere.test", c.domain)
			m := newMailer(t, server.URL(), func(o *Options) { o.From, o.DKIM = "Exämple <no-reply@"+c.from+">", d })
			l := linkMail(t)
			l.User.Name = "Ада 😀 " + strings.Repeat("long ", 30)
			if err := m.SendLink(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			raw := server.Messages()[0].Raw
			list := verify(t, d, raw)
			if len(list) != 1 || list[0].Err != nil || list[0].Domain != c.domain {
				t.Fatalf("the signatures are %+v in\n%s", list, raw)
			}
			for _, want := range append(slices.Clone(fixedHeaders), signedHeaders...) {
				if !slices.Contains(list[0].HeaderKeys, want) {
					t.Errorf("%s is not signed, only %q", want, list[0].HeaderKeys)
				}
			}
			if !list[0].Time.Equal(testNow) {
				t.Errorf("it was signed at %v", list[0].Time)
			}
			for what, changed := range map[string][]byte{
				"another link":    bytes.Replace(raw, []byte("safely"), []byte("gladly"), 1),
				"another To":      bytes.Replace(raw, []byte("To: <ada@"), []byte("To: <eve@"), 1),
				"a second From":   append([]byte("From: <eve@evil.test>\r\n"), raw...),
				"another Subject": append([]byte("Subject: you won\r\n"), raw...),
			} {
				if bytes.Equal(changed, raw) {
					t.Fatalf("%s: nothing was changed", what)
				}
				if list := verify(t, d, changed); len(list) == 1 && list[0].Err == nil {
					t.Errorf("the signature holds for %s", what)
				}
			}
		})
	}
}

// What a signature of another domain vouches for, DMARC does not count.
func TestOnlyTheSendersOwnDomainSigns(t *testing.T) {
	t.Parallel()
	d := signing(t, ed25519Key(t), "example.com")
	for from, signed := range map[string]bool{
		"a@example.com": true, "a@mail.example.com": true, "a@myexample.com": false, "a@example.org": false, "a@com.test": false,
	} {
		c := composer(t, Sender{From: "Example <" + from + ">", DKIM: d})
		m, err := c.Link(linkMail(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(verify(t, d, m.Raw)) == 1; got != signed || d.Signs(address(t, from)) != signed {
			t.Errorf("a mail from %s is signed: %v, want %v", from, got, signed)
		}
	}
}

func TestManyMailsAreSignedAtOnce(t *testing.T) {
	t.Parallel()
	d := signing(t, inPEM(t, rsaKey()), "example.com")
	c := composer(t, Sender{From: "Example <a@example.com>", DKIM: d})
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			m, err := c.Link(linkMail(t))
			if err != nil {
				t.Error(err)
				return
			}
			if list := verify(t, d, m.Raw); len(list) != 1 || list[0].Err != nil {
				t.Errorf("the signatures are %+v", list)
			}
		})
	}
	running.Wait()
}

func TestAWrongDKIMSettingIsRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := ed25519Key(t)
	for name, c := range map[string]struct {
		o      DKIMOptions
		advice string
	}{
		"no key":        {DKIMOptions{[]string{"example.com"}, "sk1", ""}, "dkim_key is not a private key in PEM"},
		"a path":        {DKIMOptions{[]string{"example.com"}, "sk1", "/etc/dkim.pem"}, "openssl genrsa"},
		"broken":        {DKIMOptions{[]string{"example.com"}, "sk1", strings.Replace(good, "M", "!", 2)}, "dkim_key"},
		"too small":     {DKIMOptions{[]string{"example.com"}, "sk1", inPEM(t, small)}, "1024 bits, and receivers want 2048 to 4096"},
		"another kind":  {DKIMOptions{[]string{"example.com"}, "sk1", inPEM(t, curve)}, "dkim_key"},
		"no selector":   {DKIMOptions{[]string{"example.com"}, "", good}, "dkim_selector"},
		"two lines":     {DKIMOptions{[]string{"example.com"}, "sk1\r\nBcc: x", good}, "dkim_selector"},
		"a tag":         {DKIMOptions{[]string{"example.com"}, "sk1; l=1", good}, "dkim_selector"},
		"no domain":     {DKIMOptions{nil, "sk1", good}, "dkim_domains is empty"},
		"a wrong one":   {DKIMOptions{[]string{"example.com", "exämple.com"}, "sk1", good}, "dkim_domains has an entry"},
		"too long":      {DKIMOptions{[]string{strings.Repeat("a", 59) + ".example.com"}, "sk1", good}, "dkim_domains has an entry"},
		"a selector of": {DKIMOptions{[]string{"example.com"}, strings.Repeat("a.", 36) + "a", good}, "dkim_selector"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewDKIM(c.o, time.Now)
			e := reset.AsError(err)
			if err == nil || e.Kind != reset.Invalid || !strings.Contains(e.Message, c.advice) {
				t.Errorf("got %v, want an Invalid error that says %q", err, c.advice)
			}
			if err != nil && len(c.o.Key) > 100 && strings.Contains(err.Error(), c.o.Key[40:60]) {
				t.Error("the error tells the key")
			}
		})
	}
}

func TestRecordsAreCompared(t *testing.T) {
	t.Parallel()
	r := signing(t, ed25519Key(t), "example.com").Records()[0]
	if r.Name != "sk1._domainkey.example.com" || !strings.HasPrefix(r.Value, "v=DKIM1; k=ed25519; p=") {
		t.Errorf("the record is %+v", r)
	}
	_, key, _ := strings.Cut(r.Value, "p=")
	for found, want := range map[string]bool{
		r.Value: true,
		"k=ed25519;p=" + key[:10] + " \t" + key[10:] + ";": true,
		"v=DKIM1; p=": false, "v=spf1 -all": false, "": false,
		signing(t, ed25519Key(t), "example.com").Records()[0].Value: false,
	} {
		if r.Matches(found) != want {
			t.Errorf("%q matches: %v", found, !want)
		}
	}
}

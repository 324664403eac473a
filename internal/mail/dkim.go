package mail

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/sparekey/sparekey/internal/reset"
)

// leastRSABits is what RFC 8301 (3.2) tells signers to use at least; mostRSABits
// is what verifiers have to take.
const (
	leastRSABits = 2048
	mostRSABits  = 4096
)

// signedHeaders are signed where they are there, and fixedHeaders once more than
// that, so that nobody adds another on the way (RFC 6376, 8.15). go-mail breaks
// a tag of more than 75 characters inside a name, which makes the signature
// worthless; the list is as long as it may be, and so is mostDNSName.
var (
	signedHeaders = []string{"From", "Reply-To", "To", "Subject", "Date", "Message-ID", "Content-Type"}
	fixedHeaders  = []string{"From", "Subject"}
)

// mostDNSName is the most characters of a domain or selector.
const mostDNSName = 70

// dnsLabels is a name of letters, digits and hyphens.
var dnsLabels = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// DKIMOptions say with which key mails are signed (RFC 6376).
type DKIMOptions struct {
	// Domains are those whose DNS has the public key, in ASCII. A mail is signed
	// for the one that its sender's address is in, or the nearest above that;
	// a mail from elsewhere is not signed, since a signature of others is worth
	// nothing to DMARC (RFC 7489, 3.1.1).
	Domains []string
	// Selector is where below _domainkey the key is.
	Selector string
	// Key is PEM: an RSA key of 2048 to 4096 bits, or an Ed25519 one, which many receivers do not know yet.
	Key string
}

// DKIM signs mails. It is safe for concurrent use.
type DKIM struct {
	options DKIMOptions
	record  string
	signers map[string]*gomail.DKIMSigner // by domain
}

// NewDKIM checks the key by signing with it. The error is a *reset.Error of kind
// Invalid that begins with the word that the setting's name ends in.
func NewDKIM(o DKIMOptions, now reset.Clock) (*DKIM, error) {
	key, err := parseKey(o.Key)
	if err != nil {
		return nil, err
	}
	record, err := recordOf(key)
	if err != nil {
		return nil, err
	}
	if !isDNSName(o.Selector) {
		return nil, reset.Invalidf("dkim_selector is not a name of up to %d small letters, digits and hyphens; write one such as sparekey2026", mostDNSName)
	}
	if len(o.Domains) == 0 {
		return nil, reset.Invalidf("dkim_domains is empty; write the domain that the sender's address is in")
	}
	d := &DKIM{options: o, record: record, signers: map[string]*gomail.DKIMSigner{}}
	for _, domain := range o.Domains {
		if !isDNSName(domain) {
			return nil, reset.Invalidf("dkim_domains has an entry that is not a domain of up to %d small ASCII letters, digits and hyphens; write one such as example.com", mostDNSName)
		}
		s := gomail.NewDKIMSigner(domain, o.Selector, key)
		s.SignHeaders(signedHeaders...)
		s.OversignHeaders(fixedHeaders...)
		s.NowFunc = now
		// Besides showing that the key works, this fills in what Sign would
		// otherwise write while others read it.
		if _, err := s.Sign([]byte("From: <a@"+domain+">\r\n"), []byte("\r\n")); err != nil {
			return nil, reset.Invalidf("dkim_key cannot sign (%v); write an RSA key of %d bits", err, leastRSABits)
		}
		d.signers[domain] = s
	}
	return d, nil
}

// signerFor returns what signs the mails from a domain, or nil.
func (d *DKIM) signerFor(domain string) *gomail.DKIMSigner {
	if d == nil {
		return nil
	}
	for ; domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		if s := d.signers[domain]; s != nil {
			return s
		}
	}
	return nil
}

// Signs reports whether mails from the address are signed.
func (d *DKIM) Signs(from reset.Address) bool { return d.signerFor(domainOf(from)) != nil }

// Record is a TXT record that the DNS has to have.
type Record struct{ Name, Value string }

// Records are what to publish, so that receivers can check the signatures.
func (d *DKIM) Records() []Record {
	list := make([]Record, 0, len(d.options.Domains))
	for _, domain := range d.options.Domains {
		list = append(list, Record{Name: d.options.Selector + "._domainkey." + domain, Value: d.record})
	}
	return list
}

// Matches reports whether a TXT record that was found has this key.
func (r Record) Matches(found string) bool {
	return keyIn(found) != "" && keyIn(found) == keyIn(r.Value)
}

// keyIn is the tag p of a record (RFC 6376, 3.6.1).
func keyIn(record string) string {
	for tag := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) == "p" {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

func isDNSName(s string) bool { return len(s) <= mostDNSName && dnsLabels.MatchString(s) }

func parseKey(pem string) (crypto.Signer, error) {
	key, err := gomail.PrivKeyFromPEM([]byte(pem))
	if err != nil { // its text says nothing of the key itself, but nothing useful either
		return nil, reset.Invalidf("dkim_key is not a private key in PEM (PKCS #1 or #8, without a passphrase); make one with: openssl genrsa -out dkim.pem %d", leastRSABits)
	}
	if k, ok := key.(*rsa.PrivateKey); ok {
		if bits := k.N.BitLen(); bits < leastRSABits || bits > mostRSABits {
			return nil, reset.Invalidf("dkim_key is an RSA key of %d bits, and receivers want %d to %d; make one with: openssl genrsa -out dkim.pem %d",
				bits, leastRSABits, mostRSABits, leastRSABits)
		}
	}
	return key, nil
}

// recordOf is what the DNS has to say of the key (RFC 6376, 3.6.1; RFC 8463, 4.2).
func recordOf(key crypto.Signer) (string, error) {
	if public, ok := key.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", reset.Invalidf("dkim_key is of a kind that cannot sign mails; write an RSA key of %d bits", leastRSABits)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
}

package ldapdir

import (
	"errors"
	"fmt"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// The codes of refusals. They are stable: programs may depend on them. internal/i18n says them in every language.
const (
	// The first three are internal/password's too, and mean the same.
	codeInvalidUTF8 = "invalid_utf8"
	codeTooShort    = "too_short" // min, length
	codeTooLong     = "too_long"  // max, length
	// codeTooShortThere: the directory wants a longer one, and does not say how long.
	codeTooShortThere = "too_short_for_directory"
	// codeTooLongThere: the directory takes no password as long as this, and does not say which.
	codeTooLongThere = "too_long_for_directory"
	// codeComplexity: it has fewer than three kinds of characters, where the directory counts them.
	codeComplexity = "complexity"
	// codeContainsName: it has the user's name or login name in it, or a part of the name.
	codeContainsName = "contains_name"
	// codeUsedBefore: it is the user's password already, or was before.
	codeUsedBefore = "used_before"
	// codeTooSoon: the present password is too young to be changed.
	codeTooSoon = "too_soon"
	// codeTooSimple: the directory has found it too simple, in its own way.
	codeTooSimple = "too_simple"
	// codeNotAllowed: the directory's policy is against it, for one of the reasons that it does not tell.
	codeNotAllowed = "not_allowed"
)

var messages = map[string]string{
	codeInvalidUTF8:   "send the password as valid UTF-8 text",
	codeTooShortThere: "use a longer password; this one is too short for the directory that keeps it",
	codeTooLongThere:  "use a shorter password; this one is too long for the directory that keeps it",
	codeComplexity:    "use characters of at least three of these kinds: capital letters, small letters, digits, other signs",
	codeContainsName:  "leave out your name and your user name",
	codeUsedBefore:    "use a password that you have not had before",
	codeTooSoon:       "wait a while: your password was changed only a short time ago, and the directory does not take another one yet",
	codeTooSimple:     "use a password that is less simple: longer, and of capital and small letters, digits and other signs",
	codeNotAllowed:    "use another password: your organisation does not allow this one, or you have had it before",
}

// refuse makes one reason.
func refuse(code string, params map[string]any) reset.Refusal {
	r := reset.Refusal{Code: code, Message: messages[code], Params: params}
	switch code {
	case codeTooShort:
		r.Message = fmt.Sprintf("use at least %d characters; yours has %d", params["min"], params["length"])
	case codeTooLong:
		r.Message = fmt.Sprintf("use at most %d characters; yours has %d", params["max"], params["length"])
	}
	return r
}

// The errors of a passwordPolicyResponse (draft-behera-ldap-password-policy-10, 6.2; the last is of OpenLDAP 2.5).
const (
	mustSupplyOldPassword       = 4
	insufficientPasswordQuality = 5
	passwordTooShort            = 6
	passwordTooYoung            = 7
	passwordInHistory           = 8
	passwordTooLong             = 9
)

var policyCodes = map[int64]string{
	insufficientPasswordQuality: codeTooSimple,
	passwordTooShort:            codeTooShortThere,
	passwordTooYoung:            codeTooSoon,
	passwordInHistory:           codeUsedBefore,
	passwordTooLong:             codeTooLongThere,
}

// policyReason is what a server's password policy has against a password, in words; nil if it says nothing of that.
func policyReason(err error) *reset.Refusal {
	n, ok := policyError(err)
	if code, known := policyCodes[n]; ok && known {
		r := refuse(code, nil)
		return &r
	}
	return nil
}

// policyError is the error of the password policy control in an answer. go-ldap's own reading of it does not know passwordTooLong.
func policyError(err error) (int64, bool) {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || e.Packet == nil || len(e.Packet.Children) < 3 || e.Packet.Children[2] == nil {
		return 0, false
	}
	for _, control := range e.Packet.Children[2].Children {
		if control == nil || len(control.Children) < 2 || string(contentOf(control.Children[0])) != ldap.ControlTypeBeheraPasswordPolicy {
			continue
		}
		return parsePolicyResponse(contentOf(control.Children[len(control.Children)-1]))
	}
	return 0, false
}

// contentOf is what a primitive packet holds.
func contentOf(p *ber.Packet) []byte {
	switch {
	case p == nil:
		return nil
	case p.Value == nil && p.Data != nil:
		return p.Data.Bytes()
	}
	return p.ByteValue
}

// parsePolicyResponse reads the error out of a PasswordPolicyResponseValue.
func parsePolicyResponse(value []byte) (int64, bool) {
	const tagError = 1
	if len(value) > 64 { // two small numbers
		return 0, false
	}
	p, err := ber.DecodePacketErr(value)
	if err != nil || p == nil || p.ClassType != ber.ClassUniversal || p.Tag != ber.TagSequence {
		return 0, false
	}
	for _, child := range p.Children {
		if child == nil || child.ClassType != ber.ClassContext || child.Tag != tagError || child.TagType != ber.TypePrimitive {
			continue
		}
		n, err := ber.ParseInt64(contentOf(child))
		return n, err == nil && len(contentOf(child)) > 0
	}
	return 0, false
}

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
	CodeInvalidUTF8 = "invalid_utf8"
	CodeTooShort    = "too_short" // min, length
	CodeTooLong     = "too_long"  // max, length
	// CodeTooShortThere: the directory wants a longer one, and does not say how long.
	CodeTooShortThere = "too_short_for_directory"
	// CodeTooLongThere: the directory takes no password as long as this, and does not say which.
	CodeTooLongThere = "too_long_for_directory"
	// CodeComplexity: it has fewer than three kinds of characters, where the directory counts them.
	CodeComplexity = "complexity"
	// CodeContainsName: it has the user's name or login name in it, or a part of the name.
	CodeContainsName = "contains_name"
	// CodeUsedBefore: it is the user's password already, or was before.
	CodeUsedBefore = "used_before"
	// CodeTooSoon: the present password is too young to be changed.
	CodeTooSoon = "too_soon"
	// CodeTooSimple: the directory has found it too simple, in its own way.
	CodeTooSimple = "too_simple"
	// CodeNotAllowed: the directory's policy is against it, for one of the reasons that it does not tell.
	CodeNotAllowed = "not_allowed"
)

var messages = map[string]string{
	CodeInvalidUTF8:   "send the password as valid UTF-8 text",
	CodeTooShortThere: "use a longer password; this one is too short for the directory that keeps it",
	CodeTooLongThere:  "use a shorter password; this one is too long for the directory that keeps it",
	CodeComplexity:    "use characters of at least three of these kinds: capital letters, small letters, digits, signs such as ! or ?",
	CodeContainsName:  "leave out your name and your user name",
	CodeUsedBefore:    "use a password that you have not had before",
	CodeTooSoon:       "wait a while: your password was changed only a short time ago, and the directory does not take another one yet",
	CodeTooSimple:     "use a password that is less simple: longer, and of capital and small letters, digits and other signs",
	CodeNotAllowed:    "use another password: your organisation does not allow this one, or you have had it before",
}

// refuse makes one reason.
func refuse(code string, params map[string]any) reset.Refusal {
	r := reset.Refusal{Code: code, Message: messages[code], Params: params}
	switch code {
	case CodeTooShort:
		r.Message = fmt.Sprintf("use at least %d characters; yours has %d", params["min"], params["length"])
	case CodeTooLong:
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
	insufficientPasswordQuality: CodeTooSimple,
	passwordTooShort:            CodeTooShortThere,
	passwordTooYoung:            CodeTooSoon,
	passwordInHistory:           CodeUsedBefore,
	passwordTooLong:             CodeTooLongThere,
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

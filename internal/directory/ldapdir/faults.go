package ldapdir

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// retryAfter is how long a caller is asked to wait.
const retryAfter = 10 * time.Second

// What callers are told.
const (
	sayAway    = "the directory cannot be reached just now; please try again in a moment"
	sayCannot  = "the directory cannot do this just now; please try again in a moment"
	sayNotSure = "the directory did not say whether the password was changed; try to log in with the new one, and ask for another link if that fails"
)

// explain turns an error into one that callers may see, with what an operator has to do as its cause.
func (d *Directory) explain(err error) error {
	if errors.Is(err, reset.ErrNoUser) || errors.Is(err, reset.ErrAmbiguous) {
		return err
	}
	if e, ok := errors.AsType[*reset.Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*unsure](err); ok {
		return reset.Busy(sayNotSure, retryAfter, err)
	}
	if code, ok := answerOf(err); ok {
		return reset.Busy(sayCannot, retryAfter, d.mend(code, err))
	}
	if _, ok := errors.AsType[*broken](err); ok {
		return reset.Busy(sayAway, retryAfter, mendable(err))
	}
	return reset.Busy(sayCannot, retryAfter, mendable(err))
}

// mendable makes sure that an operator is told of a setting.
func mendable(err error) error {
	if _, ok := errors.AsType[*reset.Misset](err); ok {
		return err
	}
	return &reset.Misset{Setting: "servers", Fix: "see that the server runs, and its log", Cause: err}
}

// mend says what to do about a result of a server (RFC 4511, appendix A.2).
func (d *Directory) mend(code uint16, err error) *reset.Misset {
	m := func(setting, fix string) *reset.Misset {
		return &reset.Misset{Setting: setting, Fix: fix, Cause: fmt.Errorf("the directory answers %w", describe(err))}
	}
	if n, ok := policyError(err); ok && n == mustSupplyOldPassword {
		return m("bind.dn", "switch pwdSafeModify off in the users' password policy, which wants the old password also of bind.dn")
	}
	switch code {
	case ldap.LDAPResultInsufficientAccessRights:
		return m("bind.dn", d.grant())
	case ldap.LDAPResultNoSuchObject:
		return m("base", "name a DN that is there and that bind.dn may search")
	case ldap.LDAPResultReferral:
		return m("servers", "name servers that hold base and that can be written to: none of them does")
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return m("address_filter", "give the mail attribute an equality index, and bind.dn higher limits")
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable:
		return m("servers", "see why none of them can work just now")
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		return m("servers", "write ldaps://, or set start_tls")
	case ldap.LDAPResultProtocolError, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultUnavailableCriticalExtension:
		return m("method", "see whether the server knows this way of setting a password; for Active Directory it is ad")
	case ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultInappropriateMatching:
		return m("address_filter", "name attributes that the schema has and that have an equality match")
	}
	return m("method", "see the directory's own log")
}

// grant is the right that a reset needs, in the words of the server that gives it.
func (d *Directory) grant() string {
	if d.c.Method == ActiveDirectory {
		fix := `grant it Reset Password on users below base, and Read on their attributes: dsacls "` + d.c.Base + `" /I:S /G "SPAREKEY:CA;Reset Password;user"`
		if d.c.Unlock {
			fix += ` "SPAREKEY:RPWP;lockoutTime;user"`
		}
		if d.c.MustChange {
			fix += ` "SPAREKEY:RPWP;pwdLastSet;user"`
		}
		return fix
	}
	return `grant it to write userPassword: access to attrs=userPassword by dn.exact="` + d.c.BindDN + `" =w by anonymous auth by * none`
}

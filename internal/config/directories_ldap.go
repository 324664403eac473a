package config

// LDAPDirectory is what an LDAP server or Active Directory needs besides; what is empty has the connector's default.
type LDAPDirectory struct {
	Servers             []string
	StartTLS, Plaintext bool
	CA                  string // path of a PEM file
	BindDN              string
	BindPassword        Secret
	Base                string
	Filter              string
	AddressFilter       string
	Attributes          LDAPAttributes
	Method              string // rfc3062, userpassword, ad
	Scheme              string // of userpassword
	Unlock              bool
	MustChange          bool
	IgnoreHistory       bool
}

// LDAPAttributes name the attributes of a user.
type LDAPAttributes struct{ ID, Mail, Name, Locale, Account, Disabled, DisabledValue string }

func (b directoryBinder) ldap() []Setting {
	server := list(Setting{
		Path: "servers", Allowed: "URLs such as ldaps://ldap.example.com, of copies of one directory", Example: "ldaps://ldap.example.com",
		About: "which servers to ask, the first that answers",
	}, in(b, func(d *Directory) *[]string { return &d.LDAP.Servers }), func(s string) (string, error) { return s, nil }, func(s string) string { return s })
	attribute := func(name, standard, about string, field func(*LDAPAttributes) *string) Setting {
		return b.plainText(Setting{Path: "attributes." + name, Default: standard, Allowed: "the name of an attribute", About: about},
			func(d *Directory) *string { return field(&d.LDAP.Attributes) })
	}
	return []Setting{
		server,
		b.flag(Setting{Path: "start_tls", Default: "false", About: "whether ldap:// becomes TLS before anything else is said (RFC 4511, 4.14)"}, func(d *Directory) *bool { return &d.LDAP.StartTLS }),
		b.flag(Setting{Path: "plaintext", Default: "false", About: "whether ldap:// may stay without TLS, where nobody can listen; never for method ad"}, func(d *Directory) *bool { return &d.LDAP.Plaintext }),
		b.plainText(Setting{Path: "ca_file", Default: "the system's authorities", Allowed: "the path of a PEM file", About: "whose certificates are believed"}, func(d *Directory) *string { return &d.LDAP.CA }),
		b.plainText(Setting{Path: "bind.dn", Allowed: "a DN; in Active Directory also user@domain", Example: "cn=sparekey,ou=services,dc=example,dc=com", About: "who Sparekey is there"}, func(d *Directory) *string { return &d.LDAP.BindDN }),
		secret(Setting{Path: "bind.password", Allowed: "its password; bind.password_file names a file with it", About: "the password of bind.dn"}, in(b, func(d *Directory) *Secret { return &d.LDAP.BindPassword })),
		b.plainText(Setting{Path: "base", Allowed: "a DN", Example: "ou=people,dc=example,dc=com", About: "below what users are"}, func(d *Directory) *string { return &d.LDAP.Base }),
		b.plainText(Setting{Path: "filter", Default: "entries that are persons", Allowed: "a filter such as (objectClass=inetOrgPerson)", About: "which entries are users (RFC 4515)"}, func(d *Directory) *string { return &d.LDAP.Filter }),
		b.plainText(Setting{Path: "address_filter", Default: "entries with it in attributes.mail", Allowed: "a filter with {address} as a value", About: "how to find who has an address; only that very address counts"}, func(d *Directory) *string { return &d.LDAP.AddressFilter }),
		attribute("id", "entryUUID or objectGUID", "what tells users apart for good", func(a *LDAPAttributes) *string { return &a.ID }),
		attribute("mail", "mail", "addresses", func(a *LDAPAttributes) *string { return &a.Mail }),
		attribute("name", "cn or displayName", "how to address the person", func(a *LDAPAttributes) *string { return &a.Name }),
		attribute("locale", "preferredLanguage", "their language", func(a *LDAPAttributes) *string { return &a.Locale }),
		attribute("account", "", "names of accounts that the user is in", func(a *LDAPAttributes) *string { return &a.Account }),
		attribute("disabled", "", "whether the user may not reset", func(a *LDAPAttributes) *string { return &a.Disabled }),
		attribute("disabled_value", "TRUE", "what it is then", func(a *LDAPAttributes) *string { return &a.DisabledValue }),
		text(Setting{Path: "method", Default: "rfc3062", Allowed: "rfc3062, userpassword, ad", About: "how passwords are set: by the password modify operation, as a hash in userPassword, or as Active Directory does"},
			in(b, func(d *Directory) *string { return &d.LDAP.Method }), oneOf("rfc3062", "userpassword", "ad")),
		b.plainText(Setting{Path: "scheme", Allowed: "the name of a format, such as ssha512", About: "how userpassword hashes"}, func(d *Directory) *string { return &d.LDAP.Scheme }),
		b.flag(Setting{Path: "unlock", Default: "false", About: "whether a reset ends a lock after too many wrong passwords"}, func(d *Directory) *bool { return &d.LDAP.Unlock }),
		b.flag(Setting{Path: "must_change", Default: "false", About: "whether Active Directory has the person choose yet another password"}, func(d *Directory) *bool { return &d.LDAP.MustChange }),
		b.flag(Setting{Path: "ignore_history", Default: "false", About: "whether former passwords may be chosen in Active Directory, as an administrator may"}, func(d *Directory) *bool { return &d.LDAP.IgnoreHistory }),
	}
}

package config

// SQLDirectory is an application's own database; what is empty has the connector's default.
type SQLDirectory struct {
	URL, Password Secret
	CA            string // path of a PEM file
	Plaintext     bool
	Table         string
	Columns       SQLColumns
	Statements    SQLStatements
	Hash          string
}

// SQLColumns are names of columns.
type SQLColumns struct{ ID, Email, Password, Name, Locale, Account, Disabled, Active, ChangedAt string }

// SQLStatements are whole statements.
type SQLStatements struct{ Find, FindByID, Accounts, Set, EndSessions string }

func (b directoryBinder) sql() []Setting {
	column := func(name, standard, about string, field func(*SQLColumns) *string) Setting {
		return b.plainText(Setting{Path: "columns." + name, Default: standard, Allowed: "the name of a column", About: about},
			func(d *Directory) *string { return field(&d.SQL.Columns) })
	}
	statement := func(name, allowed, about string, field func(*SQLStatements) *string) Setting {
		return b.plainText(Setting{Path: "statements." + name, Allowed: allowed, About: about}, func(d *Directory) *string { return field(&d.SQL.Statements) })
	}
	return []Setting{
		secret(Setting{Path: "url", Allowed: "postgres://USER@HOST/NAME, mysql://USER@HOST/NAME or sqlite:PATH", Example: "postgres://sparekey@db.example.com/app", About: "where the application's database is"},
			in(b, func(d *Directory) *Secret { return &d.SQL.URL })),
		secret(Setting{Path: "password", Allowed: "the password, if it is not in the URL; password_file names a file with it", About: "the password for the database"},
			in(b, func(d *Directory) *Secret { return &d.SQL.Password })),
		b.plainText(Setting{Path: "ca_file", Default: "the system's authorities", Allowed: "the path of a PEM file", About: "whose certificates are believed"}, func(d *Directory) *string { return &d.SQL.CA }),
		b.flag(Setting{Path: "plaintext", Default: "false", About: "whether another machine may be spoken to without TLS"}, func(d *Directory) *bool { return &d.SQL.Plaintext }),
		b.plainText(Setting{Path: "hash", Allowed: "a format and its parameters, such as argon2id or bcrypt-2y cost=12", Example: "argon2id", About: "how the application reads passwords"}, func(d *Directory) *string { return &d.SQL.Hash }),
		b.plainText(Setting{Path: "table", Allowed: "the name of a table, with its schema if that is needed", Example: "users", About: "where users are"}, func(d *Directory) *string { return &d.SQL.Table }),
		column("id", "id", "what names a user for good", func(c *SQLColumns) *string { return &c.ID }),
		column("email", "email", "the mail address", func(c *SQLColumns) *string { return &c.Email }),
		column("password", "password", "the hash", func(c *SQLColumns) *string { return &c.Password }),
		column("name", "", "how to address the person", func(c *SQLColumns) *string { return &c.Name }),
		column("locale", "", "their language, such as de", func(c *SQLColumns) *string { return &c.Locale }),
		column("account", "", "the name of the account that the user is in", func(c *SQLColumns) *string { return &c.Account }),
		column("disabled", "", "that the user may not log in: true, a number that is not 0, or a time", func(c *SQLColumns) *string { return &c.Disabled }),
		column("active", "", "the opposite of that", func(c *SQLColumns) *string { return &c.Active }),
		column("changed_at", "", "what is set to the time of the change", func(c *SQLColumns) *string { return &c.ChangedAt }),
		statement("find", "a SELECT with :address", "what finds who has an address, in place of what is made of table and columns", func(s *SQLStatements) *string { return &s.Find }),
		statement("find_by_id", "a SELECT with :id", "what finds a user again", func(s *SQLStatements) *string { return &s.FindByID }),
		statement("accounts", "a SELECT with :id", "what finds names of the user's accounts", func(s *SQLStatements) *string { return &s.Accounts }),
		statement("set", "an UPDATE with :id and :hash", "what sets the password; it must change one row", func(s *SQLStatements) *string { return &s.Set }),
		statement("end_sessions", "a statement with :id", "what ends the user's sessions, in the same transaction", func(s *SQLStatements) *string { return &s.EndSessions }),
	}
}

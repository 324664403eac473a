package hooktest

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
	_ "modernc.org/sqlite" // the application's own
)

// User is a user to be put into an application's own keeping.
type User struct {
	Email, Name, Locale string
	Accounts            []string
	Disabled            bool
	Password            string // empty: none
}

// store is where an application has its users. It is changed behind the application's back.
type store interface {
	add(users ...User) error
	// change changes the user with the address, in whatever ASCII case.
	change(email, member string, value any) error
	remove(email string) error
	close() error
}

// AddAll adds users with all that they have, whose passwords are hashed cheaply. Their ids are the application's business.
func (a *App) AddAll(users ...User) error { return a.users.add(users...) }

// Disable disables a user.
func (a *App) Disable(email string) error { return a.users.change(email, "disabled", true) }

// ChangeAddress gives a user another address.
func (a *App) ChangeAddress(email, to string) error { return a.users.change(email, "email", to) }

// Remove removes a user.
func (a *App) Remove(email string) error { return a.users.remove(email) }

// table is a SQLite file.
type table struct {
	db  *sql.DB
	err error
}

func openTable(file string) store {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	return &table{db, err}
}

func (t *table) close() error { return t.db.Close() }

func (t *table) add(users ...User) error {
	if t.err != nil {
		return t.err
	}
	tx, err := t.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, u := range users {
		accounts, err := json.Marshal(append([]string{}, u.Accounts...))
		if err != nil {
			return err
		}
		var hash sql.NullString
		if u.Password != "" {
			key := argon2.IDKey([]byte(u.Password), []byte("a salt of a test"), 1, 8, 1, 32)
			hash.Valid, hash.String = true, "$argon2id$v=19$m=8,t=1,p=1$"+base64.RawStdEncoding.EncodeToString([]byte("a salt of a test"))+"$"+base64.RawStdEncoding.EncodeToString(key)
		}
		if _, err := tx.Exec("INSERT INTO users (email, name, locale, accounts, disabled, password) VALUES (?, ?, ?, ?, ?, ?)",
			u.Email, u.Name, u.Locale, string(accounts), u.Disabled, hash); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (t *table) change(email, member string, value any) error {
	return one(t.db.Exec("UPDATE users SET "+member+" = ? WHERE lower(email) = lower(?)", value, email))
}

func (t *table) remove(email string) error {
	return one(t.db.Exec("DELETE FROM users WHERE lower(email) = lower(?)", email))
}

func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%d of them: %w", n, errNobody)
	}
	return nil
}

// file is a JSON file, which the application reads anew at each call.
type file string

func openFile(name string) store { return file(name) }

func (f file) close() error { return nil }

// edit changes the file as the application does: by replacing it.
func (f file) edit(fn func(users []map[string]any) ([]map[string]any, error)) error {
	all := struct {
		Users   []map[string]any `json:"users"`
		Changes map[string]any   `json:"changes"`
	}{Changes: map[string]any{}}
	text, err := os.ReadFile(string(f))
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if all.Users, err = fn(all.Users); err != nil {
		return err
	}
	if text, err = json.Marshal(all); err != nil {
		return err
	}
	if err := os.WriteFile(string(f)+".test", text, 0o600); err != nil {
		return err
	}
	return os.Rename(string(f)+".test", string(f))
}

func (f file) add(users ...User) error {
	return f.edit(func(list []map[string]any) ([]map[string]any, error) {
		for _, u := range users {
			member := map[string]any{
				"id": uuid.NewString(), "email": u.Email, "name": u.Name, "locale": u.Locale, "disabled": u.Disabled,
				"accounts": append([]string{}, u.Accounts...), "password": nil,
			}
			if u.Password != "" {
				salt := []byte("a salt of a test")
				key, err := scrypt.Key([]byte(u.Password), salt, 16, 8, 1, 32)
				if err != nil {
					return nil, err
				}
				member["password"] = "scrypt$16$8$1$" + base64.StdEncoding.EncodeToString(salt) + "$" + base64.StdEncoding.EncodeToString(key)
			}
			list = append(list, member)
		}
		return list, nil
	})
}

func (f file) change(email, member string, value any) error {
	return f.edit(func(list []map[string]any) ([]map[string]any, error) {
		i, err := place(list, email)
		if err == nil {
			list[i][member] = value
		}
		return list, err
	})
}

func (f file) remove(email string) error {
	return f.edit(func(list []map[string]any) ([]map[string]any, error) {
		i, err := place(list, email)
		if err != nil {
			return nil, err
		}
		return append(list[:i], list[i+1:]...), nil
	})
}

// place is where the only user with the address is.
func place(list []map[string]any, email string) (int, error) {
	at := -1
	for i, u := range list {
		if s, ok := u["email"].(string); ok && strings.EqualFold(s, email) {
			if at >= 0 {
				return 0, fmt.Errorf("several have the address: %w", errNobody)
			}
			at = i
		}
	}
	if at < 0 {
		return 0, errNobody
	}
	return at, nil
}

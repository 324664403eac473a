package builtin

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// importColumns are the columns of an import file; email is required and
// comes first, the others may follow in any order.
var importColumns = []string{"email", "name", "accounts", "locale", "password_hash"}

// LineError is what is wrong with one line of an import file.
type LineError struct {
	Line    int
	Message string
}

// ImportErrors are all that is wrong with an import file. Nothing of it was imported.
type ImportErrors []LineError

// Error names the first fault and how many there are.
func (e ImportErrors) Error() string {
	return fmt.Sprintf("line %d: %s (%d faults in all; nothing was imported)", e[0].Line, e[0].Message, len(e))
}

// ImportUser is a user from one line of an import file.
type ImportUser struct {
	NewUser
	Line int
}

// HashCheck reports whether the hasher will be able to verify an encoded hash.
type HashCheck func(encoded string) error

// ReadImport reads an import file: CSV with a header (email,name,accounts,locale,
// password_hash; columns after the first optional; accounts separated by ';').
// It answers ImportErrors if any line is bad.
func ReadImport(r io.Reader, check HashCheck) ([]ImportUser, error) {
	c := csv.NewReader(withoutMark(r))
	c.ReuseRecord = true
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, ImportErrors{{Line: 1, Message: "the file is empty; it needs the header " + strings.Join(importColumns, ",")}}
	}
	if err != nil {
		return nil, ImportErrors{csvFault(err)}
	}
	columns, err := readHeader(header)
	if err != nil {
		line, _ := c.FieldPos(0) // blank lines may be in front
		return nil, ImportErrors{{Line: line, Message: err.Error()}}
	}
	var (
		users  []ImportUser
		faults ImportErrors
		seen   = make(map[string]int)
	)
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fault := csvFault(err)
			faults = append(faults, fault)
			if errors.Is(err, csv.ErrFieldCount) {
				continue
			}
			break // after a broken quote nothing that follows can be told apart
		}
		line, _ := c.FieldPos(0)
		n, key, err := readLine(columns, record, check)
		if err != nil {
			faults = append(faults, LineError{line, reset.AsError(err).Message})
			continue
		}
		if first, twice := seen[key]; twice {
			faults = append(faults, LineError{line, fmt.Sprintf("the same address as in line %d", first)})
			continue
		}
		seen[key] = line
		users = append(users, ImportUser{NewUser: n, Line: line})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return users, nil
}

// withoutMark passes over the byte order mark that spreadsheets write. It has
// to go before the CSV is read: behind it, a quote would be in the middle of a field.
func withoutMark(r io.Reader) io.Reader {
	const mark = "\ufeff"
	b := bufio.NewReader(r)
	if start, err := b.Peek(len(mark)); err == nil && string(start) == mark {
		_, _ = b.Discard(len(mark)) // they are in the buffer
	}
	return b
}

func csvFault(err error) LineError {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		// Where the record begins: a quote that is never closed is noticed at
		// the end of the file, where nobody would look for it.
		return LineError{e.StartLine, "not readable as CSV: " + e.Err.Error()}
	}
	return LineError{1, err.Error()}
}

// readHeader returns what each column holds.
func readHeader(header []string) ([]string, error) {
	columns := make([]string, len(header))
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case !slices.Contains(importColumns, name):
			return nil, fmt.Errorf("there is no column %q; the header is %s", name, strings.Join(importColumns, ","))
		case slices.Contains(columns, name):
			return nil, fmt.Errorf("the column %q is there twice", name)
		}
		columns[i] = name
	}
	if columns[0] != "email" {
		return nil, fmt.Errorf("the first column must be email; the header is %s", strings.Join(importColumns, ","))
	}
	return columns, nil
}

func readLine(columns, record []string, check HashCheck) (n NewUser, key string, err error) {
	for i, value := range record {
		value = strings.Clone(strings.TrimSpace(value))
		switch columns[i] {
		case "email":
			n.Email = value
		case "name":
			n.Name = value
		case "locale":
			n.Locale = value
		case "password_hash":
			n.PasswordHash = value
		case "accounts":
			for name := range strings.SplitSeq(value, ";") {
				if name = strings.TrimSpace(name); name != "" {
					n.Accounts = append(n.Accounts, name)
				}
			}
		}
	}
	u, err := n.user()
	if err != nil {
		return n, "", err
	}
	if n.PasswordHash != "" {
		if err := check(n.PasswordHash); err != nil {
			return n, "", err
		}
	}
	return n, u.Email.Key(), nil
}

// Import adds all users or, if any cannot be added, none and answers
// ImportErrors. progress, if not nil, is told of each user that was added.
func (d *Directory) Import(ctx context.Context, users []ImportUser, progress func()) error {
	now := d.now()
	var faults ImportErrors
	return d.update(ctx, func(tx RecordsTx) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActUsersImported, "users", strconv.Itoa(len(users))))
		for _, n := range users {
			u, err := n.user()
			if err == nil {
				err = add(ctx, tx, u, n.NewUser, now)
			}
			if errors.Is(err, reset.ErrExists) {
				faults = append(faults, LineError{n.Line, "a user has this address already"})
				continue
			}
			if err != nil {
				return err
			}
			if progress != nil {
				progress()
			}
		}
		if len(faults) > 0 {
			return faults
		}
		return nil
	})
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/sparekey/sparekey/internal/reset"
)

const selectBrand = `SELECT a.id, a.name, a.suspended_at, b.name, b.accent, b.background, b.sender, b.reply_to, b.support, b.link_base,
		b.logo_type, b.logo_width, b.logo_height, b.logo_digest
	FROM brands b JOIN accounts a ON a.id = b.account_id `

func scanBrand(row interface{ Scan(...any) error }) (reset.AccountBranding, error) {
	var (
		b         reset.AccountBranding
		suspended sql.NullInt64
		digest    []byte
	)
	err := row.Scan(&b.Account.ID, &b.Account.Name, &suspended, &b.Name, &b.Accent, &b.Background, &b.Sender, &b.ReplyTo, &b.Support, &b.LinkBase,
		&b.Logo.Type, &b.Logo.Width, &b.Logo.Height, &digest)
	if err != nil {
		return b, translate(err)
	}
	b.Account.Suspended = suspended.Valid
	copy(b.Logo.Digest[:], digest)
	return b, nil
}

// brandHost is a row of brand_hosts.
type brandHost struct {
	account int64
	host    string
}

func scanHost(row interface{ Scan(...any) error }) (h brandHost, err error) {
	return h, translate(row.Scan(&h.account, &h.host))
}

// BrandVersion implements reset.BrandStore.
func (s *Store) BrandVersion(ctx context.Context) (version int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM brand_version`).Scan(&version)
	return version, translate(err)
}

// Brandings implements reset.BrandStore.
func (s *Store) Brandings(ctx context.Context) ([]reset.AccountBranding, error) {
	list, err := collect(ctx, s.read, scanBrand, selectBrand+`ORDER BY a.id`)
	if err != nil {
		return nil, err
	}
	hosts, err := collect(ctx, s.read, scanHost, `SELECT account_id, host FROM brand_hosts ORDER BY account_id, position`)
	if err != nil {
		return nil, err
	}
	of := make(map[int64][]string, len(hosts))
	for _, h := range hosts {
		of[h.account] = append(of[h.account], h.host)
	}
	for i := range list {
		list[i].Hosts = of[list[i].Account.ID]
	}
	return list, nil
}

// LogoData implements reset.BrandStore.
func (s *Store) LogoData(ctx context.Context, d reset.Digest) (data []byte, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT logo FROM brands WHERE logo_digest = ? LIMIT 1`, d[:]).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, translate(err)
}

// Branding returns what is set of an account's brand, with the data of its logo; the zero one if nothing is.
func (t *tx) Branding(ctx context.Context, account int64) (reset.Branding, error) {
	b, err := scanBrand(t.row(ctx, selectBrand+`WHERE a.id = ?`, account))
	if errors.Is(err, sql.ErrNoRows) {
		return reset.Branding{}, nil
	}
	if err != nil {
		return reset.Branding{}, err
	}
	if err := t.row(ctx, `SELECT logo FROM brands WHERE account_id = ?`, account).Scan(&b.Logo.Data); err != nil {
		return reset.Branding{}, translate(err)
	}
	hosts, err := collect(context.WithoutCancel(ctx), t.sql, scanHost, `SELECT account_id, host FROM brand_hosts WHERE account_id = ? ORDER BY position`, account)
	for _, h := range hosts {
		b.Hosts = append(b.Hosts, h.host)
	}
	return b.Branding, err
}

// SetBranding replaces what is set of an account's brand. ErrExists if another account has one of the host names.
func (t *tx) SetBranding(ctx context.Context, account int64, b reset.Branding) error {
	if _, err := t.exec(ctx, `DELETE FROM brands WHERE account_id = ?`, account); err != nil {
		return err
	}
	if !b.IsZero() {
		var digest, data any
		if !b.Logo.IsZero() {
			digest, data = b.Logo.Digest[:], b.Logo.Data
		}
		_, err := t.exec(ctx, `INSERT INTO brands (account_id, name, accent, background, sender, reply_to, support, link_base,
			logo_type, logo_width, logo_height, logo_digest, logo) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			account, b.Name, string(b.Accent), string(b.Background), b.Sender, b.ReplyTo, b.Support, b.LinkBase,
			b.Logo.Type, b.Logo.Width, b.Logo.Height, digest, data)
		if err != nil {
			return err
		}
	}
	for i, host := range b.Hosts {
		if _, err := t.exec(ctx, `INSERT INTO brand_hosts (host, account_id, position) VALUES (?, ?, ?)`, host, account, i); err != nil {
			return err
		}
	}
	return t.brandsChanged(ctx)
}

// brandsChanged has those who keep a copy of the brands read them again.
func (t *tx) brandsChanged(ctx context.Context) error {
	_, err := t.exec(ctx, `INSERT INTO brand_version (id, version) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET version = version + 1`)
	return err
}

package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/sparekey/sparekey/internal/password"
)

// insertRate is what SQLite does at best with the service's settings: one row
// inserted and committed at a time, through the one writing connection.
func (b *bench) insertRate(ctx context.Context, period time.Duration) (float64, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "baseline.db")+
		"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return 0, err
	}
	db.SetMaxOpenConns(1)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT)`); err != nil {
		return 0, err
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO t (v) VALUES (?)`)
	if err != nil {
		return 0, err
	}
	defer func() { _ = insert.Close() }()
	return rate(ctx, workers, period, func(_, _ int) error {
		_, err := insert.ExecContext(ctx, "a row as good as any other")
		return err
	})
}

// hashRate is what the cores do at best: argon2id and nothing else.
func hashRate(ctx context.Context, period time.Duration) (float64, error) {
	p := password.DefaultParams()
	return rate(ctx, runtime.NumCPU(), period, func(_, _ int) error {
		salt := make([]byte, 16)
		_, _ = rand.Read(salt)
		argon2.IDKey([]byte("correct horse battery staple"), salt, uint32(p.Time), uint32(p.MemoryKiB), uint8(p.Parallelism), 32)
		return nil
	})
}

const bareArg = "serve-bare"

// serveBare is the bare handler, in a process of its own like the service: it
// decodes JSON and answers JSON. It prints its address and ends with its standard input's reader.
func serveBare(out io.Writer) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	type message struct {
		ID               string `json:"id"`
		MultipleAccounts bool   `json:"multiple_accounts"`
	}
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(m)
	})}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/directory/hookdir/hooktest"
)

func (b *bench) goDirectory(ctx context.Context) (*elsewhere, error) {
	return b.hookDirectory(ctx, 0, directoryUsers)
}

// nodeDirectory has fewer users: its application reads all of them from a file at each call.
func (b *bench) nodeDirectory(ctx context.Context) (*elsewhere, error) {
	return b.hookDirectory(ctx, 1, 500)
}

// hookDirectory starts one of the reference applications.
func (b *bench) hookDirectory(ctx context.Context, program, n int) (_ *elsewhere, err error) {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return nil, err
	}
	programs, err := hooktest.Programs(ctx, dir)
	if err != nil {
		return nil, err
	}
	p := programs[program]
	folder, err := os.MkdirTemp(dir, "application-")
	if err != nil {
		return nil, err
	}
	app, err := p.Start(folder)
	if err != nil {
		return nil, err
	}
	var people []hooktest.User
	for i := range n {
		people = append(people, hooktest.User{Email: email(i), Name: "Somebody"})
	}
	if err := app.AddAll(people...); err != nil {
		return nil, errors.Join(err, app.Close())
	}
	return &elsewhere{
		name:     "webhook to " + p.Name,
		settings: fmt.Sprintf("webhook\nurl: %s\nsecrets: %s\n", app.URL(), callout.FormatSecret(app.Key)), users: n,
		against: "signed calls of set/s by net/http", close: app.Close,
		raw: func(ctx context.Context) (func(w, i int) error, func() error, error) {
			caller, err := newHookCaller(app)
			if err != nil {
				return nil, nil, err
			}
			ids, err := caller.ids(ctx, min(n, 200))
			return func(w, i int) error {
				return caller.call(ctx, "set", map[string]any{"type": "set", "id": ids[(w+i*workers)%len(ids)], "password": "correct horse battery staple"}, nil)
			}, func() error { caller.http.CloseIdleConnections(); return nil }, err
		},
	}, nil
}

// hookCaller calls an application as anybody could who has the secret and net/http.
type hookCaller struct {
	url    string
	http   *http.Client
	signer *callout.Signer
}

func newHookCaller(app *hooktest.App) (*hookCaller, error) {
	signer, err := callout.NewSigner(app.Key)
	t := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}
	return &hookCaller{url: app.URL(), http: &http.Client{Transport: t, Timeout: 30 * time.Second}, signer: signer}, err
}

// ids are those of the first users.
func (h *hookCaller) ids(ctx context.Context, n int) (ids []string, err error) {
	for i := range n {
		var found struct {
			Users []struct {
				ID string `json:"id"`
			} `json:"users"`
		}
		if err := h.call(ctx, "find", map[string]any{"type": "find", "addresses": []string{email(i)}}, &found); err != nil {
			return nil, err
		}
		if len(found.Users) != 1 {
			return nil, fmt.Errorf("%d users have %s", len(found.Users), email(i))
		}
		ids = append(ids, found.Users[0].ID)
	}
	return ids, nil
}

func (h *hookCaller) call(ctx context.Context, path string, body map[string]any, into any) (err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	id := uuid.NewString()
	if path == "set" {
		req.Header.Set("Idempotency-Key", `"`+id+`"`)
	}
	if err := h.signer.Sign(req.Header, id, time.Now(), text); err != nil {
		return err
	}
	res, err := h.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if !slices.Contains([]int{http.StatusOK, http.StatusNoContent}, res.StatusCode) {
		return fmt.Errorf("%s answered %d: %s", path, res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

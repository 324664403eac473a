package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// handler answers Sparekey's three calls, and the application's own log-in.
type handler struct {
	users *users
	hook  *standardwebhooks.Webhook
	// turns bounds how many passwords are hashed at once: each takes 19 MiB.
	turns chan struct{}
}

func newHandler(u *users, secret string) (http.Handler, error) {
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(secret, "whsec_") || len(secret) < len("whsec_")+32 {
		return nil, errors.New("it is too short") // whoever guesses it can change passwords
	}
	h := &handler{users: u, hook: hook, turns: make(chan struct{}, 4)}
	mux := http.NewServeMux()
	mux.Handle("POST /sparekey/find", h.signed("find", h.find))
	mux.Handle("POST /sparekey/set", h.signed("set", h.set))
	mux.Handle("POST /sparekey/health", h.signed("health", h.health))
	mux.HandleFunc("POST /login", h.login)
	return mux, nil
}

// call is the body of a call: each has some of it.
type call struct {
	Type      string   `json:"type"`
	Addresses []string `json:"addresses"`
	ID        string   `json:"id"`
	Password  string   `json:"password"`
	// webhookID is the header: which change a set is, however often it comes.
	webhookID string
}

// signed answers only calls that Sparekey has made, within five minutes, and of that type: the path is not signed.
func (h *handler) signed(typ string, next func(http.ResponseWriter, *http.Request, call)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			problem(w, http.StatusRequestEntityTooLarge, "the body is too long or broke off")
			return
		}
		// Verify compares in constant time, and the timestamp with this machine's clock.
		if err := h.hook.Verify(body, r.Header); err != nil {
			problem(w, http.StatusUnauthorized, "the signature is not good, or too old")
			return
		}
		c := call{webhookID: r.Header.Get(standardwebhooks.HeaderWebhookID)}
		if !utf8.Valid(body) || json.Unmarshal(body, &c) != nil || c.Type != typ {
			problem(w, http.StatusBadRequest, "the body is not that of "+typ)
			return
		}
		next(w, r, c)
	})
}

func (h *handler) find(w http.ResponseWriter, r *http.Request, c call) {
	found, err := h.users.find(r.Context(), c.ID, c.Addresses)
	if err != nil {
		problem(w, http.StatusServiceUnavailable, "the users cannot be read")
		return
	}
	answer(w, http.StatusOK, map[string]any{"users": found})
}

func (h *handler) health(w http.ResponseWriter, r *http.Request, _ call) {
	if err := h.users.db.PingContext(r.Context()); err != nil {
		problem(w, http.StatusServiceUnavailable, "the users cannot be read")
		return
	}
	answer(w, http.StatusOK, map[string]any{"idempotent": true, "application": "directory-go"})
}

// set changes a password. The application's own policy here: eight characters.
func (h *handler) set(w http.ResponseWriter, r *http.Request, c call) {
	if n := utf8.RuneCountInString(c.Password); n < leastCharacters {
		answer(w, http.StatusUnprocessableEntity, map[string]any{"reasons": []any{map[string]any{
			"code": "too_short", "message": "Use at least 8 characters.", "params": map[string]int{"min": leastCharacters, "length": n},
		}}})
		return
	}
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-r.Context().Done():
		return // nobody waits for the answer
	}
	// If Sparekey hangs up from here on, the change is made all the same, whole.
	switch err := h.users.set(r.Context(), c.webhookID, c.ID, c.Password); {
	case errors.Is(err, errNoUser):
		answer(w, http.StatusNotFound, map[string]any{"changed": false, "title": "there is no such user"})
	case err != nil: // a commit that failed may have been made: nothing is said about it
		problem(w, http.StatusInternalServerError, "the password cannot be stored")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// login is the application's own: it is what the passwords are for.
func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	var who struct{ Email, Password string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&who); err != nil {
		problem(w, http.StatusBadRequest, "an email and a password are needed")
		return
	}
	h.turns <- struct{}{}
	defer func() { <-h.turns }()
	ok, err := h.users.verify(r.Context(), who.Email, who.Password)
	switch {
	case err != nil:
		problem(w, http.StatusServiceUnavailable, "the users cannot be read")
	case !ok:
		problem(w, http.StatusUnauthorized, "wrong address or password")
	default:
		w.WriteHeader(http.StatusNoContent) // and a session begins
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, title string) {
	answer(w, status, map[string]any{"title": title})
}

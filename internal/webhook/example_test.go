package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/webhook"
)

// An application's handler, as docs/events.md has it.
func receiveEvents(secret string, endSessions func(userID, email string, before time.Time) error) (http.HandlerFunc, error) {
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || hook.Verify(body, r.Header) != nil {
			http.Error(w, "the signature is not good", http.StatusUnauthorized)
			return
		}
		var event struct {
			Type      string
			Timestamp time.Time
			Data      struct {
				UserID string `json:"user_id"`
				Email  string
			}
		}
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, "the body is no event", http.StatusBadRequest)
			return
		}
		if event.Type == "password.reset" {
			if err := endSessions(event.Data.UserID, event.Data.Email, event.Timestamp); err != nil {
				http.Error(w, "not now", http.StatusServiceUnavailable) // it is sent again
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}, nil
}

func Example() {
	key := []byte("thirty-two bytes from crypto/rand")
	handler, err := receiveEvents(callout.FormatSecret(key), func(userID, email string, before time.Time) error {
		fmt.Println("end the sessions of", userID, email, "that began before", before)
		return nil
	})
	if err != nil {
		panic(err)
	}
	app := httptest.NewServer(handler)
	defer app.Close()

	sender, err := webhook.New(webhook.Options{
		Targets:      []webhook.Target{{URL: app.URL, Keys: [][]byte{key}}},
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Now:          time.Now,
	})
	if err != nil {
		panic(err)
	}
	address, err := reset.ParseAddress("ada@example.com")
	if err != nil {
		panic(err)
	}
	fmt.Println(sender.Send(context.Background(), app.URL, reset.Event{
		ID: reset.NewEventID(), Type: reset.EventPasswordReset, At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		User: reset.User{ID: "u1", Email: address},
	}))
	// Output:
	// end the sessions of u1 ada@example.com that began before 2026-11-23 12:00:00 +0000 UTC
	// 204 <nil>
}

package webhook

import (
	"encoding/json"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// body is what a target is sent, as docs/events.md and the section webhooks of
// api/openapi.yaml have it. Members may be added; none goes.
type body struct {
	Type      reset.EventType `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      any             `json:"data"`
}

type data struct {
	UserID string `json:"user_id"`
	// Email is missing once the user is gone.
	Email     string    `json:"email,omitempty"`
	Accounts  []account `json:"accounts"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

type account struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// encode writes an event. The same event is the same bytes while its user stays as they are.
func encode(e reset.Event) ([]byte, error) {
	b := body{Type: e.Type, Timestamp: moment(e.At), Data: struct{}{}}
	if e.Type != reset.EventTest {
		d := data{
			UserID: e.User.ID, Email: e.User.Email.Raw(), Accounts: []account{},
			ExpiresAt: moment(e.ExpiresAt), Reason: e.Reason,
		}
		for _, a := range e.User.Accounts {
			d.Accounts = append(d.Accounts, account{a.ID, a.Name})
		}
		b.Data = d
	}
	return json.Marshal(b)
}

// moment is a time as it is sent: UTC, in milliseconds.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

package sparekeytest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/client"
	"github.com/sparekey/sparekey/client/sparekeytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ann   = "ann@example.com"
	first = "an old password, long"
	other = "correct horse battery staple"
)

// TestTheWay is the main job, end to end, through the client.
func TestTheWay(t *testing.T) {
	t.Parallel()
	s := sparekeytest.Start(t)
	s.AddUser(ann, first, "Acme", "Globex")
	c := s.Client()

	asked, err := c.Request(t.Context(), ann, "nobody@example.com")
	if diff := cmp.Diff([]string{ann, "nobody@example.com"}, asked); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	m := s.Mail("Ann@Example.com")
	if !strings.HasPrefix(m.Link, s.URL+"/reset/") || !strings.HasSuffix(m.Link, m.ID) || !strings.Contains(m.Text, m.Link) || m.To != ann || m.Subject == "" || m.HTML == "" {
		t.Errorf("the mail: %+v", m)
	}
	meta, err := c.Metadata(t.Context(), m.ID)
	if diff := cmp.Diff(client.Metadata{ID: m.ID, MultipleAccounts: true}, meta); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	_, err = c.Reset(t.Context(), m.ID, "too short")
	e, _ := errors.AsType[*client.Error](err)
	if !errors.Is(err, client.ErrBadParameter) || len(e.PasswordReasons()) == 0 || e.RequestID == "" {
		t.Errorf("a short password: %v", err)
	}
	if used, err := c.Reset(t.Context(), m.ID, other); used != m.ID || err != nil {
		t.Errorf("%q, %v", used, err)
	}
	if s.HasPassword(ann, first) || !s.HasPassword(ann, other) || s.HasPassword("nobody@example.com", other) {
		t.Error("the password was not changed")
	}
	if _, err := c.Reset(t.Context(), m.ID, first); !errors.Is(err, client.ErrInactive) {
		t.Errorf("a used link: %v", err)
	}
	if notice := s.Mail(ann); notice.Link != "" || notice.ID != "" {
		t.Errorf("the notice: %+v", notice)
	}
	if n := len(s.Mails()); n != 2 {
		t.Errorf("%d mails were sent, want 2", n)
	}
	if _, err := c.Metadata(t.Context(), "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"); !errors.Is(err, client.ErrNotAuthorized) {
		t.Errorf("an unknown id: %v", err)
	}
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	s := sparekeytest.Start(t, sparekeytest.WithTTL(10*time.Minute))
	s.AddUser(ann, "")
	c := s.Client()
	if _, err := c.Request(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	id := s.Mail(ann).ID
	s.Advance(9 * time.Minute)
	if _, err := c.Metadata(t.Context(), id); err != nil {
		t.Errorf("before its time is over: %v", err)
	}
	s.Advance(time.Minute)
	if _, err := c.Metadata(t.Context(), id); !errors.Is(err, client.ErrExpired) {
		t.Errorf("after it: %v", err)
	}
}

func TestBulk(t *testing.T) {
	t.Parallel()
	s := sparekeytest.Start(t)
	s.AddUser(ann, "")
	s.AddUser("bob@example.com", "")
	s.DisableUser("bob@example.com")
	c := s.Client(client.WithKeyPrefix("Token"))
	id, err := c.RequestBulk(t.Context(), ann, "bob@example.com", "nobody@example.com", ann)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.WaitJob(t.Context(), id, 10*time.Millisecond)
	if diff := cmp.Diff(client.Job{ID: id, State: client.JobDone, Total: 3, Sent: 1, Unknown: 2}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := c.Job(t.Context(), "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("another job: %v", err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	const unknown = "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"
	keyless := func(s *sparekeytest.Server) error {
		c, err := client.New(s.URL, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Metadata(t.Context(), unknown)
		return err
	}
	with, without := keyless(sparekeytest.Start(t)), keyless(sparekeytest.Start(t, sparekeytest.WithoutKeys()))
	if !errors.Is(with, client.ErrNotAuthorized) || !errors.Is(without, client.ErrNotAuthorized) || with.Error() == without.Error() {
		t.Errorf("without a key: %v; where none is needed: %v", with, without)
	}
	_, err := sparekeytest.Start(t).Client(client.WithKey("spk_wrong")).Metadata(t.Context(), unknown)
	if !errors.Is(err, client.ErrNotAuthorized) {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestThrottle: the limits are on when asked for; the client says how long to wait.
func TestThrottle(t *testing.T) {
	t.Parallel()
	s := sparekeytest.Start(t, sparekeytest.WithThrottle())
	c := s.Client(client.WithRetries(0))
	var err error
	for range 200 {
		if _, err = c.Request(t.Context(), ann); err != nil {
			break
		}
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok || !errors.Is(err, client.ErrRestriction) || e.Status != http.StatusTooManyRequests || e.RetryAfter < time.Second {
		t.Errorf("%v", err)
	}
}

// TestPagesAndOrigins: the pages are there, and CORS for those who are listed.
func TestPagesAndOrigins(t *testing.T) {
	t.Parallel()
	s := sparekeytest.Start(t, sparekeytest.WithOrigins("https://app.example.com"))
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/1.0/openapi.yaml", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		res, err := hc.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != want || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, allowed %q", origin, res.StatusCode, got)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/forgot", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("/forgot answers %d", res.StatusCode)
	}
}

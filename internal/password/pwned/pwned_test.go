package pwned_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/pwned"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	leaked  = "a bird in the hand"
	another = "two in the bush"
	patient = 20 * time.Second // far more than loopback needs
)

func digits(p string) (prefix, rest string) {
	d := password.DigestOf(p)
	s := strings.ToUpper(hex.EncodeToString(d[:]))
	return s[:5], s[5:]
}

// serve starts a service and returns a client of it.
func serve(t *testing.T, timeout time.Duration, h http.HandlerFunc) *pwned.Service {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s := pwned.New(server.URL+"/range/", timeout)
	t.Cleanup(s.Close)
	return s
}

// TestAsksByPrefix: five digits leave this machine, with the headers that the service wants, and nothing else does.
func TestAsksByPrefix(t *testing.T) {
	t.Parallel()
	prefix, rest := digits(leaked)
	var asked []string
	s := serve(t, patient, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		if r.Header.Get("Add-Padding") != "true" || r.UserAgent() != "Sparekey" || len(r.Cookies()) > 0 {
			t.Errorf("headers: %v", r.Header)
		}
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), rest) {
				t.Errorf("%s has the rest of the hash", name)
			}
		}
		fmt.Fprintf(w, "%s:3\r\n%s:17\r\n%s:0", strings.Repeat("0", 35), strings.ToLower(rest), strings.Repeat("F", 35))
	})
	ok, err := s.Has(t.Context(), password.DigestOf(leaked))
	if err != nil || !ok {
		t.Errorf("got %v, %v, want that it is listed", ok, err)
	}
	if want := "GET /range/" + prefix; len(asked) != 1 || asked[0] != want {
		t.Errorf("asked %v, want %s", asked, want)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	_, rest := digits(leaked)
	other := strings.Repeat("A", 35)
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   bool
		fault  string
	}{
		{"listed", 200, other + ":1\r\n" + rest + ":1\r\n", true, ""},
		{"listed in line breaks of Unix and lower case", 200, strings.ToLower(rest) + ":10\n" + other + ":1\n", true, ""},
		{"not listed", 200, other + ":1\r\n", false, ""},
		{"padding", 200, other + ":1\r\n" + rest + ":0\r\n", false, ""},
		{"nothing", 200, "", false, ""},
		{"a page", 200, "<html>Please log in</html>", false, "something else than a list of hashes"},
		{"a line without end", 200, strings.Repeat("A", 100<<10), false, "something else than a list of hashes"},
		{"far too much", 200, rest + ":1\n" + strings.Repeat(other+":1\n", 30_000), false, "more than 1048576 bytes"},
		{"too often", 429, rest + ":1\n", false, "status 429"},
		{"broken", 500, "", false, "status 500"},
		{"nothing there", 404, "", false, "status 404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, patient, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			got, err := s.Has(t.Context(), password.DigestOf(leaked))
			if got != tc.want || (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("got %v, %v; want %v, %q", got, err, tc.want, tc.fault)
			}
			tellsNothing(t, err)
		})
	}
}

// tellsNothing checks that neither an error nor what it wraps has anything of the digest.
func tellsNothing(t *testing.T, err error) {
	t.Helper()
	prefix, rest := digits(leaked)
	for ; err != nil; err = errors.Unwrap(err) {
		if text := strings.ToUpper(fmt.Sprintf("%+v", err)); strings.Contains(text, prefix) || strings.Contains(text, rest) {
			t.Errorf("the error has the digest: %v", err)
		}
	}
}

// TestFollowsNoRedirect: the service that was configured is the only one that is asked.
func TestFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(target.Close)
	s := serve(t, patient, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL+r.RequestURI, http.StatusFound)
	})
	_, err := s.Has(t.Context(), password.DigestOf(leaked))
	if err == nil || !strings.Contains(err.Error(), "status 302") || elsewhere.Load() != 0 {
		t.Errorf("got %v after %d calls elsewhere", err, elsewhere.Load())
	}
	tellsNothing(t, err)
}

// TestHeedsNoProxy of the environment: Go would heed it for every host but loopback.
func TestHeedsNoProxy(t *testing.T) {
	t.Parallel()
	if s := pwned.New("https://range.example.com", patient); pwned.UsesProxy(s) {
		t.Error("it asks by way of a proxy")
	}
}

// TestGivesUpInTime on a service that says nothing, or begins and does not go on.
func TestGivesUpInTime(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter){
		"silent": func(http.ResponseWriter) {},
		"stalled": func(w http.ResponseWriter) {
			fmt.Fprintln(w, strings.Repeat("A", 35)+":1")
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, 50*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				<-r.Context().Done()
			})
			_, err := s.Has(t.Context(), password.DigestOf(leaked))
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "did not answer within 50ms") {
				t.Errorf("got %v", err)
			}
			tellsNothing(t, err)
		})
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := pwned.New("http://"+l.Addr().String(), patient)
	t.Cleanup(s.Close)
	_, err = s.Has(t.Context(), password.DigestOf(leaked))
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	tellsNothing(t, err)
}

// TestBoundedConcurrency: sixteen questions at once; one that gets no turn in time gives up.
func TestBoundedConcurrency(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}, 40), make(chan struct{})
	s := serve(t, patient, func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-release
	})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if ok, err := s.Has(t.Context(), password.DigestOf(another)); ok || err != nil {
				t.Errorf("got %v, %v", ok, err)
			}
		})
		<-begun
	}
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Has(impatient, password.DigestOf(leaked)); err == nil || !strings.Contains(err.Error(), "too many look-ups are under way") {
		t.Errorf("the seventeenth: %v", err)
	}
	close(release)
	wg.Wait()
	if n := len(begun); n != 0 {
		t.Errorf("%d more questions arrived", n)
	}
}

func FuzzAnswer(f *testing.F) {
	_, rest := digits(leaked)
	f.Add([]byte(rest + ":1\r\n"))
	f.Add([]byte(rest + ":0\r\n"))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := pwned.Search(body, rest)
		if found && (err != nil || !strings.Contains(strings.ToUpper(string(body)), rest)) {
			t.Errorf("found in %q, %v", body, err)
		}
	})
}

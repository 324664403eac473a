package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOverload: a service that is asked for far more than it takes on refuses
// the rest at once, in the API's words and with a time to come back, answers everybody
// else, and is well again when it is over.
func TestOverload(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const callers, each = 200, 10
			w := newWorldOn(t, open(t), callers)
			w.env = append(w.env, "SPAREKEY_HTTP_MAX_IN_FLIGHT=8", "SPAREKEY_HASH_QUEUE=4", "SPAREKEY_DATABASE_CONNECTIONS=6")
			w.start(t)
			w.ask(t, person(0))
			w.settled(t)
			id := w.links(t)[person(0)][0]
			var (
				wg     sync.WaitGroup
				mu     sync.Mutex
				counts = map[int]int{}
				took   []time.Duration
				won    int
			)
			for i := range callers {
				wg.Go(func() {
					for range each {
						// A fifth of them hash, which is what takes long.
						path, body := requestPath, asking(person(i))
						if i%5 == 0 {
							path, body = "/api/1.0/reset-password/reset/"+id, fmt.Sprintf(`{"password":%q}`, password)
						}
						began := time.Now()
						status, retry, answer := w.overloaded(t, path, body)
						mu.Lock()
						counts[status]++
						if status == http.StatusOK && path != requestPath {
							won++
						}
						if status == http.StatusServiceUnavailable {
							took = append(took, time.Since(began))
						}
						mu.Unlock()
						if status == http.StatusServiceUnavailable && (retry < 1 || !strings.Contains(answer, `"msg"`)) {
							t.Errorf("refused with Retry-After %d and %s", retry, answer)
						}
					}
				})
			}
			wg.Wait()
			if len(took) == 0 || won != 1 {
				t.Fatalf("answers %v, %d resets of one id: it was not overloaded, or the link did not work once", counts, won)
			}
			slices.Sort(took)
			t.Logf("answers %v; refusals took %v in the middle, %v at the 99th percentile", counts, took[len(took)/2], took[len(took)*99/100])
			delete(counts, http.StatusOK)
			delete(counts, http.StatusUnauthorized)
			delete(counts, http.StatusServiceUnavailable)
			if len(counts) > 0 {
				t.Errorf("other answers: %v", counts)
			}
			began := time.Now()
			until(t, "an answer after the load", patience, func() bool {
				status, _, err := w.call(http.MethodPost, requestPath, asking(person(1)))
				return err == nil && status == http.StatusOK
			})
			t.Logf("well again after %v", time.Since(began))
			w.settled(t)
		})
	}
}

// overloaded calls once and answers the seconds of Retry-After as well.
func (w *world) overloaded(t *testing.T, path, body string) (status, retry int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url(path), strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, 0, ""
	}
	req.Header.Set("Content-Type", "application/json")
	if path != requestPath {
		req.Header.Set("X-Auth-Token", w.key)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || !json.Valid(text) {
		t.Errorf("answered %d %q, %v", res.StatusCode, text, err)
	}
	retry, _ = strconv.Atoi(res.Header.Get("Retry-After"))
	return res.StatusCode, retry, string(text)
}

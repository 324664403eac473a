package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// memoryLimit is what the service may have of memory for data, in MiB. The system
// refuses it more than that, so a service that took more would crash.
const memoryLimit = 320

// TestResetsWithinALimitOfMemory: a thousand resets at once, each of which would
// like 19 MiB, and then a thousand wrong ids do not crash a service that may
// have a few hundred: those beyond its queue are told to come back (OWASP
// Denial of Service). It is ready again by itself.
func TestResetsWithinALimitOfMemory(t *testing.T) {
	t.Parallel()
	const people = 1000
	w := newWorld(t, people)
	w.env = append(w.env, "GOMEMLIMIT=150MiB", "SPAREKEY_HTTP_MAX_IN_FLIGHT=2000", "SPAREKEY_HASH_QUEUE=16", "SPAREKEY_THROTTLE_ENABLED=false")
	w.startWithin(t, memoryLimit)
	w.askForAll(t, people)
	w.settled(t)
	links := w.links(t)
	storm := func(id func(i int) string) (counts map[int]int) {
		var (
			wg sync.WaitGroup
			mu sync.Mutex
		)
		counts = map[int]int{}
		for i := range people {
			wg.Go(func() {
				status, retry, _ := w.overloaded(t, "/api/1.0/reset-password/reset/"+id(i), fmt.Sprintf(`{"password":%q}`, password))
				if status == http.StatusServiceUnavailable && retry < 1 {
					t.Error("503 without Retry-After")
				}
				mu.Lock()
				defer mu.Unlock()
				counts[status]++
			})
		}
		wg.Wait()
		return counts
	}
	right := storm(func(i int) string { return links[person(i)][0] })
	if right[200] < 16 || right[503] == 0 || right[200]+right[503] != people {
		t.Errorf("right ids were answered %v; want 200 for those in the queue and 503 for the rest", right)
	}
	until(t, "readiness after the storm", patience, func() bool {
		status, _, err := w.call(http.MethodGet, "/readyz", "")
		return err == nil && status == http.StatusOK
	})
	wrong := storm(func(int) string { return uuid.NewString() })
	if wrong[401]+wrong[503] != people {
		t.Errorf("wrong ids were answered %v", wrong)
	}
	until(t, "readiness after the wrong ids", patience, func() bool {
		status, _, err := w.call(http.MethodGet, "/readyz", "")
		return err == nil && status == http.StatusOK
	})
	t.Logf("right ids %v, wrong ids %v, at most %d MiB resident", right, wrong, peakRSS(t, w.server.cmd.Process.Pid))
}

// askForAll asks for n people in one bulk request.
func (w *world) askForAll(t *testing.T, n int) {
	t.Helper()
	everybody := make([]string, n)
	for i := range everybody {
		everybody[i] = strconv.Quote(person(i))
	}
	admin := must(t, w.env, "", "key", "create", "admin", "--scope", "admin")
	status, answer, err := w.callAs(admin, http.MethodPost, requestPath, `{"email":[`+strings.Join(everybody, ",")+`]}`)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("asking for %d people answered %d %s, %v", n, status, answer, err)
	}
}

// peakRSS is the most memory that a process had, in MiB.
func peakRSS(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n / 1024
		}
	}
	t.Fatal("no VmHWM; this needs Linux")
	return 0
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fleet is some replicas on one database, called as a proxy in front of them
// would, and a ledger of what was promised and what came of it.
type fleet struct {
	*world
	replicas []*world
	turn     atomic.Int64
	out      []atomic.Bool // replicas that said they are not ready
	ledger   *ledger

	mu      sync.Mutex
	outputs []*output // of every process there was
}

// newFleet imports n people and starts the replicas.
func newFleet(t *testing.T, db database, replicas, n int, env ...string) *fleet {
	t.Helper()
	f := &fleet{world: newWorldOn(t, db, n), out: make([]atomic.Bool, replicas), ledger: newLedger()}
	f.env = append(f.env, env...)
	for range replicas {
		r := *f.world
		r.addr = freeAddr(t)
		r.env = append(slices.Clone(f.env), "SPAREKEY_LISTEN="+r.addr)
		f.replicas = append(f.replicas, &r)
	}
	for i := range replicas {
		f.startReplica(t, i)
	}
	return f
}

func (f *fleet) startReplica(t *testing.T, i int) {
	t.Helper()
	r := f.replicas[i]
	r.server = start(t, r.env, "serve")
	f.mu.Lock()
	f.outputs = append(f.outputs, r.server.output)
	f.mu.Unlock()
	until(t, "a replica that is ready", time.Minute, func() bool {
		status, _, err := r.call(http.MethodGet, "/readyz", "")
		return err == nil && status == http.StatusOK
	})
}

// call goes to the replicas in turn; where nobody listens, or is not ready as
// far as is known, to the next one.
func (f *fleet) call(method, path, body string) (status int, answer string, err error) {
	first := int(f.turn.Add(1))
	for i := range f.replicas {
		r := (first + i) % len(f.replicas)
		if f.out[r].Load() && i < len(f.replicas)-1 {
			continue
		}
		status, answer, err = f.replicas[r].call(method, path, body)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	return status, answer, err
}

// watch asks the replicas whether they are ready until done, as a proxy's health check does.
func (f *fleet) watch(done <-chan struct{}) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		for i, r := range f.replicas {
			status, _, err := r.call(http.MethodGet, "/readyz", "")
			f.out[i].Store(err != nil || status != http.StatusOK)
		}
		select {
		case <-done:
			return
		case <-again.C:
		}
	}
}

// ledger counts what was promised and what came of it.
type ledger struct {
	mu       sync.Mutex
	acked    map[string]bool // people whose request was answered 200
	hopeless map[string]bool // people whose mail the mail server refuses for good
	won      map[string]int  // by id: resets that were answered 200
	changed  map[string]bool // people whose password is changed
	refused  int             // answers of 503
	failed   int             // no answer, or another that nobody should get
}

func newLedger() *ledger {
	return &ledger{acked: map[string]bool{}, hopeless: map[string]bool{}, won: map[string]int{}, changed: map[string]bool{}}
}

func (l *ledger) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// callers is how many call at once.
const callers = 16

// eachOf calls fn for each of n people, by some callers at once.
func eachOf(n int, fn func(i int)) {
	var wg sync.WaitGroup
	next := atomic.Int64{}
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// persistently calls try until it answers true, with a pause in between, as people do.
func persistently(t *testing.T, what string, try func() bool) {
	t.Helper()
	until(t, what, 3*time.Minute, try)
}

// askAll has n people ask, each again and again until it is acknowledged.
func (f *fleet) askAll(t *testing.T, n int) {
	t.Helper()
	eachOf(n, func(i int) {
		persistently(t, "a request that is acknowledged", func() bool {
			status, answer, err := f.call(http.MethodPost, requestPath, asking(person(i)))
			f.ledger.note(func() {
				switch {
				case err != nil:
					f.ledger.failed++
				case status == http.StatusOK:
					f.ledger.acked[person(i)] = true
				case status == http.StatusServiceUnavailable:
					f.ledger.refused++
				default:
					t.Errorf("asking was answered %d %s", status, answer)
					f.ledger.acked[person(i)] = true // or it goes on for ever
				}
			})
			return err == nil && status != http.StatusServiceUnavailable
		})
	})
}

// newest answers everybody's newest link.
func (f *fleet) newest(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for who, all := range f.links(t) {
		ids[who] = all[len(all)-1]
	}
	return ids
}

// resetAll has each person's newest link used by three callers at once, on any
// replicas, until somebody has a definite answer.
func (f *fleet) resetAll(t *testing.T, links map[string]string) {
	t.Helper()
	people := slices.Sorted(maps.Keys(links))
	eachOf(len(people), func(i int) {
		who := people[i]
		id := links[who]
		for {
			won, answer := f.useThrice(t, id)
			changed := won > 0 || f.hasPassword(t, who)
			f.ledger.note(func() {
				f.ledger.won[id] = won
				f.ledger.changed[who] = changed
			})
			all := f.links(t)[who]
			newest := all[len(all)-1]
			switch {
			case changed:
				return
			case newest == id:
				t.Errorf("the newest link of %s, of %d, is refused and the password another: %s\n%s", who, len(all), answer, f.db.history(t, who))
				return
			}
			id = newest // of a request whose acknowledgement was lost, and which came to be later
		}
	})
}

// useThrice uses a link by three callers at once, again and again until one has
// a definite answer, and says how many succeeded and what a refusal said.
func (f *fleet) useThrice(t *testing.T, id string) (successes int, refusal string) {
	t.Helper()
	var (
		won, used atomic.Int64
		answered  atomic.Value
	)
	persistently(t, "a reset with a definite answer", func() bool {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				switch status, answer := f.use(t, id); status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusUnauthorized:
					answered.Store(answer)
					used.Add(1)
				case http.StatusServiceUnavailable, 0: // once more
				default:
					t.Errorf("a reset was answered %d", status)
				}
			})
		}
		wg.Wait()
		return won.Load()+used.Load() > 0
	})
	return int(won.Load()), fmt.Sprint(answered.Load())
}

// hasPassword tells by the command line whether somebody's password was changed.
func (f *fleet) hasPassword(t *testing.T, who string) (yes bool) {
	t.Helper()
	persistently(t, "the command line to reach the database", func() bool {
		release := f.db.stay()
		defer release()
		cmd := exec.CommandContext(t.Context(), binary, "user", "verify", who, "--password-stdin")
		cmd.Env, cmd.Stdin = f.env, strings.NewReader(password)
		out, err := cmd.CombinedOutput()
		yes = err == nil
		return yes || strings.Contains(string(out), "that is not the password")
	})
	return yes
}

// use tries an id on some replica: 0 when the answer was lost.
func (f *fleet) use(t *testing.T, id string) (status int, answer string) {
	t.Helper()
	status, answer, err := f.call(http.MethodPost, "/api/1.0/reset-password/reset/"+id, fmt.Sprintf(`{"password":%q}`, password))
	f.ledger.note(func() {
		switch {
		case err != nil:
			f.ledger.failed++
		case status == http.StatusServiceUnavailable:
			f.ledger.refused++
		}
	})
	if err != nil {
		return 0, ""
	}
	return status, answer
}

// live lets n people ask and reset while something goes wrong. What it does
// must end when its context does, and leave the service running.
func (f *fleet) live(t *testing.T, n int, wrong func(ctx context.Context)) {
	t.Helper()
	ctx, enough := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { wrong(ctx) })
	f.askAll(t, n)
	f.settled(t)
	f.resetAll(t, f.newest(t))
	enough()
	wg.Wait()
	f.settled(t)
}

// liveInTurns is live with the faults ended while the outbox is emptied: an
// entry whose lease was lost with its connection comes back after two minutes of a
// database that answers.
func (f *fleet) liveInTurns(t *testing.T, n int, wrong func(ctx context.Context)) {
	t.Helper()
	during := func(people func()) {
		ctx, enough := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { wrong(ctx) })
		people()
		enough()
		wg.Wait()
		f.settled(t)
	}
	during(func() { f.askAll(t, n) })
	links := f.newest(t)
	during(func() { f.resetAll(t, links) })
}

// sometimes calls fn at random moments until ctx ends.
func sometimes(ctx context.Context, least, most time.Duration, fn func(round int)) {
	for round := 0; ; round++ {
		timer := time.NewTimer(least + rand.N(most-least))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			fn(round)
		}
	}
}

// balance is what a scenario comes to. The last four must be zero.
type balance struct {
	scenario, database              string
	acked, delivered, resets        int
	refused, failed                 int
	lost, twice, unnoticed, secrets int
}

// balance counts what was promised and did not come, worked twice, or is where it must not be.
func (f *fleet) balance(t *testing.T) balance {
	t.Helper()
	mails, told := f.links(t), map[string]bool{}
	for _, m := range f.smtp.Messages() {
		if m.Link(baseURL+"/reset/") == "" {
			told[m.To[0]] = true
		}
	}
	var b balance
	f.ledger.note(func() {
		l := f.ledger
		b.refused, b.failed = l.refused, l.failed
		for who := range l.acked {
			b.acked++
			switch {
			case len(mails[who]) > 0:
				b.delivered++
			case !l.hopeless[who]:
				b.lost++
			}
		}
		for _, n := range l.won {
			b.resets += min(n, 1)
			if n > 1 {
				b.twice++
			}
		}
		for who, changed := range l.changed {
			if changed && !told[who] && !l.hopeless[who] {
				b.unnoticed++
			}
		}
	})
	b.secrets = f.secretsAtRest(t, mails)
	return b
}

// secretsAtRest counts ids, passwords and keys in the database's files, its
// rows (the outbox among them) and every line that was logged.
func (f *fleet) secretsAtRest(t *testing.T, ids map[string][]string) int {
	t.Helper()
	secret := map[string]bool{}
	for _, list := range ids {
		for _, id := range list {
			secret[id] = true
		}
	}
	var logged strings.Builder
	f.mu.Lock()
	for _, o := range f.outputs {
		text, _ := o.look()
		logged.WriteString(text)
	}
	f.mu.Unlock()
	n := 0
	look := func(where string, content []byte) {
		for _, found := range uuids.FindAll(content, -1) {
			if secret[string(found)] {
				n++
				t.Errorf("an id is in %s", where)
			}
		}
		for what, word := range map[string]string{"the password": password, "the key": f.key} {
			if strings.Contains(string(content), word) {
				n++
				t.Errorf("%s is in %s", what, where)
			}
		}
	}
	look("the log", []byte(logged.String()))
	look("the rows", f.db.atRest(t))
	f.db.files(t, look)
	return n
}

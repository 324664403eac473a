package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/sparekey/sparekey/internal/reset"
)

// The most transactions that wait for the writer, and that it commits at once.
// Past the first, callers wait in their own goroutines until their context ends.
const (
	writerQueue = 1024
	writerBatch = 256
)

// writer commits the transactions that are waiting together. With
// synchronous=FULL a commit waits for the disk; sharing that wait among
// everybody who is waiting anyway costs no latency and multiplies the rate.
// Each caller's function has a savepoint of its own, so one that fails takes nobody along.
type writer struct {
	store *Store
	ops   chan *op
	mu    sync.RWMutex // guards closing ops against sending
	shut  bool
	done  chan struct{}
}

type op struct {
	ctx  context.Context //nolint:containedctx // the op is the call, handed to another goroutine
	fn   func(reset.Tx) error
	tx   *tx
	err  error
	done chan struct{}
}

var errClosed = errors.New("the store is closed")

func startWriter(s *Store) *writer {
	w := &writer{store: s, ops: make(chan *op, writerQueue), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.run()
	}()
	return w
}

// stop commits what waits and ends the goroutine.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.shut {
		w.shut = true
		close(w.ops)
	}
	w.mu.Unlock()
	<-w.done
}

// Update implements reset.Store.
func (s *Store) Update(ctx context.Context, fn func(reset.Tx) error) error {
	o := &op{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := s.writer.send(o); err != nil {
		return err
	}
	// Once sent, the outcome must be known: an op whose context ends before its
	// turn is dropped by the writer, one whose turn has begun takes milliseconds.
	<-o.done
	return o.err
}

func (w *writer) send(o *op) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.shut {
		return unavailable(errClosed)
	}
	select {
	case w.ops <- o:
		return nil
	case <-o.ctx.Done():
		return unavailable(o.ctx.Err())
	}
}

func (w *writer) run() {
	batch := make([]*op, 0, writerBatch)
	for o := range w.ops {
		batch = append(batch[:0], o)
		for more := true; more && len(batch) < writerBatch; {
			select {
			case next, ok := <-w.ops:
				if !ok {
					more = false
					break
				}
				batch = append(batch, next)
			default:
				more = false
			}
		}
		w.commit(batch)
		clear(batch)
	}
}

// commit runs a batch in one transaction and tells everybody how it went.
func (w *writer) commit(batch []*op) {
	defer func() {
		for _, o := range batch {
			close(o.done)
		}
	}()
	if err := w.try(batch); err != nil {
		// Also those who failed by themselves: they may have seen what others of the
		// batch did, such as a claim, and that is undone.
		for _, o := range batch {
			o.err = translate(err)
		}
	}
}

// try returns an error that concerns the whole batch.
func (w *writer) try(batch []*op) error {
	ctx := context.Background() // no single caller may cancel the others; busy_timeout bounds it
	sqlTx, err := w.store.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = sqlTx.Rollback() }() // does nothing after the commit
	var (
		entries []reset.Entry
		audit   []reset.AuditEntry
	)
	chain, succeeded := w.store.chain, 0
	for _, o := range batch {
		if o.err = o.ctx.Err(); o.err != nil {
			o.err = unavailable(o.err)
			continue
		}
		o.tx = &tx{sql: sqlTx, chain: chain}
		if err := runOp(ctx, sqlTx, o); err != nil {
			return err
		}
		if o.err == nil {
			entries = append(entries, o.tx.entries...)
			audit = append(audit, o.tx.audit...)
			succeeded++
		}
	}
	if succeeded == 0 {
		return nil
	}
	// One statement puts everybody's entries into the outbox.
	if len(entries) > 0 {
		if w.store.inserter == nil {
			return errors.New("the store was opened without an outbox")
		}
		if err := w.store.inserter.InsertTx(ctx, sqlTx, entries); err != nil {
			return err
		}
	}
	if chain != nil {
		if err := chain.Append(ctx, ledger{&tx{sql: sqlTx}}, audit); err != nil {
			return err
		}
	}
	return sqlTx.Commit()
}

// runOp runs one caller's function inside a savepoint. Its own error is put
// into o.err; the returned one means that the transaction itself is broken.
func runOp(ctx context.Context, sqlTx *sql.Tx, o *op) error {
	if _, err := sqlTx.ExecContext(ctx, "SAVEPOINT op"); err != nil {
		return err
	}
	if o.err = protect(o.fn, o.tx); o.err != nil {
		o.err = translate(o.err)
		// A full disk or an I/O error may have rolled everything back already
		// (sqlite.org/lang_transaction.html, "Response To Errors"); then this fails, rightly for all.
		if _, err := sqlTx.ExecContext(ctx, "ROLLBACK TO op"); err != nil {
			if e, ok := errors.AsType[*reset.Error](o.err); ok && e.Kind == reset.Unavailable {
				return o.err // that is why, and the others may come back as well
			}
			return err
		}
	}
	_, err := sqlTx.ExecContext(ctx, "RELEASE op")
	return err
}

// protect keeps one caller's panic from ending the writer; the caller gets it as an error.
func protect(fn func(reset.Tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}

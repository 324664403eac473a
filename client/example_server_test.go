package client_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/sparekey/sparekey/client/sparekeytest"
)

// exampleServer starts a server for an example, which has no testing.T that it could end with.
func exampleServer() (s *sparekeytest.Server, stop func()) {
	t := &exampleT{}
	s = sparekeytest.Start(t)
	s.AddUser("ann@example.com", "", "Acme", "Globex")
	return s, func() {
		// Its connections are those of http.DefaultTransport, which the examples' clients use.
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		for i := range t.cleanups {
			t.cleanups[len(t.cleanups)-1-i]()
		}
	}
}

// exampleT is what sparekeytest needs of a testing.TB.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                  {}
func (t *exampleT) Context() context.Context { return context.Background() }
func (t *exampleT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }

func (t *exampleT) TempDir() string {
	dir, err := os.MkdirTemp("", "sparekey")
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			panic(err)
		}
	})
	return dir
}

func (t *exampleT) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

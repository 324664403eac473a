package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadPassword(t *testing.T) {
	t.Parallel()
	for stdin, want := range map[string]string{
		"":                                   "",
		"\n":                                 "",
		"secret":                             "secret",
		"secret\n":                           "secret",
		"secret\r\n":                         "secret",
		"secret\n\n":                         "secret\n",
		"secret\r":                           "secret\r",
		"secret\n\r\n":                       "secret\n",
		" two words \n":                      " two words ",
		strings.Repeat("x", maxPassword):     strings.Repeat("x", maxPassword),
		strings.Repeat("é", maxPassword/2-1): strings.Repeat("é", maxPassword/2-1),
	} {
		if got, err := readPassword(t.Context(), strings.NewReader(stdin)); err != nil || got != want {
			t.Errorf("%.20q is the password %.20q, %v; want %.20q", stdin, got, err, want)
		}
	}
	_, err := readPassword(t.Context(), strings.NewReader(strings.Repeat("x", maxPassword+1)))
	if f, ok := errors.AsType[*failure](err); !ok || f.code != exitUsage || f.hint == "" {
		t.Errorf("got %v, want a refusal with a hint", err)
	}
	broken := errors.New("broken pipe")
	if _, err := readPassword(t.Context(), io.MultiReader(strings.NewReader("sec"), errorReader{broken})); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v: half a password is none", err, broken)
	}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// TestReadPasswordGivesUp: Ctrl-C ends a command that waits for stdin.
func TestReadPasswordGivesUp(t *testing.T) {
	t.Parallel()
	stdin, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = writer.Write([]byte("half a pass")) // returns once it was read, so the command waits for more
		cancel()
	}()
	if got, err := readPassword(ctx, stdin); !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v; want that it was given up", got, err)
	}
	if err := writer.Close(); err != nil { // lets the reader end
		t.Error(err)
	}
}

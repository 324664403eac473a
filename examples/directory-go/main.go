// Command directory-go is an application that keeps its users to itself, and lets
// Sparekey reset their passwords: the calls of docs/directory-webhook.yaml on users
// in a SQLite file, with argon2id. It is a sample to copy from, not to be run as it is.
//
//	directory-go add ADDRESS <<<PASSWORD   adds a user
//	directory-go                           serves
//
// USERS is the file (users.db), LISTEN the address to listen at (127.0.0.1:8099),
// SECRET what the calls are signed with (whsec_…).
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	users, err := openUsers(ctx, setting("USERS", "users.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.db.Close()) }()
	switch {
	case len(args) == 2 && args[0] == "add":
		password, err := bufio.NewReader(in).ReadString('\n')
		if err != nil {
			return fmt.Errorf("the password is read from the standard input: %w", err)
		}
		return users.add(ctx, args[1], strings.TrimSuffix(password, "\n"))
	case len(args) != 0:
		return errors.New("usage: directory-go [add ADDRESS]")
	}
	handler, err := newHandler(users, os.Getenv("SECRET"))
	if err != nil {
		return fmt.Errorf("SECRET is not what Sparekey signs with (whsec_…): %w", err)
	}
	return serve(ctx, setting("LISTEN", "127.0.0.1:8099"), handler, out)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// serve serves until ctx ends, and lets calls that are under way end.
func serve(ctx context.Context, address string, handler http.Handler, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening at", listener.Addr())
	server := &http.Server{Handler: handler, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(last)
}

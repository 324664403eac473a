package daemontest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// Program finds a program, also where servers are that root alone starts. packages are Debian's that bring it.
func Program(name, packages string) (string, error) {
	for _, place := range []string{"", "/usr/sbin/", "/usr/libexec/"} {
		if path, err := exec.LookPath(place + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed, which the tests need; run script/setup, or: apt-get install %s", name, packages)
}

// Command is a program to be run with an environment that is the same for everybody who runs the tests.
func Command(ctx context.Context, as *Owner, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // what tests start is for them to say
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC", "PYTHONDONTWRITEBYTECODE=1"}
	if as != nil && as.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as.credential}
	}
	return cmd
}

// Owner is somebody who is not root, for servers that refuse to run as root.
type Owner struct{ credential *syscall.Credential } // nil: as this process

// NotRoot is the first of the users who is there, or whoever this process is of, if that is not root.
func NotRoot(names ...string) (*Owner, error) {
	if os.Geteuid() != 0 {
		return &Owner{}, nil
	}
	var errs []error
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		return &Owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, errors.Join(uidErr, gidErr)
	}
	return nil, fmt.Errorf("the server does not run as root, and there is nobody else: %w", errors.Join(errs...))
}

// Give makes files and folders the owner's, with nothing that is in them.
func (o *Owner) Give(paths ...string) error {
	if o == nil || o.credential == nil {
		return nil
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.Chown(path, int(o.credential.Uid), int(o.credential.Gid)))
	}
	return errors.Join(errs...)
}

// Accepting is a Ready: it takes connections.
func Accepting(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// FreePort is a port of 127.0.0.1 that nobody listens on.
func FreePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("no TCP address"), l.Close())
	}
	return address.Port, l.Close()
}

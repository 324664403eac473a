package httpserver

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refuseSYN has the system drop what would begin a connection to l, and nothing
// else: connections that have begun, and those that wait to be accepted, go on.
func refuseSYN(l net.Listener) error {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return fmt.Errorf("a listener of type %T has no socket", l)
	}
	// The filter sees the TCP header. Byte 13 holds the flags (RFC 9293, 3.1), 2 is SYN.
	unlessSYN := [...]bpf.Instruction{
		bpf.LoadAbsolute{Off: 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 2, SkipTrue: 1},
		bpf.RetConstant{Val: 1<<32 - 1},
		bpf.RetConstant{Val: 0},
	}
	filter, err := bpf.Assemble(unlessSYN[:])
	if err != nil {
		return err
	}
	var program [len(unlessSYN)]unix.SockFilter
	for i, f := range filter {
		program[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	if err == nil {
		err = failed
	}
	return err
}

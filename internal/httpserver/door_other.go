//go:build !linux

package httpserver

import (
	"errors"
	"net"
)

// refuseSYN is for Linux alone.
func refuseSYN(net.Listener) error { return errors.ErrUnsupported }

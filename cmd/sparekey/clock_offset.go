//go:build clockoffset

package main

import (
	"os"
	"time"
)

// clock is off by CLOCK_OFFSET, such as 2m or -2m: for the tests of replicas
// whose clocks differ. No release is built with it.
func clock() time.Time {
	offset, err := time.ParseDuration(os.Getenv("CLOCK_OFFSET"))
	if err != nil {
		panic(err)
	}
	return time.Now().Add(offset)
}

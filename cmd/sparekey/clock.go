//go:build !clockoffset

package main

import "time"

// clock is what time it is.
func clock() time.Time { return time.Now() }

package ldapdir

import (
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// What tests look at from inside.
var (
	Fill                = fill
	Spellings           = spellings
	ParsePolicyResponse = parsePolicyResponse
	WinCode             = winCode
	Kinds               = kinds
	ContainsName        = containsName
	Quoted              = quoted
	FirstLanguage       = firstLanguage
)

// AddressFilter is the whole filter that an address is looked for with.
func (d *Directory) AddressFilter(a reset.Address) string { return d.addressFilter(a) }

// IDFilter is the whole filter that an id is looked for with.
func (d *Directory) IDFilter(id string) (string, bool) { return d.idFilter(id) }

// Interval and FileTime read times of Active Directory.
func Interval(n int64) time.Duration      { return interval(n) }
func FileTime(s string) (time.Time, bool) { return fileTime(s) }
func (d *Directory) Idle() int            { d.pool.mu.Lock(); defer d.pool.mu.Unlock(); return len(d.pool.idle) }

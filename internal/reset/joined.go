package reset

import (
	"slices"
	"strings"
)

// A person can be in several directories at once. Then the ID names the user of
// each, separated by commas: "5b1f3a52-…,crm.17". What stands between the commas
// is an ID by itself, and means the person as far as that directory goes. Stores
// keep every request by all of them, so that whatever ends the links of one
// of them (a newer link, a reset, an operator) ends that link too.

// MaxUserID is the longest ID of a user, in bytes: it is a key of the stores' indexes.
const MaxUserID = 1000

// UserIDs are the IDs that an ID names, at least one.
func UserIDs(id string) []string { return strings.Split(id, ",") }

// JoinUserIDs makes one ID of several. The same ones make the same ID, in whatever order they come.
func JoinUserIDs(ids ...string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(ids))), ",")
}

// Without returns an ID as it is without one of those that it names; empty if it named no other.
func Without(id, gone string) string {
	return strings.Join(slices.DeleteFunc(UserIDs(id), func(s string) bool { return s == gone }), ",")
}

// Partly is in the chain of what a Distant's Set answers that changed the password
// in some of the directories that a user is in, and not in others, or not for certain.
type Partly struct {
	// Done and Failed are names, for people: of the accounts in which it was changed, and of the others.
	Done, Failed []string
	// DoneID and RestID name the user as far as it was changed, and as far as it was not (UserIDs).
	DoneID, RestID string
	// Cause is what failed, for operators: it names the directories.
	Cause error
}

// Error implements error.
func (p *Partly) Error() string { return p.Cause.Error() }

// Unwrap returns the cause.
func (p *Partly) Unwrap() error { return p.Cause }

// Unsure is the cause of the error that callers get of a reset of which nobody
// knows whether it changed the password.
type Unsure struct{ Cause error }

// Error implements error.
func (u *Unsure) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u *Unsure) Unwrap() error { return u.Cause }

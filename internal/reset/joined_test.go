package reset_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
)

func TestJoinedUserIDs(t *testing.T) {
	t.Parallel()
	for joined, want := range map[string][]string{
		"ada": {"ada"}, "ada,crm.17": {"crm.17", "ada"}, "a,b,c": {"c", "a", "b", "a"},
	} {
		same(t, "joined", reset.JoinUserIDs(want...), joined)
		same(t, "taken apart", reset.UserIDs(joined), slices.Compact(slices.Sorted(slices.Values(want))))
	}
	for _, c := range [][3]string{
		{"ada,crm.17", "ada", "crm.17"}, {"ada,crm.17", "crm.17", "ada"}, {"ada", "ada", ""}, {"ada", "eve", "ada"}, {"ada,crm.17", "crm.1", "ada,crm.17"}, {"", "ada", ""},
	} {
		same(t, c[0]+" without "+c[1], reset.Without(c[0], c[1]), c[2])
	}
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringMatching(`[a-z0-9.%-]{1,10}`), 1, 5).Draw(t, "ids")
		shuffled := rapid.Permutation(ids).Draw(t, "shuffled")
		if a, b := reset.JoinUserIDs(ids...), reset.JoinUserIDs(shuffled...); a != b || reset.JoinUserIDs(reset.UserIDs(a)...) != a {
			t.Fatalf("%q and %q", a, b)
		}
	})
}

// TestForgotten: of an entry in the outbox goes what is about the removed user, and nothing else.
func TestForgotten(t *testing.T) {
	t.Parallel()
	a, err := reset.ParseAddress(ada)
	must(t, err)
	for _, c := range []struct {
		entry reset.Forgotten
		want  string
	}{
		{reset.Forgotten{Kind: "link", Address: "ADA@EXAMPLE.test"}, `{"address":""}`},
		{reset.Forgotten{Kind: "link", Address: bob}, ""},
		{reset.Forgotten{Kind: "link", UserID: "crm.17,u1"}, `{"user_id":"crm.17"}`},
		{reset.Forgotten{Kind: "link", UserID: "u1"}, `{"user_id":""}`},
		{reset.Forgotten{Kind: "event", Address: ada}, `{"address":""}`},
		{reset.Forgotten{Kind: "notice", Address: ada, UserID: "u2"}, `{"to":"","user_id":""}`},
		{reset.Forgotten{Kind: "notice", Address: "former@example.test", UserID: "u1"}, `{"to":"","user_id":""}`},
		{reset.Forgotten{Kind: "notice", UserID: "crm.17,u1"}, `{"user_id":"crm.17"}`},
		{reset.Forgotten{Kind: "notice", UserID: "u11"}, ""},
		{reset.Forgotten{Kind: "settle", UserID: "crm.17,u1"}, `{"user_id":"crm.17"}`},
	} {
		same(t, c.entry.Kind+" "+c.entry.Address+" "+c.entry.UserID, c.entry.Patch("u1", a), c.want)
	}
}

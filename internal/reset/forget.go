package reset

import "encoding/json"

// Forgotten is what a store changes in an entry of the outbox for a user who was removed.
type Forgotten struct {
	// Kind is the entry's, Address its address or where it goes to, UserID its user: of an event empty, for that stays.
	Kind, Address, UserID string
}

// Patch is the members of the entry that have to change when the user who had the address goes, as a JSON
// object; empty if the entry is about somebody else. Who is in other directories besides stays in it as far as those go.
func (f Forgotten) Patch(userID string, a Address) string {
	patch := map[string]string{}
	left, addressed := Without(f.UserID, userID), a.Matches(f.Address)
	if f.Kind == (NoticeEntry{}).Kind() && (addressed || f.UserID != "" && left == "") {
		patch["to"], patch["user_id"] = "", ""
		return marshal(patch)
	}
	if addressed {
		patch["address"] = ""
	}
	if left != f.UserID {
		patch["user_id"] = left
	}
	return marshal(patch)
}

func marshal(patch map[string]string) string {
	if len(patch) == 0 {
		return ""
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return "" // texts can be written
	}
	return string(text)
}

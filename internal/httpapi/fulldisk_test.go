package httpapi_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// TestAFullDisk fills the disk by asking, as a flood would. From then on the
// answer is to come back; what was accepted before is all there, and looking at
// a link works on.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	const perCall = 10
	a := serve(t, servicetest.New(t, servicetest.WithThrottle(), servicetest.WithDisk(100)))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")

	accepted := 0
	var full answer
	for call := range 2000 {
		addresses := make([]string, perCall)
		for i := range addresses {
			addresses[i] = fmt.Sprintf("somebody-%d-%d@example.test", call, i)
		}
		body, err := json.Marshal(map[string][]string{"email": addresses})
		if err != nil {
			t.Fatal(err)
		}
		got := a.do(t, "POST", askPath, string(body), "Test-Client", fmt.Sprint("client-", call))
		if got.Status != 200 {
			full = got
			break
		}
		accepted++
	}
	if accepted == 0 || full.Status == 0 {
		t.Fatalf("%d calls were accepted; the disk must fill up in between", accepted)
	}
	full.failed(t, 503, reset.CodeUnknown)
	if full.Header.Get("Retry-After") == "" {
		t.Error("the answer lacks Retry-After")
	}
	if n := len(a.Pending()); n != accepted*perCall {
		t.Errorf("%d mails are on their way, %d were promised", n, accepted*perCall)
	}
	a.do(t, "GET", metadataPath+id, "").is(t, 200, `{"id":"`+id+`","multiple_accounts":false}`)
}

package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

func testSecretRace(t *testing.T, s Store) {
	if none, err := s.Secret(t.Context(), "master", nil); none != nil || err != nil {
		t.Errorf("before anybody kept one: %q, %v", none, err)
	}
	var (
		wg   sync.WaitGroup
		kept [racers][]byte
	)
	for i := range racers {
		wg.Go(func() {
			var err error
			if kept[i], err = s.Secret(t.Context(), "master", fmt.Appendf(nil, "the offer of caller %02d", i)); err != nil {
				t.Errorf("Secret: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range racers {
		if len(kept[i]) == 0 || !bytes.Equal(kept[i], kept[0]) {
			t.Errorf("caller %d got %q, and another %q", i, kept[i], kept[0])
		}
	}
	if got, err := s.Secret(t.Context(), "master", nil); err != nil || !bytes.Equal(got, kept[0]) {
		t.Errorf("only reading: %q, %v", got, err)
	}
	other, err := s.Secret(t.Context(), "other", []byte("something else"))
	if err != nil || string(other) != "something else" {
		t.Errorf("another name: %q, %v", other, err)
	}
}

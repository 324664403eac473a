package directorytest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMemory: the directory that stands for distant ones in tests does what they promise.
func TestMemory(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(*testing.T) directorytest.Fixture {
		m := &directorytest.Memory{MaxBytes: 256}
		return m.Fixture(nil)
	})
}

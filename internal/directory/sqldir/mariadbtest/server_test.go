package mariadbtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestServer(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	for _, dir := range []string{parent, filepath.Dir(parent)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := StartIn(parent)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(s.dir) != parent {
		t.Errorf("its folder is %s, want one in %s", s.dir, parent)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Run("lives on", func(t *testing.T) {
		name := s.Database(t)
		s.Exec(t, name, "CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1)")
		if err := s.Stop(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, name, "INSERT INTO users VALUES (2); DELETE FROM users WHERE id = 1")
	})
}

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What a reader of the README has and the snippets leave out: a client's usual
// imports, a key, and the id in the link that somebody opened.
const (
	goAround = `package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/sparekey/sparekey/client"
)

func openedLink() string {
	res, err := http.Get(os.Getenv("BASE") + "/dev/mail/next?to=ada@example.test")
	if err != nil {
		panic(err)
	}
	id, _ := io.ReadAll(res.Body)
	return string(id[:36])
}

func run(ctx context.Context, key string) error {
	SNIPPET
}

func main() {
	if err := run(context.Background(), os.Getenv("KEY")); err != nil {
		panic(err)
	}
}
`
	jsAround = `
const key = process.env.KEY;
const openedLink = async () => (await (await fetch(process.env.BASE + '/dev/mail/next?to=ada@example.test')).text()).trim();
SNIPPET
`
)

// snippet takes the README's one block of that language and puts in what it leaves to the reader.
func snippet(t *testing.T, language, base string) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) != 1 {
		t.Fatalf("the README has %d blocks of %s, want 1", len(blocks), language)
	}
	text := strings.ReplaceAll(blocks[0][1], "https://reset.example.com", base)
	return strings.ReplaceAll(text, "ada@example.com", "ada@example.test")
}

// TestReadmeSnippets: the lines that the README shows in Go and in JavaScript reset a password.
func TestReadmeSnippets(t *testing.T) {
	t.Parallel()
	for language, run := range map[string]func(ctx context.Context, t *testing.T, code string) *exec.Cmd{
		"go": func(ctx context.Context, t *testing.T, code string) *exec.Cmd {
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(strings.Replace(goAround, "SNIPPET", code, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			return exec.CommandContext(ctx, "go", "run", file)
		},
		"js": func(ctx context.Context, _ *testing.T, code string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "node", "--input-type=module", "--eval", strings.Replace(jsAround, "SNIPPET", code, 1))
			cmd.Dir = "../clients/js" // where the package's name means the package itself
			return cmd
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			base, data := startDev(t)
			key := must(t, devEnv(data), "", "key", "create", "readme")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := run(ctx, t, snippet(t, language, base))
			cmd.Env = append(os.Environ(), "BASE="+base, "KEY="+key)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if _, code := sparekey(t, devEnv(data), "a rather long sentence", "user", "verify", "ada@example.test", "--password-stdin"); code != 0 {
				t.Errorf("sparekey user verify: exit code %d, want 0", code)
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
)

// command is how this program was started, for texts that are pasted.
func command() string {
	path, err := os.Executable()
	if err != nil || strings.Contains(filepath.ToSlash(path), "/go-build") {
		return "go run ./cmd/sparekey" // go run puts the binary into its build cache
	}
	if name := os.Args[0]; strings.ContainsRune(name, filepath.Separator) {
		return name
	}
	return "sparekey"
}

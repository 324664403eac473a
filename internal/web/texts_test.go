package web_test

import (
	"os"
	"testing"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/i18n/i18ntest"
)

// TestTexts: in no language is a text missing, left over or longer than its place: a heading has three lines of a
// narrow phone, a button two, and a paragraph as much as people read.
func TestTexts(t *testing.T) {
	t.Parallel()
	texts, err := i18n.Load(os.DirFS("."), "pages")
	if err != nil {
		t.Fatal(err)
	}
	i18ntest.Check(t, texts, []i18ntest.Limit{
		{Key: ".title", Most: 50},
		{Key: "offer.", Most: 32},
		{Key: "forgot.send", Most: 32},
		{Key: "sent.again", Most: 32},
		{Key: "choose.change", Most: 32},
		{Key: "choose.show", Most: 12},
		{Key: "choose.hide", Most: 12},
		{Key: "forgot.address", Most: 32},
		{Key: "choose.password", Most: 32},
		{Key: "frame.", Most: 40},
		{Key: "choose.length", Most: 40},
		{Key: "choose.typed", Most: 60},
		{Key: "choose.fine", Most: 60},
		{Key: "choose.words", Most: 100},
		{Key: "choose.own", Most: 120},
		{Key: "puzzle.", Most: 340},
		{Key: "", Most: 220},
	}, os.DirFS("."))
}

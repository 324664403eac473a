package i18n

import (
	"slices"
	"sync"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
	"golang.org/x/text/language"
)

// formNamer has, in every language, one text whose forms are their own names. So go-i18n, which knows
// the rules of all languages and tells them to nobody, tells which form a number takes.
var formNamer = sync.OnceValue(func() *goi18n.Bundle {
	bundle := goi18n.NewBundle(language.English)
	for _, tag := range tags() {
		bundle.MustAddMessages(tag, &goi18n.Message{ID: "form", Zero: "zero", One: "one", Two: "two", Few: "few", Many: "many", Other: "other"})
	}
	return bundle
})

// pluralForm is the position of the form that a number takes in a language.
func pluralForm(tag string, n int) int {
	name, err := goi18n.NewLocalizer(formNamer(), tag).Localize(&goi18n.LocalizeConfig{
		MessageID: "form", PluralCount: n, TemplateParser: template.IdentityParser{},
	})
	if err != nil {
		return other
	}
	return slices.Index(formNames, name)
}

// Package i18n says things in the languages that Sparekey speaks. Pages, mails and commands
// import it; it imports nothing of this module.
//
// A room keeps its own texts in files that a translator can edit, ROOM.LANG.toml in the format of go-i18n,
// and loads them with Load, which refuses what is not whole: a language, a key, a placeholder or a plural form
// that is missing or too many. So what was loaded can be said.
//
// A text has placeholders such as {{.Name}}, and nothing else in braces. One that has plural
// forms takes the form from the value Count. Texts and what they are made of are plain: whoever puts
// them into HTML escapes them there.
package i18n

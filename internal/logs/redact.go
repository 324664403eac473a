package logs

import (
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// What stands in the place of what was removed.
const (
	redacted   = "[redacted]" // the value of an attribute named like a secret
	addressGap = "[address]"
	uuidGap    = "[uuid]"
	keyGap     = "[key]"
	hashGap    = "[hash]"
	userGap    = "[hidden]" // user and password in a URL
)

// Each pattern takes rather too much than too little: what is lost is a piece
// of a log line, what would be kept is a secret. The user part of a URL
// reaches to the last @ of the word, for passwords may hold an @ or a slash.
var (
	userPattern    = regexp.MustCompile(`://\S*@`)
	addressPattern = regexp.MustCompile(`(?:"[^"]*"|[^\s<>()\[\],;"]+)@[^\s<>()\[\],;"]+`)
	keyPattern     = regexp.MustCompile(`spk_[A-Za-z0-9_-]+`)
	hashPattern    = regexp.MustCompile(`\$[A-Za-z0-9-]+\$[A-Za-z0-9$=,+/.-]*`)
	uuidPattern    = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	percentPattern = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// secretWords end the names of attributes that lose their value.
var secretWords = map[string]bool{
	"password": true, "secret": true, "token": true, "authorization": true, "cookie": true,
}

// isSecretKey reports whether an attribute is named like a secret: whether its
// last word is one of secretWords, as in "password", "X-Auth-Token",
// "set_cookie" and the field name "ClientSecret".
func isSecretKey(key string) bool {
	word := key[strings.LastIndexAny(key, "-_. ")+1:]
	if len(word) < len("token") {
		return false
	}
	if secretWords[word] {
		return true
	}
	if i := strings.LastIndexFunc(word, unicode.IsUpper); i > 0 {
		return secretWords[strings.ToLower(word)] || secretWords[strings.ToLower(word[i:])]
	}
	return secretWords[strings.ToLower(word)]
}

// namesUUID reports whether a UUID below that key is no secret: the id of a
// bulk job, which opens nothing without its key, or the directory's id of a user.
func namesUUID(key string) bool { return key == "job_id" || key == "user_id" }

// redactAttr cleans an attribute, groups with all that is in them.
func redactAttr(a slog.Attr) slog.Attr {
	if isSecretKey(a.Key) {
		return slog.String(redactText(a.Key), redacted)
	}
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		value = slog.StringValue(redactString(value.String(), namesUUID(a.Key)))
	case slog.KindGroup:
		attrs := value.Group()
		clean := make([]slog.Attr, len(attrs))
		for i, inner := range attrs {
			clean[i] = redactAttr(inner)
		}
		value = slog.GroupValue(clean...)
	case slog.KindAny:
		value = redactAny(value.Any(), namesUUID(a.Key))
	default: // numbers, times and durations hold nothing to hide
	}
	return slog.Attr{Key: redactText(a.Key), Value: value}
}

// redactText cleans a text.
func redactText(s string) string { return redactString(s, false) }

// redactString cleans a text; UUIDs stay if keepUUID is true. A text with
// percent escapes is also looked at without them, as an address is often met
// in a URL; if that finds anything, the unescaped text is what is logged.
func redactString(s string, keepUUID bool) string {
	clean := redactPlain(s, keepUUID)
	if strings.IndexByte(s, '%') < 0 {
		return clean
	}
	plain := s
	for range 2 { // twice, for what was escaped once too often
		plain = unescape(plain)
		if found := redactPlain(plain, keepUUID); found != plain {
			return found
		}
	}
	return clean
}

// redactPlain looks for the byte that each pattern cannot do without before it
// tries the pattern: most texts have none, and looking for a byte is cheap.
func redactPlain(s string, keepUUID bool) string {
	if strings.IndexByte(s, '@') >= 0 {
		s = userPattern.ReplaceAllString(s, "://"+userGap+"@")
		s = addressPattern.ReplaceAllString(s, addressGap)
	}
	if strings.Contains(s, "spk_") {
		s = keyPattern.ReplaceAllString(s, keyGap)
	}
	if strings.IndexByte(s, '$') >= 0 {
		s = hashPattern.ReplaceAllString(s, hashGap)
	}
	if !keepUUID && len(s) >= 36 && strings.Count(s, "-") >= 4 {
		s = uuidPattern.ReplaceAllString(s, uuidGap)
	}
	return s
}

// unescape replaces percent escapes by their bytes and leaves what is none.
func unescape(s string) string {
	return percentPattern.ReplaceAllStringFunc(s, func(escape string) string {
		return string([]byte{unhex(escape[1])<<4 | unhex(escape[2])})
	})
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	default:
		return c - '0'
	}
}

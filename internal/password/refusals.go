package password

import (
	"fmt"

	"github.com/sparekey/sparekey/internal/reset"
)

// The codes of refusals, each with its Params. They are stable: programs may
// depend on them.
const (
	// CodeInvalidUTF8: the password is not valid UTF-8.
	CodeInvalidUTF8 = "invalid_utf8"
	// CodeTooShort: it has fewer characters than the minimum. min, length.
	CodeTooShort = "too_short"
	// CodeTooLong: it has more characters than the maximum. max, and length
	// unless nobody counted.
	CodeTooLong = "too_long"
	// CodeTooManyBytes: it has more bytes in UTF-8 than whoever verifies it looks at. max, bytes.
	CodeTooManyBytes = "too_many_bytes"
	// CodeControlCharacter: it has a character of the Unicode category Cc: U+0000
	// to U+001F, U+007F to U+009F.
	CodeControlCharacter = "control_character"
	// CodeContext: it is mostly a word that goes with the user or the service.
	// what: one of the What… constants.
	CodeContext = "context"
	// CodeCommon: it is a well-known password, a row of keys or a repetition.
	CodeCommon = "common"
	// CodeBreached: it is in a list of passwords that were leaked.
	CodeBreached = "breached"
	// CodeTooWeak: it can be guessed in few tries. strength and min, from 0 to 4.
	CodeTooWeak = "too_weak"
)

// The values of the param what of CodeContext.
const (
	WhatAddress = "address" // the mail address
	WhatMailbox = "mailbox" // the part of it before the @
	WhatDomain  = "domain"  // the part of it after the @
	WhatName    = "name"
	WhatAccount = "account"
	WhatService = "service"
)

var whats = map[string]string{
	WhatAddress: "your email address",
	WhatMailbox: "the name in your email address",
	WhatDomain:  "the domain of your email address",
	WhatName:    "your name",
	WhatAccount: "the name of your account",
	WhatService: "the name of this service",
}

type params = map[string]any

func refusal(code string, p params, format string, args ...any) reset.Refusal {
	return reset.Refusal{Code: code, Message: fmt.Sprintf(format, args...), Params: p}
}

func tooShort(least, n int) reset.Refusal {
	return refusal(CodeTooShort, params{"min": least, "length": n}, "use at least %d characters; yours has %d", least, n)
}

func tooLong(most, n int) reset.Refusal {
	return refusal(CodeTooLong, params{"max": most, "length": n}, "use at most %d characters; yours has %d", most, n)
}

func muchTooLong(most int) reset.Refusal {
	return refusal(CodeTooLong, params{"max": most}, "use at most %d characters; yours has many more", most)
}

func tooManyBytes(most, n int) reset.Refusal {
	return refusal(CodeTooManyBytes, params{"max": most, "bytes": n},
		"use a shorter password: at most %d bytes, of which a plain letter takes one, an accented or other letter two to four; yours has %d", most, n)
}

func invalidUTF8() reset.Refusal {
	return refusal(CodeInvalidUTF8, nil, "send the password as valid UTF-8 text")
}

func controlCharacter() reset.Refusal {
	return refusal(CodeControlCharacter, nil,
		"use no control characters such as tab, line break or NUL; all others are welcome, spaces and emoji too")
}

func contextWord(what string) reset.Refusal {
	return refusal(CodeContext, params{"what": what}, "use something that is not mostly %s", whats[what])
}

func isCommon() reset.Refusal {
	return refusal(CodeCommon, nil,
		"use something other than a well-known password, a row of keys or a repetition; a few words that have nothing to do with each other do well")
}

func isBreached() reset.Refusal {
	return refusal(CodeBreached, nil,
		"use a password that is in no list of leaked ones, where this one is; a few words that have nothing to do with each other do well")
}

func tooWeak(strength, least int) reset.Refusal {
	return refusal(CodeTooWeak, params{"strength": strength, "min": least},
		"use something that is harder to guess; a few more words that have nothing to do with each other do well")
}

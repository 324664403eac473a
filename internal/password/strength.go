package password

import (
	"math"

	zxcvbn "github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/matching"
)

// mostStrength is the highest score of zxcvbn.
const mostStrength = 4

// safeLength is how many code points zxcvbn is given at once. Its time grows
// with the cube of the length and worse: 260 took a minute.
const safeLength = 32

// strength estimates how hard a password is to guess even for somebody who
// knows the words, from 0 to 4. It stops when the answer is enough.
//
// A text is no easier to guess than a part of it, so of a password that is
// longer than is safe the better of its beginning and its end counts. Long passphrases pass by either; a
// strong end makes up for a weak beginning.
//
// zxcvbn tries every way to read digits as letters, thousands of them for a text that
// is made for it, a hundred milliseconds each time. So it is told not to, and sees the text
// a second time with the usual ones read as letters; the lower estimate counts.
func strength(normal string, words []string, enough int) int {
	if enough == 0 {
		return 0
	}
	runes := []rune(plain(normal))
	best := estimate(string(runes[:min(len(runes), safeLength)]), words)
	if len(runes) > safeLength && best < enough {
		best = max(best, estimate(string(runes[len(runes)-safeLength:]), words))
	}
	return best
}

func estimate(text string, words []string) int {
	lowest := math.MaxInt
	for i, reading := range []string{text, leet.Replace(text)} {
		if i == 0 || reading != text {
			lowest = min(lowest, zxcvbn.PasswordStrength(reading, words, matching.FilterL33tMatcher).Score)
		}
	}
	return lowest
}

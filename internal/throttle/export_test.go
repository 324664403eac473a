package throttle

// MaxRemembered is the bound of Remembered.
const MaxRemembered = maxRemembered

// Remembered is how many callers are remembered as being over a limit.
func (l *Limiter) Remembered() int {
	l.over.mu.Lock()
	defer l.over.mu.Unlock()
	return len(l.over.until)
}

// Hinted is how many links it is remembered of how often they were hinted at.
func (l *Limiter) Hinted() int { return len(l.hints.tat) }

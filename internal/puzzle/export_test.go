package puzzle

// Secrets are what another implementation needs to make and check the same challenges.
func (p *Puzzle) Secrets() (sign, seal string) { return p.sign, p.seal }
